"""The largest evidence lower bound of few points under noise of any kind, dense.

ELBO = sum_i E_q log p(y_i | f_i) - KL(q | N(mean, K)). Its maximum over Gaussians q has
precision K^{-1} + diag(lam), lam_i = -2 dE/dv_i, and K^{-1} (m - mean) = dE/dm. lam may be
negative where noise is heavy-tailed. It is reached by natural gradients.
References: Opper, Archambeau (2009); Khan, Lin (2017).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg as la

from rom.errors import NotConverged, Singular
from rom.gp.kernels import Stationary
from rom.gp.likelihood import cholesky
from rom.gp.noises import Observations, expected_density

NUGGET = 1e-6
MIN_VARIANCE = 1e-300
BOUND_ROUND_OFF = 1e-11  # relative fall of the bound that still counts as none
MIN_RATE = 1e-10
STATIONARY_TOL = 1e-9  # in prior standard deviations of f
SCALE_STEP = 1e-4  # of the difference quotient in the log scale of the noise


@dataclass(frozen=True, eq=False)
class Prior:
    """f ~ N(mean, variance (k + NUGGET I)) at the points."""

    kernel: Stationary
    variance: float
    mean: float


@dataclass(frozen=True, eq=False)
class DensePosterior:
    """q = N(m, S), S = (K^{-1} + diag lam)^{-1}, and its ELBO `value`.

    v (n,) : diagonal of S; a = K^{-1} (m - mean)
    """

    m: np.ndarray
    v: np.ndarray
    S: np.ndarray
    a: np.ndarray
    lam: np.ndarray
    value: float


def posterior_of_naturals(
    L: np.ndarray, mean: float, data: Observations, b: np.ndarray, lam: np.ndarray
) -> DensePosterior | None:
    """q with precision K^{-1} + diag lam, and precision times m = K^{-1} mean + b.

    K = L L^T; b, lam (n,). With B = I + L^T diag(lam) L: S = L B^{-1} L^T,
    KL = 1/2 (tr B^{-1} - n + |L^{-1} (m - mean)|^2 + log |B|).
    None where the precision is not definite.
    """
    n = len(lam)
    B = np.eye(n) + (L.T * lam) @ L
    R, info = la.lapack.dpotrf(B, lower=1)
    if info:
        return None
    half = la.solve_triangular(R, L.T, lower=True, check_finite=False)
    right = L.T @ (b - lam * mean)
    white = la.cho_solve((R, True), right, check_finite=False)
    m = mean + L @ white
    S = half.T @ half
    v = np.maximum(S.diagonal(), MIN_VARIANCE)
    a = la.solve_triangular(L, white, lower=True, trans=1, check_finite=False)
    expected = float(expected_density(data, m, v)[0].sum())
    value = expected - _divergence(R, white)
    return DensePosterior(m, v, S, a, lam, value)


def _divergence(R: np.ndarray, white: np.ndarray) -> float:
    """KL(q | prior) from the factor R of B and L^{-1} (m - mean)."""
    n = len(white)
    inverse = la.solve_triangular(R, np.eye(n), lower=True, check_finite=False)
    trace = float(np.sum(inverse**2))
    half_log_det = float(np.log(R.diagonal()).sum())
    return float(0.5 * (trace - n + white @ white) + half_log_det)


def dense_posterior(
    L: np.ndarray, mean: float, data: Observations, *, max_steps: int = 500
) -> DensePosterior:
    """The Gaussian of largest ELBO for the prior N(mean, L L^T).

    Natural-gradient steps, halved until the bound rises. Raises NotConverged.
    """
    b = np.zeros(len(data.y))
    lam = np.zeros(len(data.y))
    now = posterior_of_naturals(L, mean, data, b, lam)
    if now is None:
        raise Singular("the covariance of the prior holds NaN; look at the inputs")
    deviation = np.sqrt(np.sum(L**2, axis=1))
    rate, change = 1.0, np.inf
    for _ in range(max_steps):
        _, slope, precision = expected_density(data, now.m, now.v)
        to_b = slope + precision * now.m - b
        to_lam = precision - lam
        new_b = b + rate * to_b
        new_lam = lam + rate * to_lam
        further = posterior_of_naturals(L, mean, data, new_b, new_lam)
        if further is None or not _has_risen(further.value, now.value):
            rate *= 0.5
            if rate < MIN_RATE:
                break
            continue
        change = _largest_change(now, further, deviation)
        b, lam, now = new_b, new_lam, further
        if change < STATIONARY_TOL * rate:
            return now
        rate = min(1.0, 2.0 * rate)
    raise NotConverged(
        f"the bound still moves f by {change:.1e} standard deviations; "
        "look for outliers, or rescale y"
    )


def _has_risen(value: float, before: float) -> bool:
    """Up to round-off; False for NaN."""
    return value >= before - BOUND_ROUND_OFF * (1.0 + abs(before))


def _largest_change(now: DensePosterior, further: DensePosterior, deviation: np.ndarray) -> float:
    """The largest change of a mean or a deviation, in prior deviations."""
    of_mean = np.abs((further.m - now.m) / deviation).max()
    gap = np.sqrt(further.v) - np.sqrt(now.v)
    of_deviation = np.abs(gap / deviation).max()
    return float(max(of_mean, of_deviation))


def negative_elbo(prior: Prior, x: np.ndarray, data: Observations) -> tuple[float, np.ndarray]:
    """(-ELBO, its gradient) at the maximum over q; dense.

    Costs n^3 per natural-gradient step. x (n, p)
    Gradient in (log lengths, log variance, mean, log scale of the noise). With
    C = (K + diag(1/lam))^{-1} = diag(lam) - diag(lam) S diag(lam) it is
    1/2 <C - a a^T, dK> in the kernel.
    """
    k, pull = prior.kernel.pullback(x)
    K = prior.variance * (k + NUGGET * np.eye(len(x)))
    L = np.tril(cholesky(K)[0])
    q = dense_posterior(L, prior.mean, data)
    scaled = q.lam[:, None] * q.S * q.lam
    C = np.diag(q.lam) - scaled
    W = C - np.outer(q.a, q.a)
    by_lengths = 0.5 * prior.variance * pull(W)
    by_variance = 0.5 * float(np.sum(W * K))
    by_mean = -float(q.a.sum())
    by_scale = -_slope_in_log_scale(data, q)
    return -q.value, np.array([*by_lengths, by_variance, by_mean, by_scale])


def _slope_in_log_scale(data: Observations, q: DensePosterior) -> float:
    """d E_q log p(y | f) / d log scale, by a central difference."""
    expected = []
    for step in (SCALE_STEP, -SCALE_STEP):
        scale = data.scale * np.exp(step)
        rescaled = Observations(data.y, data.noise, scale)
        expected.append(float(expected_density(rescaled, q.m, q.v)[0].sum()))
    return (expected[0] - expected[1]) / (2 * SCALE_STEP)
