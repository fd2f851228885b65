"""Bounds of heat equations by theta-schemes: above the error at every time, and not far above.

In the norm of the mass matrix, which the bound names; at 100 parameters, on a line and a square.
The effectivity of a trajectory is the least over its times: a bound never falls, errors do.
"""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from cases import heat_inferred
from rom.affine import Affine, Monomials
from rom.archive import load_model, save_model
from rom.certified import MinTheta, residual_bound, trajectory_bound, unsteady
from rom.certified.transient import MASS_NORM
from rom.compress import pod
from rom.dynamics import operator_inference
from rom.errors import BadInput
from rom.parameters import Box
from rom.snapshots import Snapshots
from rom.space import Space
from rom.study import study

TIMES = np.linspace(0.0, 1.0, 21)
ROUND_OFF = 1e-12


def line(n=99):
    """-k u'' by linear elements, u = 0 at both ends."""
    h, one = 1 / (n + 1), np.ones(n - 1)
    K = sp.csr_array(sp.diags_array([-one, 2 * np.ones(n), -one], offsets=[-1, 0, 1]) / h)
    M = sp.csr_array(sp.diags_array([one, 4 * np.ones(n), one], offsets=[-1, 0, 1]) * h / 6)
    return [K], M, np.full(n, h)


def square(n=12):
    """-div(k grad u) by finite volumes, k = k0 on the left half and k1 on the right one."""
    h = 1 / (n + 1)
    step = sp.diags_array([np.ones(n), -np.ones(n)], offsets=[0, -1], shape=(n + 1, n))
    across = sp.kron(step, sp.eye_array(n))
    along = sp.kron(sp.eye_array(n), step)
    halves = []
    for left in (True, False):
        edges = ((np.arange(n + 1) + 0.5) * h < 0.5) == left
        nodes = ((np.arange(n) + 1.0) * h < 0.5) == left
        x = sp.diags_array(np.repeat(edges.astype(float), n))
        y = sp.diags_array(np.repeat(nodes.astype(float), n + 1))
        halves.append(sp.csr_array(across.T @ x @ across + along.T @ y @ along))
    return halves, sp.csr_array(sp.eye_array(n * n) * h * h), np.full(n * n, h * h)


def theta_scheme(A, f, M, theta):
    dt = TIMES[1] - TIMES[0]

    def solve(mu):
        operator, u = A(mu), np.zeros(M.shape[0])
        lu = splu(sp.csc_array(M + dt * theta * operator))
        states = [u]
        for _ in TIMES[1:]:
            u = u + dt * lu.solve(f(mu) - operator @ u)
            states.append(u)
        return np.column_stack(states)

    return solve


@pytest.fixture(params=[line, square], ids=["line", "square"])
def heat(request):
    terms, M, load = request.param()
    Q = len(terms)
    A = Affine(Monomials(np.ones(Q), np.eye(Q)), terms)
    f = Affine(Monomials(np.ones(1), np.zeros((1, Q))), [load])
    box = Box(tuple(f"k{q}" for q in range(Q)), np.full(Q, 0.1), np.ones(Q), ("m2/s",) * Q)
    return A, f, M, box


@pytest.mark.parametrize("rank", [1, 3, 6])
@pytest.mark.parametrize("theta", [0.5, 1.0])
def test_bounds_are_above_the_error_at_every_time_and_not_far(heat, theta, rank):
    A, f, M, box = heat
    solve = theta_scheme(A, f, M, theta)
    rng = np.random.default_rng(0)
    mus = box.from_unit(rng.random((8, box.p)))
    one = np.ones(box.p)
    space = Space(sp.csr_array(A(one)), np.arange(M.shape[0]))
    runs = np.hstack([solve(mu) for mu in mus])
    repeated = np.repeat(mus, len(TIMES), axis=0)
    basis, _ = pod(Snapshots(space, repeated, runs, np.tile(TIMES, len(mus))), rank=rank)
    bound = residual_bound(A, f, basis, MinTheta(A.theta, one), M)
    model = unsteady(M, A, f, basis, TIMES, theta=theta, bound=bound, box=box)
    fresh = box.from_unit(rng.random((100, box.p)))
    table = study(model, solve, fresh)
    assert table.bound_norm == MASS_NORM and not table.alarms
    numbers = table.summary()
    assert 1 <= numbers["min_effectivity"] <= numbers["max_effectivity"] <= 20
    answer = model.predict(fresh)
    for k, mu in enumerate(fresh):
        u = solve(mu)
        missed = u - answer.field("u", k)
        error = np.sqrt(np.sum(missed * (M @ missed), axis=0))
        size = np.sqrt(np.sum(u * (M @ u), axis=0)).max()
        assert (answer.bound[k] >= error - ROUND_OFF * size).all()


def test_any_operators_are_bounded_and_inferred_laws_carry_their_bound():
    """Galerkin, inferred and spoiled operators: bound / error >= 1 at all times and parameters."""
    figures = heat_inferred.main(n=60, steps=60, tests=12)
    for name in ("Galerkin", "inferred", "spoiled", "mean run", "persistence"):
        assert figures[f"{name}: least bound over error"] >= 1.0
    assert figures["Galerkin: median bound over error"] <= 20
    assert figures["inferred: median bound over error"] <= 20
    assert figures["spoiled: mean relative error"] > 10 * figures["inferred: mean relative error"]


def test_the_bound_of_a_law_is_of_its_times_and_needs_both_parts(tmp_path):
    space, M, A, f = heat_inferred.bar(30)
    times, rng = np.linspace(0.0, 0.2, 21), np.random.default_rng(0)
    box = heat_inferred.BOX
    mus = box.from_unit(rng.random((6, 2)))
    u = np.hstack([heat_inferred.solve(M, A, f, mu, times) for mu in mus])
    runs = Snapshots(space, np.repeat(mus, 21, axis=0), u, np.tile(times, 6))
    basis = pod(runs, rank=4)[0]
    bound = residual_bound(A, f, basis, MinTheta(heat_inferred.THETA, np.ones(2)), M)
    form = heat_inferred.FORM
    with pytest.raises(BadInput, match="needs both"):
        operator_inference(runs, basis, box, form=form, bound=bound)
    law = operator_inference(runs, basis, box, form=form, bound=bound, mass=M)
    save_model(tmp_path / "law.h5", law)
    law = load_model(tmp_path / "law.h5")[0]
    mu = np.array([1.0, 2.0])
    answer = law.predict(mu, t=[0.01, 0.015, 0.2, 0.3])
    error = answer.errors[0]
    assert error.known == "certified bound" and error.norm == MASS_NORM
    assert np.isfinite(error.value[0, [0, 2]]).all() and np.isnan(error.value[0, [1, 3]]).all()
    truth = heat_inferred.solve(M, A, f, mu, times)[:, [1, 20]]
    miss = truth - answer.field("u")[:, [0, 2]]
    assert (law.norm(miss) <= error.value[0, [0, 2]]).all()
    narrow = residual_bound(A, f, basis.truncate(2), bound.stability, M)
    with pytest.raises(BadInput, match="4 modes with M have"):
        trajectory_bound(narrow, mu[None], np.zeros((4, 1, 21)), times)
