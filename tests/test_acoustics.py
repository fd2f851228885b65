"""Known solutions and laws of exterior acoustics, and of what the reduction makes of its
matrices.
"""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.special import eval_legendre, spherical_jn, spherical_yn

pytest.importorskip("ngsolve")

from cases.sphere_scattering import (
    AXIS,
    families,
    load,
    main,
    matrix,
    mie,
    problem,
    rules,
    separated,
    sphere,
    waves,
)
from rom.affine import Monomials
from rom.basis import Basis, gram_schmidt
from rom.certified import (
    certify,
    consistent_bound,
    eim_weights,
    galerkin,
    galerkin_model,
    inf_sup,
    reduced_basis,
    residual_bound,
    separate,
    two_stage_weights,
)
from rom.certified.infsup import inf_sup_constant
from rom.errors import BadInput, NotConverged
from solvers.acoustics import Body, exterior, monopole, plane


@pytest.fixture(scope="module")
def coarse():
    return exterior(replace(sphere(80), lined=np.ones(80, dtype=bool)))


@pytest.fixture(scope="module")
def fine():
    return exterior(replace(sphere(320), lined=np.ones(320, dtype=bool)))


def errors(host, k):
    """Relative errors in L^2 against the series: hard, lined, soft."""
    space, z = host.body.space(), host.body.points[:, 2]
    A, B = host.reacting(k)
    f, Y = host.load(plane(AXIS, k), k)[:, 0], 0.5 - 0.3j
    hard, lined = np.linalg.solve(A, f), np.linalg.solve(A + Y * B, f)
    soft = np.linalg.solve(host.soft(k), host.load(plane(AXIS, k), k, soft=True)[:, 0])
    pairs = ((hard, mie(k, z)), (lined, mie(k, z, Y)), (soft, mie(k, z, soft=True)))
    return np.array([space.norm(u - v) / space.norm(v) for u, v in pairs])


def test_error_against_the_series_falls_with_the_square_of_the_mesh_size(coarse, fine):
    few, many = errors(coarse, 1.0), errors(fine, 1.0)
    assert (many < [0.01, 0.013, 0.02]).all()
    assert (np.log2(few / many) > 1.7).all() and (np.log2(few / many) < 2.3).all()


@pytest.mark.slow
def test_error_against_the_series_keeps_falling(fine):
    few, many = (
        host.body.space().norm(
            np.linalg.solve(host.reacting(2.0)[0], host.load(plane(AXIS, 2.0), 2.0)[:, 0])
            - mie(2.0, host.body.points[:, 2])
        )
        for host in (fine, exterior(sphere(1280)))
    )
    assert 1.7 < np.log2(few / many) < 2.3


@pytest.mark.parametrize("k", [np.pi, 4.4934])
def test_no_blow_up_at_interior_resonances(coarse, k):
    at, near = (np.array([errors(coarse, q) for q in qs]) for qs in ((k,), (k - 0.15, k + 0.15)))
    assert (at[0] < 1.1 * near.max(axis=0)).all()
    space = coarse.body.space()
    for A in (coarse.reacting(k)[0], coarse.soft(k)):
        assert inf_sup_constant(A, space) > 0.2


def test_series_satisfies_its_boundary_condition_and_the_long_wave_limit():
    z = np.linspace(-1, 1, 9)
    np.testing.assert_allclose(mie(1e-4, z), 1 + 1.5e-4j * z, atol=1e-7)
    np.testing.assert_allclose(
        mie(3.0, z, Y=1e9) * -1j * 3.0 * 1e9, mie(3.0, z, soft=True), rtol=1e-5
    )


@pytest.mark.parametrize("Y", [0.0, 0.5 - 0.3j])
def test_observed_pressure_is_the_series_outside(fine, Y):
    k, r, c = 1.0, 2.0, np.array([-1.0, -0.3, 0.4, 1.0])
    x = r * np.column_stack([np.sqrt(1 - c**2), 0 * c, c])
    A, B = fine.reacting(k)
    p = np.linalg.solve(A + Y * B, fine.load(plane(AXIS, k), k)[:, 0])
    L, N = fine.observation(x, k)
    series = np.zeros(4, dtype=complex)
    for n in range(20):
        (j, dj), (y, dy) = ((g(n, k), g(n, k, True)) for g in (spherical_jn, spherical_yn))
        h = spherical_jn(n, k * r) + 1j * spherical_yn(n, k * r)
        series -= (
            (2 * n + 1)
            * 1j**n
            * (dj + 1j * Y * j)
            / (dj + 1j * dy + 1j * Y * (j + 1j * y))
            * h
            * eval_legendre(n, c)
        )
    # the inscribed polyhedron has 4 % less volume
    np.testing.assert_allclose((L + Y * N) @ p, series, atol=0.04 * np.abs(series).max())


