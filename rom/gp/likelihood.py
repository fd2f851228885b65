"""The restricted likelihood of many outputs under one kernel, and its gradient.

Its dense factorisations read the same on numpy arrays and torch tensors, on any device, and repair
nothing silently.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy.linalg as la

from rom.errors import BadInput, Singular
from rom.gp.algebra import namespace, to_device
from rom.gp.kernels import Queries, through_kernel

JITTERS = (0.0, *np.logspace(-12, -4, 9))  # tried in this order, times the mean diagonal
TINY = 1e-20  # keeps the variance of constant outputs positive
FLOOR = 1e-10  # the least nugget
PRIOR_VARIANCE = 36.0  # of each logarithm around the kernel's own
NUGGET_POWER = 0.1  # the prior of the nugget is nugget^NUGGET_POWER
INFEASIBLE = 1e100  # the value where a covariance is not definite
Evaluate = Callable[[Queries], list[tuple[float, np.ndarray]]]
log = logging.getLogger("rom")
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
    xp = np if isinstance(x, np.ndarray) else namespace(x)
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


def factorise_each(
    mean: str, x: Any, matrices: Sequence[Any], nuggets: np.ndarray
) -> tuple[Any, tuple[Factors, ...]]:
    """(H, factors) of the trend at x, and of each correlation matrix with its nugget."""
    H = trend_columns(mean, x)
    pairs = zip(matrices, nuggets, strict=True)
    return H, tuple(factorise(K, float(nugget), H) for K, nugget in pairs)


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
    if not isinstance(x, np.ndarray):
        from rom.gp.stacked import restricted_together

        answer = restricted_together([kernel], [nugget], x, [a], H)[0]
        if answer is None:
            raise Singular(f"the covariance is not definite with nugget {nugget:.1e}; raise it")
        return answer
    K, pull = kernel.pullback(x)
    value, W, by_nugget = _slope_in_covariance(K, nugget, a, H)
    return value, np.append(pull(W), by_nugget)


def _slope_in_covariance(
    K: np.ndarray, nugget: float, a: np.ndarray, H: np.ndarray
) -> tuple[float, np.ndarray, float]:
    """(F, W / 2, dF/dlog nugget) of `restricted_likelihood`. Raises Singular."""
    r = a.shape[1]
    factors = factorise(K, nugget, H)
    _, alpha, variance = project_trend(factors, H, a)
    free = len(a) - H.shape[1]
    log_variances = float(np.log(variance).sum())
    value = 0.5 * (free * log_variances + r * log_det(factors.L))
    scaled = alpha / variance**0.5
    if H.shape[1]:
        value += 0.5 * r * log_det(factors.A)
        scaled = np.concatenate([scaled, np.sqrt(r) * _trend_root(factors).T], 1)
    W = inverse(factors.L, r, scaled)
    by_nugget = 0.5 * nugget * float(W.diagonal().sum())
    W *= 0.5
    return value, W, by_nugget


@dataclass(frozen=True, eq=False)
class GroupLikelihoods:
    """-log likelihood - log prior of each group of outputs in its free logarithms.

    theta : the kernel's own, around which the prior is
    x (n, p), parts (n, r_g) and trends H (n, k) on a device
    nugget : of each group, (g,), or None where they are free
    """

    kernel: Any
    theta: np.ndarray
    x: Any
    parts: list[Any]
    H: Any
    nugget: np.ndarray | None

    def objective(self, owners: Sequence[int]) -> Evaluate:
        """(search, free logarithms) -> values and slopes; owners : group of each search.

        The value is INFEASIBLE where a covariance is not definite.
        """
        if self.stacked:
            return partial(self._of_stack, owners)
        of_matrices = partial(self._of_matrices, owners)
        return partial(through_kernel, self.kernel, self.x, len(self.theta), of_matrices)

    @property
    def stacked(self) -> bool:
        """Whether all queries are answered as one stack of matrices."""
        return not isinstance(self.x, np.ndarray)

    def extend(self, free: np.ndarray, g: int) -> np.ndarray:
        """All logarithms, (theta, log nugget), of the free ones of group g."""
        return free if self.nugget is None else np.append(free, np.log(self.nugget[g]))

    def _of_matrices(
        self, owners: Sequence[int], Ks: list[np.ndarray], queries: Queries
    ) -> list[tuple[float, Any, np.ndarray]]:
        """Value, slope in K, and slope in the free logarithms otherwise, of each."""
        answers: list[tuple[float, Any, np.ndarray]] = []
        for K, (k, free) in zip(Ks, queries, strict=True):
            point, slope = self.extend(free, owners[k]), np.zeros(len(self.theta) + 1)
            try:
                value, W, slope[-1] = _slope_in_covariance(
                    K, float(np.exp(point[-1])), self.parts[owners[k]], self.H
                )
            except Singular:
                answers.append((INFEASIBLE, None, np.zeros(len(free))))
                continue
            value, slope = self._add_prior(value, slope, point)
            answers.append((value, W, slope[: len(free)]))
        return answers

    def _of_stack(self, owners: Sequence[int], queries: Queries) -> list[tuple[float, np.ndarray]]:
        """Values and slopes on a device, by one batched factorisation."""
        from rom.gp.stacked import restricted_together

        points = [self.extend(free, owners[k]) for k, free in queries]
        kernels = [self.kernel.at(point[:-1]) for point in points]
        nuggets = [float(np.exp(point[-1])) for point in points]
        outputs = [self.parts[owners[k]] for k, _ in queries]
        answers = []
        stack = restricted_together(kernels, nuggets, self.x, outputs, self.H)
        for answer, point, (_, free) in zip(stack, points, queries, strict=True):
            if answer is None:
                answers.append((INFEASIBLE, np.zeros(len(free))))
                continue
            value, slope = self._add_prior(*answer, point)
            answers.append((value, slope[: len(free)]))
        return answers

    def _add_prior(
        self, value: float, slope: np.ndarray, point: np.ndarray
    ) -> tuple[float, np.ndarray]:
        away = (point[:-1] - self.theta) / PRIOR_VARIANCE
        of_theta = 0.5 * PRIOR_VARIANCE * float(away @ away)
        value = value + of_theta - NUGGET_POWER * float(point[-1])
        return value, slope + np.append(away, -NUGGET_POWER)


def left_out_errors(
    factors: Factors, H: np.ndarray, a: np.ndarray, variance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(a_i - E[a_i | the others], its standard deviation), both (n, r).

    variance (r,) : of the processes. They are (P a)_i / P_ii and sigma / sqrt(P_ii).
    Reference: Dubrule (1983).
    """
    _, alpha, _ = project_trend(factors, H, a)
    half = la.lapack.dtrtri(factors.L, lower=1)[0]
    P = np.einsum("ij,ij->j", half, half)
    if H.shape[1]:
        P = P - np.sum(_trend_root(factors) ** 2, axis=0)
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


