"""Galerkin with a nonlinear term at few rows, against dense Newton steps and known solutions."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp

from rom.affine import Affine, Monomials
from rom.basis import Basis
from rom.compress import pod
from rom.dynamics import Stencil, calibrate_estimate, evaluate_term, nonlinear_model
from rom.dynamics.nonlinear import substeps
from rom.errors import BadInput
from rom.parameters import Box
from rom.problem import Problem
from rom.snapshots import Snapshots
from rom.space import Field, Space
from tests.command_line import last, run_rom

N = 40
X = np.linspace(0.0, 1.0, N + 2)[1:-1]
BOX = Box(("k", "c"), [0.02, 0.5], [0.1, 2.0], (), ("log", "linear"))
TIMES = np.linspace(0.0, 0.5, 11)
THETA = Monomials(np.ones(1), np.array([[1.0, 0.0]]))
ONE = Monomials(np.ones(1), np.zeros((1, 2)))
SIDE = np.ones(N - 1) * (N + 1.0) ** 2
K = sp.csr_array(
    sp.diags_array([-SIDE, 2.0 * np.append(SIDE, SIDE[:1]), -SIDE], offsets=[-1, 0, 1])
)
A, F = Affine(THETA, (K,)), Affine(ONE, (2.0 * np.sin(np.pi * X),))
SPACE = Space(np.full(N, 1.0 / (N + 1)), np.arange(N), None, (Field("T", "K", np.arange(N)),))


def drift(U, mu, data):
    """c u u_x, centred, and u^3."""
    u, west, east = U.T
    h = data[:, 0]
    slope = (east - west) / (2 * h)
    values = mu[1] * u * slope + u**3
    slopes = np.stack([mu[1] * slope + 3 * u**2, -mu[1] * u / (2 * h), mu[1] * u / (2 * h)], 1)
    return values, slopes


def wrong(U, mu, data):
    values, slopes = drift(U, mu, data)
    return values, 0.5 * slopes


def term_of(law=drift):
    i = np.arange(N)
    reads = np.column_stack([i, i - 1, np.where(i + 1 < N, i + 1, -1)])
    return Stencil(reads, np.full((N, 1), X[1] - X[0]), law)


PROBLEM = Problem(None, BOX, SPACE, A=A, f=F, times=TIMES, term=term_of())


def dense(u, mu):
    """A u + N(u) - f, written out."""
    padded = np.concatenate([[0.0], u, [0.0]])
    slope = (padded[2:] - padded[:-2]) / (2 * (X[1] - X[0]))
    return mu[0] * (K @ u) + mu[1] * u * slope + u**3 - F.terms[0]


def march(mu, theta=1.0, steps=1, V=None):
    """The theta-scheme by scipy's root finder, on all unknowns or tested by V on V."""
    V = np.eye(N) if V is None else V
    return march_from(mu[1] * np.sin(np.pi * X), lambda u: dense(u, mu), V, (theta, steps))


def march_from(start, forces, V, scheme):
    """V a of (V^T V a)' + V^T forces(V a) = 0 from V^T start."""
    theta, steps = scheme
    a, states = np.linalg.lstsq(V, start)[0], []
    states.append(a)
    for dt in np.diff(substeps(TIMES, steps)):

        def step(new, old=a, dt=dt):
            return V.T @ (V @ (new - old) / dt + forces(V @ (theta * new + (1 - theta) * old)))

        a = scipy.optimize.root(step, a, tol=1e-13).x
        states.append(a)
    return V @ np.stack(states[::steps], axis=1)


def rest(mu):
    return scipy.optimize.root(lambda u: dense(u, mu), np.zeros(N), tol=1e-13).x


def runs_of(mus, **scheme):
    return Snapshots(SPACE, np.repeat(mus, len(TIMES), axis=0),
                     np.hstack([march(mu, **scheme) for mu in mus]),
                     np.tile(TIMES, len(mus)))  # fmt: skip


def draw(m, seed=0):
    return BOX.from_unit(np.random.default_rng(seed).random((m, 2)))


@pytest.fixture(scope="module")
def runs():
    return runs_of(draw(8))


def test_the_tangent_of_a_term_is_its_derivative():
    u, mu = np.sin(3 * X), np.array([0.05, 1.5])
    values, tangent = evaluate_term(term_of(), u, mu)
    np.testing.assert_allclose(values, dense(u, mu) - 0.05 * (K @ u) + F.terms[0], atol=1e-12)
    for column in range(0, N, 7):
        turn = 1e-6 * np.eye(N)[column]
        ahead, behind = (evaluate_term(term_of(), u + s * turn, mu)[0] for s in (1, -1))
        expected = (ahead - behind) / 2e-6
        np.testing.assert_allclose(tangent.toarray()[:, column], expected, atol=1e-6)


