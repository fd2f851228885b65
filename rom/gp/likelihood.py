"""The restricted likelihood of many outputs under one kernel, and its gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.errors import BadInput, Singular
from rom.gp.algebra import (
    both_solve,
    cholesky,
    inverse,
    log_det,
    lower_solve,
    namespace,
    to_device,
)
from rom.gp.stacked import TINY, restricted_together

FLOOR = 1e-10  # the least nugget
ZERO, CONSTANT, LINEAR = "zero", "constant", "linear"
MEANS = (ZERO, CONSTANT, LINEAR)


@dataclass(frozen=True, eq=False)
class Factors:
    """L L^T = K + (nugget + jitter) I; LH = L^{-1} H; A A^T = H^T K^{-1} H.

    jitter : what had to be added for K to be definite, normally 0
    """

    L: Any
    LH: Any
    A: Any
    jitter: float


def trend_columns(mean: str, x: Any) -> Any:
    """H (n, k): no column for "zero", ones for "constant", ones and x for "linear".

    Raises BadInput for another mean.
    """
    if mean not in MEANS:
        raise BadInput(f"no mean {mean!r}; known: {', '.join(MEANS)}")
    xp = namespace(x)
    ones = xp.ones_like(x[:, :1])
    if mean == ZERO:
        return x[:, :0]
    return ones if mean == CONSTANT else xp.concatenate([ones, x], 1)


def factorise(K: Any, nugget: float, H: Any) -> Factors:
    """The factors of a correlation matrix with its nugget, and of its trend."""
    L, jitter = cholesky(K, nugget)
    if not H.shape[1]:
        return Factors(L, H, H[:0], jitter)
    LH = lower_solve(L, H)
    A = cholesky(LH.T @ LH)[0]
    return Factors(L, LH, A, jitter)


def project_trend(factors: Factors, H: Any, a: Any) -> tuple[Any, Any, Any]:
    """(beta (k, r), P a = K^{-1} (a - H beta), variance (r,)).

    beta by generalised least squares; variance_i = a_i^T P a_i / (n - k), each output's own;
    that of constant outputs is TINY.
    """
    beta = a[:0]
    half = lower_solve(factors.L, a)
    if H.shape[1]:
        beta = both_solve(factors.A, factors.LH.T @ half)
        half = lower_solve(factors.L, a - H @ beta)
    free = len(a) - H.shape[1]
    variance = ((half**2).sum(0) + TINY) / free
    return beta, lower_solve(factors.L, half, trans=True), variance


def restricted_likelihood(
    kernel: Any, nugget: float, x: Any, a: Any, H: Any
) -> tuple[float, np.ndarray]:
    """-log p(a | theta, nugget) + constant, and its gradient in (theta, log nugget).

    Trends are integrated, variances profiled:
    F = 1/2 [(n - k) sum_i log sigma_i^2 + r (log|K| + log|H^T K^{-1} H|)],  dF = 1/2 <W, dK>,
    W = r P - sum_i alpha_i alpha_i^T / sigma_i^2,  alpha = P a.
    Raises Singular. References: Patterson, Thompson (1971); Gu, Berger (2016).
    """
    if namespace(x) is not np:
        answer = restricted_together([kernel], [nugget], x, [a], H)[0]
        if answer is None:
            raise Singular(f"the covariance is not definite with nugget {nugget:.1e}; raise it")
        return answer
    r = a.shape[1]
    K, pull = kernel.pullback(x)
    factors = factorise(K, nugget, H)
    _, alpha, variance = project_trend(factors, H, a)
    free = len(x) - H.shape[1]
    log_variances = float(np.log(variance).sum())
    value = 0.5 * (free * log_variances + r * log_det(factors.L))
    scaled = alpha / variance**0.5
    if H.shape[1]:
        value += 0.5 * r * log_det(factors.A)
        scaled = np.concatenate([scaled, np.sqrt(r) * _trend_root(factors).T], 1)
    W = inverse(factors.L, r, scaled)
    by_nugget = 0.5 * nugget * float(W.diagonal().sum())
    return value, np.append(0.5 * pull(W), by_nugget)


def left_out_errors(
    factors: Factors, H: np.ndarray, a: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(a_i - E[a_i | the others], its standard deviation), both (n, r).

    They are (P a)_i / P_ii and sigma / sqrt(P_ii). Reference: Dubrule (1983).
    """
    _, alpha, variance = project_trend(factors, H, a)
    root = _trend_root(factors).T if H.shape[1] else None
    P = inverse(factors.L.copy(order="K"), 1.0, root).diagonal()
    return alpha / P[:, None], (variance / P[:, None]) ** 0.5


def _trend_root(factors: Factors) -> Any:
    """A^{-1} H^T K^{-1}, (k, n): its Gram matrix is what P lacks of K^{-1}."""
    whitened = lower_solve(factors.L, factors.LH, trans=True)
    return lower_solve(factors.A, whitened.T)


def posterior_halves(factors: Factors, cross: Any, h: Any) -> tuple[Any, Any]:
    """L^{-1} k(X, z), and A^{-1} (h(z)^T - H^T K^{-1} k(X, z)).

    What the data explain, and what the trend leaves open.
    """
    half = lower_solve(factors.L, cross.T)
    if not h.shape[1]:
        return half, half[:0]
    rest = h.T - factors.LH.T @ half
    return half, lower_solve(factors.A, rest)


def remaining_variance(factors: Factors, cross: Any, h: Any) -> Any:
    """Variance left, relative to the process's, (q,)."""
    half, rest = posterior_halves(factors, cross, h)
    return 1.0 - (half**2).sum(0) + (rest**2).sum(0)


def factors_to_device(factors: Factors, device: str | None) -> Factors:
    """The factors on a device of torch, or in numpy for None."""
    L = to_device(factors.L, device)
    LH = to_device(factors.LH, device)
    A = to_device(factors.A, device)
    return Factors(L, LH, A, factors.jitter)
