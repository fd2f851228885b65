"""No false certificate: bounds against exact oracles on problems that nobody tuned for."""

from dataclasses import replace

import mpmath
import numpy as np
import pytest
import scipy.linalg as la
import scipy.sparse as sp

from rom.affine import Affine, Monomials, theta_rows
from rom.archive.nouns import load, save
from rom.basis import Basis, gram_schmidt
from rom.certified import (
    MinTheta,
    SuccessiveConstraints,
    dual_weighted_output,
    galerkin_model,
    inf_sup,
    reduced_basis,
    reduced_outputs,
    residual_bound,
    scm,
    unsteady_model,
)
from rom.certified.infsup import inf_sup_constant
from rom.compress import merge_blocks
from rom.compress.decomposition import pod
from rom.errors import BadInput, OutsideBox, Singular
from rom.parameters import Box
from rom.prediction import Known
from rom.problem import Problem
from rom.snapshots import Snapshots
from rom.space import Space, euclidean
from rom.study.comparison import study
from rom.study.facts import error_known_by

ONE = Monomials(np.ones(1), np.zeros((1, 2)))
SUM = Monomials(np.ones(2), np.eye(2))


# Coercivity


def string(n):
    """K and M of a string with fixed ends: eigenvalues near (j pi)^2."""
    K = sp.diags_array([-np.ones(n - 1), 2 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1])
    return sp.csr_array(K * (n + 1.0)), sp.csr_array(sp.eye_array(n) / (n + 1.0))


def shifted_string(n):
    K, M = string(n)
    theta = Monomials(np.array([1.0, -1.0]), np.array([[0.0], [1.0]]))
    return Affine(theta, [K, M]), Space(K, np.arange(n))


@pytest.mark.parametrize("n", [60, 400])
def test_an_operator_that_is_not_coercive_is_refused_by_its_parameter(n):
    A, space = shifted_string(n)
    with pytest.raises(BadInput, match=r"not coercive at mu = \[.*inf_sup"):
        scm(A, space, np.linspace(0, 100, 60)[:, None])
    coercive = scm(A, space, np.linspace(0, 9, 40)[:, None])
    assert coercive(np.array([[8.0]]))[0] > 0 > coercive(np.array([[50.0]]))[0]


def test_a_bound_is_infinite_where_stability_is_not_positive():
    A, space = shifted_string(60)
    stability = scm(A, space, np.linspace(0, 9, 40)[:, None])
    f = Affine(Monomials(np.ones(1), np.zeros((1, 1))), [np.ones(60)])
    problem = Problem(lambda mu: np.zeros(60), None, space, A=A, f=f, stability=stability)
    basis = Basis(space, gram_schmidt(space, np.ones((60, 1)))[0])
    bound = galerkin_model(problem, basis).predict(np.array([[1.0], [50.0]])).bound
    assert np.isfinite(bound[0]) and bound[1] == np.inf
    heat = replace(problem, M=string(60)[1], times=np.linspace(0, 1, 4))
    assert unsteady_model(heat, basis).predict(np.array([50.0])).bound[-1] == np.inf
    dual = dual_weighted_output(problem, f, basis, basis)
    assert dual.evaluate(np.array([[50.0]]))[1][0] == np.inf


def test_a_constraint_program_is_bounded_by_its_dual_value():
    """Also where the solver stops at its tolerance: the exact minimum is a vertex."""
    gen = np.random.default_rng(5)
    for _ in range(20):
        theta_j, y = gen.uniform(-1, 1, (3, 2)), gen.uniform(-1, 1, 2)
        bound = SuccessiveConstraints(
            SUM, -np.ones(2), np.ones(2), theta_j, theta_j @ y, np.array([y])
        )
        for theta in gen.uniform(-1, 1, (10, 2)):
            assert bound(theta) <= theta @ y