@pytest.mark.parametrize("rule", ["deim", "cubature"])
@pytest.mark.parametrize(("theta", "steps"), [(1.0, 1), (0.5, 2)])
def test_few_rows_follow_the_scheme_of_all_rows(rule, theta, steps):
    """Galerkin's method on all rows, to a fifth of what the modes miss, at fresh parameters."""
    seen = runs_of(draw(8), theta=theta, steps=steps)
    basis = pod(seen, rank=6)[0]
    model = nonlinear_model(PROBLEM, seen, basis, rule=rule, theta=theta, steps=steps)
    assert len(model.term.modes) < N
    for mu in draw(3, seed=5):
        truth = march(mu, theta=theta, steps=steps)
        exact = march(mu, theta=theta, steps=steps, V=basis.modes)
        answer = model.predict(mu).field("T")
        floor = np.linalg.norm(truth - basis.lift(basis.coefficients(truth)))
        assert np.linalg.norm(answer - exact) < 0.2 * floor
        assert np.linalg.norm(answer - truth) < 3 * floor


def test_with_all_modes_and_rows_it_is_the_full_scheme():
    """Galerkin on R^n is the equation itself, to the tolerance of Newton's method."""
    mus = draw(6)
    basis = Basis(SPACE, np.eye(N) * np.sqrt(N + 1.0), error=1e-6)
    model = nonlinear_model(PROBLEM, runs_of(mus), basis, tol=1e-12)
    np.testing.assert_allclose(model.predict(mus[2]).field("T"), march(mus[2]), atol=1e-6)


@pytest.mark.parametrize("rule", ["deim", "cubature"])
def test_a_steady_equation_is_solved_by_newton(rule):
    mus = draw(12)
    own = replace(PROBLEM, times=None)
    seen = Snapshots(SPACE, mus, np.stack([rest(mu) for mu in mus], axis=1))
    basis = pod(seen, tol=1e-5)[0]
    model = nonlinear_model(own, seen, basis, rule=rule)
    fresh = draw(20, seed=3)
    unseen = Snapshots(SPACE, fresh, np.stack([rest(mu) for mu in fresh], axis=1))
    model = calibrate_estimate(model, unseen)
    for mu in draw(4, seed=9):
        truth, answer = rest(mu), model.predict(mu)
        floor = np.linalg.norm(truth - basis.lift(basis.coefficients(truth)))
        assert np.linalg.norm(answer.field("T") - truth) < 3 * floor
        band = answer.parts["T"].errors[0]
        assert band.value.shape == (1,) and not band.whole and band.unit == "K"


def test_the_sampled_residual_is_unbiased(runs):
    """Its square, over draws of rows, is the mean square over all rows."""
    basis = pod(runs, rank=3)[0]
    rng = np.random.default_rng(4)
    a, slope, mu = rng.standard_normal((3, 1)), rng.standard_normal((3, 1)), np.array([0.05, 1.0])
    u = (basis.modes @ a)[:, 0]
    exact = np.mean((dense(u, mu) + (basis.modes @ slope)[:, 0]) ** 2)
    model = nonlinear_model(PROBLEM, runs, basis)
    estimates = [
        nonlinear_model(PROBLEM, runs, basis, rng=seed).rows.sizes(mu, a, slope)[0] ** 2
        for seed in range(12)
    ]
    assert np.std(estimates) > 0 and len(model.rows.share) <= N
    slack = 4 * np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - exact) < slack


def test_bands_hold_whole_trajectories_as_often_as_they_say(runs):
    """60 fresh runs in bands of 19 others at level 0.8, to three deviations of both draws."""
    basis = pod(runs, rank=4)[0]
    model = nonlinear_model(PROBLEM, runs, basis)
    fresh = runs_of(draw(79, seed=11))
    n_t = len(TIMES)
    first = Snapshots(SPACE, fresh.mu[: 19 * n_t], fresh.u[:, : 19 * n_t], fresh.t[: 19 * n_t])
    banded = calibrate_estimate(model, first, level=0.8)
    mus = fresh.mu[19 * n_t :: n_t]
    answer = banded.predict(mus)
    held = []
    for k in range(len(mus)):
        miss = answer.field("T", k) - fresh.u[:, (19 + k) * n_t : (20 + k) * n_t]
        held.append(
            (np.sqrt(np.mean(miss**2, axis=0)) <= answer.parts["T"].errors[0].value[k]).all()
        )
    slack = 3 * np.sqrt(0.8 * 0.2 * (1 / 60 + 1 / 20))
    assert abs(np.mean(held) - 0.8) < slack
    assert banded.known == "conformal band" and answer.parts["T"].errors[0].whole


