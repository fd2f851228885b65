"""Laws inferred from runs, against known laws, floors of the modes and energies."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from rom.basis import Basis
from rom.compress import pod
from rom.dynamics import Polynomial, operator_inference, parameter_powers, project_rate
from rom.dynamics.dissipation import damp, energy_free
from rom.dynamics.marching import region_of
from rom.dynamics.runs import runs_on_basis
from rom.dynamics.shooting import shoot
from rom.dynamics.trajectories import fit_trajectories, piece_errors
from rom.errors import BadInput, NotConverged
from rom.parameters import Box
from rom.snapshots import Snapshots
from rom.space import euclidean
from tests.command_line import last, rom_here
from tests.law_case import CASE

T = np.linspace(0.0, 3.0, 121)


def predator(t, a):
    """Lotka and Volterra's: a law with linear and quadratic terms."""
    return np.array([a[0] * (1.0 - 0.8 * a[1]), a[1] * (0.6 * a[0] - 1.2)])


def trajectories(rate, starts, t=T):
    options = {"t_eval": t, "rtol": 1e-10, "atol": 1e-12}
    runs = [solve_ivp(rate, (t[0], t[-1]), start, **options).y for start in starts]
    m = len(starts)
    return Snapshots(euclidean(len(starts[0])), np.zeros((m * len(t), 0)), np.hstack(runs),
                     np.tile(t, m))  # fmt: skip


def identity(r):
    return Basis(euclidean(r), np.eye(r))


POWERS = parameter_powers(0, 0)
STARTS = np.random.default_rng(3).uniform(0.5, 2.5, (6, 2))


EXACT = np.array([[0, 1.0, 0, 0, -0.8, 0], [0, 0, -1.2, 0, 0.6, 0]])


def test_a_known_law_is_found_and_its_own_steps_correct_it():
    """Differences leave h^3 of a spline's ends; steps only the tolerance of marching."""
    runs = trajectories(predator, STARTS)
    flow = operator_inference(runs, identity(2))
    assert "and steps" in flow.reason
    np.testing.assert_allclose(flow.operators[0], EXACT, atol=1e-4)
    series = runs_on_basis(runs, identity(2))
    region = region_of(series.a)
    rough = EXACT[None] + 0.01 * np.random.default_rng(0).standard_normal((1, 2, 6))
    law = shoot(flow.form, rough, series, region)
    np.testing.assert_allclose(law[0], EXACT, atol=1e-4)
    uneven = replace(series, t=series.t**2)
    np.testing.assert_array_equal(shoot(flow.form, rough, uneven, region), rough)
    start = np.array([1.2, 0.7])
    truth = solve_ivp(predator, (0, 6), start, t_eval=[0, 3, 6.0], rtol=1e-10, atol=1e-12).y
    answer = flow.predict((), t=[0, 3, 6.0], fields={"u": start})
    np.testing.assert_allclose(answer.field("u"), truth, rtol=1e-4)
    facts = flow.facts
    assert facts["left-out error"] < 1e-3 * facts["left-out error of the first state, kept"]


def test_pieces_of_runs_whose_starts_are_free_bear_noise():
    """Far below the law of one step; the exact law is a fixed point where there is no noise."""
    runs = trajectories(predator, STARTS)
    clean = runs_on_basis(runs, identity(2))
    region, form = region_of(clean.a), Polynomial((0, 1, 2), POWERS)
    rough = EXACT[None] + 0.02 * np.random.default_rng(0).standard_normal((1, 2, 6))
    law = fit_trajectories(form, rough, clean, region, 31)
    np.testing.assert_allclose(law[0], EXACT, atol=1e-4)
    noise = 0.02 * np.random.default_rng(1).standard_normal(clean.a.shape)
    noisy = replace(clean, a=clean.a + noise)
    fitted = fit_trajectories(form, EXACT[None], noisy, region, 61)
    stepped = shoot(form, EXACT[None], noisy, region)
    assert np.abs(fitted[0] - EXACT).max() < 0.2 * np.abs(stepped[0] - EXACT).max()
    miss, lag = piece_errors(form, fitted, noisy, region, 61)
    size = np.sqrt(np.mean(noisy.a**2))
    assert np.mean(miss) == pytest.approx(0.02 / size, rel=0.2) and abs(lag) < 0.1
    assert piece_errors(form, rough, noisy, region, 61)[1] > 0.5


