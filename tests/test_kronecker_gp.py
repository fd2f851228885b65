"""Laws of Gaussian processes on grids, against dense algebra of all cells.

Missing cells, where plain iterations fail.
"""

import pickle

import numpy as np
import pytest

from rom.errors import BadInput, NotConverged
from rom.gp.kernels import Stationary
from rom.gp.kronecker import kronecker_gp
from rom.gp.kronecker_likelihood import grid_likelihood
from rom.gp.missing import Preconditioner, missing_preconditioner, solve_missing
from rom.gp.spectral import initial_lines, spectral_mixture
from rom.gp.tensors import apply_along, eigen, outer

GEN = np.random.default_rng(0)
AXES = [np.linspace(0, 1, 6)[:, None], GEN.random((5, 2)), np.linspace(0, 1, 4)[:, None] ** 2]
KERNELS = [
    Stationary("matern52", [0.4]),
    Stationary("rbf", [0.5, 0.9]),
    spectral_mixture(1, 2, 2.0),
]
Y = GEN.standard_normal((6, 5, 4))


def dense(kernels, x):
    K = np.ones((1, 1))
    for k, z in zip(kernels, x, strict=True):
        K = np.kron(K, k.matrix(z, z))
    return K


@pytest.mark.parametrize("d", [1, 2, 3])
def test_likelihood_is_dense_and_its_gradient_exact(d):
    kernels, x, y, nugget = (
        KERNELS[:d],
        AXES[:d],
        Y.reshape(6, 5, 4)[(slice(None),) * d + (0,) * (3 - d)],
        1e-2,
    )
    value, slope = grid_likelihood(kernels, nugget, x, y)
    K = dense(kernels, x) + nugget * np.eye(y.size)
    Kinv, one = np.linalg.inv(K), np.ones(y.size)
    gap = y.ravel() - one * (one @ Kinv @ y.ravel()) / (one @ Kinv @ one)
    naive = 0.5 * (y.size * np.log(gap @ Kinv @ gap / y.size) + np.linalg.slogdet(K)[1])
    assert value == pytest.approx(naive, rel=1e-9)
    v = np.random.default_rng(1).standard_normal(len(slope))

    def at(h):
        parts = np.split(h * v[:-1], np.cumsum([len(k.theta) for k in kernels])[:-1])
        moved = [k.at(k.theta + part) for k, part in zip(kernels, parts, strict=True)]
        return grid_likelihood(moved, nugget * np.exp(h * v[-1]), x, y)[0]

    numeric = (
        sum(c * (at(k * 2e-3) - at(-k * 2e-3)) for k, c in ((1, 0.75), (2, -0.15), (3, 1 / 60)))
        / 2e-3
    )
    assert slope @ v == pytest.approx(numeric, rel=1e-8)


@pytest.mark.parametrize("missing", [False, True])
def test_posterior_is_dense_conditioning(missing):
    seen = (
        np.random.default_rng(2).random(Y.shape) > 0.3 if missing else np.ones(Y.shape, dtype=bool)
    )
    y = np.where(seen, Y, np.nan)
    gp = kronecker_gp(AXES, y, KERNELS, noise=1e-2, observed=seen if missing else None, fit=False)
    fresh = [np.array([[0.33], [0.9]]), np.array([[0.5, 0.5]]), np.array([[0.2], [0.7], [0.8]])]
    mean, std = gp.posterior(*fresh)
    units = gp._units
    new = [(z - a) / w for z, a, w in zip(fresh, gp.low, gp.width, strict=True)]
    cross = np.ones((1, 1))
    for k, z, x in zip(gp.kernels, new, units, strict=True):
        cross = np.kron(cross, k.matrix(z, x))
    keep = seen.ravel()
    K = (dense(gp.kernels, units) + 1e-2 * np.eye(Y.size))[np.ix_(keep, keep)]
    cross, values, one = cross[:, keep], Y.ravel()[keep], np.ones(keep.sum())
    level = one @ np.linalg.solve(K, values) / (one @ np.linalg.solve(K, one))
    w = np.linalg.solve(K, values - level)
    variance = (values - level) @ w / keep.sum()
    assert gp.mean == pytest.approx(level, rel=1e-7) and gp.variance == pytest.approx(
        variance, rel=1e-6
    )
    np.testing.assert_allclose(
        mean.ravel(),
        level + cross @ w,
        rtol=1e-6 if missing else 1e-9,
        atol=1e-7 if missing else 1e-10,
    )
    left = 1 - np.sum(cross * np.linalg.solve(K, cross.T).T, axis=1)
    np.testing.assert_allclose(std.ravel() ** 2, variance * left, rtol=1e-5 if missing else 1e-8)
    points = np.array([[0.33, 0.5, 0.5, 0.2], [0.9, 0.5, 0.5, 0.8]])
    np.testing.assert_allclose(gp.at(points), [mean[0, 0, 0], mean[1, 0, 2]], rtol=1e-9)


