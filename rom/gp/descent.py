"""Minima of smooth functions within limits by BFGS, many side by side.

A search is a generator: it yields points x (k,), receives (value, slope) there, and returns a
`Descent`. It may start from the curvature that a like problem has left.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import numpy as np

MAX_STEP = 2.0  # of any coordinate
MAX_HALVINGS = 12
ARMIJO = 1e-4  # share of the predicted decrease that a step must reach
ROUND_OFF = 1e-9  # relative difference of values that says nothing
DAMPING = 0.2  # Powell's share of the old curvature that must remain

Value = tuple[float, np.ndarray]
Objective = Callable[[np.ndarray], Value]
Search = Generator[np.ndarray, Value, "Descent"]
Evaluate = Callable[[list[tuple[int, np.ndarray]]], list[Value]]


@dataclass(frozen=True, eq=False)
class Descent:
    """Where a search ends: x (k,), value, slope (k,), curvature (k, k), evaluations."""

    x: np.ndarray
    value: float
    slope: np.ndarray
    curvature: np.ndarray
    evaluations: int


def start_search(x: np.ndarray, limits: np.ndarray, curvature: np.ndarray | None = None) -> Search:
    """A search before its first step, at x within limits (k, 2).

    Without a curvature the first step is of length one at most.
    """
    x = _clip(x, limits)
    value, slope = yield x
    if curvature is None:
        curvature = np.eye(len(x)) * (np.linalg.norm(slope) + 1e-12)
    return Descent(x, value, slope, curvature, 1)


def bfgs(start: Descent, limits: np.ndarray, *, tol: float = 1e-5, max_steps: int = 200) -> Search:
    """x - C^{-1} f'(x) on the free coordinates, C updated by BFGS.

    A step is halved until f falls; the search ends with a step below tol, absolute. Values equal
    to round-off do not steer it: near the minimum a step counts if it shortens the slope, so that
    x is reproduced to about tol even where the last digits of f are not.
    Reference: Nocedal, Wright (2006), sections 6.1, 18.3.
    """
    now = start
    for _ in range(max_steps):
        free = _free_coordinates(now, limits)
        step = _newton_step(now, free)
        further = yield from _line_search(now, step, limits, free)
        if further is None:
            return now
        length = np.abs(further.x - now.x).max()
        now = further
        if length < tol:
            return now
    return now


def side_by_side(searches: Sequence[Search], evaluate: Evaluate) -> list[Descent]:
    """The ends of searches that advance in step.

    evaluate : answers the points of all that are under way at once, each with its number
    """
    points: dict[int, np.ndarray] = {}
    ends: dict[int, Descent] = {}
    for k, search in enumerate(searches):
        try:
            points[k] = next(search)
        except StopIteration as stop:
            ends[k] = stop.value
    while points:
        queries = list(points.items())
        answers = evaluate(queries)
        for (k, _), answer in zip(queries, answers, strict=True):
            try:
                points[k] = searches[k].send(answer)
            except StopIteration as stop:
                ends[k] = stop.value
                del points[k]
    return [ends[k] for k in range(len(searches))]


def start_descent(
    objective: Objective, x: np.ndarray, limits: np.ndarray, curvature: np.ndarray | None = None
) -> Descent:
    """`start_search` of one function."""
    return _run(start_search(x, limits, curvature), objective)


def descend(
    objective: Objective,
    start: Descent,
    limits: np.ndarray,
    *,
    tol: float = 1e-5,
    max_steps: int = 200,
) -> Descent:
    """`bfgs` of one function."""
    return _run(bfgs(start, limits, tol=tol, max_steps=max_steps), objective)


def _run(search: Search, objective: Objective) -> Descent:
    return side_by_side([search], lambda queries: [objective(x) for _, x in queries])[0]


def _clip(x: np.ndarray, limits: np.ndarray) -> np.ndarray:
    inside: np.ndarray = np.clip(x, limits[:, 0], limits[:, 1])
    return inside


def _free_coordinates(now: Descent, limits: np.ndarray) -> np.ndarray:
    """Where a step down the slope stays within the limits, (k,)."""
    below = (now.x <= limits[:, 0]) & (now.slope > 0)
    above = (now.x >= limits[:, 1]) & (now.slope < 0)
    free: np.ndarray = ~(below | above)
    return free


def _newton_step(now: Descent, free: np.ndarray) -> np.ndarray:
    """-C^{-1} f' on the free coordinates, no coordinate longer than MAX_STEP."""
    step = np.zeros_like(now.x)
    if free.any():
        C = now.curvature[np.ix_(free, free)]
        step[free] = -np.linalg.solve(C, now.slope[free])
    longest = np.abs(step).max() + 1e-300
    step *= min(1.0, MAX_STEP / longest)
    return step


def _line_search(
    now: Descent, step: np.ndarray, limits: np.ndarray, free: np.ndarray
) -> Generator[np.ndarray, Value, Descent | None]:
    """The first of the step, its half, its quarter, ... that improves, or None."""
    for halving in range(MAX_HALVINGS):
        x = _clip(now.x + 0.5**halving * step, limits)
        s = x - now.x
        if not s.any():
            return None
        value, slope = yield x
        level = abs(value - now.value) <= ROUND_OFF * abs(now.value)
        lower = value <= now.value + ARMIJO * (now.slope @ s)
        if lower or (level and _is_shorter(slope[free], now.slope[free])):
            curvature = _update(now.curvature, s, slope - now.slope)
            return Descent(x, value, slope, curvature, now.evaluations + halving + 1)
    return None


def _is_shorter(slope: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.linalg.norm(slope) < np.linalg.norm(other))


def _update(C: np.ndarray, s: np.ndarray, y: np.ndarray) -> np.ndarray:
    """C - C s s^T C / s^T C s + r r^T / s^T r, definite whatever y is.

    r is the mixture of y and C s with s^T r >= DAMPING s^T C s.
    """
    Cs = C @ s
    sy, sCs = s @ y, s @ Cs
    enough = sy >= DAMPING * sCs
    share = 1.0 if enough else (1.0 - DAMPING) * sCs / (sCs - sy)
    r = share * y + (1.0 - share) * Cs
    without = C - np.outer(Cs, Cs) / sCs
    updated: np.ndarray = without + np.outer(r, r) / (s @ r)
    return updated
