"""Laws of posteriors under other noise than Gaussian.

Exact for Gaussian noise, bounds below evidence by quadrature, exact gradients.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from rom.errors import BadInput
from rom.gp.dense_bound import NUGGET, Prior, dense_posterior, negative_elbo
from rom.gp.kernels import Stationary
from rom.gp.noises import NOISES, Observations, expected_density
from rom.gp.sparse_ascent import ascend_bound, bound_derivatives
from rom.gp.sparse_factor import assemble_factor, ordered_factor
from rom.gp.sparse_posterior import SparsePosterior
from rom.gp.triangles import incomplete_cholesky, restrict_pattern, triangular_solver
from rom.gp.variational import variational_gp

GEN = np.random.default_rng(0)
X, KERNEL = GEN.random((40, 2)), Stationary("matern32", np.array([0.4, 0.5]))
F = np.sin(5 * X[:, 0]) + X[:, 1]
Y = {
    "gaussian": F + 0.2 * GEN.standard_normal(40),
    "poisson": GEN.poisson(np.exp(F)).astype(float),
    "bernoulli": (GEN.random(40) < expit(2 * F)).astype(float),
    "student": F + 0.2 * GEN.standard_t(2, 40),
}
K = 1.3 * (KERNEL.matrix(X, X) + NUGGET * np.eye(40))
EVERY = np.arange(40)


def belief(noise, neighbours, scale=0.2):
    """A belief that starts from the dense optimum's mean and precisions."""
    q = dense_posterior(np.linalg.cholesky(K), 0.1, Observations(Y[noise], noise, scale))
    order, near, U = ordered_factor(KERNEL, NUGGET, X, neighbours)
    U = U / np.sqrt(1.3)
    V = incomplete_cholesky(near, U, np.maximum(q.lam[order], 0.0))
    return q, SparsePosterior(near, U, V, q.m[order], 0.1, noise, scale, Y[noise][order])


def log_evidence(covariance, y):
    """Of y ~ N(0.1, covariance + 0.04 I)."""
    A = covariance + 0.04 * np.eye(len(y))
    return (
        -0.5 * (y - 0.1) @ np.linalg.solve(A, y - 0.1) - 0.5 * np.linalg.slogdet(2 * np.pi * A)[1]
    )


@pytest.mark.parametrize("noise", NOISES)
def test_noise_densities_integrate_to_one_and_slopes_are_theirs(noise):
    f = np.array([-1.0, 0.3, 2.0])
    y = np.arange(200.0)[:, None] if noise == "poisson" else np.array([[0.0], [1.0]])
    step = 1.0
    if noise in ("gaussian", "student"):
        y, step = np.linspace(-2000, 2000, 2_000_001)[:, None], 0.002
    np.testing.assert_allclose(
        step * np.exp(NOISES[noise](y, f, 0.5)[0]).sum(axis=0), 1.0, rtol=1e-8
    )
    up, down = (NOISES[noise](y[:50], f + h, 0.5)[0] for h in (1e-5, -1e-5))
    np.testing.assert_allclose(
        NOISES[noise](y[:50], f, 0.5)[1], (up - down) / 2e-5, rtol=1e-4, atol=1e-6
    )


def test_gaussian_noise_gives_the_exact_posterior_and_its_likelihood():
    y, A = Y["gaussian"], K + 0.04 * np.eye(40)
    q, sparse = belief("gaussian", 39)
    np.testing.assert_allclose(q.m, 0.1 + K @ np.linalg.solve(A, y - 0.1), atol=1e-9)
    np.testing.assert_allclose(q.v, np.diag(K - K @ np.linalg.solve(A, K)), atol=1e-9)
    assert q.value == pytest.approx(log_evidence(K, y), rel=1e-9)
    assert sparse.elbo_terms(EVERY).sum() == pytest.approx(log_evidence(K, y), rel=1e-9), (
        "all neighbours"
    )


