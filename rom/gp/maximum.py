"""Where restricted likelihoods are largest, of several groups of outputs in step."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from rom.errors import NotConverged
from rom.gp.algebra import to_device
from rom.gp.descent import Descent, Search, bfgs, side_by_side, start_search
from rom.gp.likelihood import FLOOR, INFEASIBLE, GroupLikelihoods, trend_columns
from rom.gp.small_likelihood import SmallLikelihoods

MAX_NUGGET = 10.0
SPREAD = 3.0  # of the cloud of starts on either side, in logarithms
SHIFTS = (0.0, 1.0, -1.0)  # starts at the kernel's own logarithms, three scales
START_NUGGET = 1e-8
NUGGET_RANGE = (1e-9, 1e-2)  # of the cloud of starts
SCREEN_TOL, SCREEN_STEPS = 1e-2, 12  # of the searches from the best few starts
log = logging.getLogger("rom")


@dataclass(frozen=True, eq=False)
class Maximum:
    """Kernel, nugget, end = (theta, log nugget), curvature (k + 1, k + 1) there."""

    kernel: Any
    nugget: float
    end: np.ndarray
    curvature: np.ndarray


def maximise(
    kernel: Any,
    x: np.ndarray,
    parts: Sequence[np.ndarray],
    starts: Sequence[np.ndarray],
    *,
    mean: str,
    noise: float | np.ndarray | None = None,
    device: str | None = None,
    curvatures: Sequence[np.ndarray | None] | None = None,
    restarts: int = 3,
    few: bool = False,
) -> list[Maximum]:
    """The largest restricted likelihood of each group of outputs (n, r_g) at x (n, p).

    starts : of each group, (s, k + 1): all are screened, the best `restarts` searched
    noise : the nugget if it is known, of all groups or each; curvatures : what like problems left
    few : runs so few that numpy takes all searches as one stack of a stationary kernel's matrices
    A flat prior would leave unidentified logarithms wherever the search stops, so they have wide
    ones, exp(-((theta - theta_0) / 6)^2 / 2), and nugget^{1/10} against taking noise for a
    function, which few runs cannot refute. All searches advance in step, so that a device factors
    them as one batch. Raises NotConverged where no start is usable.
    """
    nugget = None if noise is None else np.full(len(parts), 1.0) * np.maximum(noise, FLOOR)
    problem = _pose(kernel, x, parts, mean, nugget=nugget, device=device, few=few)
    free = slice(None) if nugget is None else slice(-1)
    of_nugget = (np.log(FLOOR), np.log(MAX_NUGGET))
    limits = np.vstack([kernel.limits, of_nugget])[free]
    bends = [None] * len(parts) if curvatures is None else curvatures
    first = [
        (g, start_search(point[free], limits, bends[g]))
        for g, points in enumerate(starts)
        for point in points
    ]
    ends = _search(problem, first)
    if restarts > 1 and max(map(len, ends)) > 1:
        ends = _search(problem, _screen(ends, restarts, limits))
    last = [(g, bfgs(some[0], limits)) for g, some in enumerate(ends)]
    best = [some[0] for some in _search(problem, last)]
    if not max(end.value for end in best) < 0.1 * INFEASIBLE:
        raise NotConverged(
            "no start of the likelihood search gave a definite covariance; "
            "set noise to 1e-6 or more"
        )
    evaluations = sum(end.evaluations for end in best)
    text = "likelihood: %d groups, %d starts, %d evaluations"
    log.info(text, len(parts), len(first), evaluations)
    return [_maximum(problem, g, end) for g, end in enumerate(best)]


def _screen(ends: Sequence[Any], restarts: int, limits: np.ndarray) -> list[tuple[int, Any]]:
    """Short searches from the best few ends of each group."""
    few = []
    for g, some in enumerate(ends):
        for end in some[:restarts]:
            few.append((g, bfgs(end, limits, tol=SCREEN_TOL, max_steps=SCREEN_STEPS)))
    return few


def sobol_starts(kernel: Any, count: int, rng: int | np.random.Generator) -> np.ndarray:
    """Starts (count + 3, k + 1): the kernel's own at three scales, a Sobol cloud.

    The last column is the log nugget.
    """
    from scipy.stats import qmc

    theta, limits = kernel.theta, kernel.limits
    design = qmc.Sobol(len(theta) + 1, rng=np.random.default_rng(rng))
    cloud = design.random(count)
    width = limits[:, 1] - limits[:, 0]
    reach = np.minimum(0.75 * width / 2, SPREAD)
    thetas = theta + reach * (2 * cloud[:, :-1] - 1)
    low, high = NUGGET_RANGE
    nuggets = np.log(low) + cloud[:, -1] * np.log(high / low)
    own = [np.append(theta + shift, np.log(START_NUGGET)) for shift in SHIFTS]
    return np.vstack([own, np.column_stack([thetas, nuggets])])


def _search(
    problem: GroupLikelihoods, searches: Sequence[tuple[int, Search]]
) -> list[list[Descent]]:
    """The ends of (group, search), per group the best first."""
    owners = [g for g, _ in searches]
    ends: list[list[Descent]] = [[] for _ in problem.parts]
    reached = side_by_side([search for _, search in searches], problem.objective(owners))
    for g, end in zip(owners, reached, strict=True):
        ends[g].append(end)
    return [sorted(some, key=lambda end: end.value) for some in ends]


def _maximum(problem: GroupLikelihoods, g: int, end: Descent) -> Maximum:
    """What a search of group g has ended at."""
    whole = problem.extend(end.x, g)
    nugget = max(float(np.exp(whole[-1])), FLOOR)
    return Maximum(problem.kernel.at(whole[:-1]), nugget, whole, end.curvature)


def _pose(
    kernel: Any,
    x: np.ndarray,
    parts: Sequence[np.ndarray],
    mean: str,
    *,
    nugget: np.ndarray | None,
    device: str | None,
    few: bool,
) -> GroupLikelihoods:
    place = np.asarray if device is None else partial(to_device, device=device)
    X, outputs = place(x), [place(part) for part in parts]
    trend = trend_columns(mean, X)
    of = SmallLikelihoods if few else GroupLikelihoods
    return of(kernel, kernel.theta, X, outputs, trend, nugget)
