"""Newton's method, full and reduced, and steps that are cut where it fails."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.arrays import STATES, function, gate
from rom.errors import NotConverged

log = logging.getLogger("rom")
DIVERGED = 1e6  # growth of the residual that ends the iteration

Residual = tuple[np.ndarray, float, Any, Any]  # R, its scale, K, what is carried along


def euclidean_norm(residual: np.ndarray) -> float:
    """|R|."""
    return float(np.linalg.norm(residual))


@dataclass(frozen=True, eq=False)
class NewtonSolution:
    """x with |R(x)| <= tol scale, and |R| / scale of every iteration.

    carried : what `evaluate` carried along at x
    """

    x: np.ndarray
    carried: Any
    residuals: tuple[float, ...]


@gate(evaluate=function, solve=function, x=STATES, norm=function)
def newton(
    evaluate: Callable[[np.ndarray], Residual],
    solve: Callable[[Any, np.ndarray, float], np.ndarray],
    x: np.ndarray,
    tol: float = 1e-8,
    *,
    max_iterations: int = 25,
    norm: Callable[[np.ndarray], float] = euclidean_norm,
) -> NewtonSolution:
    """x <- x + solve(K(x), -R(x)) until |R| <= tol scale.

    evaluate : x -> (R, scale, K, carried); solve : (K, b, |R| / scale) -> K^{-1} b
    Raises NotConverged when R is not finite, grows by 1e6, or max_iterations do not suffice.
    """
    sizes: list[float] = []
    for _ in range(max_iterations + 1):
        R, scale, K, carried = evaluate(x)
        size = norm(R)
        relative = size / scale if scale > 0 else size
        sizes.append(relative)
        if relative <= tol:
            return NewtonSolution(x, carried, tuple(sizes))
        largest = DIVERGED * max(sizes[0], 1.0)
        if not np.isfinite(relative) or relative > largest:
            break
        x = x + solve(K, -R, relative)
    raise NotConverged(
        f"|R| = {sizes[-1]:.1e} of the load after {len(sizes) - 1} iterations; halve the load step"
    )


@gate(advance=function)
def cut(
    advance: Callable[[float, float, Any], tuple[Any, int]],
    t0: float,
    t1: float,
    start: Any,
    max_cuts: int = 6,
) -> tuple[Any, int]:
    """The state at t1 from `start` at t0, in halves where a step fails.

    advance : (t0, t1, start) -> (state, iterations); max_cuts : halvings of one step at most
    Returns the last state and the iterations in all.
    Raises NotConverged where the smallest step fails too.
    """
    try:
        return advance(t0, t1, start)
    except NotConverged as error:
        if max_cuts == 0:
            raise NotConverged(
                f"the step from {t0:g} to {t1:g} s failed after all cuts: {error}"
            ) from error
        log.info("cutting the step from %g to %g s: %s", t0, t1, error)
    middle = 0.5 * (t0 + t1)
    half, first = cut(advance, t0, middle, start, max_cuts - 1)
    whole, second = cut(advance, middle, t1, half, max_cuts - 1)
    return whole, first + second
