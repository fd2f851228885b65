"""The restricted likelihood of many outputs under one kernel, its analytic gradient, and its maximum."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import qmc

from rom.errors import BadInput, NotConverged, Singular
from rom.gp.algebra import both_solve, cholesky, inverse, log_det, lower_solve, namespace, to_device
from rom.gp.descent import Descent, Search, Value, start_search, bfgs, side_by_side
from rom.gp.stacked import TINY, restricted_together

FLOOR = 1e-10
SPREAD = 3.0
log = logging.getLogger("rom")


@dataclass(frozen=True, eq=False)
class Factors:
    """L L^T = K + nugget I (+ jitter I); LH = L^{-1} H; A A^T = H^T K^{-1} H; jitter: what had to be added, normally 0."""

    L: Any
    LH: Any
    A: Any
    jitter: float


def trend_columns(mean: str, x: Any) -> Any:
    """H (n, k): no column for "zero", ones for "constant", ones and x for "linear"."""
    xp = namespace(x)
    if mean not in ("zero", "constant", "linear"):
        raise BadInput(f"no mean {mean!r}; known: zero, constant, linear")
    ones = xp.ones_like(x[:, :1])
    return (
        x[:, :0] if mean == "zero" else ones if mean == "constant" else xp.concatenate([ones, x], 1)
    )


def factorise(K: Any, nugget: float, H: Any) -> Factors:
    """The factors of a correlation matrix with its nugget, and of its trend."""
    L, jitter = cholesky(K, nugget)
    if not H.shape[1]:
        return Factors(L, H, H[:0], jitter)
    LH = lower_solve(L, H)
    return Factors(L, LH, cholesky(LH.T @ LH)[0], jitter)


def project_trend(factors: Factors, H: Any, a: Any) -> tuple[Any, Any, Any]:
    """(beta, P a, variance): generalised least squares beta (k, r), P a = K^{-1} (a - H beta), variance_i = a_i^T P a_i / (n - k).

    The variances are each output's own, profiled out; TINY keeps those of constant outputs positive.
    """
    beta, half = a[:0], lower_solve(factors.L, a)
    if H.shape[1]:
        beta = both_solve(factors.A, factors.LH.T @ half)
        half = lower_solve(factors.L, a - H @ beta)
    return (
        beta,
        lower_solve(factors.L, half, trans=True),
        ((half**2).sum(0) + TINY) / (len(a) - H.shape[1]),
    )


def restricted_likelihood(
    kernel: Any, nugget: float, x: Any, a: Any, H: Any
) -> tuple[float, np.ndarray]:
    """-log p(a | theta, nugget) up to a constant, with trends integrated and variances profiled; gradient in (theta, log nugget).

    F = 1/2 [(n - k) sum_i log sigma_i^2 + r (log|K| + log|H^T K^{-1} H|)],  dF = 1/2 <W, dK>,
    W = r P - sum_i alpha_i alpha_i^T / sigma_i^2, alpha = P a. Raises Singular. References: Patterson, Thompson (1971); Gu, Berger (2016).
    """
    if namespace(x) is not np:
        answer = restricted_together([kernel], [nugget], x, [a], H)[0]
        if answer is None:
            raise Singular(f"the covariance is not definite with nugget {nugget:.1e}; raise it")
        return answer
    k, r = H.shape[1], a.shape[1]
    K, pull = kernel.pullback(x)
    factors = factorise(K, nugget, H)
    _, alpha, variance = project_trend(factors, H, a)
    value = 0.5 * ((len(x) - k) * float(np.log(variance).sum()) + r * log_det(factors.L))
    used = alpha / variance**0.5
    if k:
        value += 0.5 * r * log_det(factors.A)
        half = lower_solve(factors.A, lower_solve(factors.L, factors.LH, trans=True).T)
        used = np.concatenate([used, np.sqrt(r) * half.T], 1)
    W = inverse(factors.L, r, used)
    by_nugget = 0.5 * nugget * float(W.diagonal().sum())
    return value, np.append(0.5 * pull(W), by_nugget)


@dataclass(frozen=True, eq=False)
class Maximum:
    """Where a restricted likelihood is largest: kernel, nugget, and the search's end in (theta, log nugget), with its curvature."""

    kernel: Any
    nugget: float
    end: np.ndarray
    curvature: np.ndarray