def test_leave_one_out_is_leaving_one_out():
    gp = kronecker_gp(AXES, Y, KERNELS, noise=1e-2, fit=False)
    residual, std = gp.leave_one_out()
    K = dense(gp.kernels, gp._units) + 1e-2 * np.eye(Y.size)
    for i in (0, 57):
        keep = np.delete(np.arange(Y.size), i)
        w = np.linalg.solve(
            K[np.ix_(keep, keep)], np.column_stack([Y.ravel()[keep] - gp.mean, K[keep, i]])
        )
        assert residual.ravel()[i] == pytest.approx(
            Y.ravel()[i] - gp.mean - K[i, keep] @ w[:, 0], rel=1e-9
        )
        assert std.ravel()[i] ** 2 == pytest.approx(
            gp.variance * (K[i, i] - K[i, keep] @ w[:, 1]), rel=1e-9
        )


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_whole_points_of_an_axis_are_left_out(axis):
    gp = kronecker_gp(AXES, Y, KERNELS, noise=1e-2, fit=False)
    residual, std = gp.leave_one_out(axis)
    K, cells = (
        dense(gp.kernels, gp._units) + 1e-2 * np.eye(Y.size),
        np.arange(Y.size).reshape(Y.shape),
    )
    for i in (0, Y.shape[axis] - 1):
        out, keep = cells.take(i, axis).ravel(), np.delete(cells, i, axis).ravel()
        w = np.linalg.solve(
            K[np.ix_(keep, keep)],
            np.column_stack([Y.ravel()[keep] - gp.mean, K[np.ix_(keep, out)]]),
        )
        gap = Y.ravel()[out] - gp.mean - K[np.ix_(out, keep)] @ w[:, 0]
        left = np.diag(K)[out] - np.sum(K[np.ix_(keep, out)] * w[:, 1:], axis=0)
        np.testing.assert_allclose(residual.take(i, axis).ravel(), gap, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(std.take(i, axis).ravel() ** 2, gp.variance * left, rtol=1e-9)


def test_frequencies_of_the_data_are_heard():
    t = np.linspace(0, 1, 120)[:, None]
    phase = np.random.default_rng(8).uniform(0, 6, (2, 5))
    kernel = initial_lines(
        np.sin(2 * np.pi * 7 * t + phase[0]) + 0.5 * np.sin(2 * np.pi * 23 * t + phase[1]), 2
    )
    np.testing.assert_allclose(kernel.frequencies[:, 0], [7, 23], atol=0.3)
    np.testing.assert_allclose(kernel.weights, [0.8, 0.2], atol=0.05)
    with pytest.raises(BadInput, match="eight"):
        initial_lines(t[:5], 2)


@pytest.mark.parametrize("missing", [False, True])
def test_samples_have_the_posterior_mean_and_deviation(missing):
    seen = np.random.default_rng(3).random(Y.shape) > 0.4 if missing else None
    gp = kronecker_gp(AXES, Y, KERNELS, noise=0.1, observed=seen, fit=False)
    fresh = [np.array([0.2, 0.8]), np.array([[0.5, 0.4]]), np.array([0.5])]
    mean, std = gp.posterior(*fresh)
    draws = gp.samples(*fresh, count=1500, rng=1)
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=5 * std.max() / np.sqrt(1500))
    np.testing.assert_allclose(draws.std(axis=0), std, rtol=0.1)