def random_sum(gen, coercive):
    """A_0 + mu_1 A_1 + mu_2 A_2 on [-1, 1]^2, X and the dense terms."""
    n = int(gen.integers(6, 30))
    B = gen.standard_normal((n, n))
    X = B @ B.T / n + 0.1 * np.eye(n)
    half = np.linalg.cholesky(X)
    size = gen.uniform(0.05, 0.45) if coercive else gen.uniform(0.6, 3.0)
    terms = [X]
    for _ in range(2):
        S = gen.standard_normal((n, n))
        S = S + S.T
        S *= size / np.abs(la.eigvalsh(S)).max()
        terms.append(half @ S @ half.T)
    terms = [0.5 * (term + term.T) for term in terms]
    theta = Monomials(np.ones(3), np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    A = Affine(theta, [sp.csr_array(term) for term in terms])
    return A, Space(sp.csr_array(X), np.arange(n)), X, terms


def search_coercivity(count, every):
    """(accepted, tight) among coercive sums; asserts no lower bound above the truth."""
    gen, accepted, tight = np.random.default_rng(11), 0, 0
    for k in range(count):
        coercive = k % every == 0
        A, space, X, terms = random_sum(gen, coercive)
        train, fresh = gen.uniform(-1, 1, (40, 2)), gen.uniform(-1, 1, (15, 2))
        try:
            bound = scm(A, space, train)
        except BadInput:
            assert not coercive
            continue
        truth = np.array(
            [
                la.eigh(terms[0] + mu[0] * terms[1] + mu[1] * terms[2], X, eigvals_only=True)[0]
                for mu in fresh
            ]
        )
        assert (bound(fresh) <= truth + 1e-12).all()
        accepted += coercive
        tight += coercive and bool((bound(fresh) >= 0.1 * truth).all())
    return accepted, tight


def test_lower_bounds_of_random_sums_are_below_the_truth():
    accepted, tight = search_coercivity(30, 3)
    assert accepted == 10 and tight >= 9


@pytest.mark.slow
def test_lower_bounds_of_three_hundred_random_sums_are_below_the_truth():
    accepted, tight = search_coercivity(300, 3)
    assert accepted >= 95 and tight >= 95


# Round-off


def integer_problem(gen, digits):
    """mu_1 B^T B + mu_2 2^-digits I: exact in double precision, and so is X = A(1, 1)."""
    n, rows = 8, int(gen.integers(3, 8))
    B = gen.integers(-1000, 1000, (rows, n)).astype(float)
    terms = [B.T @ B, np.ldexp(1.0, -digits) * np.eye(n)]
    A = Affine(SUM, [sp.csr_array(term) for term in terms])
    f = Affine(ONE, [gen.standard_normal(n)])
    space = Space(sp.csr_array(terms[0] + terms[1]), np.arange(n))
    box = Box(("a", "b"), [0.1, 0.1], [1.0, 1.0])
    problem = Problem(
        lambda mu: np.linalg.solve(A(mu).toarray(), f(mu)),
        box,
        space,
        A=A,
        f=f,
        stability=MinTheta(SUM, np.ones(2)),
    )
    return problem, float(np.linalg.cond(space.product.toarray()))


def exact_error(problem, u, mu):
    """|A^{-1} f - u|_X in forty digits."""
    with mpmath.workdps(40):
        A = sum(
            (mpmath.mpf(c) * mpmath.matrix(t.toarray().tolist()))
            for c, t in zip(mu, problem.A.terms, strict=True)
        )
        e = mpmath.lu_solve(A, mpmath.matrix(problem.f.terms[0].tolist())) - mpmath.matrix(u)
        X = mpmath.matrix(problem.space.product.toarray().tolist())
        return float(mpmath.sqrt((e.T * X * e)[0]))


def search_round_off(problems, fresh):
    """Asserts effectivities of at least 1 - 1e-10; the share served among cond(X) < 1e8."""
    gen, served, tame, refused = np.random.default_rng(17), 0, 0, 0
    for _ in range(problems):
        problem, condition = integer_problem(gen, int(gen.integers(-18, 28)))
        tame += condition < 1e8
        mus = problem.box.from_unit(gen.random((fresh, 2)))
        train = problem.box.from_unit(gen.random((int(gen.integers(2, 5)), 2)))
        U = np.stack([problem.solve(mu) for mu in train], axis=1)
        try:
            model = galerkin_model(problem, Basis(problem.space, gram_schmidt(problem.space, U)[0]))
            answer = model.predict(mus)
        except Singular:
            refused += 1
            continue
        served += condition < 1e8
        for j, mu in enumerate(mus):
            error = exact_error(problem, model.basis.lift(answer.coefficients[:, j]), mu)
            assert answer.bound[j] >= error * (1 - 1e-10), (condition, answer.bound[j] / error)
    return served / tame


def test_bounds_of_random_problems_count_the_condition_of_the_product():
    assert search_round_off(60, 2) >= 0.95


@pytest.mark.slow
def test_bounds_at_five_thousand_parameters_count_the_condition_of_the_product():
    assert search_round_off(1000, 5) >= 0.95


@pytest.mark.parametrize("unit", [1e-170, 1e-200, 1e160])
def test_a_bound_scales_with_the_load_where_squares_vanish(unit):
    gen = np.random.default_rng(1)
    problem, _ = integer_problem(gen, 0)
    small = replace(problem, f=Affine(ONE, [unit * problem.f.terms[0]]))
    basis = Basis(problem.space, gram_schmidt(problem.space, gen.standard_normal((8, 3)))[0])
    mu = np.array([0.3, 0.7])
    plain, scaled = (galerkin_model(p, basis).predict(mu) for p in (problem, small))
    assert scaled.bound == pytest.approx(unit * plain.bound, rel=1e-9)
    small = replace(small, solve=lambda mu: unit * problem.solve(mu))
    train = problem.box.from_unit(gen.random((10, 2)))
    model, history = reduced_basis(small, train, tol=1e-6 * unit)
    assert history[-1].stop == "tol reached" and model.basis.r > 1
    heat = replace(small, M=sp.eye_array(8).tocsr(), times=np.linspace(0, 1, 5))
    plain_heat = replace(heat, f=problem.f)
    slow, quick = (unsteady_model(p, basis).predict(mu).bound for p in (heat, plain_heat))
    np.testing.assert_allclose(slow, unit * quick, rtol=1e-9)


@pytest.mark.parametrize("tol", [1e-6, 1e-8, 1e-10, 1e-12])
def test_certificates_of_merged_blocks_hold_down_to_round_off(tol):
    gen, space, wide = np.random.default_rng(3), euclidean(40), np.longdouble
    for k in range(12):
        span = np.linalg.qr(gen.standard_normal((40, 3)))[0]
        noise = 10.0 ** gen.uniform(-2, 0) * tol
        blocks = [
            span @ gen.standard_normal((3, 4)) + noise * gen.standard_normal((40, 4))
            for _ in range(2 + k % 4)
        ]
        merging = merge_blocks(blocks, tol, space)
        for c, bound in enumerate(merging.bounds):
            members = np.flatnonzero(merging.labels == c)
            A = np.hstack([blocks[j] for j in members]).astype(wide)
            B = np.hstack([merging.restore(j, merging.coordinates(j, blocks[j])) for j in members])
            assert np.sqrt(np.sum((A - B) ** 2)) <= bound * np.sqrt(np.sum(A**2))
            assert bound <= tol
    with pytest.raises(BadInput, match="round-off"):
        merge_blocks(blocks, 1e-16, space)


# Complex and offset


def damped(n=12, seed=2):
    """A complex coercive problem with X = K, f complex, in time."""
    gen = np.random.default_rng(seed)
    B = gen.standard_normal((n, n))
    K = B @ B.T + np.eye(n)
    S = gen.standard_normal((n, n))
    A = Affine(SUM, [K.astype(complex), 1j * (S + S.T)])
    f = Affine(ONE, [gen.standard_normal(n) + 1j * gen.standard_normal(n)])
    space = Space(sp.csr_array(K), np.arange(n))
    box = Box(("a", "b"), [0.5, 0.0], [1.0, 1.0])
    alpha = MinTheta(Monomials(np.ones(1), np.array([[1.0, 0.0]])), np.array([1.0, 0.0]))

    def solve(mu):
        return np.linalg.solve(A(mu), f(mu))

    return Problem(solve, box, space, A=A, f=f, stability=alpha)


@pytest.mark.parametrize("theta", [0.5, 1.0])
def test_a_complex_unsteady_model_is_the_scheme_in_complex_numbers(theta):
    base = damped()
    n, times = 12, np.linspace(0, 0.5, 9)
    gen = np.random.default_rng(4)
    start = gen.standard_normal(n) + 1j * gen.standard_normal(n)
    heat = replace(base, M=sp.eye_array(n).tocsr(), times=times, initial=start)
    mu = np.array([0.7, 0.6])
    u, dt = [start], times[1]
    for _ in times[1:]:
        rate = np.linalg.solve(np.eye(n) + theta * dt * base.A(mu), base.f(mu) - base.A(mu) @ u[-1])
        u.append(u[-1] + dt * rate)
    U = np.stack(u, axis=1)
    whole = Basis(base.space, gram_schmidt(base.space, np.eye(n, dtype=complex))[0])
    for r in (4, n):
        model = unsteady_model(heat, Basis(base.space, whole.modes[:, :r]), theta=theta)
        answer = model.predict(mu)
        error = model.norm(U - model.basis.lift(answer.coefficients))
        assert (answer.bound >= error).all()
    assert error.max() < 1e-12 and np.iscomplexobj(answer.coefficients)


def centred(problem, seed=8, rank=3, scale=1.0):
    """A basis about an offset, from solutions of a problem."""
    mus = problem.box.from_unit(np.random.default_rng(seed).random((8, problem.box.p)))
    U = scale * np.stack([problem.solve(mu) for mu in mus], axis=1)
    return pod(Snapshots(problem.space, mus, U), rank=rank, method="full", center=True)[0]


def test_outputs_count_the_offset_of_the_basis():
    problem = damped()
    gen = np.random.default_rng(6)
    rows = gen.standard_normal((2, 12)) + 1j * gen.standard_normal((2, 12))
    basis = centred(problem)
    model = galerkin_model(problem, basis)
    outputs = reduced_outputs(Affine(ONE, [rows]), basis)
    mus = problem.box.from_unit(gen.random((40, 2)))
    answer = model.predict(mus)
    s, bound = outputs(mus, answer.coefficients.T, answer.bound)
    np.testing.assert_allclose(s.T, rows @ basis.lift(answer.coefficients), rtol=1e-12)
    truth = np.stack([rows @ problem.solve(mu) for mu in mus])
    assert (np.linalg.norm(s - truth, axis=1) <= bound).all() and bound.max() < 10


@pytest.mark.parametrize("offsets", ["primal", "dual", "both", "neither"])
@pytest.mark.parametrize("rank", [3, 8])
def test_dual_weighted_outputs_count_offsets_and_round_off(offsets, rank):
    problem = damped()
    gen = np.random.default_rng(6)
    weights = gen.standard_normal(12) + 1j * gen.standard_normal(12)
    l = Affine(ONE, [weights])  # noqa: E741
    adjoint = replace(problem, solve=lambda mu: np.linalg.solve(problem.A(mu).conj().T, weights))
    primal, dual = (centred(p, 8 + rank, rank) for p in (problem, adjoint))
    if offsets in ("dual", "neither"):
        primal = replace(primal, offset=0.0)
    if offsets in ("primal", "neither"):
        dual = replace(dual, offset=0.0)
    model = dual_weighted_output(problem, l, primal, dual)
    mus = problem.box.from_unit(gen.random((15, 2)))
    s, bound = model.evaluate(mus)
    for j, mu in enumerate(mus):
        with mpmath.workdps(40):
            A = sum(
                (mpmath.mpf(float(c)) * mpmath.matrix(t.tolist()))
                for c, t in zip(mu, problem.A.terms, strict=True)
            )
            u = mpmath.lu_solve(A, mpmath.matrix(problem.f.terms[0].tolist()))
            truth = (mpmath.matrix(weights.conj().tolist()).T * u)[0]
            assert float(abs(truth - mpmath.mpmathify(complex(s[j])))) <= bound[j]
    assert bound.max() < (1.0 if rank == 3 else 1e-2)


# Inf-sup


RESONANCES = (2 * 41 * np.sin(np.arange(1, 4) * np.pi / 82))[:, None] ** 2  # of string(40)


def resonant(anchors, fresh, min_ratio=0.01):
    """K - mu M on [0, 100], indefinite from mu = pi^2 on; X = K + M."""
    K, M = (matrix.toarray() for matrix in string(40))
    space, box = Space(sp.csr_array(K + M), np.arange(40)), Box(("mu",), [0.0], [100.0])

    def operator(mu):
        return K - mu[0] * M

    gen = np.random.default_rng(0)
    stability = inf_sup(
        operator,
        space,
        box,
        np.linspace(0, 100, anchors)[:, None],
        gen.uniform(0, 100, (fresh, 1)),
        min_ratio=min_ratio,
    )
    mus = np.linspace(0, 100, 401)[:, None]
    truth = np.array([inf_sup_constant(operator(mu), space) for mu in mus])
    return stability, space, mus, truth


def test_an_interpolated_constant_is_refused_where_a_resonance_is_not_excluded():
    stability, _, mus, truth = resonant(41, 40)
    beta = stability(mus)
    assert (beta <= truth).all() and (beta > 0).mean() > 0.8
    assert (stability(RESONANCES) == 0).all()
    assert (stability(np.array([[-1.0], [101.0]])) == 0).all()


def test_a_measured_constant_makes_a_measured_bound_everywhere(tmp_path):
    stability, space, _, _ = resonant(41, 40)
    A, f = shifted_string(40)[0], Affine(Monomials(np.ones(1), np.zeros((1, 1))), [np.ones(40)])
    problem = Problem(
        lambda mu: np.linalg.solve(A(mu).toarray(), f(mu)),
        stability.box,
        space,
        A=A,
        f=f,
        stability=stability,
    )
    basis = Basis(space, gram_schmidt(space, np.ones((40, 1)))[0])
    model = galerkin_model(problem, basis)
    save(tmp_path / "m.h5", model)
    for one in (model, load(tmp_path / "m.h5")):
        answer = one.predict(np.array([[2.0], RESONANCES[0]]))
        assert one.known is Known.MEASURED and answer.errors[0].known is Known.MEASURED
        assert np.isfinite(answer.bound[0]) and answer.bound[1] == np.inf
        assert error_known_by(one).startswith("measured")
        assert answer.errors[0].label == "measured in the norm of the space"
    dual = dual_weighted_output(problem, f, basis, basis)
    assert dual.known is Known.MEASURED
    table = study(model, problem.solve, np.array([[2.0], [3.0]]))
    assert table.units()["max_bound"].endswith("measured") and not table.alarms


# One mu, boxes


def one_mu(mu):
    return np.array([mu[0], 1.0 + mu[0]])


def one_ragged(mu):
    return np.array([1.0, mu[0]])


@pytest.mark.parametrize("theta", [one_mu, one_ragged])
@pytest.mark.parametrize("m", [1, 2, 3, 5])
def test_a_theta_of_one_mu_is_called_row_by_row(theta, m):
    mus = np.random.default_rng(m).uniform(0.1, 1, (m, 2))
    rows = np.stack([theta(mu) for mu in mus])
    np.testing.assert_array_equal(theta_rows(theta, mus), rows)
    terms = np.stack([np.eye(3), np.diag([1.0, 2.0, 3.0])])
    np.testing.assert_allclose(
        Affine(theta, terms)(mus), np.stack([Affine(theta, terms)(mu) for mu in mus])
    )
    np.testing.assert_array_equal(
        MinTheta(theta, np.ones(2))(mus), [MinTheta(theta, np.ones(2))(mu) for mu in mus]
    )
    A = Affine(theta, [sp.csr_array(term) for term in terms])
    space = Space(A(np.ones(2)), np.arange(3))
    f = Affine(ONE, [np.ones(3)])
    basis = Basis(space, gram_schmidt(space, np.ones((3, 1)))[0])
    for stability in (MinTheta(theta, np.ones(2)), lambda mu: 0.1 * mu[0]):
        bound = residual_bound(A, f, basis, stability)
        a = np.ones((m, 1))
        one_by_one = [bound(mus[j : j + 1], a[j : j + 1])[0] for j in range(m)]
        np.testing.assert_allclose(bound(mus, a), one_by_one, rtol=1e-12)


def test_the_slack_of_a_box_is_relative_in_the_scale_of_each_parameter():
    box = Box(("k", "x"), [1e-6, 0.0], [1e6, 1.0], scales=("log", "linear"))
    box.check(np.array([1e-6 * (1 - 1e-13), 1 + 1e-13]))
    for mu in ([1e-8, 0.5], [0.0, 0.5], [-1.0, 0.5], [1e-6 * (1 - 1e-9), 0.5], [1.0, 1 + 1e-9]):
        with pytest.raises(OutsideBox):
            box.check(np.array(mu))
