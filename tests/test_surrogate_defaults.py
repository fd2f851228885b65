"""Laws of the defaults of regression: repeats, few runs, positive fields, skill, and choice."""

from dataclasses import replace

import numpy as np
import pytest

from cases.field_coverage import KINDS, main
from rom.archive import load, save
from rom.compress import pod
from rom.design.designs import sobol
from rom.errors import BadInput
from rom.gp import (
    coefficient_gp,
    field_gp,
    fit_regressor,
    log_snapshots,
    positive_field_gp,
    process_average,
)
from rom.gp import fields as fields_of_gp
from rom.gp.buffers import hide_neighbours
from rom.gp.held_out import fold_errors
from rom.gp.interpolated import run_interpolation
from rom.gp.left_out_modes import leave_out_modes
from rom.gp.positive import left_out_field_error
from rom.gp.repeats import distinct_runs
from rom.parameters import Box
from rom.snapshots import Snapshots
from rom.space import Field, Space, euclidean

BOX = Box(("a", "b"), [0.0, 0.0], [1.0, 1.0])
FRESH = np.random.default_rng(9).random((100, 2))


def smooth(x):
    return np.column_stack([np.sin(3 * x[:, 0]) + x[:, 1] ** 2, np.cos(2 * x[:, 0] * x[:, 1])])


@pytest.mark.parametrize("copies", [2, 5])
def test_copies_of_runs_say_nothing_new(copies):
    x = np.random.default_rng(0).random((15, 2))
    once, more = (
        coefficient_gp(part, smooth(part), BOX, share="shared")
        for part in (x, np.tile(x, (copies, 1)))
    )
    for one, other in zip(once.posterior(FRESH), more.posterior(FRESH), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-9)


def test_noisy_repeats_are_conditioned_on_as_single_runs_and_left_out_together():
    rng = np.random.default_rng(1)
    x = np.repeat(rng.random((12, 2)), [1, 2, 3] * 4, axis=0)
    a = smooth(x) + 0.1 * rng.standard_normal((len(x), 2))
    gp = coefficient_gp(x, a, BOX, kernel="matern52", mean="constant", calibrate=False)
    first, place = distinct_runs(x)
    assert gp.counts.tolist() == np.bincount(place).tolist()
    residuals, std = gp.leave_one_out()
    for i in range(2):
        kernel, nugget = gp.kernels[gp.groups[i]], gp.nuggets[gp.groups[i]]

        def condition(keep, z, i=i, kernel=kernel, nugget=nugget):
            """Mean and variance over the process's, by dense algebra with all single runs."""
            K = kernel.matrix(x[keep], x[keep]) + nugget * np.eye(len(x[keep]))
            k, one = kernel.matrix(z, x[keep]), np.ones(len(x[keep]))
            beta = one @ np.linalg.solve(K, a[keep, i]) / (one @ np.linalg.solve(K, one))
            left = 1 - k @ np.linalg.solve(K, one)
            spread = 1 - np.sum(k * np.linalg.solve(K, k.T).T, axis=1)
            spread += left**2 / (one @ np.linalg.solve(K, one))
            return beta + k @ np.linalg.solve(K, a[keep, i] - beta), spread

        mean, spread = condition(np.ones(len(x), bool), FRESH)
        ours, deviation = gp.posterior(FRESH)
        np.testing.assert_allclose(ours[:, i], mean, rtol=1e-6)
        np.testing.assert_allclose(deviation[:, i] ** 2, gp.variance[i] * spread, rtol=1e-5)
        for k in (0, 1, 5):
            mean, spread = condition(place != k, x[first[[k]]])
            average = a[place == k, i].mean()
            assert residuals[k, i] == pytest.approx(average - mean[0], rel=1e-6)
            total = spread[0] + nugget / gp.counts[k]
            assert std[k, i] ** 2 == pytest.approx(gp.variance[i] * total, rel=1e-6)
    assert gp.noise == pytest.approx(0.1, rel=0.5)