@pytest.mark.parametrize("n", [32, 33, 90])
def test_symmetric_grids_have_the_same_eigenpairs(n):
    x = np.cos(np.pi * np.arange(n) / (n - 1))[:, None]
    for points in (
        x,
        np.linspace(0, 3, n)[:, None],
        np.sort(np.random.default_rng(4).random((n, 1)), axis=0),
    ):
        K = Stationary("matern32", [0.3]).matrix(points, points)
        w, V = eigen(K)
        np.testing.assert_allclose((V * w) @ V.T, K, atol=1e-13)
        np.testing.assert_allclose(V.T @ V, np.eye(n), atol=1e-13)
        np.testing.assert_allclose(np.sort(w), np.linalg.eigvalsh(K), atol=1e-12)


def test_tensor_algebra_is_kron():
    gen = np.random.default_rng(5)
    M, U = [gen.random((3, 4)), gen.random((2, 5)), gen.random((6, 2))], gen.random((4, 5, 2))
    np.testing.assert_allclose(
        apply_along(M, U).ravel(), np.kron(np.kron(M[0], M[1]), M[2]) @ U.ravel(), rtol=1e-12
    )
    np.testing.assert_allclose(outer([U[:, 0, 0], U[0, :, 0]]), np.outer(U[:, 0, 0], U[0, :, 0]))


def grid(n, nugget, missing, rng=0):
    gen = np.random.default_rng(rng)
    x = np.linspace(0, 1, n)[:, None]
    K = [Stationary("matern52", [0.2]).matrix(x, x), Stationary("matern52", [0.3]).matrix(x, x)]
    seen = gen.random((n, n)) > missing
    return (
        K,
        nugget,
        seen,
        np.where(seen, np.sin(9 * x) * np.cos(7 * x.T) + 0.05 * gen.standard_normal((n, n)), 0.0),
    )


@pytest.mark.parametrize("missing", [0.02, 0.3, 0.7])
@pytest.mark.parametrize("nugget", [2.5e-3, 1e-5])
def test_missing_cells_need_few_iterations_whatever_is_missing(nugget, missing):
    K, nugget, seen, b = grid(64, nugget, missing)
    held = missing_preconditioner(K, nugget, seen)
    x, steps = solve_missing(held, b)
    assert steps <= 8
    np.testing.assert_allclose(held.forward(x), b, atol=1e-8 * np.linalg.norm(b))
    assert np.all(x[~seen] == 0)


def test_a_block_of_missing_cells_is_no_harder_than_scattered_ones():
    K, nugget, seen, b = grid(64, 1e-4, 0.0)
    seen[20:50, 10:60] = False
    assert solve_missing(missing_preconditioner(K, nugget, seen), b * seen)[1] <= 8


def test_plain_iterations_fail_where_the_preconditioner_works():
    K, nugget, seen, b = grid(64, 1e-5, 0.3)
    held = missing_preconditioner(K, nugget, seen)
    none = np.empty(0)
    plain = Preconditioner(
        held.K, held.V, (none.astype(int),) * 2, none, np.zeros((0, 0)), nugget, seen
    )
    with pytest.raises(NotConverged, match="2000 iterations"):
        solve_missing(plain, b, tol=1e-6)
    few = missing_preconditioner(K, nugget, seen, max_rank=200)
    assert solve_missing(held, b)[1] < solve_missing(few, b)[1] < 2000


def test_condition_is_bounded_by_what_is_left_out():
    K, nugget, seen, _ = grid(16, 1e-3, 0.3)
    held = missing_preconditioner(K, nugget, seen)
    where = np.argwhere(seen)
    columns = []
    for cell in where:
        e = np.zeros(seen.shape)
        e[tuple(cell)] = 1.0
        columns.append(held.apply(held.forward(e))[seen])
    w = np.linalg.eigvals(np.array(columns).T).real
    assert w.min() > 1 - 1e-6 and w.max() < 1.1 + 1e-6


