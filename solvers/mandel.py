"""Tensors in Mandel notation, and coefficients that depend on temperature.

a = (xx, yy, zz, r yz, r xz, r xy) with r = sqrt 2, so that a:b = a.b.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rom.errors import BadInput

ONE = np.array([1.0, 1, 1, 0, 0, 0])
SPHERE = np.outer(ONE, ONE)
DEV = np.eye(6) - SPHERE / 3


def equivalent(a: np.ndarray) -> np.ndarray:
    """J(a) = sqrt(3/2 a:a) of deviators a (..., 6)."""
    return np.asarray(np.sqrt(1.5 * np.sum(a * a, axis=-1)))


def mises(stress: np.ndarray) -> np.ndarray:
    """J(dev stress) of stress (..., 6)."""
    mean = stress[..., :3].sum(axis=-1, keepdims=True) / 3
    return equivalent(stress - mean * ONE)


def coefficient(table: Any, T: np.ndarray) -> np.ndarray:
    """c(T), (g,): linear between the temperatures of a table, constant beyond.

    table : a number, or (2, k) temperatures over values
    """
    values = np.asarray(table, dtype=float)
    if values.ndim == 0:
        return np.full(T.shape, float(values))
    return np.asarray(np.interp(T, values[0], values[1]))


def check_coefficient(name: str, table: Any, least: float = -np.inf) -> None:
    """Raises BadInput for what is no number or table, or falls below `least`."""
    values = np.asarray(table, dtype=float)
    is_table = values.ndim == 2 and len(values) == 2 and (np.diff(values[0]) > 0).all()
    if values.ndim != 0 and not is_table:
        raise BadInput(
            f"{name} has shape {values.shape}; give a number, or (2, k): "
            "increasing temperatures over values"
        )
    lowest = values[1].min() if values.ndim else values
    if not np.isfinite(values).all() or lowest < least:
        raise BadInput(f"{name} = {float(lowest):g} must be finite and at least {least:g}")