def test_a_wrong_law_is_not_fitted_to_pieces():
    """A linear law of a quadratic system: what it misses is no noise."""
    runs = trajectories(predator, np.random.default_rng(4).uniform(0.8, 1.6, (12, 2)))
    lacking = operator_inference(runs, identity(2), form=Polynomial((0, 1), POWERS))
    assert "pieces" not in lacking.reason


def test_noise_is_borne_by_the_weak_form():
    runs = trajectories(predator, STARTS)
    noisy = runs.u + 0.01 * np.random.default_rng(0).standard_normal(runs.u.shape)
    flow = operator_inference(replace(runs, u=noisy), identity(2))
    start = np.array([1.2, 0.7])
    truth = solve_ivp(predator, (0, 6), start, t_eval=[3, 6.0], rtol=1e-10, atol=1e-12).y
    answer = flow.predict((), t=[3, 6.0], fields={"u": start}).field("u")
    assert flow.reason.startswith("weak") and np.abs(answer / truth - 1).max() < 0.1


N = 48
WAVES = 1j * np.fft.rfftfreq(N, 1 / N)
X = np.arange(N) * 2 * np.pi / N
BOX = Box(("nu",), [0.05], [0.2], ("m2/s",))
TIMES = np.linspace(0.0, 2.0, 21)


def burgers(u, mu):
    """-(u^2/2)_x + nu u_xx, by Fourier collocation."""
    flux = -0.5 * WAVES * np.fft.rfft(u * u)
    return np.fft.irfft(flux + mu[0] * WAVES**2 * np.fft.rfft(u), N)


def solve(nu):
    start = np.sin(X) + 0.5 * np.cos(2 * X)
    march = solve_ivp(
        lambda _, u: burgers(u, [nu]), (0, 2), start, t_eval=TIMES, rtol=1e-8, atol=1e-10
    )
    return march.y


def family(count=10):
    nus = np.linspace(0.05, 0.2, count)
    u = np.hstack([solve(nu) for nu in nus])
    return Snapshots(euclidean(N), np.repeat(nus, 21)[:, None], u, np.tile(TIMES, count))


def test_runs_hold_a_closure_that_projection_lacks():
    """Over parameters: the inferred law is at the floor of its modes, the projected one above."""
    runs = family()
    basis = pod(runs, rank=6)[0]
    projected = project_rate(burgers, runs, basis, BOX)
    flows = [operator_inference(runs, basis, BOX, anchor=anchor) for anchor in (None, projected)]
    for nu in (0.06, 0.19):
        truth = solve(nu)
        floor = np.linalg.norm(truth - basis.lift(basis.coefficients(truth)))
        errors = [np.linalg.norm(f.predict([nu]).field("u") - truth) for f in (*flows, projected)]
        assert max(errors[:2]) < 1.01 * floor and errors[2] > 1.2 * floor
    facts = flows[1].facts
    assert facts["left-out error"] <= facts["left-out error of the projected law"]
    assert flows[1].projected is not None and flows[1].predict([0.1]).warnings == ()


def rotor(t, a):
    """Euler's equations of a body that turns, with friction: a^T N(a) = 0."""
    turn = np.array([a[1] * a[2], -2 * a[0] * a[2], a[0] * a[1]])
    return turn - np.array([0.1, 0.3, 0.2]) * a


def test_a_dissipative_law_never_gains_energy():
    starts = np.random.default_rng(1).standard_normal((8, 3))
    runs = trajectories(rotor, starts)
    flow = operator_inference(runs, identity(3), dissipative=True)
    law, rng = flow.operators[0], np.random.default_rng(2)
    a = 100 * rng.standard_normal((50, 3))
    power = np.sum(a * (flow.form.features(a)[:, 3:] @ law[:, 3:].T), axis=1)
    assert np.abs(power).max() < 1e-12 * np.linalg.norm(a, axis=1).max() ** 3
    assert np.linalg.eigvalsh(law[:, :3] + law[:, :3].T).max() < 1e-14
    far = flow.predict((), t=np.linspace(0, 6, 61), fields={"u": 20 * starts[0]}).coefficients
    assert (np.diff(np.linalg.norm(far, axis=0)) <= 1e-6 * np.linalg.norm(far[:, 0])).all()
    truth = solve_ivp(rotor, (0, 3), starts[0] / 2, t_eval=T, rtol=1e-9, atol=1e-12).y
    own = flow.predict((), fields={"u": starts[0] / 2}).field("u")
    assert np.linalg.norm(own - truth) < 0.01 * np.linalg.norm(truth)


