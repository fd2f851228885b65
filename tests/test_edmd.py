"""Maps of lifted coefficients, against systems whose spectrum and flow are known."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from rom.archive import load_model, save_model
from rom.basis import Basis
from rom.dynamics import calibrate_flow, edmd
from rom.errors import BadInput, NotConverged
from rom.snapshots import Snapshots
from rom.space import euclidean
from tests.command_line import last, run_rom

STEP, SLOW, FAST = 0.1, 0.95, 0.6
T = STEP * np.arange(31)


def curved(z):
    """x -> SLOW x, y -> FAST y + (SLOW^2 - FAST) x^2: x, y - x^2 are eigenfunctions."""
    x, y = z
    return np.array([SLOW * x, FAST * y + (SLOW**2 - FAST) * x**2])


def iterate(step, starts, n_t=31):
    states = [np.asarray(starts, dtype=float).T]
    for _ in range(n_t - 1):
        states.append(step(states[-1]))
    return np.stack(states, axis=2)


def snapshots_of(u, t=T, space=None):
    n, m, n_t = u.shape
    return Snapshots(space or euclidean(n), np.zeros((m * n_t, 0)), u.reshape(n, -1), np.tile(t, m))


IDENTITY = Basis(euclidean(2), np.eye(2))
STARTS = np.random.default_rng(0).uniform(-2.0, 2.0, (12, 2))


def test_eigenvalues_of_a_curved_map_are_products_of_two():
    """lambda = SLOW^i FAST^j; in degree 2 of x, y: 1, x, x^2, and y - x^2; the rest miss."""
    model = edmd(snapshots_of(iterate(curved, STARTS)), IDENTITY, degree=2)
    exact = model.spectrum.misses < 1e-9
    values = np.sort(model.spectrum.values[exact].real)
    np.testing.assert_allclose(values, [FAST, SLOW**2, SLOW, 1.0], atol=1e-9)
    assert model.spectrum.misses[~exact].min() > 1e-3
    states = np.random.default_rng(1).uniform(-1.0, 1.0, (2, 7))
    psi, after = model.eigenfunctions(states), model.eigenfunctions(curved(states))
    np.testing.assert_allclose(after[exact], model.spectrum.values[exact, None] * psi[exact],
                               atol=1e-9)  # fmt: skip
    own = psi[np.abs(model.spectrum.values - FAST).argmin()]
    known = states[1] - states[0] ** 2
    assert abs(np.corrcoef(own.real, known)[0, 1]) > 1 - 1e-12


def test_answers_lift_anew_and_go_on_after_the_data():
    model = edmd(snapshots_of(iterate(curved, STARTS)), IDENTITY)
    starts = np.random.default_rng(2).uniform(-1.5, 1.5, (3, 2))
    truth = iterate(curved, starts, 61)
    t = STEP * np.array([45, 3, 60])
    answer = model.predict(np.zeros((3, 0)), t=t, fields={"u": starts.T[:, None]})
    for k in range(3):
        np.testing.assert_allclose(answer.field("u", k), truth[:, k, [45, 3, 60]], atol=1e-10)
    np.testing.assert_array_equal(answer.inside[0], [False, True, False])
    for wrong in (0.25, 3.05):
        with pytest.raises(BadInput, match=r"trained times only.*in steps of 0\.1 s after"):
            model.predict((), t=[wrong], fields={"u": starts[0]})


def pendulum(t, a):
    """A law that is no polynomial."""
    return np.array([a[1], -np.sin(a[0]) - 0.1 * a[1]])


def swings(starts, t):
    options = {"t_eval": t, "rtol": 1e-10, "atol": 1e-12}
    return np.stack([solve_ivp(pendulum, (0, t[-1]), s, **options).y for s in starts], 1)


def test_a_pendulum_is_followed_where_a_linear_map_is_lost():
    """sin to degree 11 on |angle| < 2.5: the remainder of its series is below 1e-3."""
    t = np.linspace(0.0, 6.0, 61)
    rng = np.random.default_rng(3)
    runs = snapshots_of(swings(rng.uniform(-1.5, 1.5, (40, 2)), t), t)
    later, starts = np.linspace(0.0, 12.0, 121), rng.uniform(-1.2, 1.2, (10, 2))
    truth = swings(starts, later)
    errors = []
    for degree in (None, 1):
        answer = edmd(runs, IDENTITY, degree=degree).predict(
            np.zeros((10, 0)), t=later, fields={"u": starts.T[:, None]}
        )
        u = np.stack([answer.field("u", k) for k in range(10)], axis=1)
        errors.append(np.linalg.norm(u - truth) / np.linalg.norm(truth))
    assert errors[0] < 1e-3 < 0.1 < errors[1]


def test_what_an_eigenvalue_misses_is_that_of_the_noise():
    """x is eigenfunction of SLOW; noise s moves x_{k+1} - SLOW x_k by s sqrt(1 + SLOW^2)."""
    rng, s = np.random.default_rng(4), 0.01
    u = iterate(curved, rng.uniform(-2.0, 2.0, (60, 2)))
    noisy = u + s * rng.standard_normal(u.shape)
    model = edmd(snapshots_of(noisy), IDENTITY, degree=2)
    k = np.abs(model.spectrum.values - SLOW).argmin()
    expected = s * np.sqrt(1 + SLOW**2) / np.sqrt(np.mean(u[0] ** 2))
    assert model.spectrum.misses[k] == pytest.approx(expected, rel=0.1)


def test_bands_of_whole_trajectories_and_a_stored_map(tmp_path):
    rng = np.random.default_rng(5)
    u = iterate(curved, rng.uniform(-2.0, 2.0, (12, 2)))
    model = edmd(snapshots_of(u + 0.02 * rng.standard_normal(u.shape)), IDENTITY)
    model = calibrate_flow(model, snapshots_of(iterate(curved, rng.uniform(-2, 2, (30, 2)))))
    truth = iterate(curved, rng.uniform(-2.0, 2.0, (100, 2)))
    answer = model.predict(np.zeros((100, 0)), fields={"u": truth[:, :, 0][:, None]})
    u = np.stack([answer.field("u", k) for k in range(100)], axis=1)
    miss = np.sqrt(np.mean((u - truth) ** 2, axis=0))
    held = (miss <= answer.part("u").errors[0].value).all(axis=1).mean()
    assert 0.9 - 3 * np.sqrt(0.09 / 30) < held
    save_model(tmp_path / "m.h5", model)
    again = load_model(tmp_path / "m.h5")[0].predict((), fields={"u": truth[:, 0, 0]})
    np.testing.assert_array_equal(again.field("u"), answer.field("u", 0))


GOOD = iterate(curved, STARTS)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"t": np.tile(T**2, 12)}, {}, "needs even times"),
        ({"mu": np.repeat(np.arange(12.0), len(T))[:, None]}, {}, "several parameters"),
        ({}, {"degree": 11, "share": 0.9}, "degree 11 has 78 functions of 2 modes"),
        ({}, {"share": 1.5}, "share = 1.5"),
        ({"t": None}, {}, "have no times"),
    ],
)
def test_what_has_no_map_is_refused(change, options, message):
    with pytest.raises(BadInput, match=message):
        edmd(replace(snapshots_of(GOOD), **change), IDENTITY, **options)


def test_noise_alone_has_no_map():
    u = np.random.default_rng(6).standard_normal(GOOD.shape)
    with pytest.raises(NotConverged, match="the mean of the runs by"):
        edmd(snapshots_of(u), IDENTITY)


CASE = """
import numpy as np, rom
box = rom.Box(("c",), [1.0], [2.0])
x, times = np.linspace(0, 1, 40), np.linspace(0, 15, 151)
fields = (rom.Field("T", "K", np.arange(40)),)
def solve(mu):
    r = 1 / np.sqrt(1 + 8 * np.exp(-2 * times))
    waves = np.sin(3 * x)[:, None] * np.cos(2 * times) + np.cos(5 * x)[:, None] * np.sin(2 * times)
    return r * waves
