"""Scattered points with one output each: their checks, and their box."""

from __future__ import annotations

import numpy as np

from rom.arrays import OUTPUTS
from rom.errors import BadInput
from rom.parameters import Box


def are_finite_points(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether x is (n, p) and y (n,), and all numbers are finite."""
    if x.ndim != 2 or y.shape != (len(x),):
        return False
    return bool(np.isfinite(x).all() and np.isfinite(y).all())


def box_of_points(x: np.ndarray) -> Box:
    """The smallest box around x (n, p); a constant column gets width 1."""
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
