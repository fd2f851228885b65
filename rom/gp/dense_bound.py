"""The largest evidence lower bound of few points under noise of any kind, by natural gradients, and its gradient in the kernel.

ELBO = sum_i E_q log p(y_i | f_i) - KL(q | N(mean, K)). Its maximum over Gaussians q has precision K^{-1} + diag(lam), lam_i = -2 dE/dv_i,
and K^{-1} (m - mean) = dE/dm. lam may be negative where noise is heavy-tailed. References: Opper, Archambeau (2009); Khan, Lin (2017).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg as la

from rom.errors import NotConverged, Singular
from rom.gp.algebra import cholesky
from rom.gp.descent import descend, start_descent
from rom.gp.kernels import Stationary
from rom.gp.noises import expected_density

NUGGET = 1e-6


@dataclass(frozen=True, eq=False)
class DensePosterior:
    """q = N(m, S), S = (K^{-1} + diag lam)^{-1} with diagonal v, and its ELBO `value`; a = K^{-1} (m - mean)."""

    m: np.ndarray
    v: np.ndarray
    S: np.ndarray
    a: np.ndarray
    lam: np.ndarray
    value: float


def posterior_of_naturals(
    L: np.ndarray,
    mean: float,
    b: np.ndarray,
    lam: np.ndarray,
    noise: str,
    scale: float,
    y: np.ndarray,
) -> DensePosterior | None:
    """The belief of natural parameters b, lam (precision times m is K^{-1} mean + b), K = L L^T; None where its precision is not definite.

    With B = I + L^T diag(lam) L: S = L B^{-1} L^T, KL = 1/2 (tr B^{-1} - n + |L^{-1} (m - mean)|^2 + log |B|).
    """
    n = len(y)
    R, info = la.lapack.dpotrf(np.eye(n) + (L.T * lam) @ L, lower=1)
    if info:
        return None
    half = la.solve_triangular(R, L.T, lower=True, check_finite=False)
    inner = la.cho_solve((R, True), L.T @ (b - lam * mean), check_finite=False)
    m, S = mean + L @ inner, half.T @ half
    v = np.maximum(S.diagonal(), 1e-300)
    trace = float(np.sum(la.solve_triangular(R, np.eye(n), lower=True, check_finite=False) ** 2))
    divergence = 0.5 * (trace - n + inner @ inner) + float(np.log(R.diagonal()).sum())
    value = float(expected_density(noise, scale, y, m, v)[0].sum()) - divergence
    return DensePosterior(
        m, v, S, la.solve_triangular(L, inner, lower=True, trans=1, check_finite=False), lam, value
    )


def dense_posterior(
    L: np.ndarray, mean: float, noise: str, scale: float, y: np.ndarray, most: int = 500
) -> DensePosterior:
    """The belief of largest ELBO: natural-gradient steps, halved until the bound rises. Raises NotConverged."""
    b, lam, rate = np.zeros(len(y)), np.zeros(len(y)), 1.0
    now = posterior_of_naturals(L, mean, b, lam, noise, scale, y)
    change, size = np.inf, np.sqrt(np.sum(L**2, axis=1))
    for _ in range(most):
        _, slope, bend = expected_density(noise, scale, y, now.m, now.v)  # type: ignore[union-attr]
        to_b, to_lam = slope + bend * now.m - b, bend - lam  # type: ignore[union-attr]
        further = posterior_of_naturals(
            L, mean, b + rate * to_b, lam + rate * to_lam, noise, scale, y
        )
        if further is None or not further.value >= now.value - 1e-11 * (1.0 + abs(now.value)):  # type: ignore[union-attr]
            rate *= 0.5
            if rate < 1e-10:
                break
            continue
        b, lam = b + rate * to_b, lam + rate * to_lam
        change = max(
            np.abs((further.m - now.m) / size).max(),
            np.abs((np.sqrt(further.v) - np.sqrt(now.v)) / size).max(),
        )  # type: ignore[union-attr]
        now = further
        if change < 1e-9 * rate:
            return now
        rate = min(1.0, 2.0 * rate)
    raise NotConverged(
        f"the bound still moves f by {change:.1e} standard deviations; look for outliers, or rescale y"
    )


def bound(
    kernel: Stationary,
    variance: float,
    mean: float,
    noise: str,
    scale: float,
    x: np.ndarray,
    y: np.ndarray,
) -> tuple[float, np.ndarray]:
    """(-ELBO, gradient in log lengths, log variance, mean, log scale) at its maximum over q; dense, n^3 per step.

    With C = (K + diag(1/lam))^{-1} = diag(lam) - diag(lam) S diag(lam) the gradient in the kernel is 1/2 <C - a a^T, dK>.
    """
    k, pull = kernel.pullback(x)
    K = variance * (k + NUGGET * np.eye(len(x)))
    q = dense_posterior(np.tril(cholesky(K)[0]), mean, noise, scale, y)
    W = np.diag(q.lam) - q.lam[:, None] * q.S * q.lam - np.outer(q.a, q.a)
    h = 1e-4
    up, down = (
        float(expected_density(noise, scale * np.exp(s), y, q.m, q.v)[0].sum()) for s in (h, -h)
    )
    slope = [
        *(0.5 * variance * pull(W)),
        0.5 * float(np.sum(W * K)),
        -float(q.a.sum()),
        -(up - down) / (2 * h),
    ]
    return -q.value, np.array(slope)


def fit_dense(
    kernel: Stationary, noise: str, x: np.ndarray, y: np.ndarray
) -> tuple[Stationary, float, float, float]:
    """Kernel, variance, mean and scale of the largest bound, with wide priors on the logarithms."""
    level = {"poisson": np.log(y.mean() + 0.1), "bernoulli": 0.0}.get(noise, float(np.median(y)))
    size = (
        1.0
        if noise in ("poisson", "bernoulli")
        else (float(np.subtract(*np.percentile(y, [75, 25]))) or 1.0) / 1.35
    )
    p, centre = (
        len(kernel.theta),
        np.append(kernel.theta - 1.0, [2 * np.log(size), level, np.log(0.3 * size)]),
    )
    width = np.append(np.full(p + 1, 3.0), [5.0 * size, 3.0])

    def objective(free: np.ndarray) -> tuple[float, np.ndarray]:
        try:
            value, slope = bound(
                kernel.at(free[:p]),
                float(np.exp(free[p])),
                free[p + 1],
                noise,
                float(np.exp(free[p + 2])),
                x,
                y,
            )
        except (NotConverged, Singular):
            return 1e100, np.zeros_like(free)
        away = (free - centre) / width
        return value + 0.5 * float(away @ away), slope + away / width

    limits = np.stack([centre - 4 * width, centre + 4 * width], axis=1)
    limits[:p] = kernel.limits
    found = descend(objective, start_descent(objective, centre, limits), limits, tol=1e-3, max_steps=40)
    if not found.value < 1e99:
        raise NotConverged(
            "the search for the kernel did not start: the bound has no maximum there; rescale y, or name another noise"
        )
    end = found.x
    return kernel.at(end[:p]), float(np.exp(end[p])), float(end[p + 1]), float(np.exp(end[p + 2]))
