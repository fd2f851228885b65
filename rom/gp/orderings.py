"""Orders of points in which early ones are far apart, and neighbours in an order."""

from __future__ import annotations

import numpy as np

MIN_CELL = 1e-12  # below it points count as repeated
MIN_START = 64  # points whose neighbours are found directly


def maximin_order(x: np.ndarray) -> np.ndarray:
    """An order (n,) in which early points of x (n, p) are far apart.

    From each cell of ever finer grids it takes one point that is not yet in the order:
    within a factor of the distances of the exact maximin order, in O(n log n) for each
    of its O(log n) levels.
    """
    low = x.min(axis=0)
    size = float(np.ptp(x, axis=0).max()) or 1.0
    order: list[np.ndarray] = []
    ordered = np.empty(0, dtype=np.int64)
    left = np.arange(len(x))
    while left.size:
        if size < MIN_CELL:
            order.append(left)
            break
        cells = np.floor((x - low) / size).astype(np.int64)
        label = np.unique(cells, axis=0, return_inverse=True)[1].ravel()
        in_free_cell = ~np.isin(label[left], label[ordered])
        free = left[in_free_cell]
        first = np.unique(label[free], return_index=True)[1]
        new = free[first]
        order.append(new)
        ordered = np.concatenate([ordered, new])
        left = np.setdiff1d(left, new, assume_unique=True)
        size /= 2
    return np.concatenate(order)


def earlier_neighbours(x: np.ndarray, k: int) -> np.ndarray:
    """The k nearest earlier points of each of the ordered x (n, p): (n, k).

    -1 where there are fewer. Blocks of points, each twice as large as all before, search
    a tree of all points up to their end; those with too few earlier ones, one of the start.
    """
    n = len(x)
    near = np.full((n, k), -1, dtype=np.int64)
    start = min(n, max(2 * k, MIN_START))
    for i in range(1, start):
        distances = np.sum((x[:i] - x[i]) ** 2, axis=1)
        nearest = np.argsort(distances, kind="stable")[:k]
        near[i, : nearest.size] = nearest
    while start < n:
        stop = min(2 * start, n)
        near[start:stop] = _earlier_in_block(x, k, start, stop)
        start = stop
    return near


def _earlier_in_block(x: np.ndarray, k: int, start: int, stop: int) -> np.ndarray:
    """The k nearest earlier points of the points start to stop, (stop - start, k)."""
    from scipy.spatial import cKDTree

    block = np.arange(start, stop)
    tree = cKDTree(x[:stop])
    candidates = tree.query(x[block], min(3 * k, stop))[1]
    later = candidates >= block[:, None]
    earliest = np.argsort(later, axis=1, kind="stable")[:, :k]
    near = np.take_along_axis(candidates, earliest, axis=1)
    short = (near >= block[:, None]).any(axis=1)
    if short.any():
        before = cKDTree(x[:start])
        nearest = before.query(x[block[short]], k)[1]
        near[short] = nearest.reshape(-1, k)
    return near