@pytest.mark.parametrize("noise", NOISES)
def test_gradient_of_the_largest_bound(noise):
    theta = np.array([*KERNEL.theta, np.log(1.3), 0.1, np.log(0.2)])

    def at(theta):
        prior = Prior(KERNEL.at(theta[:2]), np.exp(theta[2]), theta[3])
        return negative_elbo(prior, X, Observations(Y[noise], noise, np.exp(theta[4])))

    numeric = [(at(theta + 1e-4 * e)[0] - at(theta - 1e-4 * e)[0]) / 2e-4 for e in np.eye(5)]
    np.testing.assert_allclose(at(theta)[1], numeric, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("noise", ["poisson", "bernoulli", "student"])
def test_no_other_gaussian_has_a_larger_bound(noise):
    q, sparse = belief(noise, 39)
    gen = np.random.default_rng(1)
    if noise != "student":
        assert sparse.elbo_terms(EVERY).sum() == pytest.approx(q.value, rel=1e-9), (
            "with all neighbours the two are one"
        )
    for size in (1e-3, 1e-2):
        V = sparse.V * (1 + size * gen.standard_normal(sparse.V.shape))
        moved = replace(sparse, V=V, m=sparse.m + size * gen.standard_normal(40))
        assert moved.elbo_terms(EVERY).sum() < q.value


@pytest.mark.parametrize("noise", ["poisson", "bernoulli", "student"])
def test_two_points_against_quadrature(noise):
    y = Y[noise][:2]
    q = dense_posterior(np.linalg.cholesky(K[:2, :2]), 0.1, Observations(y, noise, 0.5))
    g = np.linspace(-8, 8, 1601)
    f = np.stack(np.meshgrid(g, g, indexing="ij"), axis=-1)
    P = np.linalg.inv(K[:2, :2])
    log_y = NOISES[noise](y[0], g, 0.5)[0][:, None] + NOISES[noise](y[1], g, 0.5)[0]
    log_f = (
        log_y
        - 0.5 * np.einsum("abi,ij,abj->ab", f - 0.1, P, f - 0.1)
        + 0.5 * np.linalg.slogdet(P / (2 * np.pi))[1]
    )
    weight = np.exp(log_f)
    evidence = np.log(weight.sum() * 1e-4)
    assert evidence - 0.05 < q.value <= evidence
    mean = np.einsum("ab,abi->i", weight, f) / weight.sum()
    spread = np.sqrt(np.einsum("ab,abi->i", weight, (f - mean) ** 2) / weight.sum())
    np.testing.assert_allclose(q.m, mean, atol=0.1 * spread.max())
    np.testing.assert_allclose(np.sqrt(q.v), spread, rtol=0.1)


@pytest.mark.parametrize("noise", NOISES)
def test_the_sparse_bound_rises_to_where_it_is_stationary(noise):
    start, gen = belief(noise, 7)[1], np.random.default_rng(2)
    assert bound_derivatives(start, EVERY).value == pytest.approx(
        start.elbo_terms(EVERY).sum(), rel=1e-12
    )
    assert start.elbo_terms(EVERY[::-1]).sum() == pytest.approx(
        start.elbo_terms(EVERY).sum(), rel=1e-12
    )
    best, value = ascend_bound(start, 60)
    assert value > start.elbo_terms(EVERY).sum() and value == pytest.approx(
        best.elbo_terms(EVERY).sum(), rel=1e-12
    )
    for size in (3e-3, 3e-2):
        for _ in range(5):
            V = best.V * (1 + size * gen.standard_normal(best.V.shape))
            assert (
                replace(best, V=V, m=best.m + 0.1 * size * gen.standard_normal(40))
                .elbo_terms(EVERY)
                .sum()
                < value
            )


def test_a_sparse_bound_stays_below_the_evidence_of_its_prior():
    sparse = belief("gaussian", 7)[1]
    U = assemble_factor(sparse.near, sparse.U).toarray()
    evidence = log_evidence(np.linalg.inv(U @ U.T), sparse.y)
    value = ascend_bound(sparse, 20)[1]
    assert sparse.elbo_terms(EVERY).sum() < value < evidence < value + 0.3


def test_an_incomplete_factor_with_the_whole_pattern_is_complete():
    _, near, U = ordered_factor(KERNEL, NUGGET, X, 39)
    lam = np.random.default_rng(3).random(40)
    V, U = (
        assemble_factor(near, part).toarray() for part in (incomplete_cholesky(near, U, lam), U)
    )
    np.testing.assert_allclose(V @ V.T, U @ U.T + np.diag(lam), atol=1e-9 * np.abs(U @ U.T).max())


def test_ancestors_solve_alone():
    sparse = belief("poisson", 5)[1]
    some = np.array([17, 33, 39])
    kept, pattern = restrict_pattern(sparse.near, some, 40)
    unit = np.eye(40)[:, some]
    whole = triangular_solver(sparse.near, sparse.V).solve(unit)
    np.testing.assert_allclose(
        triangular_solver(pattern, sparse.V[kept]).solve(unit[kept]),
        whole[kept],
        rtol=1e-12,
        atol=1e-14,
    )
    assert not whole[np.setdiff1d(EVERY, kept)].any()
    kept, pattern = restrict_pattern(sparse.near, some, 3)
    few = np.sum(triangular_solver(pattern, sparse.V[kept]).solve(unit[kept]) ** 2, axis=0)
    np.testing.assert_allclose(few, np.sum(whole**2, axis=0), rtol=1e-3)


def test_counts_are_regressed_with_few_neighbours():
    gen = np.random.default_rng(3)
    x, fresh = gen.random((1500, 2)), gen.random((300, 2))
    rate = lambda x: np.exp(np.sin(6 * x[:, 0]) + x[:, 1])  # noqa: E731
    gp = variational_gp(
        x, gen.poisson(rate(x)).astype(float), "poisson", neighbours=20, max_fit_points=80, steps=1
    )
    mean, std = gp.posterior(fresh)
    assert np.sqrt(np.mean((mean - np.log(rate(fresh))) ** 2)) < 0.2
    assert np.mean(np.abs(mean - np.log(rate(fresh))) < 1.96 * std) > 0.9
    assert np.linalg.norm(gp.mean_response(fresh) - rate(fresh)) < 0.15 * np.linalg.norm(
        rate(fresh)
    )


def test_outliers_hardly_count_under_students_noise():
    gen = np.random.default_rng(4)
    x, fresh = gen.random((600, 2)), gen.random((300, 2))
    truth = lambda x: np.sin(6 * x[:, 0]) + x[:, 1]  # noqa: E731
    y = truth(x) + 0.1 * gen.standard_normal(600)
    y[::10] += 10 * gen.standard_normal(60)
    errors, bounds = [], []
    for noise in ("student", "gaussian"):
        gp = variational_gp(x, y, noise, neighbours=15, max_fit_points=100, steps=0)
        mean, std = gp.posterior(fresh)
        errors.append(np.sqrt(np.mean((mean - truth(fresh)) ** 2)))
        bounds.append(gp.elbo)
        assert np.mean(np.abs(mean - truth(fresh)) < 1.96 * std) > 0.9
    assert errors[0] < 0.2 * errors[1] and bounds[0] > bounds[1]


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


def test_smoothing_over_nothing_is_the_density():
    y, f = Y["student"], F
    e, slope, _ = expected_density(Observations(y, "student", 0.2), f, np.zeros(40))
    np.testing.assert_allclose((e, slope), NOISES["student"](y, f, 0.2), rtol=1e-12)
