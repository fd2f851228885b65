"""Dynamic mode decomposition against known laws."""

import re

import numpy as np
import pytest
import scipy.linalg

from rom.archive import load_model, save_model
from rom.compress import pod
from rom.dynamics import dmd, exact, forward_backward, total
from rom.dynamics.projection import evaluate
from rom.errors import BadInput
from rom.snapshots import Snapshots
from rom.space import Field, Space, euclidean
from tests.command_line import last, run_rom

RATES = np.array([-0.02 + 2.0j, -0.02 - 2.0j, -0.1 + 5.0j, -0.1 - 5.0j])
X = np.linspace(0.0, 1.0, 200)
T = np.linspace(0.0, 10.0, 128)


def packets(t):
    """Two travelling packets, (200, n_t)."""
    one = np.exp(-(((X - 0.3) / 0.1) ** 2)) * np.exp(8j * X)
    two = 0.7 * np.exp(-(((X - 0.6) / 0.15) ** 2)) * np.exp(-5j * X)
    return (one[:, None] * np.exp(RATES[0] * t) + two[:, None] * np.exp(RATES[2] * t)).real


def flow_of(u, t=T, rank=4, rates=None, space=None):
    runs = Snapshots(space or euclidean(len(u)), np.zeros((len(t), 0)), u, t)
    return dmd(runs, pod(runs, rank=rank)[0], rates=rates)


def rate_error(flow):
    return max(np.abs(flow.rates - rate).min() for rate in RATES)


@pytest.mark.parametrize("rates", [None, exact, forward_backward, total])
def test_rates_of_exact_data_are_exact(rates):
    flow = flow_of(packets(T), rates=rates)
    assert rate_error(flow) < 1e-11
    late = np.array([15.0, 40.0])
    u = flow.predict((), t=late).field("u")
    np.testing.assert_allclose(u, packets(late), atol=1e-9)


def test_times_may_be_uneven():
    t = np.sort(np.random.default_rng(0).random(90)) * 10.0
    assert rate_error(flow_of(packets(t), t)) < 1e-10
    with pytest.raises(BadInput, match="times are uneven"):
        flow_of(packets(t), t, rates=exact)


def test_noise_biases_one_map_and_not_the_others():
    """Plain maps damp by noise; forward-backward and total least squares do not."""
    rng = np.random.default_rng(0)
    growth = {name: [] for name in ("exact", "forward_backward", "total", "optimised")}
    for _ in range(8):
        u = packets(T) + 0.2 * rng.standard_normal((200, len(T)))
        for name, rates in (
            ("exact", exact), ("forward_backward", forward_backward), ("total", total),
            ("optimised", None),
        ):  # fmt: skip
            growth[name].append(flow_of(u, rates=rates).rates.real.mean() - RATES.real.mean())
    bias = {name: abs(np.mean(values)) for name, values in growth.items()}
    assert bias["exact"] > 3 * max(bias["forward_backward"], bias["total"])
    assert bias["optimised"] < 0.1 * bias["exact"]


def test_the_optimised_rates_are_a_stationary_point():
    """Finite differences of |H - Phi B|^2 in growth and frequency vanish there."""
    u = packets(T) + 0.1 * np.random.default_rng(3).standard_normal((200, len(T)))
    flow = flow_of(u)
    runs = Snapshots(euclidean(200), np.zeros((len(T), 0)), u, T)
    H = pod(runs, rank=4)[0].coefficients(u).T
    least = evaluate(H, T, flow.rates, 0).square
    for j in range(4):
        for direction in (1.0, 1j):
            for size in (1e-4, -1e-4):
                moved = flow.rates.copy()
                moved[j] += size * direction
                assert evaluate(H, T, moved, 0).square > least


@pytest.mark.parametrize("noise", [0.05, 0.4])
def test_intervals_of_rates_and_forecasts_hold_as_often_as_they_say(noise):
    """95 % of 120 draws, to three binomial deviations of independent draws."""
    rng = np.random.default_rng(1)
    later = np.linspace(10.0, 20.0, 7)[1:]
    of_rates, of_fields = [], []
    for _ in range(120):
        flow = flow_of(packets(T) + noise * rng.standard_normal((200, len(T))))
        a, b = flow.rate_std
        near = np.abs(flow.rates[:, None] - RATES).argmin(axis=1)
        miss = flow.rates - RATES[near]
        of_rates.append(np.mean([np.abs(miss.real) < 1.96 * a, np.abs(miss.imag) < 1.96 * b]))
        answer = flow.predict((), t=later)
        wrong = np.abs(answer.field("u") - packets(later))
        of_fields.append(np.mean(wrong < 1.96 * answer.std("u")))
    slack = 3 * np.sqrt(0.95 * 0.05 / 120)
    assert abs(np.mean(of_rates) - 0.95) < slack
    assert abs(np.mean(of_fields) - 0.95) < slack


