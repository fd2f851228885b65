"""Scattered points with one output each: their checks, and their box."""

from __future__ import annotations

import numpy as np

from rom.arrays import OUTPUTS
from rom.errors import BadInput
from rom.parameters import Box

LEAST_SPREAD = 1e-150  # below, squares vanish


def are_finite_points(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether x is (n, p) and y (n,), and all numbers are finite."""
    if x.ndim != 2 or y.shape != (len(x),):
        return False
    return bool(np.isfinite(x).all() and np.isfinite(y).all())


def check_spread(values: np.ndarray, name: str) -> None:
    """BadInput where a column varies, but by so little that its square vanishes."""
    spread = np.ptp(values, axis=0)
    if np.any((spread > 0) & (spread < LEAST_SPREAD)):
        raise BadInput(f"{name} varies by less than {LEAST_SPREAD:g}; give it in another unit")


def box_of_points(x: np.ndarray) -> Box:
    """The smallest box around x (n, p); a constant column gets width 1.

    Raises BadInput where a column varies by less than has a square.
    """
    check_spread(x, "x")
    names = tuple(f"x{j}" for j in range(x.shape[1]))
    low = x.min(axis=0)
    varies = np.ptp(x, axis=0) > 0
    high = np.where(varies, x.max(axis=0), low + 1)
    return Box(names, low, high)


def scale_queries(box: Box, x: np.ndarray) -> np.ndarray:
    """x in the unit cube of the box, (q, p). Raises BadInput where not finite."""
    z = np.atleast_2d(OUTPUTS(x, "x"))
    width = len(box.names)
    if z.shape[1] != width:
        raise BadInput(f"x has shape {np.shape(x)}; the model needs finite (q, {width})")
    return np.asarray(box.to_unit(z))