def clusters(m=24):
    """Runs around four points of the unit square, and runs spread over all of it."""
    rng = np.random.default_rng(3)
    centres = np.repeat([[0.2, 0.2], [0.8, 0.3], [0.3, 0.9], [0.6, 0.6]], m // 4, axis=0)
    return centres + 0.03 * rng.standard_normal((m, 2)), sobol(BOX, m)


def test_runs_of_clusters_are_hidden_until_others_are_as_far_as_from_new_points():
    close, spread = clusters()
    hidden = hide_neighbours(close)
    assert hidden.diagonal().all() and (hidden.sum(axis=1) <= 12).all()
    nearest = lambda x, z, hide: np.min(  # noqa: E731
        np.linalg.norm(x[:, None] - z, axis=2) + np.where(hide, np.inf, 0.0), axis=1
    )
    new = nearest(np.random.default_rng(1).random((500, 2)), close, False)
    alone, apart = (nearest(close, close, hide) for hide in (np.eye(24, dtype=bool), hidden))
    r = np.linspace(0.02, 0.3, 57)[:, None]
    beyond = [
        (np.mean(away <= r, axis=1) - np.mean(new <= r, axis=1)).max() for away in (alone, apart)
    ]
    assert beyond[0] > 0.7 and beyond[1] < 0.1
    even = hide_neighbours(spread)
    assert even is None or even.sum() < 1.2 * len(even)


@pytest.mark.parametrize("mean", ["zero", "linear"])
def test_hidden_runs_count_for_nothing(mean):
    x = clusters()[0]
    hidden = hide_neighbours(x)
    gp = coefficient_gp(x, smooth(x), BOX, kernel="matern52", mean=mean, share="shared")
    gp = replace(gp, stretch=np.ones(1), nuggets=np.array([1e-6]))  # solves of eight digits
    residuals, std = gp.leave_one_out(hidden)
    kernel, nugget = gp.kernels[0], gp.nuggets[0]
    H = np.column_stack([np.ones(24), x]) if mean == "linear" else np.zeros((24, 0))
    for i in (0, 9, 23):
        keep = ~hidden[i]
        K = kernel.matrix(x[keep], x[keep]) + nugget * np.eye(keep.sum())
        k, h = kernel.matrix(x[[i]], x[keep])[0], H[keep]
        A = np.block([[K, h], [h.T, np.zeros((h.shape[1],) * 2)]])
        right = np.concatenate([k, H[i]])
        weights = np.linalg.solve(A, right)
        mean_there = weights[: keep.sum()] @ smooth(x)[keep]
        np.testing.assert_allclose(residuals[i], smooth(x)[i] - mean_there, rtol=1e-6, atol=1e-9)
        variance = gp.variance * (1 + nugget - weights @ right)
        np.testing.assert_allclose(std[i] ** 2, variance, rtol=1e-5)


def test_an_average_leaves_hidden_runs_out_of_all_its_processes():
    x = clusters()[0]
    hidden = hide_neighbours(x)
    model = process_average(x, smooth(x), BOX)
    parts = [gp.leave_one_out(hidden)[0] for gp in model.processes]
    np.testing.assert_allclose(
        model.leave_one_out(hidden)[0], np.tensordot(model.weights, parts, 1), rtol=1e-12
    )


def test_an_interpolation_leaves_hidden_runs_out():
    x = clusters()[0]
    hidden = hide_neighbours(x)
    model = run_interpolation(x, smooth(x), BOX, regressor="nearest")
    residuals, std = model.leave_one_out(hidden)
    for i in (0, 5, 20):
        away = np.where(hidden[i], np.inf, np.linalg.norm(x - x[i], axis=1))
        expected = smooth(x)[i] - smooth(x)[np.argmin(away)]
        np.testing.assert_allclose(residuals[i], expected, atol=1e-12)
    np.testing.assert_array_equal(std, model.leave_one_out()[1])


def pulses(gen, m, fresh, complex_parts=False):
    """Snapshots (40, m) of two fields of unlike scales that move with mu, and new ones."""
    t, shift, width = np.linspace(0, 1, 40)[:, None], gen.random(2), gen.uniform(0.1, 0.4, 2)

    def solve(mu):
        pulse = [np.exp(-(((t - s - mu) / w) ** 2)) for s, w in zip(shift, width, strict=True)]
        return np.vstack([pulse[0], 1e4 * pulse[1]]) * (np.exp(4j * mu) if complex_parts else 1.0)

    mu, new = gen.random(m), gen.random(fresh)
    fields = (Field("u", "1", np.arange(40)), Field("p", "Pa", np.arange(40, 80)))
    space = Space(np.repeat([1.0, 1e-8], 40), np.arange(80), fields=fields)
    return Snapshots(space, mu[:, None], solve(mu)), new[:, None], solve(new)


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("complex_parts", [False, True])
def test_runs_are_left_out_of_the_modes_too(center, complex_parts):
    """Against a POD of every rest of the runs."""
    gen = np.random.default_rng(4)
    runs, _, _ = pulses(gen, 9, 1, complex_parts)
    basis = pod(runs, rank=4, center=center)[0]
    a = basis.coefficients(runs.u).T
    residuals = 1e-2 * gen.normal(size=a.shape)
    kept = ~np.eye(9, dtype=bool)
    kept[3, 5] = kept[7, 0] = False
    E, W = leave_out_modes(runs, basis, a, residuals, kept)
    errors = basis.modes @ E.T + (runs.u - basis.lift(a.T)) @ W
    for i, keep in enumerate(kept):
        rest = replace(runs, mu=runs.mu[keep], u=runs.u[:, keep])
        other = pod(rest, rank=4, center=center)[0]
        foreseen = other.lift(other.coefficients(runs.u[:, i] - basis.modes @ residuals[i]))
        expected = runs.u[:, i] - foreseen
        size = runs.space.norm(expected[:, None])[0]
        assert runs.space.norm((errors[:, i] - expected)[:, None])[0] < 1e-6 * size


def test_modes_of_other_runs_have_seen_none_of_these():
    runs, _, _ = pulses(np.random.default_rng(4), 30, 1)
    few = replace(runs, mu=runs.mu[:8], u=runs.u[:, :8])
    basis = pod(runs, rank=4)[0]
    a = basis.coefficients(few.u).T
    assert leave_out_modes(few, basis, a, 0 * a, ~np.eye(8, dtype=bool)) is None


def test_bands_of_few_runs_hold_what_their_modes_miss():
    """Most of the error is what half as many modes as runs miss of a new run."""
    gen, shares = np.random.default_rng(8), []
    box = Box(("a",), [0.0], [1.0])
    for _ in range(8):
        runs, new, truth = pulses(gen, 10, 50)
        model = field_gp(runs, pod(runs, tol=1e-3)[0], box)
        mean, std = model.field(new)
        shares.append(np.mean(np.abs(truth - mean) <= 1.96 * std))
    assert np.mean(shares) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_bands_of_fields_hold_what_they_promise(kind):
    """In the mean over twenty problems; no skill is said only where there is none."""
    numbers = main(problems=20, seed=300, kinds=kind)
    print(numbers)
    means = [value for key, value in numbers.items() if key.endswith("_coverage")]
    assert min(means) >= 0.90 and max(means) <= 0.99
    assert numbers["no_skill_wrong"] == 0


@pytest.mark.parametrize("fit", [coefficient_gp, process_average, fit_regressor])
def test_five_runs_of_a_wave_are_no_noise(fit):
    x, z = np.linspace(0, 1, 5)[:, None], np.linspace(0, 1, 201)[:, None]
    mean = fit(x, np.sin(6 * x)).posterior(z)[0]
    assert np.linalg.norm(mean - np.sin(6 * z)) < 0.15 * np.linalg.norm(np.sin(6 * z))


def test_four_corners_are_carried_like_a_plane():
    mu = np.array([[0, 0], [0, 1], [1, 1], [1, 0]], dtype=float)
    t = np.linspace(-1, 1, 50)[:, None]
    u = np.exp(-(t**2) - 0.5 * t @ (mu[:, :1] - 0.3 * mu[:, 1:]).T) * (1 + mu[:, 1])
    snapshots = Snapshots(euclidean(50), mu, u)
    model = field_gp(snapshots, pod(snapshots, tol=1e-9)[0], BOX)
    p, q = FRESH.T
    weights = np.stack([(1 - p) * (1 - q), (1 - p) * q, p * q, p * (1 - q)])
    bilinear = u @ weights
    assert np.linalg.norm(model.field(FRESH)[0] - bilinear) < 0.03 * np.linalg.norm(bilinear)
    assert "too few to leave any out" in model.kind


def test_left_out_runs_tell_smooth_data_from_rough():
    x = sobol(BOX, 48)
    assert "rbf" in coefficient_gp(x, smooth(x), BOX, share="independent").reason[:60]
    rough = np.abs(x[:, :1] - 0.37) + np.abs(x[:, 1:] - 0.61)
    assert "rbf" not in coefficient_gp(x, rough, BOX).reason[:60]


def fields(mu, rng=None):
    t = np.linspace(0, 1, 40)[:, None]
    temperature = 300 + 50 * np.exp(-4 * t * (0.3 + mu[:, 0]))
    pressure = 1e5 * np.sin(5 * t + 8 * mu[:, 1] * mu[:, 0])
    if rng is not None:
        pressure = 1e5 * rng.standard_normal(pressure.shape)
    return np.vstack([temperature, pressure])


def two_fields(m, rng=None):
    parts = (Field("T", "K", np.arange(40)), Field("p", "Pa", np.arange(40, 80)))
    product = np.repeat([1 / 50.0**2, 1e-10], 40)
    space = Space(product, np.arange(80), fields=parts)
    mu = np.random.default_rng(5).random((m, 2))
    snapshots = Snapshots(space, mu, fields(mu, rng))
    return field_gp(snapshots, pod(snapshots, tol=1e-5)[0], BOX)


def test_intervals_hold_for_each_field_of_its_own():
    model = two_fields(16)
    mean, std = model.field(FRESH)
    inside = np.abs(fields(FRESH) - mean) <= 1.96 * std
    assert min(inside[:40].mean(), inside[40:].mean()) > 0.8
    assert model.skill.min() > 0.5 and "no skill" not in model.kind
    again = model.predict(FRESH[0])
    np.testing.assert_allclose(again.std("p"), std[40:, 0], rtol=1e-9)


def test_no_skill_is_said_and_widens_the_band(tmp_path):
    model = two_fields(16, np.random.default_rng(0))
    assert "no skill for p" in model.kind and "no skill for T" not in model.kind
    answer = model.predict(FRESH)
    assert [warned.kind for warned in answer.warnings] == ["skill"]
    assert np.mean(np.abs(answer.std("p", 0))) > 0.8e5
    save(tmp_path / "m.h5", model)
    assert load(tmp_path / "m.h5").kind == model.kind


def test_the_mean_of_the_runs_is_taken_where_nothing_is_better():
    x = sobol(BOX, 32)
    a = np.random.default_rng(2).standard_normal((32, 3))
    model = fit_regressor(x, a, BOX)
    assert np.std(model.posterior(FRESH)[0]) < 0.5
    assert model.regressor == "mean" and "mean 1.03" in model.reason


def heat(mu):
    t = np.linspace(0, 1, 60)[:, None]
    return np.exp(-(2 + 8 * mu[:, 0]) * t + 2 * mu[:, 1])


def test_positive_fields_by_their_logarithm(tmp_path):
    mu = sobol(BOX, 12)
    snapshots = Snapshots(euclidean(60), mu, heat(mu))
    logs = log_snapshots(snapshots)
    model = positive_field_gp(snapshots, pod(logs, tol=1e-8)[0], BOX)
    plain = field_gp(snapshots, pod(snapshots, tol=1e-8)[0], BOX)
    true = heat(FRESH)
    errors = [np.linalg.norm(each.field(FRESH)[0] - true) for each in (model, plain)]
    assert errors[0] < 0.2 * errors[1]
    assert left_out_field_error(model, snapshots) < left_out_field_error(plain, snapshots)
    answer = model.predict(FRESH)
    np.testing.assert_allclose(answer.field("u", 3), model.field(FRESH)[0][:, 3], rtol=1e-12)
    assert answer.parts["u"].errors[0].value.shape == (100,)
    draws = model.samples(FRESH[0], 500)
    assert draws.min() > 0
    save(tmp_path / "m.h5", model)
    again = load(tmp_path / "m.h5").predict(FRESH[0])
    np.testing.assert_allclose(again.field("u"), model.field(FRESH[0])[0], rtol=1e-12)
    with pytest.raises(BadInput, match="of positive fields"):
        log_snapshots(Snapshots(euclidean(60), mu, heat(mu) - 1))


def test_modes_that_have_seen_a_run_do_not_flatter_processes():
    """A jump that moves: thin plates and linear interpolation are better, and are taken."""
    x = np.linspace(0, 1, 24)[:, None]
    t = np.linspace(0, 1, 200)[:, None]
    jump = lambda mu: np.tanh(60 * (t - 0.2 - 0.6 * mu[:, 0]))  # noqa: E731
    box = Box(("a",), [0.0], [1.0])
    snapshots = Snapshots(euclidean(200), x, jump(x))
    basis = pod(snapshots, tol=1e-4)[0]
    z = np.random.default_rng(3).random((60, 1))
    error = {}
    for name in ("auto", "gp", "rbf", "linear"):
        mean = field_gp(snapshots, basis, box, regressor=name).field(z)[0]
        error[name] = np.linalg.norm(mean - jump(z))
    assert error["auto"] <= 1.1 * min(error.values()), error


def test_runs_held_out_in_folds_count_for_nothing():
    """Outputs of a fold change no prediction there; the others change."""
    x = sobol(BOX, 16)
    a = smooth(x)
    gp = coefficient_gp(x, a, BOX, kernel="rbf", mean="constant", share="shared")
    mean = a - fold_errors(gp, modal=False)[0]
    fold = np.random.default_rng(0).permutation(16) % 8 == 0
    wrong = np.where(fold[:, None], 7.0, a)
    other = wrong - fold_errors(replace(gp, a=wrong), modal=False)[0]
    np.testing.assert_allclose(other[fold], mean[fold], rtol=1e-9)
    assert np.abs(other - mean)[~fold].max() > 0.1


def test_folds_widen_bands_of_kernels_that_few_runs_flatter(monkeypatch):
    """A fold of the plane, too sharp for the kernel: closed forms alone hold too little."""
    bend = lambda mu: np.hypot(0.1, (mu - 0.5) @ [1.0, 0.6])[None]  # noqa: E731
    options = {"regressor": "gp", "kernel": "rbf", "mean": "constant", "noise": 0}
    shares = []
    for most in (0, 128):
        monkeypatch.setattr(fields_of_gp, "MAX_RUNS", most)
        for seed in range(4):
            x = np.random.default_rng(seed).random((20, 2))
            snapshots = Snapshots(euclidean(1), x, bend(x))
            model = field_gp(snapshots, pod(snapshots, rank=1)[0], BOX, **options)
            mean, std = model.field(FRESH)
            shares.append(np.mean(np.abs(bend(FRESH) - mean) <= 1.96 * std))
    closed, held_out = np.mean(np.reshape(shares, (2, 4)), axis=1)
    assert held_out >= 0.85 and held_out >= closed + 0.05, (closed, held_out)