def factors_to_device(factors: Sequence[Factors], device: str) -> tuple[Factors, ...]:
    """The factors on a device of torch."""
    moved = []
    for each in factors:
        L, LH, A = (to_device(part, device) for part in (each.L, each.LH, each.A))
        moved.append(Factors(L, LH, A, each.jitter))
    return tuple(moved)


def cholesky(K: Any, shift: float = 0.0) -> tuple[Any, float]:
    """(L, j): L L^T = K + (shift + j) I, j the least jitter to be definite.

    j is one of {0, 1e-12, 1e-11, ..., 1e-4} times the mean diagonal; any j > 0 is logged as a
    warning and returned. Raises Singular beyond 1e-4, or for NaN.
    """
    mean = float(K.diagonal().mean()) + shift
    for relative in JITTERS:
        L = _factor(K, shift + relative * mean)
        if L is not None:
            if relative:
                log.warning("covariance not definite: jitter %.0e of its diagonal added", relative)
            return L, relative * mean
    raise Singular(
        "the covariance is not definite even with 1e-4 of its diagonal added; "
        "look for NaN, or raise the nugget"
    )


def _factor(K: Any, shift: float) -> Any:
    """L of K + shift I, or None where that is not definite."""
    xp = np if isinstance(K, np.ndarray) else namespace(K)
    A = np.array(K, order="C") if xp is np else K.clone().contiguous()
    A.reshape(-1)[:: len(A) + 1] += shift
    if xp is np:
        L, info = la.lapack.dpotrf(A.T, lower=1, overwrite_a=1)
        return L if info == 0 and np.isfinite(L.diagonal()).all() else None
    L, info = xp.linalg.cholesky_ex(A)
    return None if int(info) else L


def lower_solve(L: Any, B: Any, trans: bool = False) -> Any:
    """L^{-1} B, or L^{-T} B with trans."""
    if isinstance(L, np.ndarray):
        return la.solve_triangular(L, B, lower=True, trans=int(trans), check_finite=False)
    triangle = L.T if trans else L
    return namespace(L).linalg.solve_triangular(triangle, B, upper=trans)


def both_solve(L: Any, B: Any) -> Any:
    """(L L^T)^{-1} B."""
    return lower_solve(L, lower_solve(L, B), trans=True)


def inverse(L: Any, scale: float = 1.0, C: Any = None) -> Any:
    """scale (L L^T)^{-1} - C C^T, symmetric to the last bit; in numpy L is used up."""
    C = L[:, :0] if C is None else C
    if not isinstance(L, np.ndarray):
        return scale * namespace(L).cholesky_inverse(L) - C @ C.T
    half = la.lapack.dpotri(L, lower=1, overwrite_c=1)[0]
    if C.shape[1]:
        half = la.blas.dsyrk(-1.0, C, beta=scale, c=half, lower=1, overwrite_c=1)
    whole = half + half.T
    whole[np.diag_indices_from(whole)] *= 0.5
    return whole


def log_det(L: Any) -> float:
    """log |L L^T|."""
    xp = np if isinstance(L, np.ndarray) else namespace(L)
    return 2.0 * float(xp.log(L.diagonal()).sum())
