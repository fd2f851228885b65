"""Newton's method, full and reduced, and steps that are cut where it fails."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.errors import NotConverged

log = logging.getLogger("rom")


@dataclass(frozen=True, eq=False)
class Found:
    """x with |R(x)| <= tol scale, what `evaluate` carried along, and |R| / scale of every iteration."""

    x: np.ndarray
    carried: Any
    residuals: tuple[float, ...]


def newton(
    evaluate: Callable[[np.ndarray], tuple[np.ndarray, float, Any, Any]],
    solve: Callable[[Any, np.ndarray, float], np.ndarray],
    x: np.ndarray,
    tol: float = 1e-8,
    most: int = 25,
    norm: Callable[[np.ndarray], float] = np.linalg.norm,  # type: ignore[assignment]
) -> Found:
    """x <- x + solve(K(x), -R(x)) until |R| <= tol scale.

    evaluate : x -> (R, scale, K, carried); solve : (K, b, |R| / scale) -> K^{-1} b
    Raises NotConverged when R is not finite, grows by 1e6, or `most` iterations do not suffice.
    """
    sizes: list[float] = []
    for _ in range(most + 1):
        R, scale, K, carried = evaluate(x)
        sizes.append(norm(R) / scale if scale > 0 else norm(R))
        if sizes[-1] <= tol:
            return Found(x, carried, tuple(sizes))
        if not np.isfinite(sizes[-1]) or sizes[-1] > 1e6 * max(sizes[0], 1.0):
            break
        x = x + solve(K, -R, sizes[-1])
    raise NotConverged(
        f"|R| = {sizes[-1]:.1e} of the load after {len(sizes) - 1} iterations; halve the load step"
    )


def cut(
    advance: Callable[[float, float, Any], tuple[Any, int]],
    t0: float,
    t1: float,
    start: Any,
    cuts: int = 6,
) -> tuple[Any, int]:
    """The state at t1 from `start` at t0: advance(t0, t1, start), in halves where it fails, at most `cuts` times over.

    Returns the last state and the iterations in all; raises NotConverged where the smallest step fails too.
    """
    try:
        return advance(t0, t1, start)
    except NotConverged as error:
        if cuts == 0:
            raise NotConverged(
                f"the step from {t0:g} to {t1:g} s failed after all cuts: {error}"
            ) from error
        log.info("cutting the step from %g to %g s: %s", t0, t1, error)
    middle = 0.5 * (t0 + t1)
    half, first = cut(advance, t0, middle, start, cuts - 1)
    whole, second = cut(advance, middle, t1, half, cuts - 1)
    return whole, first + second
