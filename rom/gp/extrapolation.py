"""How far grids err beyond their known points: slabs left out at their ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

SLABS = (1, 2, 3)  # left out together at an end
PART = 3  # of the known points of an axis, a slab is at most this part
CELLS = 32  # of a slab whose deviations are computed


def known_range(axis: np.ndarray, seen: np.ndarray) -> tuple[float, float]:
    """Ends of the known points of an axis (n, 1) with a known cell, seen (n,)."""
    points = axis[seen, 0]
    return float(points.min()), float(points.max())


def end_stretch(
    axis: np.ndarray,
    seen: np.ndarray,
    left_out: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> float:
    """max over end slabs of the rms of (y - E[y | the rest]) / deviation, or 1.

    axis (n, 1); seen (n,) : points with a known cell
    left_out : numbers of the points of a slab -> (residuals, deviations) of its known cells
    """
    worst = 1.0
    for slab in _slabs(axis, seen):
        gap, std = left_out(slab)
        if gap.size:
            worst = max(worst, float(np.sqrt(np.mean((gap / std) ** 2))))
    return worst


def _slabs(axis: np.ndarray, seen: np.ndarray) -> Iterator[np.ndarray]:
    """Numbers of the outermost points at each end."""
    order = np.argsort(axis[:, 0], kind="stable")
    order = order[seen[order]]
    for count in SLABS:
        if PART * count <= len(order):
            yield order[:count]
            yield order[-count:]


def pick_cells(cells: np.ndarray) -> np.ndarray:
    """At most CELLS of the cells (q, d)."""
    if len(cells) <= CELLS:
        return cells
    order: Any = np.random.default_rng(0).permutation(len(cells))
    return np.asarray(cells[np.sort(order[:CELLS])])
