"""Laws of certified reduced models, on the thermal block and its transient sibling."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg as la
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from cases.thermal_block import problem
from rom.affine import Affine, Monomials
from rom.basis import Basis
from rom.certified import (
    MinTheta,
    galerkin,
    galerkin_model,
    greedy,
    pod_greedy,
    recompress,
    reduced_basis,
    residual_bound,
    scm,
    truncate_model,
    unsteady,
    unsteady_model,
)
from rom.compress.decomposition import pod
from rom.design.designs import sobol
from rom.errors import BadInput, NotConverged, OutsideBox, Singular
from rom.snapshots import Snapshots
from rom.space import Space
from rom.study.comparison import study


@pytest.fixture(scope="module")
def block():
    return problem(blocks=2, cells=12)


@pytest.fixture(scope="module")
def training(block):
    mus = sobol(block.box, 32)
    return Snapshots(block.space, mus, np.stack([block.solve(mu) for mu in mus], axis=1))


def fresh(block, m=20, rng=7):
    return block.box.from_unit(np.random.default_rng(rng).random((m, block.box.p)))


def test_reproduces_its_snapshots(block, training):
    basis, _ = pod(training, rank=20, method="full")
    table = study(galerkin_model(block, replace(basis)), block.solve, training.mu[:5])
    assert (table.error <= 3 * table.floor + 1e-13).all()


def test_galerkin_is_the_best_approximation_in_the_energy_of_mu(block, training):
    basis, _ = pod(training, rank=6)
    mu = fresh(block, 1)[0]
    model, A, u = galerkin(block.A, block.f, basis), block.A(mu), block.solve(mu)
    best = np.linalg.solve(basis.modes.T @ A @ basis.modes, basis.modes.T @ (A @ u))
    np.testing.assert_allclose(model.predict(mu).coefficients, best, rtol=1e-11)


def test_bound_is_a_bound_down_to_round_off(block):
    model, history = reduced_basis(block, sobol(block.box, 64), tol=1e-13)
    bounds = []
    for r in [*range(2, model.basis.r, 3), model.basis.r]:
        part = galerkin_model(block, model.basis.truncate(r))
        table = study(part, block.solve, fresh(block))
        assert table.effectivity.min() >= 1.0
        assert table.effectivity.max() <= 10.0 * (1 + 1e-6) or table.error.max() < 1e-13
        bounds.append(table.bound.max())
    assert bounds[-1] < 1e-12 and history[-1].error <= bounds[0]


def test_bound_equals_the_dual_norm_of_the_residual(block, training):
    basis, _ = pod(training, rank=5, center=True)
    model = galerkin_model(block, basis)
    mus = fresh(block, 4)
    answer = model.predict(mus)
    for j, mu in enumerate(mus):
        r = block.f(mu) - block.A(mu) @ basis.lift(answer.coefficients[:, j])
        dual = np.sqrt(r @ splu(sp.csc_array(block.space.product)).solve(r))
        assert answer.bound[j] == pytest.approx(dual / mu.min(), rel=1e-9)


def test_a_batch_is_its_members(block, training):
    model = galerkin_model(block, pod(training, rank=7)[0])
    mus = fresh(block, 5)
    batch = model.predict(mus)
    for j, mu in enumerate(mus):
        one = model.predict(mu)
        np.testing.assert_allclose(one.coefficients, batch.coefficients[:, j], rtol=1e-12)
        assert one.bound == pytest.approx(batch.bound[j], rel=1e-12)


def test_offset_and_petrov_galerkin_give_the_same_solution_where_it_is_in_the_space(
    block, training
):
    centred, _ = pod(training, rank=20, method="full", center=True)
    plain, _ = pod(training, rank=20, method="full")
    X = sp.csc_array(block.space.product)
    scaled = Basis(block.space, splu(X).solve(block.A(np.full(4, 0.4)) @ plain.modes))
    for model in (galerkin_model(block, centred), galerkin(block.A, block.f, plain, test=scaled)):
        table = study(model, block.solve, training.mu[:3])
        assert table.relative.max() < 1e-4


def test_truncated_model_is_the_model_on_fewer_modes(block, training):
    basis, _ = pod(training, rank=9)
    mu = fresh(block, 1)[0]
    cut = truncate_model(galerkin_model(block, basis), 4).predict(mu).coefficients
    np.testing.assert_allclose(
        cut, galerkin_model(block, basis.truncate(4)).predict(mu).coefficients, rtol=1e-11
    )


def test_min_theta_and_successive_constraints_are_below_the_constant(block):
    train = fresh(block, 60, rng=1)
    bound = scm(block.A, block.space, train, tol=0.2)
    free = np.flatnonzero(block.A(np.ones(4)).diagonal())
    X = block.space.product.toarray()[np.ix_(free, free)]
    for mu in fresh(block, 10):
        alpha = la.eigh(block.A(mu).toarray()[np.ix_(free, free)], X, eigvals_only=True)[0]
        assert block.stability(mu) <= alpha * (1 + 1e-10)
        assert bound(mu) <= alpha * (1 + 1e-10)
        assert bound.upper(mu)[0] >= alpha * (1 - 1e-10)


def test_successive_constraints_for_a_sign_changing_coefficient(block):
    n = 60
    K = sp.csr_array(
        sp.diags_array([-np.ones(n - 1), 2 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1])
        * (n + 1)
    )
    M = sp.csr_array(sp.diags_array(np.ones(n)) / (n + 1))
    A = Affine(Monomials(np.array([1.0, -1.0]), np.array([[0.0], [1.0]])), [K, M])
    space, train = Space(K, np.arange(n)), np.linspace(0, 9, 40)[:, None]
    bound = scm(A, space, train, tol=0.1)
    for mu in ([3.3], [8.7]):
        alpha = la.eigh((K - mu[0] * M).toarray(), K.toarray(), eigvals_only=True)[0]
        assert 0.85 * alpha <= bound(np.array(mu)) <= alpha * (1 + 1e-10)
    with pytest.raises(BadInput, match="scm"):
        MinTheta(A.theta, np.array([1.0]))(np.array([2.0]))
    with pytest.raises(NotConverged, match="allow more"):
        scm(block.A, block.space, fresh(block, 60, rng=1), tol=1e-9, max_constraints=2)


def test_greedy_stops_for_the_reason_it_names(block):
    train = sobol(block.box, 16)
    _, history = reduced_basis(block, train, tol=1e-2)
    assert history[-1].stop == "tol reached" and history[-1].error <= 1e-2 < history[-2].error
    _, history = reduced_basis(block, train, tol=1e-14, rank=4)
    assert history[-1].stop == "rank reached" and history[-1].r == 4
    _, history = reduced_basis(block, train[:2], tol=1e-30)
    assert "round-off" in history[-1].stop and history[-1].r <= 3
    with pytest.raises(BadInput, match="NaN"):
        model = galerkin_model(block, Basis(block.space, np.eye(block.space.n, 1)))
        greedy(
            model,
            train,
            lambda model, mus: np.full(len(mus), np.nan),
            lambda model, mu: model,
            tol=1.0,
        )


def test_recompression_lowers_the_largest_error_of_the_set_it_is_given(block):
    mus = sobol(block.box, 512)
    rich, _ = reduced_basis(block, sobol(block.box, 64), tol=1e-9)
    plain, fair = (recompress(block, rich, mus, rank=10, sweeps=sweeps) for sweeps in (1, 40))
    U = rich.basis.lift(rich.predict(mus).coefficients)

    def worst(model):
        return block.space.norm(U - model.basis.lift(model.basis.coefficients(U))).max()

    assert worst(fair) < 0.8 * worst(plain)
    assert worst(fair) == pytest.approx(fair.basis.error, rel=1e-9)


def transient(block, theta=1.0, steps=20):
    free = np.flatnonzero(block.A(np.ones(4)).diagonal())
    lumped = np.zeros(block.space.n)
    lumped[free] = 1.0 / len(free)
    M, fixed, times = (
        sp.csr_array(sp.diags_array(lumped)),
        sp.diags_array(np.where(lumped > 0, 0.0, 1.0)),
        np.linspace(0, 0.3, steps + 1),
    )

    def solve(mu):
        u, dt = np.zeros((block.space.n, len(times))), times[1] - times[0]
        lu, f = splu(sp.csc_array(M + theta * dt * block.A(mu) + fixed)), block.f(mu)
        for k in range(steps):
            u[:, k + 1] = u[:, k] + dt * lu.solve(f - block.A(mu) @ u[:, k])
        return u

    return replace(block, M=M, times=times, solve=solve)


@pytest.mark.parametrize("theta", [0.5, 1.0])
def test_unsteady_bound_is_above_the_error_in_the_norm_of_the_mass(block, theta):
    heat = transient(block, theta)
    model, history = pod_greedy(heat, sobol(block.box, 8), tol=1e-6, rank=20, theta=theta)
    assert [step.r for step in history] == list(range(1, 21)) and history[
        -1
    ].error < 1e-2 * history[0].error
    for mu in fresh(block, 4):
        answer, u = model.predict(mu), heat.solve(mu)
        gap = u - model.basis.lift(answer.coefficients)
        error = np.sqrt(np.sum(gap * (heat.M @ gap), axis=0))
        assert (answer.bound[1:] >= error[1:]).all() and answer.bound.shape == answer.t.shape


def test_unsteady_model_on_all_modes_is_the_scheme(block):
    heat = transient(block)
    mu = fresh(block, 1)[0]
    u = heat.solve(mu)
    basis, _ = pod(Snapshots(block.space, np.tile(mu, (20, 1)), u[:, 1:]), rank=12, method="full")
    answer = unsteady_model(heat, basis).predict(np.stack([mu, mu]))
    assert answer.coefficients.shape == (12, 2, 21) and answer.bound.shape == (2, 21)
    gap = u - basis.lift(answer.coefficients[:, 1])
    assert block.space.norm(gap).max() < 1e-9 * block.space.norm(u).max()


def test_refusals_say_what_to_do(block, training):
    basis, _ = pod(training, rank=3)
    model = galerkin_model(block, basis)
    with pytest.raises(OutsideBox, match=r"k10 = 2 .*outside \[0.1, 1\]"):
        model.predict(np.array([0.5, 2.0, 0.5, 0.5]))
    with pytest.raises(BadInput, match="must agree"):
        galerkin(block.A, block.f, basis, test=basis.truncate(2))
    with pytest.raises(Singular, match="fewer modes"):
        singular = Affine(block.A.theta, [0 * term for term in block.A.terms])
        galerkin(singular, block.f, basis).predict(np.ones(4))
    with pytest.raises(BadInput, match="rows of the space"):
        residual_bound(block.A, Affine(block.f.theta, [np.ones(3)]), basis, block.stability)
    with pytest.raises(BadInput, match="increas"):
        unsteady(block.space.product, block.A, block.f, basis, np.array([0.0, 0.0]))
    with pytest.raises(BadInput, match=r"\[0.5, 1\]"):
        unsteady(block.space.product, block.A, block.f, basis, np.array([0.0, 1.0]), theta=0.1)
    with pytest.raises(BadInput, match="stability"):
        reduced_basis(replace(block, stability=None), training.mu, tol=1e-3)