@pytest.mark.parametrize("r", [1, 2, 5])
def test_products_that_keep_the_energy_are_a_whole_null_space(r):
    """Its dimension is r^2 (r+1)/2 less one equation a monomial, r (r+1)(r+2)/6."""
    free = energy_free(r).toarray()
    assert free.shape == (r * (r + r * (r + 1) // 2),
                          r * r + r * r * (r + 1) // 2 - r * (r + 1) * (r + 2) // 6)  # fmt: skip
    np.testing.assert_allclose(free.T @ free, np.eye(free.shape[1]), atol=1e-14)
    form = Polynomial((1, 2), parameter_powers(0, 0))
    rng = np.random.default_rng(0)
    law = free[:, : free.shape[1] - r * r] @ rng.standard_normal(free.shape[1] - r * r)
    a = rng.standard_normal((7, r))
    slope = form.features(a) @ law.reshape(r, -1).T
    np.testing.assert_allclose(np.sum(a * slope, axis=1), 0.0, atol=1e-12)


def test_damp_is_the_nearest_dissipative_matrix():
    A = np.random.default_rng(0).standard_normal((4, 4))
    B = damp(A)
    assert np.linalg.eigvalsh(B + B.T).max() < 1e-14
    np.testing.assert_allclose(B - B.T, A - A.T)
    np.testing.assert_allclose(damp(B), B, atol=1e-14)


def test_runs_that_do_not_span_each_other_are_refused():
    rng = np.random.default_rng(0)
    wave = np.sin(T)[None] * rng.standard_normal((30, 4))[:, :, None]
    u = np.concatenate([wave[:, k] for k in range(4)], axis=1)[:, :, None].reshape(30, -1)
    runs = Snapshots(euclidean(30), np.zeros((4 * 121, 0)), u, np.tile(T, 4))
    with pytest.raises(BadInput, match="of what was left out: no law on them can be chosen"):
        operator_inference(runs, pod(runs, rank=3)[0])


def test_a_law_that_is_no_better_than_persistence_is_refused():
    walk = np.cumsum(np.random.default_rng(0).standard_normal((2, 400)), axis=1)
    runs = Snapshots(euclidean(2), np.zeros((400, 0)), walk, np.arange(400.0))
    with pytest.raises(NotConverged, match="the first state kept by"):
        operator_inference(runs, identity(2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"share": 1.5}, r"share = 1\.5 of runs"),
        ({"anchor": 3}, "anchor is a law of project_rate"),
        (
            {"dissipative": True, "form": Polynomial((0, 1), parameter_powers(0, 0))},
            "linear and quad",
        ),
    ],
)
def test_options_that_fit_nothing_are_refused(options, message):
    with pytest.raises(BadInput, match=message):
        operator_inference(trajectories(predator, STARTS), identity(2), **options)


def test_a_law_is_inferred_and_studied_by_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(CASE)

    rom_here("collect", "own.py", "--n", "16")
    train = ("--kind", "opinf", "--rank", 3, "--json", "--out")
    assert "least of 31 laws" in last(rom_here("train", "own.py", *train, "anchored.h5"))["kind"]
    rom_here("train", "own.store", *train, "data.h5")
    for model, more in (("data.h5", ()), ("anchored.h5", ("--case", "own.py"))):
        study = ("study", "own.store", model, "--hold-out", "0.2", "--json", *more)
        said = last(rom_here(*study))
        assert said["max_rel_error T"] < 0.02 < said["max_rel_error of persistence, T"]
    said = last(rom_here("train", "own.py", *train, "band.h5", "--calibrate", "0.6"))
    assert "bands of 10 runs that it has not seen" in said["kind"]
    said = last(rom_here("study", "own.py", "band.h5", "--n", "4", "--json"))
    assert said["coverage of 90 % conformal bands of T, whole trajectories"] == 1.0
    refused = rom_here("study", "own.store", "anchored.h5", "--hold-out", "0.2", code=2)
    assert "trained of its case: --case CASE" in refused
    refused = rom_here("train", "own.py", "--kind", "dmd", "--dissipative", code=2)
    assert "--dissipative is of --kind opinf" in refused
