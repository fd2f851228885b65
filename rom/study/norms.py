"""Norms in which errors are measured, and ratios of bounds to errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rom.space import Space

Norm = Callable[[np.ndarray], Any]  # state (n,) or (n, n_t) -> () or (n_t,)
RMS = "the root mean square over its values"
SPACE_NORM = "the norm of the space"
ROUND_OFF = 1e-12  # of the size of what is compared: smaller errors say nothing of a bound


def root_mean_square(values: np.ndarray) -> np.ndarray:
    """Root mean square over rows, (n_t,)."""
    return np.asarray(np.sqrt(np.mean(np.abs(values) ** 2, axis=0)))


FIELD_NORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    RMS: root_mean_square,
    "rms over the field": root_mean_square,
    "nodal rms": root_mean_square,
    "the nodal rms": root_mean_square,
    "the largest value": lambda values: np.abs(values).max(axis=0),
}


def find_norm(name: str, model: Any, space: Space | None, norms: Mapping[str, Norm]) -> Norm | None:
    """The norm of that name: one that is given, that of the space, or the model's own."""
    if name in norms:
        return norms[name]
    if name == SPACE_NORM:
        return None if space is None else space.norm
    own: Norm | None = getattr(model, "norm", None)
    if own is None or getattr(model, "mass", True) is None:
        return None
    return own


def least_ratio(bound: np.ndarray, error: np.ndarray, size: float) -> float:
    """min bound / error over times where the error is more than round-off.

    Where it never is, at the largest error.
    """
    matter = error > ROUND_OFF * size
    if not matter.any():
        matter = error == error.max()
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.broadcast_to(bound, error.shape)[matter] / error[matter]
    return float(np.min(ratios))
