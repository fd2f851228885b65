"""The restricted likelihood of many outputs under one kernel, its analytic gradient, and its maximum."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import qmc

from rom.errors import BadInput, NotConverged, Singular
from rom.regress.algebra import both_solve, cholesky, fetched, inverse, log_det, lower_solve, namespace, placed
from rom.regress.descent import begun, descended

FLOOR = 1e-10
TINY = 1e-20
SPREAD = 3.0
log = logging.getLogger("rom")


@dataclass(frozen=True, eq=False)
class Factors:
    """L L^T = K + nugget I (+ jitter I); LH = L^{-1} H; A A^T = H^T K^{-1} H; jitter: what had to be added, normally 0."""

    L: Any
    LH: Any
    A: Any
    jitter: float


def trend(mean: str, x: Any) -> Any:
    """H (n, k): no column for "zero", ones for "constant", ones and x for "linear"."""
    xp = namespace(x)
    if mean not in ("zero", "constant", "linear"):
        raise BadInput(f"no mean {mean!r}; known: zero, constant, linear")
    ones = xp.ones_like(x[:, :1])
    return x[:, :0] if mean == "zero" else ones if mean == "constant" else xp.concatenate([ones, x], 1)


def factored(K: Any, nugget: float, H: Any) -> Factors:
    """The factors of a correlation matrix with its nugget, and of its trend."""
    L, jitter = cholesky(K, nugget)
    if not H.shape[1]:
        return Factors(L, H, H[:0], jitter)
    LH = lower_solve(L, H)
    return Factors(L, LH, cholesky(LH.T @ LH)[0], jitter)


def projected(factors: Factors, H: Any, a: Any) -> tuple[Any, Any, Any]:
    """(beta, P a, variance): generalised least squares beta (k, r), P a = K^{-1} (a - H beta), variance_i = a_i^T P a_i / (n - k).

    The variances are each output's own, profiled out; TINY keeps those of constant outputs positive.
    """
    beta, half = a[:0], lower_solve(factors.L, a)
    if H.shape[1]:
        beta = both_solve(factors.A, factors.LH.T @ half)
        half = lower_solve(factors.L, a - H @ beta)
    return beta, lower_solve(factors.L, half, trans=True), ((half**2).sum(0) + TINY) / (len(a) - H.shape[1])


def restricted(kernel: Any, nugget: float, x: Any, a: Any, H: Any) -> tuple[float, np.ndarray]:
    """-log p(a | theta, nugget) up to a constant, with trends integrated and variances profiled; gradient in (theta, log nugget).

    F = 1/2 [(n - k) sum_i log sigma_i^2 + r (log|K| + log|H^T K^{-1} H|)],  dF = 1/2 <W, dK>,
    W = r P - sum_i alpha_i alpha_i^T / sigma_i^2, alpha = P a. References: Patterson, Thompson (1971); Gu, Berger (2016).
    """
    xp, k, r = namespace(x), H.shape[1], a.shape[1]
    K, pull = kernel.traced(x)
    factors = factored(K, nugget, H)
    _, alpha, variance = projected(factors, H, a)
    value = 0.5 * ((len(x) - k) * float(xp.log(variance).sum()) + r * log_det(factors.L))
    used = alpha / variance**0.5
    if k:
        value += 0.5 * r * log_det(factors.A)
        half = lower_solve(factors.A, lower_solve(factors.L, factors.LH, trans=True).T)
        used = xp.concatenate([used, np.sqrt(r) * half.T], 1)
    W = inverse(factors.L, r, used)
    by_nugget = 0.5 * nugget * float(W.diagonal().sum())
    return value, np.append(0.5 * pull(W), by_nugget)


def maximised(
    kernel: Any,
    x: np.ndarray,
    a: np.ndarray,
    mean: str,
    noise: float | None,
    starts: np.ndarray,
    device: str | None = None,
    curvature: np.ndarray | None = None,
    restarts: int = 3,
) -> tuple[Any, float, np.ndarray]:
    """(kernel, nugget, curvature there) of largest restricted likelihood: `starts` (s, k + 1) are screened, the best few searched.

    A flat prior would leave unidentified logarithms wherever the search stops, so they have wide ones: exp(-((theta - theta_0)/6)^2 / 2),
    and nugget^{1/10} against taking noise for a function, which few runs cannot refute. noise: the nugget if it is known;
    curvature: what a like problem left; then one is searched. Raises NotConverged where no start is usable.
    """
    X, Y = placed(x, device), placed(a, device)
    H, centre = trend(mean, X), kernel.theta
    fixed = None if noise is None else max(noise, FLOOR)

    def objective(free: np.ndarray) -> tuple[float, np.ndarray]:
        theta, nugget = (free[:-1], free[-1]) if fixed is None else (free, np.log(fixed))
        try:
            value, slope = restricted(kernel.at(theta), float(np.exp(nugget)), X, Y, H)
        except Singular:
            return 1e100, np.zeros_like(free)
        away = (theta - centre) / 36.0
        value, slope = value + 18.0 * float(away @ away), slope + np.append(away, -0.1)
        value += -0.1 * nugget
        return (value, slope) if fixed is None else (value, slope[:-1])

    limits = np.vstack([kernel.limits, (np.log(FLOOR), np.log(10.0))])
    if fixed is not None:
        starts, limits = starts[:, :-1], limits[:-1]
    restarts = restarts if curvature is None else 1
    ends = sorted((begun(objective, start, limits, curvature) for start in starts), key=lambda end: end.value)[:restarts]
    if len(ends) > 1:
        ends = [descended(objective, end, limits, tol=1e-2, most=12) for end in ends]
    best = descended(objective, min(ends, key=lambda end: end.value), limits)
    if not best.value < 1e99:
        raise NotConverged("no start of the likelihood search gave a definite covariance; set noise to 1e-6 or more")
    log.info("likelihood: %d starts, %d evaluations", len(starts), best.evaluations)
    if fixed is not None:
        return kernel.at(best.x), fixed, best.curvature
    return kernel.at(best.x[:-1]), max(float(np.exp(best.x[-1])), FLOOR), best.curvature


def sobol_starts(kernel: Any, count: int, rng: int | np.random.Generator) -> np.ndarray:
    """(count + 3, k + 1): the kernel's own logarithms at three scales, then a Sobol cloud around them; last the log nugget."""
    theta, limits = kernel.theta, kernel.limits
    cloud = qmc.Sobol(len(theta) + 1, rng=np.random.default_rng(rng)).random(count)
    reach = np.minimum(0.75 * (limits[:, 1] - limits[:, 0]) / 2, SPREAD)
    spread = np.column_stack([theta + reach * (2 * cloud[:, :-1] - 1), np.log(1e-9) + cloud[:, -1] * np.log(1e7)])
    own = [np.append(theta + shift, np.log(1e-8)) for shift in (0.0, 1.0, -1.0)]
    return np.vstack([own, spread])


def left_out(kernel: Any, nugget: float, x: Any, a: Any, mean: str) -> tuple[np.ndarray, np.ndarray]:
    """(a_i - E[a_i | the others], its standard deviation), both (n, r): (P a)_i / P_ii and sigma / sqrt(P_ii).

    Reference: Dubrule (1983).
    """
    H = trend(mean, x)
    factors = factored(kernel.matrix(x, x), nugget, H)
    _, alpha, variance = projected(factors, H, a)
    half = None
    if H.shape[1]:
        half = lower_solve(factors.A, lower_solve(factors.L, factors.LH, trans=True).T).T
    P = inverse(factors.L, 1.0, half).diagonal()
    return fetched(alpha / P[:, None]), fetched((variance / P[:, None]) ** 0.5)
