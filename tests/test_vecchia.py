"""Laws of sparse inverse Cholesky factors of covariances."""

import numpy as np
import pytest

from rom.errors import BadInput
from rom.gp.kernels import Stationary
from rom.gp.orderings import earlier_neighbours, maximin_order
from rom.gp.sparse_factor import assemble_factor, ordered_factor
from rom.gp.spectral import spectral_mixture
from rom.gp.vecchia import VecchiaGP, fit_posterior, vecchia_gp
from rom.parameters import Box

X = np.random.default_rng(0).random((300, 2))
KERNEL = Stationary("matern32", [0.3, 0.5])


def factor(kernel, nugget, x, neighbours):
    """U with U U^T ~ (K + nugget I)^{-1}, dense, in the order of the points."""
    order, near, columns = ordered_factor(kernel, nugget, x, neighbours)
    U = np.zeros((len(x), len(x)))
    U[np.ix_(order, order)] = assemble_factor(near, columns).toarray()
    return U


def divergence(neighbours):
    """KL(N(0, K) | N(0, (U U^T)^{-1})) for K with a nugget."""
    K = KERNEL.matrix(X, X) + 1e-2 * np.eye(300)
    U = factor(KERNEL, 1e-2, X, neighbours)
    Q = U @ U.T
    return 0.5 * (np.trace(Q @ K) - 300 - np.linalg.slogdet(K)[1] - np.linalg.slogdet(Q)[1])


def test_with_all_neighbours_the_factor_is_exact():
    U = factor(KERNEL, 1e-2, X[:60], 59)
    K = KERNEL.matrix(X[:60], X[:60]) + 1e-2 * np.eye(60)
    np.testing.assert_allclose((U @ U.T) @ K, np.eye(60), atol=1e-9)
    assert -2 * np.log(U.diagonal()).sum() == pytest.approx(np.linalg.slogdet(K)[1], rel=1e-10)


def test_divergence_falls_with_neighbours():
    kl = [divergence(k) for k in (5, 15, 40)]
    assert kl[0] > 5 * kl[1] > 25 * kl[2] > 0


def test_columns_are_the_closed_form():
    U = factor(KERNEL, 1e-2, X[:50], 6)
    for i in range(50):
        S = U[:, i].nonzero()[0]
        M = KERNEL.matrix(X[S], X[S]) + 1e-2 * np.eye(S.size)
        e = (i == S).astype(float)
        column = np.linalg.solve(M, e)
        np.testing.assert_allclose(U[S, i], column / np.sqrt(column[i == S]), rtol=1e-9, atol=1e-12)


def test_maximin_order_is_a_permutation_with_falling_distances():
    order = maximin_order(X)
    assert sorted(order) == list(range(300))
    gaps = [np.min(np.linalg.norm(X[order[:i]] - X[order[i]], axis=1)) for i in range(1, 300)]
    assert np.mean(gaps[:20]) > 3 * np.mean(gaps[-50:])
    assert sorted(maximin_order(np.zeros((5, 2)))) == list(range(5)), (
        "repeated points are ordered too"
    )


def test_neighbours_are_the_nearest_earlier_ones():
    near = earlier_neighbours(X, 8)
    for i in (0, 3, 100, 299):
        d = np.linalg.norm(X[:i] - X[i], axis=1)
        held = near[i][near[i] >= 0]
        assert held.size == min(i, 8) and (held < i).all()
        if i <= 100:
            np.testing.assert_allclose(np.sort(d[held]), np.sort(d)[:8], rtol=1e-12)


def test_regression_of_twenty_thousand_points():
    gen = np.random.default_rng(1)
    x = gen.random((20_000, 2))
    f = lambda x: np.sin(12 * x[:, 0]) * np.cos(9 * x[:, 1])  # noqa: E731
    gp = vecchia_gp(x, f(x) + 0.1 * gen.standard_normal(len(x)), max_fit_points=300)
    z = gen.random((1000, 2))
    mean, std = gp.posterior(z)
    assert np.sqrt(np.mean((mean - f(z)) ** 2)) < 0.03
    assert 0.9 < np.mean(np.abs(mean - f(z)) < 1.96 * std) <= 1.0
    new = f(z) + 0.1 * gen.standard_normal(len(z))
    mean, std = gp.posterior(z, noise=True)
    assert 0.93 < np.mean(np.abs(mean - new) < 1.96 * std) < 0.97


def test_refusals():
    with pytest.raises(BadInput, match="finite"):
        vecchia_gp(X, np.zeros(3))
    with pytest.raises(BadInput, match="stationary"):
        factor(spectral_mixture(2, 2, 1.0), 1e-2, X, 5)


def test_prediction_with_all_neighbours_is_dense():
    gen = np.random.default_rng(2)
    x, fresh = X[:80], gen.random((20, 2))
    y = 3.0 + 2.0 * np.sin(5 * x[:, 0]) + 0.1 * gen.standard_normal(80)
    for nugget in (1e-2, 1e-8):
        order, belief, mean, variance = fit_posterior(KERNEL, nugget, x, y, 79)
        gp = VecchiaGP(
            Box(("a", "b"), [0, 0], [1, 1]), x[order], KERNEL, nugget, mean, variance, belief
        )
        guess, std = gp.posterior(fresh)
        K, C = KERNEL.matrix(x, x) + nugget * np.eye(80), KERNEL.matrix(fresh, x)
        one = np.linalg.solve(K, np.ones(80))
        level = one @ y / one.sum()
        weights = np.linalg.solve(K, y - level)
        size = (y - level) @ weights / 80
        assert mean == pytest.approx(level, rel=1e-6) and variance == pytest.approx(size, rel=1e-6)
        np.testing.assert_allclose(guess, level + C @ weights, atol=1e-4)
        np.testing.assert_allclose(
            std**2, size * (1 - np.sum(C * np.linalg.solve(K, C.T).T, axis=1)), rtol=1e-4
        )
