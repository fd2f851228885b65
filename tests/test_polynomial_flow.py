"""Laws projected from a solver's rate, against Galerkin projections and closed forms."""

import numpy as np
import pytest
import scipy.linalg
from scipy.integrate import solve_ivp

from rom.basis import Basis
from rom.compress import pod
from rom.dynamics import Polynomial, parameter_powers, project_rate
from rom.errors import BadInput, SolveFailed
from rom.parameters import Box
from rom.snapshots import Snapshots
from rom.space import Space, euclidean
from tests.command_line import last, rom_here
from tests.law_case import CASE

N = 48
WAVES = 1j * np.fft.rfftfreq(N, 1 / N)
X = np.arange(N) * 2 * np.pi / N
T = np.linspace(0.0, 2.0, 21)
BOX = Box(("nu",), [0.05], [0.2], ("m2/s",))


def burgers(u, mu):
    """-(u^2/2)_x + nu u_xx, by Fourier collocation."""
    flux = -0.5 * WAVES * np.fft.rfft(u * u)
    return np.fft.irfft(flux + mu[0] * WAVES**2 * np.fft.rfft(u), N)


def solve(mu, start=None, rate=burgers, t=T):
    first = np.sin(X) + 0.5 * np.cos(2 * X) if start is None else start
    return solve_ivp(lambda _, u: rate(u, mu), (0, t[-1]), first, t_eval=t, rtol=1e-8, atol=1e-10).y


def runs_of(mus, rate=burgers, starts=None):
    starts = [None] * len(mus) if starts is None else starts
    u = np.hstack([solve(mu, start, rate) for mu, start in zip(mus, starts, strict=True)])
    return Snapshots(euclidean(N), np.repeat(mus, len(T), axis=0), u, np.tile(T, len(mus)))


MUS = np.array([[0.05], [0.1], [0.2]])
RUNS = runs_of(MUS)
BASIS = pod(RUNS, rank=6)[0]
FLOW = project_rate(burgers, RUNS, BASIS, BOX)


def test_a_quadratic_rate_is_projected_to_round_off():
    """O phi(a) = V^T S(V a; mu) at states and parameters that were not asked."""
    rng, V = np.random.default_rng(5), BASIS.modes
    for nu in (0.06, 0.17):
        a = 10 * rng.standard_normal(6)
        law = np.tensordot(FLOW.form.theta([nu]), FLOW.operators, axes=1)
        exact = V.T @ burgers(V @ a, [nu])
        miss = np.linalg.norm(law @ FLOW.form.features(a[None])[0] - exact)
        assert miss < 1e-11 * np.linalg.norm(exact)
    assert max(FLOW.misfit) < 1e-12 and len(FLOW.operators) == 2


def test_trajectories_are_those_of_galerkin():
    V, nu = BASIS.modes, [0.13]
    first = V.T @ RUNS.u[:, 0]
    galerkin = solve_ivp(
        lambda _, a: V.T @ burgers(V @ a, nu), (0, 3), first, t_eval=np.linspace(0, 3, 7),
        rtol=1e-10, atol=1e-12,
    ).y  # fmt: skip
    answer = FLOW.predict(nu, t=np.linspace(0, 3, 7))
    np.testing.assert_allclose(answer.coefficients, galerkin, atol=2e-6)
    backwards = FLOW.predict(nu, t=[3.0, 0.5]).coefficients
    np.testing.assert_allclose(backwards, galerkin[:, [6, 1]], atol=2e-6)
    assert answer.inside[0].tolist() == [True] * 5 + [False] * 2


def test_an_affine_rate_gives_its_projected_matrices():
    """V^T X A V in a weighted space, with an offset: the constant is V^T X (A u_0 + f)."""
    rng = np.random.default_rng(0)
    A, f = rng.standard_normal((20, 20)) / 5 - np.eye(20), rng.standard_normal(20)
    space = Space(np.linspace(1.0, 2.0, 20), np.arange(20))
    Q = np.linalg.qr(rng.standard_normal((20, 4)))[0] / np.sqrt(space.product)[:, None]
    basis = Basis(space, Q, offset=rng.standard_normal(20))
    flow = [scipy.linalg.expm(A * s) for s in T]
    runs = Snapshots(space, np.zeros((21, 0)), np.stack([E @ np.ones(20) for E in flow], 1), T)
    law = project_rate(lambda u, mu: A @ u + f, runs, basis, degree=1).operators[0]
    W = space.product[:, None] * Q
    np.testing.assert_allclose(law[:, 0], W.T @ (A @ basis.offset + f), atol=1e-11)
    np.testing.assert_allclose(law[:, 1:], W.T @ A @ Q, atol=1e-11)


