"""Points of a grid's axes: their checks, and their scaling to the unit cube."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rom.arrays import OUTPUTS, check_size, number_array
from rom.errors import BadInput
from rom.gp.point_cloud import check_spread

MIN_CELLS = 3


@dataclass(frozen=True, eq=False)
class GridPoints:
    """axes : (n_j, p_j) points; low, width : (p_j,) per axis, which scale them."""

    axes: tuple[np.ndarray, ...]
    low: tuple[np.ndarray, ...]
    width: tuple[np.ndarray, ...]

    def scale(self, x: Sequence[np.ndarray]) -> list[np.ndarray]:
        """(x - low) / width, one array (q_j, p_j) per axis. Raises BadInput."""
        if len(x) != len(self.axes):
            raise BadInput(f"{len(x)} arrays of points for {len(self.axes)} axes")
        scaled = []
        for j, new in enumerate(x):
            points = axis_points(new, f"axis {j}")
            scaled.append((points - self.low[j]) / self.width[j])
        return scaled


def grid_points(axes: tuple[np.ndarray, ...]) -> GridPoints:
    """The scaling that maps each axis to [0, 1]; a constant column keeps width 1."""
    low = tuple(x.min(axis=0) for x in axes)
    for j, x in enumerate(axes):
        check_spread(x, f"axis {j}")
    ranges = [np.ptp(x, axis=0) for x in axes]
    width = tuple(np.where(extent > 0, extent, 1.0) for extent in ranges)
    return GridPoints(axes, low, width)


def axis_points(x: np.ndarray, name: str) -> np.ndarray:
    """Points (n,) or (n, p) as (n, p). Raises BadInput where empty or not finite."""
    x = OUTPUTS(x, name)
    return x[:, None] if x.ndim == 1 else x


def check_grid(
    points: tuple[np.ndarray, ...], y: np.ndarray, observed: np.ndarray | None
) -> np.ndarray | None:
    """The mask of known cells, None where all are known.

    Raises BadInput for wrong shapes, fewer than MIN_CELLS cells, NaN in a known cell.
    """
    shape = tuple(map(len, points))
    if y.shape != shape:
        raise BadInput(
            f"y has shape {y.shape}; axes of {[len(x) for x in points]} points need {shape}"
        )
    if observed is None or np.all(observed):
        _check_finite(y)
        return None
    mask = number_array(observed, "observed") != 0
    if mask.shape != y.shape or mask.sum() < MIN_CELLS:
        raise BadInput(
            f"observed has shape {mask.shape} and {mask.sum()} known cells; "
            f"give {y.shape} and at least three"
        )
    _check_finite(y[mask])
    return np.asarray(mask)


def _check_finite(values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise BadInput("a known cell of y is NaN or Inf; mark it in `observed`")
    check_size(values, "y")
    check_spread(values.ravel(), "y")
