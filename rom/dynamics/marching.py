"""Many trajectories of ordinary differential equations, marched together.

The explicit pair of orders 5 and 4 of Dormand and Prince (1980), one step for all trajectories,
so that a rate is evaluated for all of them at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Rate = Callable[[np.ndarray, np.ndarray], np.ndarray]
NODES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
ERROR = np.array(
    [71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40]
)  # weights of the fifth order less those of the fourth
SAFETY, SHRINK, GROW = 0.9, 0.2, 5.0  # of a step by its error
NARROW = 0.05  # of |half|: a coefficient that moves the state by less leaves no box
FINEST = 1e-4  # of the time between two samples: a law that needs smaller steps is given up


@dataclass(frozen=True, eq=False)
class Region:
    """A box of coefficients: centre (r,), half (r,) its half widths."""

    centre: np.ndarray
    half: np.ndarray

    def reach(self, a: np.ndarray) -> np.ndarray:
        """max_i |a_i - centre_i| / half_i, (m,) of a (m, r)."""
        return np.asarray((np.abs(a - self.centre) / self.half).max(axis=1))

    def distance(self, a: np.ndarray) -> np.ndarray:
        """|a - centre| / |half|, (m,) of a (m, r)."""
        return np.asarray(np.linalg.norm(a - self.centre, axis=1) / np.linalg.norm(self.half))


def region_of(a: np.ndarray) -> Region:
    """The box of series (m, r, n_t), no side narrower than NARROW of the diagonal."""
    low, high = a.min(axis=(0, 2)), a.max(axis=(0, 2))
    half = 0.5 * (high - low)
    least = max(NARROW * float(np.linalg.norm(half)), 1e-6 * float(np.abs(a).max()))
    return Region(0.5 * (low + high), np.maximum(half, max(least, np.finfo(float).tiny)))


def march(
    rate: Rate, a: np.ndarray, t: np.ndarray, *, region: Region, guard: float, lost: float,
    tol: float = 1e-7,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """a(t_k) of a' = rate(a, outside), (m, r, n_t), and who was outside, (m, n_t).

    a (m, r) : at t_0; a trajectory is outside once it has reached `guard` times the region, and
        NaN from `lost` times its diagonal on, or where it needs steps of less than FINEST between
        two samples
    tol : error of a step, in half widths of the region
    """
    states = np.full((*a.shape, len(t)), np.nan)
    outside = np.zeros((len(a), len(t)), dtype=bool)
    now, out = a.astype(float), region.reach(a) > guard
    states[:, :, 0], outside[:, 0] = now, out
    h = np.inf
    for k in range(1, len(t)):
        steps = (h, float(t[k] - t[k - 1]))
        now, out, h = _advance(rate, now, out, steps, (region, guard, lost, tol))
        states[:, :, k], outside[:, k] = now, out
    return states, outside


def _advance(
    rate: Rate,
    a: np.ndarray,
    out: np.ndarray,
    steps: tuple[float, float],
    limits: tuple[Region, float, float, float],
) -> tuple[np.ndarray, np.ndarray, float]:
    """The states after a span of time, who is outside, and the step that did well.

    steps : the step to try first, and the span
    """
    region, guard, lost, tol = limits
    scale, (h, span), passed = tol * region.half.max(), steps, 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        while passed < span * (1 - 1e-12) and not np.isnan(a[:, 0]).all():
            tried = min(h, span - passed)
            trial, error = _step(rate, a, out, tried)
            sizes = np.abs(error).max(axis=1) / scale
            sizes = np.where(np.isnan(a[:, 0]), 0.0, np.nan_to_num(sizes, nan=1e30, posinf=1e30))
            if tried <= FINEST * span:
                trial[sizes > 1] = np.nan
                sizes = np.minimum(sizes, 1.0)
            worst = max(float(sizes.max()), 1e-12)
            better = tried * float(np.clip(SAFETY * worst**-0.2, SHRINK, GROW))
            if worst > 1:
                h = max(better, FINEST * span)
                continue
            h = max(better, h) if tried < h < np.inf else better
            a, passed = trial, passed + tried
            a[~(region.distance(a) < lost)] = np.nan
            out = out | ~(region.reach(a) <= guard)
    return a, out, max(h, FINEST * span)


def _step(rate: Rate, a: np.ndarray, out: np.ndarray, h: float) -> tuple[np.ndarray, np.ndarray]:
    """One step of length h, and its error."""
    slopes = [rate(a, out)]
    for weights in NODES:
        inner = a + h * sum(w * slope for w, slope in zip(weights, slopes, strict=True))
        slopes.append(rate(inner, out))
    return inner, h * np.tensordot(ERROR, np.stack(slopes), axes=1)
