"""Laws of the regression of coefficients."""

import numpy as np
import pytest

from rom.compress.decomposition import pod
from rom.design.designs import sobol
from rom.errors import BadInput, OutsideBox
from rom.gp.fields import field_gp
from rom.parameters import Box
from rom.snapshots import Snapshots
from rom.space import euclidean

BOX = Box(("a", "b"), [0.0, 1.0], [1.0, 100.0], ("1", "Pa"), ("linear", "log"))


def field(mus):
    x = np.linspace(0, 1, 50)[:, None]
    return np.exp(-mus[:, 0] * x) * np.log(mus[:, 1]) + np.sin(3 * x * mus[:, 0])


def train(m=32):
    mus = sobol(BOX, m)
    snapshots = Snapshots(euclidean(50), mus, field(mus))
    return snapshots, field_gp(snapshots, pod(snapshots, tol=1e-7)[0], BOX)


def test_interpolates_smooth_noise_free_data_and_converges():
    errors = []
    for m in (16, 64):
        snapshots, gp = train(m)
        at_training = gp.basis.lift(gp.predict(snapshots.mu).coefficients)
        np.testing.assert_allclose(at_training, snapshots.u, atol=1e-4 * np.abs(snapshots.u).max())
        fresh = BOX.from_unit(np.random.default_rng(1).random((100, 2)))
        errors.append(
            np.linalg.norm(gp.basis.lift(gp.predict(fresh).coefficients) - field(fresh))
            / np.linalg.norm(field(fresh))
        )
    assert errors[1] < 0.2 * errors[0] and errors[1] < 1e-3


def test_field_deviation_has_the_truncated_modes():
    mus = sobol(BOX, 64)
    snapshots = Snapshots(euclidean(50), mus, field(mus))
    fresh = BOX.from_unit(np.random.default_rng(1).random((200, 2)))
    basis = pod(snapshots, rank=2)[0]
    gp = field_gp(snapshots, basis, BOX, calibrate=False)
    mean, std = gp.field(fresh)
    missed = field(fresh) - mean
    assert basis.error > 1e-3 and np.all(gp.tail > 0)
    assert np.mean(std**2) == pytest.approx(np.mean(missed**2), rel=0.5)
    assert np.mean(np.abs(missed) < 2 * std) > 0.85
    bare = basis.spread(gp.predict(fresh).coefficient_std)
    assert np.mean(np.abs(missed) < 2 * bare) < 0.5, (
        "without the tail the intervals would be too narrow here"
    )
    one, deviation = gp.field(fresh[0])
    np.testing.assert_allclose(one, mean[:, 0], rtol=1e-8)
    np.testing.assert_allclose(deviation, std[:, 0], rtol=1e-6)


def test_samples_have_the_mean_and_the_deviation():
    _, gp = train(16)
    mu = np.array([0.3, 20.0])
    mean, std = gp.field(mu)
    draws = gp.samples(mu, 4000, rng=0)
    assert draws.shape == (4000, 50)
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=5 * std.max() / np.sqrt(4000))
    np.testing.assert_allclose(draws.std(axis=0), std, rtol=0.1)


def test_complex_fields():
    mus = sobol(BOX, 32)
    wave = lambda mus: field(mus) + 1j * field(mus)[::-1] * mus[:, 0]  # noqa: E731
    snapshots = Snapshots(euclidean(50), mus, wave(mus))
    gp = field_gp(snapshots, pod(snapshots, tol=1e-6)[0], BOX)
    fresh = BOX.from_unit(np.random.default_rng(1).random((20, 2)))
    answer = gp.predict(fresh)
    assert np.linalg.norm(gp.basis.lift(answer.coefficients) - wave(fresh)) < 1e-2 * np.linalg.norm(
        wave(fresh)
    )
    assert (
        answer.coefficient_std.dtype == float
        and answer.coefficient_std.shape == answer.coefficients.shape
    )


def test_standard_deviation_is_small_at_data_and_grows_between():
    snapshots, gp = train(16)
    at, away = (
        gp.predict(snapshots.mu).coefficient_std,
        gp.predict(BOX.from_unit(np.random.default_rng(0).random((50, 2)))).coefficient_std,
    )
    assert at.max(axis=1)[0] < 0.2 * away.max(axis=1)[0]


def test_refusals():
    snapshots, gp = train(8)
    with pytest.raises(OutsideBox, match="a = 2"):
        gp.predict(np.array([2.0, 5.0]))
    with pytest.raises(BadInput, match="distinct"):
        field_gp(
            Snapshots(snapshots.space, snapshots.mu[[0, 0, 1]], snapshots.u[:, :3]), gp.basis, BOX
        )
