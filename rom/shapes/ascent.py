"""Limited-memory quasi-Newton steps with a preconditioner, for objectives that are infinite where a mapping folds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Objective = Callable[[np.ndarray], tuple[float, np.ndarray, float]]
Linear = Callable[[np.ndarray], np.ndarray]
Pairs = list[tuple[np.ndarray, np.ndarray]]


def ascend(
    objective: Objective, w: np.ndarray, precondition: Linear, steps: int, reach: float
) -> tuple[np.ndarray, list[float]]:
    """(w, J after every accepted step): H_0 the preconditioner, Armijo back-tracking; every step lowers the value.

    objective : w -> (value, derivative, J), value inf where w is not admissible; reach : largest entry of the first step
    Reference: Nocedal, Wright (2006).
    """
    value, g, J = objective(w)
    history, pairs = [J], Pairs()
    for _ in range(steps):
        p = -_two_loop(g, pairs, precondition)
        slope = float(np.sum(g * p))
        if slope > -1e-12 * max(1.0, abs(value)):
            break
        t = 1.0 if pairs else min(1.0, reach / max(np.abs(p).max(), 1e-300))
        found = _stepped(objective, w, p, t, value, slope)
        if found is None:
            if not pairs:
                break
            pairs = []
            continue
        s, (trial, g1, J) = found
        y = g1 - g
        if float(np.sum(s * y)) > 1e-12 * float(np.sum(s * s)) ** 0.5 * float(np.sum(y * y)) ** 0.5:
            pairs = [*pairs[-11:], (s, y)]
        done = value - trial < 1e-6
        w, value, g = w + s, trial, g1
        history.append(J)
        if done:
            break
    return w, history


def _stepped(
    objective: Objective, w: np.ndarray, p: np.ndarray, t: float, value: float, slope: float
) -> tuple[np.ndarray, tuple[float, np.ndarray, float]] | None:
    for halving in range(30):
        step = t * 0.5**halving * p
        found = objective(w + step)
        if found[0] <= value + 1e-4 * t * 0.5**halving * slope:
            return step, found
    return None


def _two_loop(g: np.ndarray, pairs: Pairs, precondition: Linear) -> np.ndarray:
    q, kept = g.copy(), []
    for s, y in reversed(pairs):
        a = float(np.sum(s * q)) / float(np.sum(s * y))
        q -= a * y
        kept.append(a)
    z = precondition(q)
    if pairs:
        s, y = pairs[-1]
        z *= float(np.sum(s * y)) / float(np.sum(y * precondition(y)))
    for (s, y), a in zip(pairs, reversed(kept), strict=True):
        z += s * (a - float(np.sum(y * z)) / float(np.sum(s * y)))
    return z