def test_a_start_of_its_own_is_asked_for():
    rng, mu = np.random.default_rng(7), np.array([0.05, 0.5])
    starts = [np.sin(np.pi * X) + c * np.sin(2 * np.pi * X) for c in rng.uniform(-1, 1, 6)]
    columns = [
        march_from(u, lambda u: dense(u, mu) + F.terms[0], np.eye(N), (1.0, 1)) for u in starts
    ]
    seen = Snapshots(SPACE, np.tile(mu, (66, 1)), np.hstack(columns), np.tile(TIMES, 6))
    basis = pod(seen, rank=6)[0]
    model = nonlinear_model(replace(PROBLEM, f=None), seen, basis)
    with pytest.raises(BadInput, match="asks for the field 'T'"):
        model.predict(mu)
    miss = model.predict(mu, fields={"T": starts[2]}).field("T") - columns[2]
    floor = columns[2] - basis.lift(basis.coefficients(columns[2]))
    assert np.linalg.norm(miss) < 3 * np.linalg.norm(floor)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"term": None}, {}, "has no nonlinear term"),
        ({"term": term_of(wrong)}, {}, "slopes of the law differ"),
        ({}, {"rule": "all"}, "no rule 'all'"),
        ({}, {"theta": 0.2}, "theta = 0.2"),
        ({"term": Stencil(np.arange(N + 1)[:, None], np.ones((N + 1, 1)), drift)}, {}, "41 rows"),
    ],
)
def test_what_makes_no_model_is_refused(runs, change, options, message):
    with pytest.raises(BadInput, match=message):
        nonlinear_model(replace(PROBLEM, **change), runs, pod(runs, rank=3)[0], **options)
    with pytest.raises(BadInput, match="without offset"):
        nonlinear_model(PROBLEM, runs, pod(runs, rank=3, center=True)[0])


CASE = """
import numpy as np, rom
from scipy.integrate import solve_ivp
from rom.dynamics import Stencil
box = rom.Box(("k", "c"), [0.5, 1.0], [2.0, 3.0])
times = np.linspace(0, 1, 41)
fields = (rom.Field("T", "K", np.arange(6)),)
def decay(U, mu, data):
    u, v = U.T
    return mu[0] * u + u * v * v - data[:, 0], np.stack([mu[0] + v * v, 2 * u * v], 1)
term = Stencil(np.stack([np.arange(6), np.arange(6) - 1], 1), np.ones((6, 1)), decay)
def solve(mu):
    u, states = mu[1] * np.ones(6), []
    states.append(u)
    for dt in np.diff(times):
        new = u
        for _ in range(20):
            values, slopes = decay(np.stack([new, np.append(0.0, new[:-1])], 1), mu, term.data)
            K = np.diag(1 / dt + slopes[:, 0]) + np.diag(slopes[1:, 1], -1)
            new = new - np.linalg.solve(K, (new - u) / dt + values)
        u = new
        states.append(u)
    return np.stack(states, 1)
"""


def test_the_command_trains_stores_and_asks(tmp_path):
    (tmp_path / "own.py").write_text(CASE)
    run_rom(tmp_path, "collect", "own.py", "--n", "24")
    words = ("train", "own.py", "--kind", "deim", "--rank", "5", "--calibrate", "0.5")
    said = last(run_rom(tmp_path, *words, "--out", "m.h5", "--json"))
    assert "bands of 12 runs" in said["kind"]
    words = ("predict", "m.h5", "--mu", "1,2", "--case", "own.py", "--out", "a.npz")
    run_rom(tmp_path, *words)
    with np.load(tmp_path / "a.npz") as arrays:
        assert any("conformal band of whole trajectories" in name for name in arrays)
    words = ("study", "own.py", "m.h5", "--n", "4", "--case", "own.py", "--json")
    assert last(run_rom(tmp_path, *words))["max_rel_error"] < 0.02
    said = run_rom(tmp_path, "train", "own.store", "--kind", "deim", "--out", "n.h5", code=2)
    assert "rows of the nonlinear term" in " ".join(said.split())
