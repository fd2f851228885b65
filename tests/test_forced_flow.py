"""Linear laws with signals, against closed forms."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from rom.basis import Basis
from rom.compress import pod
from rom.dynamics import dmdc
from rom.dynamics.forced import follow_signals
from rom.errors import BadInput, Singular
from rom.snapshots import Snapshots
from rom.space import euclidean
from tests.command_line import last, rom_here

T = np.linspace(0.0, 4.0, 81)
RNG = np.random.default_rng(0)
A = np.array([[-0.3, 2.0, 0.0], [-2.0, -0.3, 0.5], [0.0, 0.0, -1.0]])
B = np.array([[1.0, 0.0], [0.0, 0.5], [2.0, -1.0]])
SIGNALS = {"heat": RNG.standard_normal(81), "wind": RNG.standard_normal(81)}
MODES = np.linalg.qr(RNG.standard_normal((20, 3)))[0]


def march(start, signals, t=T):
    """Coefficients (3, n_t) by a method of order 8, signals linear between samples."""
    s = np.stack(list(signals.values()))

    def slope(time, a):
        return A @ a + B @ np.array([np.interp(time, t, row) for row in s])

    parts = [start]
    for k in range(len(t) - 1):
        step = solve_ivp(
            slope, (t[k], t[k + 1]), parts[-1], rtol=1e-12, atol=1e-13, method="DOP853"
        )
        parts.append(step.y[:, -1])
    return np.stack(parts, axis=1)


ONE = march(np.array([1.0, 0.0, -1.0]), SIGNALS)


def runs_of(a, t=T):
    return Snapshots(euclidean(20), np.zeros((len(t), 0)), MODES @ a, t)


def test_steps_are_exact_for_signals_that_are_linear_between_samples():
    s = np.stack(list(SIGNALS.values()))
    own = follow_signals((A, B, np.zeros(3)), ONE[:, :1], s, T)[:, 0]
    np.testing.assert_allclose(own, ONE, atol=1e-10)


def test_a_law_of_exact_data_is_exact_and_follows_other_signals():
    runs = runs_of(ONE)
    flow = dmdc(runs, pod(runs, rank=3)[0], SIGNALS, units={"heat": "W"})
    assert flow.step_error < 1e-9 and flow.error < 1e-8
    expected = np.linalg.eigvals(A)
    assert max(np.abs(flow.rates - rate).min() for rate in expected) < 1e-7
    assert [q.label for q in flow.asks.signals] == ["heat [W]", "wind"]
    t = np.concatenate([np.linspace(0, 1, 11), [1.5, 3.0, 6.0]])
    other = {"heat": np.sin(t), "wind": np.cos(2 * t)}
    truth = MODES @ march(ONE[:, 0], other, t)
    answer = flow.predict((), t=t, signals=other)
    np.testing.assert_allclose(answer.field("u"), truth, atol=1e-7)
    assert answer.inside[0].tolist() == [True] * 13 + [False]
    start = np.array([0.0, 1.0, 1.0])
    answer = flow.predict((), t=t, signals=other, fields={"u": MODES @ start})
    np.testing.assert_allclose(answer.field("u"), MODES @ march(start, other, t), atol=1e-7)


def test_several_runs_with_signals_of_their_own_ask_for_a_start():
    other = {name: RNG.standard_normal(81) for name in SIGNALS}
    two = march(np.array([0.0, 1.0, 0.0]), other)
    both = Snapshots(
        euclidean(20), np.zeros((162, 0)), MODES @ np.hstack([ONE, two]), np.tile(T, 2)
    )
    signals = {name: np.stack([SIGNALS[name], other[name]]) for name in SIGNALS}
    flow = dmdc(both, pod(both, rank=3)[0], signals)
    assert flow.error < 1e-8
    with pytest.raises(BadInput, match="asks for the field 'u'"):
        flow.predict((), signals=SIGNALS)


def test_an_offset_of_the_basis_becomes_a_constant():
    shift = 3.0 * RNG.standard_normal(20)
    runs = runs_of(ONE)
    runs = Snapshots(runs.space, runs.mu, runs.u + shift[:, None], T)
    flow = dmdc(runs, pod(runs, rank=3, center=True)[0], SIGNALS)
    assert flow.error < 1e-7 and np.abs(flow.c).max() > 0.01
    np.testing.assert_allclose(flow.predict((), signals=SIGNALS).field("u"), runs.u, atol=1e-6)


def test_signals_beyond_the_trained_range_are_said():
    runs = runs_of(ONE)
    flow = dmdc(runs, pod(runs, rank=3)[0], SIGNALS)
    far = SIGNALS | {"wind": np.where(T > 2, 50.0, 0.0)}
    answer = flow.predict((), signals=far)
    assert answer.warnings[0].kind == "signals" and answer.warnings[0].text.startswith("wind")
    assert answer.inside[0, :41].all() and not answer.inside[0, 41:].any()
    assert flow.predict((), signals=SIGNALS).warnings == ()


@pytest.mark.parametrize(
    ("signals", "error", "message"),
    [
        ({}, BadInput, "no signals: give some by name"),
        ({"heat": np.ones(80)}, BadInput, r"signal 'heat' has shape \(80,\); give \(81,\)"),
        (SIGNALS | {"wind": SIGNALS["heat"]}, Singular, "not told apart"),
        ({"heat": np.zeros(81)}, Singular, "not told apart"),
        ({"heat": np.where(T > 1, np.nan, 0)}, BadInput, r"signals\['heat'\] holds NaN"),
    ],
)
def test_signals_that_tell_no_law_are_refused(signals, error, message):
    runs = runs_of(ONE)
    with pytest.raises(error, match=message):
        dmdc(runs, pod(runs, rank=3)[0], signals)


def test_what_no_continuous_law_does_is_refused():
    a = np.array([(-1.0) ** np.arange(81) * 0.9 ** np.arange(81)])
    runs = Snapshots(euclidean(1), np.zeros((81, 0)), a, T)
    with pytest.raises(Singular, match="changes its sign in each step"):
        dmdc(runs, Basis(euclidean(1), np.eye(1)), {"heat": SIGNALS["heat"]})
    late = runs_of(ONE)
    with pytest.raises(BadInput, match="the times are uneven"):
        dmdc(Snapshots(late.space, late.mu, late.u, T**2 + T), pod(late, rank=3)[0], SIGNALS)
    flow = dmdc(late, pod(late, rank=3)[0], SIGNALS)
    with pytest.raises(BadInput, match=r"rising times from 0 s on"):
        flow.predict((), t=[1.0, 2.0], signals={"heat": [0, 0], "wind": [0, 0]})


CASE = """
import numpy as np, rom
from scipy.integrate import solve_ivp
box = rom.Box(("c",), [1.0], [2.0])
times = np.linspace(0, 4, 81)
fields = (rom.Field("T", "K", np.arange(2)),)
def solve(mu):
    s = np.loadtxt("s.csv", delimiter=",", skiprows=1)[:, 1]
    slope = lambda t, a: np.array([np.interp(t, times, s) - a[0], a[0] - 2 * a[1]])
    options = {"rtol": 1e-12, "atol": 1e-14, "method": "DOP853"}
    states = [np.zeros(2)]
    for interval in zip(times[:-1], times[1:]):  # the slope is smooth inside each
        states.append(solve_ivp(slope, interval, states[-1], **options).y[:, -1])
    return np.stack(states, axis=1)
"""


def test_a_law_with_signals_is_trained_and_asked_by_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(CASE)
    (tmp_path / "mu.csv").write_text("c\n1.5\n")
    rows = [f"{t:.10g},{np.sin(3 * t) + 0.3 * np.cos(11 * t):.10g}" for t in T]
    (tmp_path / "s.csv").write_text("\n".join(["t [s],heat [W]", *rows]))

    rom_here("collect", "own.py", "--csv", "mu.csv")
    train = ("train", "own.py", "--kind", "dmd", "--rank", 2, "--out", "m.h5", "--json")
    assert "linear law of heat" in last(rom_here(*train, "--signals", "s.csv"))["kind"]
    rom_here("predict", "m.h5", "--signals", "s.csv", "--out", "a.npz")
    said = last(rom_here("study", "own.store", "m.h5", "--signals", "s.csv", "--json"))
    assert said["max_rel_error T"] < 1e-6
    assert "give at least" not in rom_here("inspect", "m.h5")
    assert "asks for the signal 'heat'" in rom_here("predict", "m.h5", code=2)
