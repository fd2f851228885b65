"""Laws of posteriors under other noise than Gaussian: exact for Gaussian noise, stationary bounds, quadrature on two points."""

import numpy as np
import pytest
from scipy.special import expit

from rom.errors import BadInput
from rom.regress.kernels import Stationary
from rom.regress.variational import NUGGET, bound, posterior, smoothed, variational_gp

GEN = np.random.default_rng(0)
X, KERNEL = GEN.random((40, 2)), Stationary("matern32", np.array([0.4, 0.5]))
F = np.sin(5 * X[:, 0]) + X[:, 1]
Y = {
    "gaussian": F + 0.2 * GEN.standard_normal(40),
    "poisson": GEN.poisson(np.exp(F)).astype(float),
    "bernoulli": (GEN.random(40) < expit(2 * F)).astype(float),
    "student": F + 0.2 * GEN.standard_t(4, 40),
}
K = 1.3 * (KERNEL.matrix(X, X) + NUGGET * np.eye(40))


def test_gaussian_noise_gives_the_exact_posterior_and_its_likelihood():
    m, lam = posterior(KERNEL, 1.3, 0.1, "gaussian", 0.2, X, Y["gaussian"], 40)
    A, gap = K + 0.04 * np.eye(40), Y["gaussian"] - 0.1
    np.testing.assert_allclose(m, 0.1 + K @ np.linalg.solve(A, gap), atol=1e-6)
    np.testing.assert_allclose(lam, 25.0, rtol=1e-10)
    log_p = -0.5 * gap @ np.linalg.solve(A, gap) - 0.5 * np.linalg.slogdet(2 * np.pi * A)[1]
    assert bound(KERNEL, 1.3, 0.1, "gaussian", 0.2, X, Y["gaussian"])[0] == pytest.approx(-log_p, rel=1e-9)


@pytest.mark.parametrize("noise", ["poisson", "bernoulli"])
def test_with_all_neighbours_the_bound_is_stationary(noise):
    m, lam = posterior(KERNEL, 1.3, 0.1, noise, 1.0, X, Y[noise], 40)
    S = np.linalg.inv(np.linalg.inv(K) + np.diag(lam))
    _, slope, bend = smoothed(noise, 1.0, Y[noise], m, np.diag(S))
    np.testing.assert_allclose(K @ slope, m - 0.1, atol=2.0 * NUGGET * np.abs(K).sum(axis=1).max() * np.abs(slope).max())
    np.testing.assert_allclose(lam, bend, rtol=1e-4)


@pytest.mark.parametrize("noise", ["gaussian", "poisson", "bernoulli"])
def test_gradient_of_the_bound(noise):
    theta = np.array([*KERNEL.theta, np.log(1.3), 0.1, np.log(0.2)])

    def at(theta):
        return bound(KERNEL.at(theta[:2]), np.exp(theta[2]), theta[3], noise, np.exp(theta[4]), X, Y[noise])

    numeric = [(at(theta + 1e-4 * e)[0] - at(theta - 1e-4 * e)[0]) / 2e-4 for e in np.eye(5)]
    np.testing.assert_allclose(at(theta)[1], numeric, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("noise", ["poisson", "bernoulli", "student"])
def test_two_points_against_quadrature(noise):
    x, y = X[:2], Y[noise][:2]
    m, _ = posterior(KERNEL, 1.3, 0.1, noise, 0.5, x, y, 2)
    g = np.linspace(-6, 6, 1201)
    f = np.stack(np.meshgrid(g, g, indexing="ij"), axis=-1)
    P = np.linalg.inv(K[:2, :2])
    flat = np.zeros(1)
    log_y = sum(smoothed(noise, 0.5, np.full(g.size, y[i]), g, flat)[0].reshape([-1, 1] if i == 0 else [1, -1]) for i in range(2))
    log_f = log_y - 0.5 * np.einsum("abi,ij,abj->ab", f - 0.1, P, f - 0.1)
    weight = np.exp(log_f - log_f.max())
    mean = np.einsum("ab,abi->i", weight, f) / weight.sum()
    spread = np.sqrt(np.einsum("ab,abi->i", weight, (f - mean) ** 2) / weight.sum())
    np.testing.assert_allclose(m, mean, atol=0.1 * spread.max())


def test_counts_are_regressed_with_few_neighbours():
    gen = np.random.default_rng(3)
    x, fresh = gen.random((1500, 2)), gen.random((300, 2))
    rate = lambda x: np.exp(np.sin(6 * x[:, 0]) + x[:, 1])  # noqa: E731
    gp = variational_gp(x, gen.poisson(rate(x)).astype(float), "poisson", neighbours=20, most=80)
    mean, std = gp.predict(fresh)
    assert np.sqrt(np.mean((mean - np.log(rate(fresh))) ** 2)) < 0.2
    assert np.mean(np.abs(mean - np.log(rate(fresh))) < 1.96 * std) > 0.9
    assert np.linalg.norm(gp.expected(fresh) - rate(fresh)) < 0.15 * np.linalg.norm(rate(fresh))


def test_refusals():
    for noise, y, match in (
        ("poisson", -np.ones(40), "counts"),
        ("bernoulli", 2 * np.ones(40), "{0, 1}"),
        ("gamma", F, "no noise"),
    ):
        with pytest.raises(BadInput, match=match):
            variational_gp(X, y, noise)
    with pytest.raises(BadInput, match="finite"):
        variational_gp(X, F[:3], "gaussian")
