"""Preconditioned quasi-Newton descent; values are infinite where a mapping folds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

MEMORY = 12  # pairs of steps and changes of the derivative
MAX_HALVINGS = 30
ARMIJO = 1e-4  # share of the foreseen decrease that a step must reach
FLAT = 1e-12  # slope over the value, at which the descent ends
LEAST_GAIN = 1e-6
CURVED = 1e-12  # cosine between step and change, above which a pair is remembered

Linear = Callable[[np.ndarray], np.ndarray]
Pairs = list[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Iterate:
    """A value to lower at w, its derivative there, and the energy J that is reported."""

    w: np.ndarray
    value: float
    derivative: np.ndarray
    J: float


Objective = Callable[[np.ndarray], tuple[float, np.ndarray, float]]


def ascend(
    objective: Objective, w: np.ndarray, precondition: Linear, *, max_steps: int, reach: float
) -> tuple[np.ndarray, list[float]]:
    """(w, J after every accepted step); every step lowers the value.

    objective : w -> (value, derivative, J), value inf where w is not admissible
    precondition : H_0; reach : largest entry of the first step; Armijo back-tracking
    Reference: Nocedal, Wright (2006).
    """
    here = Iterate(w, *objective(w))
    history = [here.J]
    pairs: Pairs = []
    for _ in range(max_steps):
        direction = -_two_loop(here.derivative, pairs, precondition)
        slope = _dot(here.derivative, direction)
        if slope > -FLAT * max(1.0, abs(here.value)):
            break
        first = 1.0 if pairs else min(1.0, reach / max(np.abs(direction).max(), 1e-300))
        line = _line_search(objective, here, direction, slope, first)
        if line is None and not pairs:
            break
        if line is None:
            pairs = []
            continue
        step, there = line
        pairs = _remember(pairs, step, there.derivative - here.derivative)
        gain = here.value - there.value
        here = there
        history.append(here.J)
        if gain < LEAST_GAIN:
            break
    return here.w, history


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    """Sum of the products of all entries."""
    return float(np.sum(a * b))


def _line_search(
    objective: Objective, here: Iterate, direction: np.ndarray, slope: float, first: float
) -> tuple[np.ndarray, Iterate] | None:
    """The first of the halved steps that lowers the value enough, and where it leads."""
    for halving in range(MAX_HALVINGS):
        length = first * 0.5**halving
        step = length * direction
        w = here.w + step
        there = Iterate(w, *objective(w))
        if there.value <= here.value + ARMIJO * first * 0.5**halving * slope:
            return step, there
    return None


def _remember(pairs: Pairs, step: np.ndarray, change: np.ndarray) -> Pairs:
    """The last pairs and this one, where the value is curved along it."""
    sizes = _dot(step, step) ** 0.5, _dot(change, change) ** 0.5
    if _dot(step, change) <= CURVED * sizes[0] * sizes[1]:
        return pairs
    return [*pairs[1 - MEMORY :], (step, change)]


def _two_loop(g: np.ndarray, pairs: Pairs, precondition: Linear) -> np.ndarray:
    """H g, H the inverse Hessian that the pairs make of H_0 = s.y / (y.P y) P."""
    q = g.copy()
    weights: list[float] = []
    for s, y in reversed(pairs):
        weight = _dot(s, q) / _dot(s, y)
        q -= weight * y
        weights.append(weight)
    z = precondition(q)
    if pairs:
        s, y = pairs[-1]
        z *= _dot(s, y) / _dot(y, precondition(y))
    for (s, y), weight in zip(pairs, reversed(weights), strict=True):
        z += s * (weight - _dot(y, z) / _dot(s, y))
    return z