"""


def test_a_map_is_trained_asked_and_studied_by_commands(tmp_path):
    """A spiral onto a circle, which a linear law cannot follow beyond the data."""
    (tmp_path / "wave.py").write_text(CASE)
    (tmp_path / "mu.csv").write_text("c\n1.5\n")
    run_rom(tmp_path, "collect", "wave.py", "--csv", "mu.csv")
    words = ("train", "wave.py", "--kind", "edmd", "--rank", 2, "--out", "m.h5", "--json")
    said = last(run_rom(tmp_path, *words))
    assert said["r"] == 2 and said["kind"].startswith("lifted map (degree")
    run_rom(tmp_path, "predict", "m.h5", "--t", "0:40:10", "--out", "a.npz")
    with np.load(tmp_path / "a.npz") as arrays:
        x, t = np.linspace(0, 1, 40)[:, None], np.array([0.0, 10.0, 20.0, 30.0, 40.0])
        waves = np.sin(3 * x) * np.cos(2 * t) + np.cos(5 * x) * np.sin(2 * t)
        assert np.abs(arrays["T [K]"] - waves / np.sqrt(1 + 8 * np.exp(-2 * t))).max() < 0.05
    said = last(run_rom(tmp_path, "inspect", "m.h5", "--json"))
    periods = [said[f"eigenvalue {k}"] for k in range(1, 13) if f"eigenvalue {k}" in said]
    assert any("period 3.1" in text and "misses" in text for text in periods), periods
    said = last(run_rom(tmp_path, "study", "wave.store", "m.h5", "--json"))
    assert said["max_rel_error T"] < 0.05