def maximise(
    kernel: Any,
    x: np.ndarray,
    parts: Sequence[np.ndarray],
    mean: str,
    noise: float | None,
    starts: Sequence[np.ndarray],
    device: str | None = None,
    curvatures: Sequence[np.ndarray | None] | None = None,
    restarts: int = 3,
) -> list[Maximum]:
    """The largest restricted likelihood of each group of outputs (n, r_g): its `starts` (s, k + 1) are screened, its best few searched.

    A flat prior would leave unidentified logarithms wherever the search stops, so they have wide ones: exp(-((theta - theta_0)/6)^2 / 2),
    and nugget^{1/10} against taking noise for a function, which few runs cannot refute. noise: the nugget if it is known;
    curvatures: what like problems left. All searches advance in step, so that a device factors them as one batch. Raises NotConverged
    where no start is usable.
    """
    groups, fixed = range(len(parts)), None if noise is None else max(noise, FLOOR)
    evaluate = _posed(kernel, x, parts, mean, fixed, device)
    limits, free = np.vstack([kernel.limits, (np.log(FLOOR), np.log(10.0))]), slice(None)
    if fixed is not None:
        limits, free = limits[:-1], slice(-1)
    bends = [None] * len(parts) if curvatures is None else curvatures

    def searched(owners: list[int], searches: list[Search]) -> list[list[Descent]]:
        """The ends of searches of the owners' likelihoods, per group the best first."""
        ends = side_by_side(
            searches, lambda asked: evaluate([(owners[k], point) for k, point in asked])
        )
        mine = [
            [end for owner, end in zip(owners, ends, strict=True) if owner == g] for g in groups
        ]
        return [sorted(some, key=lambda end: end.value) for some in mine]

    tried = [(g, start[free]) for g in groups for start in starts[g]]
    ends = searched(
        [g for g, _ in tried], [start_search(start, limits, bends[g]) for g, start in tried]
    )
    if restarts > 1 and max(map(len, ends)) > 1:
        few = [(g, end) for g in groups for end in ends[g][:restarts]]
        ends = searched(
            [g for g, _ in few], [bfgs(end, limits, tol=1e-2, most=12) for _, end in few]
        )
    best = [some[0] for some in searched(list(groups), [bfgs(some[0], limits) for some in ends])]
    if not max(end.value for end in best) < 1e99:
        raise NotConverged(
            "no start of the likelihood search gave a definite covariance; set noise to 1e-6 or more"
        )
    log.info(
        "likelihood: %d groups, %d starts, %d evaluations",
        len(parts),
        len(tried),
        sum(end.evaluations for end in best),
    )
    found = []
    for end in best:
        whole = end.x if fixed is None else np.append(end.x, np.log(fixed))
        found.append(
            Maximum(
                kernel.at(whole[:-1]), max(float(np.exp(whole[-1])), FLOOR), whole, end.curvature
            )
        )
    return found


def _posed(
    kernel: Any,
    x: np.ndarray,
    parts: Sequence[np.ndarray],
    mean: str,
    fixed: float | None,
    device: str | None,
) -> Callable[[list[tuple[int, np.ndarray]]], list[Value]]:
    """From (group, free logarithms) to -log likelihood - log prior, with gradients; 1e100 where a covariance is not definite."""
    X, outputs, centre = (
        to_device(x, device),
        [to_device(part, device) for part in parts],
        kernel.theta,
    )
    H = trend_columns(mean, X)

    def weighted(answer: Value | None, theta: np.ndarray, nugget: float) -> Value:
        if answer is None:
            return 1e100, np.zeros(len(theta) + (fixed is None))
        away = (theta - centre) / 36.0
        value, slope = (
            answer[0] + 18.0 * float(away @ away) - 0.1 * nugget,
            answer[1] + np.append(away, -0.1),
        )
        return (value, slope) if fixed is None else (value, slope[:-1])

    def evaluate(asked: list[tuple[int, np.ndarray]]) -> list[Value]:
        split = [
            (point[:-1], point[-1]) if fixed is None else (point, np.log(fixed))
            for _, point in asked
        ]
        kernels, nuggets = (
            [kernel.at(theta) for theta, _ in split],
            [float(np.exp(nugget)) for _, nugget in split],
        )
        answers = _each(kernels, nuggets, X, [outputs[g] for g, _ in asked], H)
        return [weighted(answer, *point) for answer, point in zip(answers, split, strict=True)]

    return evaluate


def _each(
    kernels: list[Any], nuggets: list[float], x: Any, parts: list[Any], H: Any
) -> list[Value | None]:
    """`restricted` of each; None where it is singular."""
    if namespace(x) is not np:
        return restricted_together(kernels, nuggets, x, parts, H)
    answers: list[Value | None] = []
    for kernel, nugget, a in zip(kernels, nuggets, parts, strict=True):
        try:
            answers.append(restricted_likelihood(kernel, nugget, x, a, H))
        except Singular:
            answers.append(None)
    return answers


def sobol_starts(kernel: Any, count: int, rng: int | np.random.Generator) -> np.ndarray:
    """(count + 3, k + 1): the kernel's own logarithms at three scales, then a Sobol cloud around them; last the log nugget."""
    theta, limits = kernel.theta, kernel.limits
    cloud = qmc.Sobol(len(theta) + 1, rng=np.random.default_rng(rng)).random(count)
    reach = np.minimum(0.75 * (limits[:, 1] - limits[:, 0]) / 2, SPREAD)
    spread = np.column_stack(
        [theta + reach * (2 * cloud[:, :-1] - 1), np.log(1e-9) + cloud[:, -1] * np.log(1e7)]
    )
    own = [np.append(theta + shift, np.log(1e-8)) for shift in (0.0, 1.0, -1.0)]
    return np.vstack([own, spread])


def left_out_errors(
    factors: Factors, H: np.ndarray, a: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(a_i - E[a_i | the others], its standard deviation), both (n, r): (P a)_i / P_ii and sigma / sqrt(P_ii).

    Reference: Dubrule (1983).
    """
    _, alpha, variance = project_trend(factors, H, a)
    half = None
    if H.shape[1]:
        half = lower_solve(factors.A, lower_solve(factors.L, factors.LH, trans=True).T).T
    P = inverse(factors.L.copy(order="K"), 1.0, half).diagonal()
    return alpha / P[:, None], (variance / P[:, None]) ** 0.5