def test_several_runs_share_one_law():
    """Rates of x' = A x from three starts are the eigenvalues of A."""
    rng = np.random.default_rng(5)
    A = np.array([[-0.1, 1.0, 0.0], [-1.0, -0.1, 0.0], [0.0, 0.0, -0.5]])
    t = np.linspace(0.0, 6.0, 40)
    modes = rng.standard_normal((50, 3))
    runs = [modes @ np.stack([scipy.linalg.expm(A * s) @ x for s in t], 1) for x in np.eye(3)]
    u = np.concatenate(runs, axis=1)
    snapshots = Snapshots(euclidean(50), np.zeros((120, 0)), u, np.tile(t, 3))
    flow = dmd(snapshots, pod(snapshots, rank=3)[0])
    expected = np.linalg.eigvals(A)
    assert max(np.abs(flow.rates - rate).min() for rate in expected) < 1e-10
    assert flow.amplitudes.shape == (3, 3, 3)
    with pytest.raises(BadInput, match="asks for the field 'u'"):
        flow.predict(())
    starts, late = rng.standard_normal((3, 2)), np.array([0.0, 2.5, 9.0])
    answer = flow.predict(np.zeros((2, 0)), t=late, fields={"u": (modes @ starts)[:, None]})
    for k in range(2):
        truth = np.stack([modes @ scipy.linalg.expm(A * s) @ starts[:, k] for s in late], 1)
        np.testing.assert_allclose(answer.field("u", k), truth, atol=1e-9)


def test_one_sensor_tells_all_rates_by_delays():
    """Four rates of two sums of exponentials at one point, and where it goes after."""
    u = packets(T)[60:61]
    runs = Snapshots(euclidean(1), np.zeros((len(T), 0)), u, T)
    flow = dmd(runs, pod(runs, rank=1)[0], count=4)
    assert rate_error(flow) < 1e-8
    late = np.array([12.0, 20.0])
    np.testing.assert_allclose(flow.predict((), t=late).field("u"), packets(late)[60:61], atol=1e-7)
    with pytest.raises(BadInput, match="asks for no field 'u'"):
        flow.predict((), fields={"u": u[:, 0]})


@pytest.mark.parametrize(
    ("count", "rates", "message"),
    [(3, None, "as many rates as modes"), (8, exact, "always optimised"), (70, None, "at most 63")],
)
def test_counts_of_rates_that_samples_do_not_tell_are_refused(count, rates, message):
    runs = Snapshots(euclidean(200), np.zeros((len(T), 0)), packets(T), T)
    with pytest.raises(BadInput, match=message):
        dmd(runs, pod(runs, rank=4)[0], count=count, rates=rates)


def test_intervals_of_one_sensor_hold_as_often_as_they_say():
    """95 % of 60 draws of noise, to three binomial deviations."""
    rng, held = np.random.default_rng(7), []
    for _ in range(60):
        u = packets(T)[60:61] + 0.01 * rng.standard_normal((1, len(T)))
        runs = Snapshots(euclidean(1), np.zeros((len(T), 0)), u, T)
        flow = dmd(runs, pod(runs, rank=1)[0], count=4)
        a, b = flow.rate_std
        near = np.abs(flow.rates[:, None] - RATES).argmin(axis=1)
        miss = flow.rates - RATES[near]
        held.append(np.mean([np.abs(miss.real) < 1.96 * a, np.abs(miss.imag) < 1.96 * b]))
    assert abs(np.mean(held) - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 60)


def test_a_start_beyond_the_modes_is_said():
    flow = flow_of(packets(T))
    assert flow.predict((), fields={"u": packets(T[:1])[:, 0]}).warnings == ()
    rough = packets(T[:1])[:, 0] + np.random.default_rng(0).standard_normal(200)
    assert [w.kind for w in flow.predict((), fields={"u": rough}).warnings] == ["start"]
    with pytest.raises(BadInput, match="has 199 values, the field 200"):
        flow.predict((), fields={"u": rough[1:]})