def test_fit_finds_noise_and_interpolates_with_a_scattered_parameter_axis():
    gen = np.random.default_rng(6)
    x, mu = np.linspace(0, 2, 40), gen.random((25, 2))

    def f(x, mu):
        return np.sin(3 * x[:, None] * (1 + 0.3 * mu[:, 0])) + mu[:, 1] ** 2

    y = f(x, mu) + 0.02 * gen.standard_normal((40, 25))
    gp = kronecker_gp([x, mu], y)
    assert gp.noise == pytest.approx(0.02, rel=0.15)
    x2, mu2 = np.linspace(0.1, 1.9, 30), 0.1 + 0.8 * gen.random((20, 2))
    mean, std = gp.posterior(x2, mu2)
    missed = np.abs(mean - f(x2, mu2))
    assert missed.max() < 0.2 and np.sqrt(np.mean(missed**2)) < 0.03
    assert 0.85 < np.mean(missed < 1.96 * std) <= 1.0
    seen = gen.random(y.shape) > 0.3
    part = kronecker_gp([x, mu], np.where(seen, y, np.nan), observed=seen, max_fit_cells=400)
    assert part.noise == pytest.approx(0.02, rel=0.3)
    assert np.sqrt(np.mean((part.posterior(x2, mu2, std=False)[0] - f(x2, mu2)) ** 2)) < 0.04


def test_refusals():
    with pytest.raises(BadInput, match="axes of"):
        kronecker_gp([np.arange(3.0), np.arange(4.0)], np.zeros((4, 3)))
    with pytest.raises(BadInput, match="NaN"):
        kronecker_gp([np.arange(3.0), np.arange(4.0)], np.full((3, 4), np.nan))
    with pytest.raises(BadInput, match="observed"):
        kronecker_gp(
            [np.arange(3.0), np.arange(4.0)],
            np.zeros((3, 4)),
            observed=np.zeros((3, 4), dtype=bool),
        )
    seen = np.arange(12).reshape(3, 4) > 3
    gp = kronecker_gp([np.arange(3.0), np.arange(4.0)], np.eye(3, 4), observed=seen, fit=False)
    with pytest.raises(BadInput, match="complete grid"):
        gp.leave_one_out()
    with pytest.raises(BadInput, match="2 axes"):
        gp.posterior(np.arange(3.0))


SMOOTH = {
    "waves": lambda x, y: np.sin(3 * x) * np.cos(2 * y),
    "hill": lambda x, y: 1 / (1 + 4 * (x - 0.4) ** 2 + 3 * (y - 0.6) ** 2),
    "decay": lambda x, y: np.exp(-2 * x * y) + 0.3 * y,
    "front": lambda x, y: np.tanh(4 * (x + y - 1)),
    "cubic": lambda x, y: x**3 - 2 * x * y**2 + y,
}


def hidden(kind, shape):
    mask = np.zeros(shape, dtype=bool)
    if kind == "scattered":
        mask |= np.random.default_rng(1).random(shape) < 0.2
    elif kind == "inner slab":
        mask[5:7] = True
    else:
        mask[-2:] = True
    return mask


@pytest.mark.parametrize("kind", ["scattered", "inner slab", "end slab"])
@pytest.mark.parametrize("field", SMOOTH)
def test_deviations_of_hidden_cells_of_smooth_fields_hold_and_never_vanish(field, kind):
    x, y = np.linspace(0, 1, 12), np.linspace(0, 1, 14)
    truth = SMOOTH[field](x[:, None], y)
    out = hidden(kind, truth.shape)
    gp = kronecker_gp([x, y], np.where(out, np.nan, truth), observed=~out)
    mean, std = gp.posterior(x, y)
    assert np.all(std[out] > 0)
    assert np.mean(np.abs(mean - truth)[out] <= 1.96 * std[out]) >= 0.85
    if kind == "end slab":
        return
    keep = ~out.ravel()
    K = dense(gp.kernels, gp._units)
    L = np.linalg.cholesky(K[np.ix_(keep, keep)] + gp.nugget * np.eye(keep.sum()))
    left = 1 - np.sum(np.linalg.solve(L, K[np.ix_(keep, ~keep)]) ** 2, axis=0)
    np.testing.assert_allclose(std[out], np.sqrt(gp.variance * left), rtol=0.1)


def test_a_process_that_was_asked_beyond_its_ends_can_be_sent_to_a_worker():
    x = np.linspace(0.0, 1.0, 9)
    gp = kronecker_gp([x, x], np.sin(3 * x)[:, None] * np.cos(x))
    before = len(pickle.dumps(gp))
    gp.posterior(np.array([1.2]), x)
    assert len(pickle.dumps(gp)) >= before