def test_flow_stretches_the_sphere_and_nothing_else(coarse):
    """At Mach M the hard matrix is the stretched body's own, its tests reweighted.

    Without flow, the plain one.
    """
    A0, B0 = coarse.reacting(1.2, 0.0)
    A, B = coarse.reacting(1.2, 1e-9)
    np.testing.assert_allclose(A, A0, atol=1e-9)
    np.testing.assert_allclose(B, B0, atol=1e-9)
    M, k = 0.4, 1.2
    b = np.sqrt(1 - M * M)
    u = np.linalg.solve(coarse.reacting(k, M)[0], coarse.load(monopole([3.0, 0, 0], k / b), k, M))
    there = exterior(coarse.body.stretched(M))
    v = np.linalg.solve(there.reacting(k / b)[0], there.load(monopole([3.0, 0, 0], k / b), k / b))
    assert np.linalg.norm(u - v) < 2e-2 * np.linalg.norm(v)


def test_matrices_of_any_wavenumber_from_sixteen(coarse):
    host = replace(coarse, body=replace(coarse.body, lined=None))
    fresh = np.random.default_rng(5).uniform(1, 6, (20, 1))
    rule = rules(16)[0]
    A = separate(rule, partial(matrix, host))
    assert certify(A, partial(matrix, host), fresh, tol=1e-12).error.max() < 1e-14
    few = separate(rule.truncate(14), partial(matrix, host))
    assert certify(few, partial(matrix, host), fresh, tol=1e-9).error.max() < 3e-12


def test_reduced_basis_bounds_the_host_s_discrete_solution():
    ball = problem(80, 16)
    model, _ = reduced_basis(
        replace(ball, solve=separated(ball)), np.linspace(1, 6, 101)[:, None], tol=0.0, rank=20
    )
    fresh = np.random.default_rng(6).uniform(1, 6, (10, 1))
    check = np.array([[1.5], [3.3], [5.9]])
    for r, least in ((8, 1e-1), (14, 1e-4), (20, 1e-10)):
        small = galerkin_model(ball, model.basis.truncate(r))
        bound = consistent_bound(
            small.bound, ball.A, ball.f, small.basis, check, host_operator=ball.A, host_load=ball.f
        )
        assert bound.operator < 1e-13 and bound.load < 1e-13
        answer = replace(small, bound=bound).predict(fresh)
        exact = np.stack([ball.solve(mu) for mu in fresh], axis=1)
        error = ball.space.norm(exact - small.basis.lift(answer.coefficients))
        assert (error <= answer.bound).all() and (answer.bound <= 200 * error + 1e-12).all()
        assert error.max() < least * ball.space.norm(exact).max()


def test_bound_with_a_coarse_separation_holds_because_of_its_consistency_term():
    ball, few = problem(80, 16), problem(80, 8)
    model, _ = reduced_basis(
        replace(few, solve=separated(few)), np.linspace(1, 6, 101)[:, None], tol=0.0, rank=16
    )
    check, fresh = (
        np.linspace(1.1, 5.9, 12)[:, None],
        np.random.default_rng(8).uniform(1, 6, (12, 1)),
    )
    naive = model.predict(fresh)
    bound = consistent_bound(
        model.bound, few.A, few.f, model.basis, check, host_operator=ball.A, host_load=ball.f
    )
    answer = replace(model, bound=bound).predict(fresh)
    exact = np.stack([separated(ball)(mu) for mu in fresh], axis=1)
    error = ball.space.norm(exact - model.basis.lift(answer.coefficients))
    assert (naive.bound < error).any(), "without the term the bound of a coarse separation is none"
    assert (error <= answer.bound).all()


