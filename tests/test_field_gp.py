"""Laws of the regression of coefficients."""

import numpy as np
import pytest

from rom.compress.pod import pod
from rom.errors import BadInput, OutsideBox
from rom.parameters import Box
from rom.regress.field_gp import field_gp
from rom.sample.designs import sobol
from rom.snapshots import Snapshots
from rom.space import euclidean

BOX = Box(("a", "b"), [0.0, 1.0], [1.0, 100.0], ("1", "Pa"), ("linear", "log"))


def field(mus):
    x = np.linspace(0, 1, 50)[:, None]
    return np.exp(-mus[:, 0] * x) * np.log(mus[:, 1]) + np.sin(3 * x * mus[:, 0])


def trained(m=32):
    mus = sobol(BOX, m)
    snapshots = Snapshots(euclidean(50), mus, field(mus))
    return snapshots, field_gp(snapshots, pod(snapshots, tol=1e-7)[0], BOX)


def test_interpolates_smooth_noise_free_data_and_converges():
    errors = []
    for m in (16, 64):
        snapshots, gp = trained(m)
        at_training = gp.basis.lift(gp.predict(snapshots.mu).coefficients)
        np.testing.assert_allclose(at_training, snapshots.u, atol=1e-4 * np.abs(snapshots.u).max())
        fresh = BOX.from_unit(np.random.default_rng(1).random((100, 2)))
        errors.append(np.linalg.norm(gp.basis.lift(gp.predict(fresh).coefficients) - field(fresh)) / np.linalg.norm(field(fresh)))
    assert errors[1] < 0.2 * errors[0] and errors[1] < 1e-3


def test_leave_one_out_is_leaving_one_out():
    snapshots, gp = trained(16)
    a, closed = gp.basis.coefficients(snapshots.u).T, gp.leave_one_out()
    K = gp.factor @ gp.factor.T
    for i in (0, 7):
        keep = np.delete(np.arange(16), i)
        guess = gp.mean + K[i, keep] @ np.linalg.solve(K[np.ix_(keep, keep)], a[keep] - gp.mean)
        np.testing.assert_allclose(closed[i], a[i] - guess, rtol=1e-5, atol=1e-8)


def test_standard_deviation_is_small_at_data_and_grows_between():
    snapshots, gp = trained(16)
    at, away = gp.predict(snapshots.mu).std, gp.predict(BOX.from_unit(np.random.default_rng(0).random((50, 2)))).std
    assert at.max(axis=1)[0] < 0.2 * away.max(axis=1)[0]


def test_refusals():
    snapshots, gp = trained(8)
    with pytest.raises(OutsideBox, match="a = 2"):
        gp.predict(np.array([2.0, 5.0]))
    with pytest.raises(BadInput, match="distinct"):
        field_gp(Snapshots(snapshots.space, snapshots.mu[[0, 0, 1]], snapshots.u[:, :3]), gp.basis, BOX)
