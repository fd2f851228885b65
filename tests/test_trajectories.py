"""Laws of whole trajectories as functions of parameters."""

import numpy as np
import pytest

from rom.archive import load, save
from rom.design import sobol
from rom.errors import BadInput, OutsideBox
from rom.gp import Stationary, trajectory_gp
from rom.gp.inputs import bend_inputs
from rom.gp.likelihood import restricted_likelihood, trend_columns
from rom.gp.small_likelihood import small_likelihoods
from rom.gp.trajectory_bends import choose_inputs
from rom.gp.trajectory_candidates import JOINT, MODES, by_modes, train_grids
from rom.gp.trajectory_fit import hold_out
from rom.gp.trajectory_modes import Form, joint_modes, product_modes
from rom.gp.trajectory_runs import WholeRuns
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


FORM = Form("identity", False, 1e-9, 0.9)


def few_waves(n=30):
    box = Box(("a", "b"), [0.0, 1.0], [1.0, 3.0])
    mus = sobol(box, 8)
    return box, WholeRuns(travel(mus)[:, :n], mus, TIMES)


@pytest.mark.parametrize("mean", ["zero", "constant", "linear"])
@pytest.mark.parametrize("form", ["rbf", "matern52"])
def test_a_stack_of_likelihoods_is_each_of_them(form, mean):
    rng = np.random.default_rng(0)
    x, parts = rng.random((20, 3)), [rng.random((20, 2)), rng.random((20, 1))]
    points = np.array([[0.0, 0.3, -0.2, -5.0], [-1.0, 0.1, 0.2, -7.0]])
    H, kernel = trend_columns(mean, x), Stationary(form, np.ones(3))
    values, slopes = small_likelihoods(kernel, x, H, points, parts)
    for value, slope, point, part in zip(values, slopes, points, parts, strict=True):
        one = restricted_likelihood(kernel.at(point[:-1]), np.exp(point[-1]), x, part, H)
        np.testing.assert_allclose(value, one[0], rtol=1e-10)
        np.testing.assert_allclose(slope, one[1], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("compress", [joint_modes, product_modes])
@pytest.mark.parametrize("sized", [False, True])
def test_modes_are_orthonormal_and_give_the_runs_back(compress, sized):
    _, runs = few_waves()
    parts = compress(runs, Form("identity", sized, 1e-2, 0.9))
    flat = parts.blank.modes.reshape(-1, parts.blank.modes.shape[2])
    np.testing.assert_allclose(flat.T @ flat, np.eye(flat.shape[1]), atol=1e-8)
    back, _ = parts.blank.lift(parts.a, np.zeros_like(parts.a))
    assert relative(back, runs.u) < 1e-2


def test_time_as_an_input_is_kriging_of_all_points():
    box, runs = few_waves(n=1)
    k_mu, k_t, nugget = Stationary("rbf", [0.8, 0.6]), Stationary("rbf", [0.5]), 1e-3
    gp = train_grids(runs, FORM, box, [(k_mu, k_t, nugget)])
    z, t = box.to_unit(runs.mu), TIMES[:, None]
    fresh = box.from_unit(np.random.default_rng(1).random((5, 2)))
    K_t = k_t.matrix(t, t)
    K = np.kron(k_mu.matrix(z, z), K_t) + nugget * np.eye(8 * 11)
    H = np.kron(np.ones((8, 1)), np.eye(11))
    y = runs.u.reshape(-1)
    beta = np.linalg.solve(H.T @ np.linalg.solve(K, H), H.T @ np.linalg.solve(K, y))
    cross = np.kron(k_mu.matrix(box.to_unit(fresh), z), K_t)
    expected = beta + (cross @ np.linalg.solve(K, y - H @ beta)).reshape(5, 11)
    np.testing.assert_allclose(gp.field(fresh)[0][:, 0], expected, atol=1e-5)


def test_the_mean_of_modes_is_their_mean():
    box, runs = few_waves()
    fresh = box.from_unit(np.random.default_rng(1).random((5, 2)))
    *parts, mean = (
        by_modes(names, runs, FORM, box, [("rbf", "constant")]).model.field(fresh)[0]
        for names in (*((name,) for name in MODES), tuple(MODES))
    )
    np.testing.assert_allclose(mean, sum(parts) / 3, atol=1e-4)
    assert np.abs(np.diff(parts, axis=0)).max() > 1e-2


def test_runs_held_out_are_not_seen():
    _, runs = few_waves()

    def train(rest):
        seen = (runs.mu[:, None] == rest.mu[None]).all(axis=2).any(axis=1)
        np.testing.assert_array_equal(rest.u, runs.u[seen])

        class Blind:
            def field(self, mu):
                assert not (mu[:, None] == rest.mu[None]).all(axis=2).any()
                return np.zeros((len(mu), 30, 11)), np.ones((len(mu), 30, 11))

        return Blind()

    median, spread = hold_out(train, runs)
    assert not median.any() and spread.all()


def test_the_reason_says_the_error_of_each_candidate(waves):
    _, gp = waves
    means = "mean of modes in space and time, Kronecker over mu x t"
    for name in ("modes in space and time", "windows in time", "time as an input", means):
        assert f"{name} {100 * gp.errors[name]:.3g} %" in gp.reason
    held_out = [error for name, error in gp.errors.items() if "closed form" not in name]
    assert len(held_out) == 8 and gp.errors[gp.kind] == min(held_out)


def test_without_a_box_it_is_the_range_of_the_runs():
    _, runs = few_waves()
    gp = trajectory_gp(runs.u, mu=runs.mu, times=TIMES)
    np.testing.assert_allclose(gp.box.lower, runs.mu.min(axis=0))


@pytest.mark.parametrize("bends", [(0.0, 3.0), (-4.0, 1.5)])
def test_a_bend_keeps_ends_and_order_of_its_input(bends):
    z = np.column_stack([np.linspace(-0.5, 1.5, 41)] * 2)
    bent = bend_inputs(z, np.array(bends))
    assert (np.diff(bent, axis=0) > 0).all()
    np.testing.assert_allclose(bend_inputs(np.eye(2), np.array(bends)), np.eye(2), atol=1e-15)
    for j, c in enumerate(bends):
        exact = z[:, j] if c == 0 else (np.exp(c * z[:, j]) - 1) / (np.exp(c) - 1)
        np.testing.assert_allclose(bent[:, j], exact, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("true", [-3.0, 3.0])
def test_an_input_is_bent_where_the_solution_is_smooth_in_a_bent_one(true):
    box = Box(("k",), [0.0], [1.0])

    def waves(mus):
        phase = 6.0 * np.expm1(true * mus[:, :1]) / np.expm1(true)
        return np.cos(phase[:, None] + 2.0 * X[None, :, None] + TIMES[None, None, :])

    mus, form = sobol(box, 12), Form("identity", False, 1e-4, 0.9)
    whole = WholeRuns(waves(mus), mus, TIMES)
    kernel, bends = choose_inputs(whole, form, box, [("rbf", "constant")])
    assert kernel == "rbf" and np.sign(bends[0]) == np.sign(true)
    fresh = np.linspace(0.02, 0.98, 33)[:, None]
    missed = []
    for bent in (bends, (0.0,)):
        form = Form("identity", False, 1e-4, 0.9, bent)
        gp = by_modes((JOINT,), whole, form, box, [("rbf", "constant")]).model
        missed.append(relative(gp.field(fresh)[0], waves(fresh)))
    assert missed[0] < 0.3 * missed[1]


def test_few_runs_bend_nothing():
    mus = sobol(BOX, 5)
    whole = WholeRuns(runs(mus), mus, TIMES)
    form = Form("identity", False, 1e-4, 0.9)
    assert choose_inputs(whole, form, BOX, [("rbf", "constant")])[1] == (0.0,)