def test_inf_sup_constants_are_certified_or_refused():
    ball = problem(80, 16)
    fresh = np.random.default_rng(7).uniform(1, 6, (15, 1))
    beta = np.array([inf_sup_constant(ball.A(mu), ball.space) for mu in fresh])
    assert (ball.stability(fresh) <= beta).all() and (ball.stability(fresh) > 0.5 * beta).all()
    assert ball.stability(fresh[0]) == pytest.approx(ball.stability(fresh)[0])

    def dips(mu):
        return np.eye(ball.space.n) * abs(mu[0] - 3.0)

    with pytest.raises(NotConverged, match="add anchors"):
        inf_sup(dips, ball.space, ball.box, np.array([[1.0], [5.0], [6.0]]), np.array([[3.01]]))
    with pytest.raises(BadInput, match="hope"):
        inf_sup(dips, ball.space, ball.box, np.array([[1.0]]), np.zeros((0, 1)))


def test_soft_and_lined_bodies_separate_by_their_own_families(coarse):
    def soft(mu, x):
        k, wave = mu[:, :1], np.exp(1j * mu[:, :1] * x[:, 0])
        return np.stack([np.ones_like(wave), wave, k * wave], axis=1)

    def lined(mu, x):
        """Of A above B: the admittance multiplies B, and needs no samples of its own."""
        return np.concatenate([families(mu, x), mu[:, :1, None] * families(mu, x)[:, :2]], axis=1)

    fresh, train = np.random.default_rng(2).uniform(1, 3, (4, 1)), np.linspace(1, 3, 201)
    r = 1 - np.cos(np.linspace(0, np.pi, 151))
    for kernel, host in (
        (soft, lambda mu: coarse.soft(mu[0])),
        (lined, lambda mu: np.vstack(coarse.reacting(mu[0]))),
    ):
        rule = eim_weights(kernel, train, r, tol=1e-10)
        assert (
            certify(separate(rule, host), host, fresh, tol=1e-9).error.max() < 1e-10
            and rule.d <= 13
        )


def test_a_host_that_only_applies_serves_the_reduced_basis(coarse):
    """Products A(k_m) U are all that the model and its bound need."""
    rule, right = rules(12)
    assembled = separate(rule, partial(matrix, coarse))
    applied = separate(rule, apply=lambda mu, U: matrix(coarse, mu) @ U, n=coarse.body.space().n)
    f, space = separate(right, partial(load, coarse)), coarse.body.space()
    snapshots = np.stack(
        [np.linalg.solve(assembled(mu), f(mu)) for mu in np.linspace(1, 6, 6)[:, None]], axis=1
    )
    basis = Basis(space, gram_schmidt(space, snapshots)[0])
    stability = Monomials(np.ones(1), np.zeros((1, 1)))
    for mu in (np.array([2.2]), np.array([4.9])):
        one, other = (
            galerkin(A, f, basis, bound=residual_bound(A, f, basis, stability)).bound
            for A in (assembled, applied)
        )
        a = galerkin(applied, f, basis).predict(mu).coefficients
        np.testing.assert_allclose(
            one.residual(mu[None], a[None]), other.residual(mu[None], a[None]), rtol=1e-9
        )


def test_two_stage_rule_of_a_load_reads_the_same_points():
    train = np.linspace(1, 6, 201)
    rule = two_stage_weights(waves, train, np.linspace(-1, 1, 101), tol=1e-10)
    assert rule.errors[-1] <= 1e-10 and rule.d <= 15


def test_refusals_name_the_culprit():
    with pytest.raises(BadInput, match="outwards"):
        Body(sphere(20).points, sphere(20).triangles[:, ::-1])
    with pytest.raises(BadInput, match="must lie"):
        sphere(20).stretched(1.0)
    with pytest.raises(BadInput, match="must be positive"):
        exterior(sphere(20)).soft(0.0)
    with pytest.raises(BadInput, match="none of 20"):
        sphere(100)


@pytest.mark.slow
def test_case_reaches_its_numbers():
    numbers = main(panels=320, fresh=50, rival=False)
    assert numbers["matrix_errors"][14] < 3e-12 and numbers["matrix_errors"][16] < 1e-14
    assert numbers["solution_errors"][20] < 1e-10 and numbers["solution_errors"][24] < 2e-12
