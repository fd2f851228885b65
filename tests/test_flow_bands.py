"""Bands of whole trajectories: how often they hold, and where they end."""

import numpy as np
import pytest
import scipy.linalg

from rom.compress import pod
from rom.dynamics import calibrate_flow, project_rate
from rom.dynamics.flow_bands import run_errors
from rom.errors import BadInput
from rom.snapshots import Snapshots
from rom.space import Field, euclidean

T = np.linspace(0.0, 2.0, 11)
RNG = np.random.default_rng(0)
A = RNG.standard_normal((8, 8)) / 2 - np.eye(8)
FLOW = np.stack([scipy.linalg.expm(A * s) for s in T])
SPACE = euclidean(8, fields=(Field("T", "K", np.arange(5)), Field("p", "Pa", np.arange(5, 8))))


def runs_of(starts):
    """Runs of u' = A u, (8, 11 m), from starts (m, 8)."""
    u = np.einsum("tij,mj->mit", FLOW, starts)
    m = len(starts)
    return Snapshots(SPACE, np.zeros((11 * m, 0)), np.hstack(list(u)), np.tile(T, m))


def start(m, rng):
    return rng.standard_normal((m, 8)) * 0.7 ** np.arange(8)


TRAINED = runs_of(start(6, RNG))
LAW = project_rate(lambda u, mu: A @ u, TRAINED, pod(TRAINED, rank=4)[0], degree=1)


def test_bands_hold_whole_trajectories_as_often_as_they_say():
    """Of 20 calibration runs the 19th score: 19 of 21 new runs lie below it, each field."""
    rng = np.random.default_rng(1)
    errors = run_errors(LAW, runs_of(start(200, rng)))
    held = []
    for _ in range(80):
        band = calibrate_flow(LAW, runs_of(start(20, rng)), level=0.9).width
        held.append((errors <= band[:, None]).all(axis=2).mean(axis=1))
    slack = 3 * np.sqrt(0.9 * 0.1 / 22 / 80) + 3 * np.sqrt(0.9 * 0.1 / 200)
    assert np.abs(np.mean(held, axis=0) - 19 / 21).max() < slack


def test_errors_are_those_of_the_answers():
    runs = runs_of(start(3, np.random.default_rng(2)))
    errors = run_errors(LAW, runs)
    first = runs.u[:, ::11]
    fields = {"T": first[:5, None], "p": first[5:, None]}
    answer = LAW.predict(np.zeros((3, 0)), fields=fields)
    for f, name in enumerate(("T", "p")):
        rows = SPACE.fields[f].rows
        for k in range(3):
            miss = answer.field(name, k) - runs.u[rows, 11 * k : 11 * (k + 1)]
            np.testing.assert_allclose(errors[f, k], np.sqrt(np.mean(miss**2, 0)), atol=1e-12)


def test_a_band_ends_where_the_data_end():
    flow = calibrate_flow(LAW, runs_of(start(9, np.random.default_rng(3))))
    fields = {"T": np.ones(5), "p": np.ones(3)}
    band = flow.predict((), t=[0.0, 1.0, 2.0, 2.5], fields=fields).part("p").errors[0]
    assert band.whole and band.level == 0.9 and band.unit == "Pa"
    assert np.isnan(band.value[0]).tolist() == [False, False, False, True]
    assert flow.known == "conformal band" and LAW.known == "nothing"


@pytest.mark.parametrize(
    ("m", "level", "message"),
    [
        (8, 0.9, "8 runs carry no band of level 0.9; give 9 runs, or a level up to 0.889"),
        (9, 1.0, r"level = 1 must lie in \(0, 1\)"),
    ],
)
def test_levels_that_runs_do_not_carry_are_refused(m, level, message):
    with pytest.raises(BadInput, match=message):
        calibrate_flow(LAW, runs_of(start(m, np.random.default_rng(4))), level=level)


def test_other_times_are_refused():
    runs = runs_of(start(9, np.random.default_rng(5)))
    later = Snapshots(SPACE, runs.mu, runs.u, runs.t + 1.0)
    with pytest.raises(BadInput, match="at other times than the law"):
        calibrate_flow(LAW, later)