def test_intervals_from_a_new_start_hold_as_often_as_they_say():
    """95 % of 100 draws of three noisy runs of one 4 x 4 law, to three binomial deviations."""
    A = np.array([[-0.1, 1, 0, 0], [-1, -0.1, 0, 0.3], [0, 0, -0.05, 2], [0.2, 0, -2, -0.05]])
    t, late = np.linspace(0.0, 6.0, 60), np.array([0.0, 3.0, 6.0, 12.0])
    rng = np.random.default_rng(0)
    modes, starts = rng.standard_normal((40, 4)), rng.standard_normal((3, 4))
    flows = [np.stack([scipy.linalg.expm(A * s) for s in times]) for times in (t, late)]
    u = np.concatenate([modes @ np.einsum("tij,j->it", flows[0], x) for x in starts], axis=1)
    truth = modes @ np.einsum("tij,j->it", flows[1], np.array([0.5, 1.0, -0.3, 0.8]))
    held = []
    for _ in range(100):
        noisy = u + 0.1 * rng.standard_normal(u.shape)
        runs = Snapshots(euclidean(40), np.zeros((180, 0)), noisy, np.tile(t, 3))
        answer = dmd(runs, pod(runs, rank=4)[0]).predict((), t=late, fields={"u": truth[:, 0]})
        held.append(np.mean(np.abs(answer.field("u") - truth) < 1.96 * answer.std("u")))
    assert abs(np.mean(held) - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 100)


def test_unexplained_structure_is_warned_of():
    assert flow_of(packets(T), rank=2).predict(()).warnings[0].kind == "structure"
    noisy = packets(T) + 0.1 * np.random.default_rng(2).standard_normal((200, len(T)))
    assert flow_of(noisy).predict(()).warnings == ()


def test_fields_of_a_weighted_space_and_a_stored_model(tmp_path):
    fields = (Field("T", "K", np.arange(120)), Field("p", "Pa", np.arange(120, 200)))
    space = Space(np.linspace(1.0, 3.0, 200), np.arange(200), None, fields)
    u = packets(T) + 0.01 * np.random.default_rng(4).standard_normal((200, len(T)))
    flow = flow_of(u, space=space)
    save_model(tmp_path / "m.h5", flow)
    again = load_model(tmp_path / "m.h5")[0]
    for t in (None, [12.0]):
        one, two = flow.predict((), t=t), again.predict((), t=t)
        np.testing.assert_array_equal(one.field("p"), two.field("p"))
        np.testing.assert_array_equal(one.std("T"), two.std("T"))
    assert [q.label for q in flow.tells] == ["T [K]", "p [Pa]"]


@pytest.mark.parametrize(
    ("mu", "t", "rank", "message"),
    [
        (np.zeros((128, 1)), None, 4, "have no times"),
        (
            np.repeat([0.0, 1.0], 64)[:, None], np.tile(T[:64], 2), 4,
            "several parameters, one linear law has none",
        ),
        (np.arange(128.0)[:, None], T, 4, "parameters change within a run"),
        (np.zeros((128, 0)), np.r_[T[:60], T[:68]], 4, "at other times"),
        (np.zeros((128, 0)), np.tile(T[:8], 16), 4, "8 times tell no 4 rates; take at most 3"),
    ],
)  # fmt: skip
def test_what_has_no_linear_law_is_refused(mu, t, rank, message):
    runs = Snapshots(euclidean(200), mu, packets(T), t)
    with pytest.raises(BadInput, match=message):
        dmd(runs, pod(runs, rank=rank)[0])


CASE = """
import numpy as np, rom
box = rom.Box(("c",), [1.0], [2.0])
x, times = np.linspace(0, 1, 60), np.linspace(0, 5, 51)
fields = (rom.Field("T", "K", np.arange(60)),)
def solve(mu):
    rng = np.random.default_rng(0)
    noise = 1e-3 * rng.standard_normal((60, 51))
    return np.exp(-0.02 * times) * np.sin(3 * x[:, None] - 2 * times) + noise
"""


def test_a_model_is_trained_and_asked_by_commands(tmp_path):
    (tmp_path / "wave.py").write_text(CASE)
    (tmp_path / "mu.csv").write_text("c\n1.5\n")
    run_rom(tmp_path, "collect", "wave.py", "--csv", "mu.csv")
    words = ("train", "wave.py", "--kind", "dmd", "--rank", 2, "--out", "m.h5", "--json")
    said = last(run_rom(tmp_path, *words))
    assert said["r"] == 2 and "rates -0.02" in said["kind"]
    run_rom(tmp_path, "predict", "m.h5", "--t", "0:10:5", "--out", "a.npz")
    with np.load(tmp_path / "a.npz") as arrays:
        x, t = np.linspace(0, 1, 60), np.array([0.0, 5.0, 10.0])
        true = np.exp(-0.02 * t) * np.sin(3 * x[:, None] - 2 * t)
        assert np.abs(arrays["T [K]"] - true).max() < 2e-3
        assert (arrays["T deviation [K]"][:, 2] > arrays["T deviation [K]"][:, 0]).mean() > 0.9
    said = last(run_rom(tmp_path, "inspect", "m.h5", "--json"))
    assert re.match(r"growth -0\.0\d+ \+- .*, period 3\.1\d+ s$", said["rate 1"])