def test_a_rate_that_is_no_polynomial_reports_its_misfit():
    """u' = -sin(3 u): Legendre says that 3 powers miss less than 1; none is exact."""

    def rate(u, mu):
        return -np.sin(3 * u)

    t = np.linspace(0.0, 1.0, 11)
    u = solve_ivp(lambda _, u: rate(u, ()), (0, 1), [1.0, 0.5], t_eval=t, rtol=1e-9).y
    runs = Snapshots(euclidean(2), np.zeros((11, 0)), u, t)
    basis = Basis(euclidean(2), np.eye(2))
    laws = [project_rate(rate, runs, basis, degree=d) for d in (1, 3)]
    assert 1e-3 < laws[1].misfit[0] < 0.5 * laws[0].misfit[0]
    a = laws[1].basis.coefficients(u).T
    miss = laws[1].form.features(a) @ laws[1].operators[0].T - rate(a, ())
    size = np.linalg.norm(rate(a, ()))
    assert 0.3 < laws[1].misfit[1] * size / np.linalg.norm(miss) < 3
    facts = laws[1].facts
    assert facts["relative misfit to the solver's rate at random states"] == laws[1].misfit[0]


def test_starts_that_differ_are_asked_for():
    starts = [np.sin(X), np.cos(X)]
    runs = runs_of(np.full((2, 1), 0.1), starts=starts)
    flow = project_rate(burgers, runs, pod(runs, rank=10)[0], BOX)
    with pytest.raises(BadInput, match="asks for the field 'u'"):
        flow.predict([0.1])
    fields = {"u": np.stack(starts, axis=1)[:, None]}
    answer = flow.predict([[0.1], [0.1]], fields=fields)
    for k, start in enumerate(starts):
        truth = solve([0.1], start)
        assert np.abs(answer.field("u", k) - truth).max() < 0.02
    assert answer.warnings == ()


def grows():
    """u' = u^2 from 1/2 is 1 / (2 - t), and ends at 2."""
    t = np.linspace(0.0, 1.0, 11)
    runs = Snapshots(euclidean(1), np.zeros((11, 0)), 1.0 / (2.0 - t)[None], t)
    return project_rate(lambda u, mu: u**2, runs, Basis(euclidean(1), np.eye(1)))


def test_a_trajectory_that_leaves_the_trained_box_is_said():
    flow = grows()
    t = np.array([0.0, 1.0, 1.5, 1.9, 2.5])
    answer = flow.predict((), t=t)
    u = answer.field("u")[0]
    np.testing.assert_allclose(u[:4], 1 / (2 - t[:4]), rtol=1e-5)
    assert np.isnan(u[4]) and answer.inside[0].tolist() == [True, True, False, False, False]
    assert answer.warnings[0].kind == "guard" and "NaN" in answer.warnings[0].text


def test_a_guard_hands_over_to_the_projected_operators():
    """Past 1.5 half widths the second law, u' = 0, keeps the state where it is."""
    from dataclasses import replace

    flow = replace(grows(), projected=np.zeros((1, 1, 3)))
    answer = flow.predict((), t=[0.0, 1.0, 2.5, 9.0])
    u = answer.field("u")[0]
    edge = flow.centre[0] + 1.5 * flow.half[0]
    assert edge <= u[2] < 1.3 * edge and u[3] == u[2]
    assert "took over" in answer.warnings[0].text


@pytest.mark.parametrize(
    ("rate", "error", "message"),
    [
        (lambda u, mu: u[1:], BadInput, r"shape \(47,\) for a state \(48,\)"),
        (lambda u, mu: u * np.nan, SolveFailed, "gives NaN or Inf at mu"),
        (3.0, BadInput, "rate is a float; give a function"),
    ],
)
def test_rates_that_serve_nothing_are_refused(rate, error, message):
    with pytest.raises(error, match=message):
        project_rate(rate, RUNS, BASIS, BOX)


def test_forms_count_each_product_once():
    form = Polynomial((0, 1, 2, 3), parameter_powers(2, 2))
    a = np.array([[2.0, 3.0]])
    np.testing.assert_array_equal(form.features(a)[0], [1, 2, 3, 4, 6, 9, 8, 12, 18, 27])
    assert form.size(2) == 10 and form.functions(np.ones((1, 2))) == 6
    with pytest.raises(BadInput, match="in rising order"):
        Polynomial((2, 1), parameter_powers(1, 0))


def test_a_law_is_projected_and_asked_by_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(CASE)
    rom_here("collect", "own.py", "--n", "8")
    words = ("train", "own.py", "--kind", "projected", "--rank", 3, "--out", "m.h5", "--json")
    said = last(rom_here(*words))
    assert said["r"] == 3 and "projected law" in said["kind"]
    words = ("study", "own.py", "m.h5", "--n", "5", "--store", "own.store", "--json")
    said = last(rom_here(*words))
    assert said["max_rel_error T"] < 1e-5 < said["max_rel_error of persistence, T"]
    rom_here("predict", "m.h5", "--mu", "k=1,f=2", "--t", "0:2:1", "--out", "a.npz")
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["T [K]"].shape == (3, 3)
    said = last(rom_here("inspect", "m.h5", "--json"))
    assert said["relative misfit to the solver's rate at random states"] < 1e-12
    refused = rom_here("train", "own.store", "--kind", "projected", code=2)
    assert "define rate(u, mu) in the case" in refused
