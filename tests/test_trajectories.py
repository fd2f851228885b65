"""Laws of whole trajectories as functions of parameters."""

import numpy as np
import pytest

from rom.archive import load, save
from rom.design import sobol
from rom.errors import BadInput, OutsideBox
from rom.gp import trajectory_gp
from rom.parameters import Box
from rom.snapshots import Snapshots
from rom.space import euclidean

BOX = Box(("k",), [1.0], [5.0], ("1/s",))
TIMES = np.linspace(0.0, 1.0, 11)
X = np.linspace(0.0, 1.0, 30)


def runs(mus, times=TIMES):
    """exp(-k t) sin(pi x), (m, n, n_t)."""
    decay = np.exp(-mus[:, :1] * times)
    return np.sin(np.pi * X)[None, :, None] * decay[:, None, :]


@pytest.fixture(scope="module")
def trained():
    mus = sobol(BOX, 16)
    return mus, trajectory_gp(runs(mus), BOX, mu=mus, times=TIMES, tol=1e-4)


def relative(answer, truth):
    return np.linalg.norm(answer - truth) / np.linalg.norm(truth)


def test_a_separable_solution_is_exact_to_a_thousandth(trained):
    _, gp = trained
    fresh = BOX.from_unit(np.random.default_rng(1).random((50, 1)))
    assert relative(gp.field(fresh)[0], runs(fresh)) < 1e-3


def test_training_runs_return(trained):
    mus, gp = trained
    assert relative(gp.field(mus)[0], runs(mus)) < 1e-3


def test_it_answers_between_trained_times(trained):
    _, gp = trained
    t = np.array([0.03, 0.5, 0.77])
    mean, std = gp.field(np.array([2.2]), t)
    assert mean.shape == std.shape == (30, 3)
    assert relative(mean, runs(np.array([[2.2]]), t)[0]) < 2e-3
    with pytest.raises(OutsideBox, match="trained times"):
        gp.field(np.array([2.2]), np.array([1.2]))


@pytest.fixture(scope="module")
def waves():
    box = Box(("a", "b"), [0.0, 1.0], [1.0, 3.0])
    mus = sobol(box, 24)
    return mus, trajectory_gp(travel(mus), box, mu=mus, times=TIMES)


def travel(mus):
    """sin(4 b (x - a t)), (m, n, n_t)."""
    place = X[None, :, None] - mus[:, :1, None] * TIMES
    return np.sin(4.0 * mus[:, 1:, None] * place)


def test_deviation_is_small_at_training_runs(waves):
    mus, gp = waves
    fresh = gp.box.from_unit(np.random.default_rng(0).random((100, 2)))
    at, away = (
        np.mean([one.posterior(points)[1][:, 0] for one in gp.processes], axis=0)
        for points in (mus, fresh)
    )
    assert np.median(at) < 0.5 * np.median(away)


def test_an_answer_holds_fields_at_any_trained_time_and_a_band_of_whole_runs(waves):
    mus, gp = waves
    t = np.array([0.25, 0.5])
    answer = gp.predict(mus[:3], t=t)
    part = answer.part("u")
    np.testing.assert_allclose(np.moveaxis(part.a, 1, 0), gp.field(mus[:3], t)[0])
    (band,) = part.errors
    assert band.whole and band.value.shape == (3, 2) and (band.value > 0).all()
    with pytest.raises(OutsideBox, match="trained times"):
        gp.predict(mus[0], t=[99.0])


def test_bands_hold_whole_trajectories(waves):
    _, gp = waves
    fresh = gp.box.from_unit(np.random.default_rng(0).random((200, 2)))
    low, high = gp.band(fresh)
    inside = (travel(fresh) >= low) & (travel(fresh) <= high)
    assert np.mean(inside.all(axis=(1, 2))) > 0.75
    assert gp.transform == "identity"


def test_columns_with_times_are_the_same_runs(trained):
    mus, gp = trained
    u = np.moveaxis(runs(mus), 0, 1).reshape(30, -1)
    points, t = np.repeat(mus, 11, axis=0), np.tile(TIMES, 16)
    shuffle = np.random.default_rng(0).permutation(len(t))
    columns = Snapshots(euclidean(30), points[shuffle], u[:, shuffle], t[shuffle])
    other = trajectory_gp(columns, BOX, tol=1e-4)
    mu = np.array([3.3])
    np.testing.assert_allclose(other.field(mu)[0], gp.field(mu)[0], atol=1e-4)


def test_refusals(trained):
    mus, gp = trained
    with pytest.raises(BadInput, match="5 distinct parameters"):
        trajectory_gp(runs(mus[:5]), BOX, mu=mus[:5], times=TIMES)
    with pytest.raises(BadInput, match="times must increase"):
        trajectory_gp(runs(mus), BOX, mu=mus, times=TIMES[::-1])
    with pytest.raises(BadInput, match="holds NaN"):
        trajectory_gp(np.full((16, 30, 11), np.nan), BOX, mu=mus, times=TIMES)
    with pytest.raises(OutsideBox, match="k = 9"):
        gp.field(np.array([9.0]))


def test_save_and_load(trained, tmp_path):
    _, gp = trained
    save(tmp_path / "t.h5", gp)
    mu = np.array([3.3])
    loaded = load(tmp_path / "t.h5")
    np.testing.assert_array_equal(loaded.band(mu)[0], gp.band(mu)[0])
    assert loaded.errors == gp.errors
