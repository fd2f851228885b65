"""Minima of smooth functions within limits by BFGS, which may start from the curvature that a like problem has left; many side by side."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import numpy as np

Value = tuple[float, np.ndarray]
Objective = Callable[[np.ndarray], Value]
Search = Generator[np.ndarray, Value, "Descent"]


@dataclass(frozen=True, eq=False)
class Descent:
    """Where a search stopped: x (k,) with its value, slope (k,) and curvature (k, k), after so many evaluations."""

    x: np.ndarray
    value: float
    slope: np.ndarray
    curvature: np.ndarray
    evaluations: int


def start_search(x: np.ndarray, limits: np.ndarray, curvature: np.ndarray | None = None) -> Search:
    """A search before its first step; without a curvature that step is of length one at most."""
    x = np.clip(x, limits[:, 0], limits[:, 1])
    value, slope = yield x
    return Descent(
        x,
        value,
        slope,
        np.eye(len(x)) * (np.linalg.norm(slope) + 1e-12) if curvature is None else curvature,
        1,
    )


def bfgs(start: Descent, limits: np.ndarray, tol: float = 1e-5, most: int = 200) -> Search:
    """x - C^{-1} f'(x) on the free coordinates, halved until f falls, C updated by BFGS, until a step is below tol.

    Values equal to round-off do not steer it: near the minimum a step counts if it shortens the slope. So x is reproduced to about
    tol even where the last digits of f are not. Reference: Nocedal, Wright (2006), sections 6.1, 18.3 (damped update).
    """
    now = start
    for _ in range(most):
        free = ~(
            ((now.x <= limits[:, 0]) & (now.slope > 0))
            | ((now.x >= limits[:, 1]) & (now.slope < 0))
        )
        step = np.zeros_like(now.x)
        if free.any():
            step[free] = -np.linalg.solve(now.curvature[np.ix_(free, free)], now.slope[free])
        step *= min(1.0, 2.0 / (np.abs(step).max() + 1e-300))
        further = yield from _stepped(now, step, limits, free)
        if further is None:
            return now
        moved, now = np.abs(further.x - now.x).max(), further
        if moved < tol:
            return now
    return now


def side_by_side(
    searches: Sequence[Search], evaluate: Callable[[list[tuple[int, np.ndarray]]], list[Value]]
) -> list[Descent]:
    """The ends of searches that advance in step: `evaluate` answers all that are under way at once, each with its number and point."""
    asked: dict[int, np.ndarray] = {}
    ends: dict[int, Descent] = {}

    def advanced(k: int, answer: Value | None) -> None:
        try:
            asked[k] = searches[k].send(answer)  # type: ignore[arg-type]
        except StopIteration as stop:
            ends[k] = stop.value
            asked.pop(k, None)

    for k in range(len(searches)):
        advanced(k, None)
    while asked:
        now = list(asked.items())
        for (k, _), answer in zip(now, evaluate(now), strict=True):
            advanced(k, answer)
    return [ends[k] for k in range(len(searches))]


def start_descent(
    objective: Objective, x: np.ndarray, limits: np.ndarray, curvature: np.ndarray | None = None
) -> Descent:
    """`beginning` of one function."""
    return side_by_side(
        [start_search(x, limits, curvature)], lambda asked: [objective(x) for _, x in asked]
    )[0]


def descend(
    objective: Objective, start: Descent, limits: np.ndarray, tol: float = 1e-5, most: int = 200
) -> Descent:
    """`descent` of one function."""
    return side_by_side(
        [bfgs(start, limits, tol, most)], lambda asked: [objective(x) for _, x in asked]
    )[0]


def _stepped(
    now: Descent, step: np.ndarray, limits: np.ndarray, free: np.ndarray
) -> Generator[np.ndarray, Value, Descent | None]:
    """The first of the step, its half, its quarter, ... that improves; None where none does."""
    for halving in range(12):
        x = np.clip(now.x + 0.5**halving * step, limits[:, 0], limits[:, 1])
        s = x - now.x
        if not s.any():
            return None
        value, slope = yield x
        count = now.evaluations + halving + 1
        level = abs(value - now.value) <= 1e-9 * abs(now.value)
        if value <= now.value + 1e-4 * (now.slope @ s) or (
            level and np.linalg.norm(slope[free]) < np.linalg.norm(now.slope[free])
        ):
            return Descent(x, value, slope, _updated(now.curvature, s, slope - now.slope), count)
    return None


def _updated(C: np.ndarray, s: np.ndarray, y: np.ndarray) -> np.ndarray:
    """C - C s s^T C / s^T C s + r r^T / s^T r, r the mixture of y and C s with s^T r >= s^T C s / 5: definite whatever y is."""
    Cs = C @ s
    bend, known = s @ y, s @ Cs
    share = 1.0 if bend >= 0.2 * known else 0.8 * known / (known - bend)
    r = share * y + (1.0 - share) * Cs
    return C - np.outer(Cs, Cs) / known + np.outer(r, r) / (s @ r)
