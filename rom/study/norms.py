"""Norms in which errors are measured, and ratios of bounds to errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.space import Space

Norm = Callable[[np.ndarray], Any]  # state (n,) or (n, n_t) -> () or (n_t,)
RMS = "the root mean square over its values"
SPACE_NORM = "the norm of the space"
ROUND_OFF = 1e-12  # of the size of what is compared: smaller errors say nothing of a bound


@dataclass(frozen=True, eq=False)
class RowMeans:
    """Means over rows (k, ...) that lie here, or on the ranks of a space.

    own : (k,) whether this rank counts a row, which others may hold too
    """

    space: Space | None = None
    own: np.ndarray | None = None

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Of the rows of values (k, ...)."""
        if self.space is None:
            return np.asarray(np.mean(values, axis=0))
        values = values[self.own]
        total = self.space.sum(np.append(values.sum(axis=0), float(len(values))))
        return np.asarray(total[:-1] / total[-1])

    def largest(self, values: np.ndarray) -> np.ndarray:
        """Of the magnitudes over rows, (n_t,)."""
        sizes = np.abs(values).max(axis=0, initial=0.0)
        return sizes if self.space is None else self.space.largest(sizes)


def row_means(space: Space | None, rows: Any) -> RowMeans:
    """Means over rows of a state."""
    if space is None or not space.spread:
        return RowMeans()
    return RowMeans(space, space.owned[rows])


def root_mean_square(values: np.ndarray, rows: RowMeans | None = None) -> np.ndarray:
    """Root mean square over rows, (n_t,)."""
    return np.asarray(np.sqrt((rows or RowMeans()).mean(np.abs(values) ** 2)))


FIELD_NORMS: dict[str, Callable[[np.ndarray, RowMeans], np.ndarray]] = {
    RMS: root_mean_square,
    "rms over the field": root_mean_square,
    "nodal rms": root_mean_square,
    "the nodal rms": root_mean_square,
    "the largest value": lambda values, rows: rows.largest(values),
    "largest over the field": lambda values, rows: rows.largest(values),
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
