"""Where restricted likelihoods are largest, of several groups of outputs in step."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.errors import NotConverged, Singular
from rom.gp.algebra import namespace, to_device
from rom.gp.descent import Descent, Search, Value, bfgs, side_by_side, start_search
from rom.gp.likelihood import FLOOR, restricted_likelihood, trend_columns
from rom.gp.stacked import restricted_together

PRIOR_VARIANCE = 36.0  # of each logarithm around the kernel's own
NUGGET_POWER = 0.1  # the prior of the nugget is nugget^NUGGET_POWER
MAX_NUGGET = 10.0
INFEASIBLE = 1e100  # the value where a covariance is not definite
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
    noise: float | None = None,
    device: str | None = None,
    curvatures: Sequence[np.ndarray | None] | None = None,
    restarts: int = 3,
) -> list[Maximum]:
    """The largest restricted likelihood of each group of outputs (n, r_g) at x (n, p).

    starts : of each group, (s, k + 1): all are screened, the best `restarts` searched
    noise : the nugget if it is known; curvatures : what like problems left
    A flat prior would leave unidentified logarithms wherever the search stops, so they have wide
    ones, exp(-((theta - theta_0) / 6)^2 / 2), and nugget^{1/10} against taking noise for a
    function, which few runs cannot refute. All searches advance in step, so that a device factors
    them as one batch. Raises NotConverged where no start is usable.
    """
    nugget = None if noise is None else max(noise, FLOOR)
    problem = _pose(kernel, x, parts, mean, nugget=nugget, device=device)
    limits = problem.limits
    bends = [None] * len(parts) if curvatures is None else curvatures
    first = []
    for g, points in enumerate(starts):
        for point in points:
            first.append((g, start_search(problem.reduce(point), limits, bends[g])))
    ends = problem.search(first)
    if restarts > 1 and max(map(len, ends)) > 1:
        few = []
        for g, some in enumerate(ends):
            for end in some[:restarts]:
                few.append((g, bfgs(end, limits, tol=SCREEN_TOL, max_steps=SCREEN_STEPS)))
        ends = problem.search(few)
    last = [(g, bfgs(some[0], limits)) for g, some in enumerate(ends)]
    best = [some[0] for some in problem.search(last)]
    if not max(end.value for end in best) < 0.1 * INFEASIBLE:
        raise NotConverged(
            "no start of the likelihood search gave a definite covariance; "
            "set noise to 1e-6 or more"
        )
    evaluations = sum(end.evaluations for end in best)
    text = "likelihood: %d groups, %d starts, %d evaluations"
    log.info(text, len(parts), len(first), evaluations)
    return [problem.maximum(end) for end in best]


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


@dataclass(frozen=True, eq=False)
class _Problem:
    """-log likelihood - log prior of each group in its free logarithms.

    x (n, p), parts (n, r_g) and trends H (n, k) on a device; nugget : None where it is free
    """

    kernel: Any
    x: Any
    parts: list[Any]
    H: Any
    nugget: float | None

    @property
    def limits(self) -> np.ndarray:
        """Of the free logarithms."""
        of_nugget = (np.log(FLOOR), np.log(MAX_NUGGET))
        return self.reduce(np.vstack([self.kernel.limits, of_nugget]))

    def reduce(self, whole: np.ndarray) -> np.ndarray:
        """The free logarithms (or their rows) of all."""
        return whole if self.nugget is None else whole[:-1]

    def extend(self, free: np.ndarray) -> np.ndarray:
        """All logarithms, (theta, log nugget), of the free ones."""
        return free if self.nugget is None else np.append(free, np.log(self.nugget))

    def search(self, searches: Sequence[tuple[int, Search]]) -> list[list[Descent]]:
        """The ends of (group, search), per group the best first."""
        owners = [g for g, _ in searches]

        def evaluate(queries: list[tuple[int, np.ndarray]]) -> list[Value]:
            """Values and slopes at the points of searches under way."""
            return self.evaluate([(owners[k], point) for k, point in queries])

        ends: list[list[Descent]] = [[] for _ in self.parts]
        reached = side_by_side([search for _, search in searches], evaluate)
        for g, end in zip(owners, reached, strict=True):
            ends[g].append(end)
        return [sorted(some, key=lambda end: end.value) for some in ends]

    def evaluate(self, queries: Sequence[tuple[int, np.ndarray]]) -> list[Value]:
        """Values and slopes at (group, free logarithms)."""
        points = [self.extend(free) for _, free in queries]
        kernels = [self.kernel.at(point[:-1]) for point in points]
        nuggets = [float(np.exp(point[-1])) for point in points]
        outputs = [self.parts[g] for g, _ in queries]
        answers = _restricted_each(kernels, nuggets, self.x, outputs, self.H)
        pairs = zip(answers, points, strict=True)
        return [self._add_prior(answer, point) for answer, point in pairs]

    def _add_prior(self, answer: Value | None, point: np.ndarray) -> Value:
        if answer is None:
            return INFEASIBLE, np.zeros(len(self.reduce(point)))
        away = (point[:-1] - self.kernel.theta) / PRIOR_VARIANCE
        of_theta = 0.5 * PRIOR_VARIANCE * float(away @ away)
        value = answer[0] + of_theta - NUGGET_POWER * point[-1]
        slope = answer[1] + np.append(away, -NUGGET_POWER)
        return value, self.reduce(slope)

    def maximum(self, end: Descent) -> Maximum:
        """What a search has ended at."""
        whole = self.extend(end.x)
        nugget = max(float(np.exp(whole[-1])), FLOOR)
        return Maximum(self.kernel.at(whole[:-1]), nugget, whole, end.curvature)


def _pose(
    kernel: Any,
    x: np.ndarray,
    parts: Sequence[np.ndarray],
    mean: str,
    *,
    nugget: float | None,
    device: str | None,
) -> _Problem:
    X = to_device(x, device)
    outputs = [to_device(part, device) for part in parts]
    return _Problem(kernel, X, outputs, trend_columns(mean, X), nugget)


def _restricted_each(
    kernels: list[Any], nuggets: list[float], x: Any, parts: list[Any], H: Any
) -> list[Value | None]:
    """`restricted_likelihood` of each; None where it is singular."""
    if namespace(x) is not np:
        return restricted_together(kernels, nuggets, x, parts, H)
    answers: list[Value | None] = []
    for kernel, nugget, a in zip(kernels, nuggets, parts, strict=True):
        try:
            answers.append(restricted_likelihood(kernel, nugget, x, a, H))
        except Singular:
            answers.append(None)
    return answers
