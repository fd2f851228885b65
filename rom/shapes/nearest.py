"""The nearest point of curves and surfaces."""

from __future__ import annotations

from typing import Any

import numpy as np

CANDIDATES = 12  # nearest centres among which the nearest cell is sought


def nearest_cells(
    points: np.ndarray, cells: np.ndarray, x: np.ndarray, *, tree: Any, k: int = CANDIDATES
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest point of curves or surfaces to each of x (j, d).

    cells : (b, 2) or (b, 3), those with the k nearest centres are tried; tree : of the centres
    Returns cells (j,) and barycentric coordinates (j, q + 1).
    """
    count = min(k, len(cells))
    near = tree.query(x, k=count)[1].reshape(-1, count)
    best = np.full(len(x), np.inf)
    cell = np.zeros(len(x), np.int64)
    weight = np.zeros((len(x), cells.shape[1]))
    for candidates in near.T:
        corners = points[cells[candidates]]
        w = _project(corners, x)
        distance = _distance(corners, w, x)
        closer = distance < best
        best[closer] = distance[closer]
        cell[closer] = candidates[closer]
        weight[closer] = w[closer]
    return cell, weight


def _distance(corners: np.ndarray, w: np.ndarray, x: np.ndarray) -> np.ndarray:
    """|sum_a w_a corner_a - x| (j,)."""
    feet = np.einsum("jk,jkd->jd", w, corners)
    return np.asarray(np.linalg.norm(feet - x, axis=1))


def _project(corners: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Barycentric coordinates (j, q + 1) of each simplex's nearest point to x (j, d).

    corners : (j, q + 1, d) with q <= 2
    """
    if corners.shape[1] == 1:
        return np.ones((len(x), 1))
    first = corners[:, 0]
    edges = corners[:, 1:] - corners[:, :1]
    right = np.einsum("jqd,jd->jq", edges, x - first)
    metric = edges @ edges.transpose(0, 2, 1)
    s = np.linalg.solve(metric, right[:, :, None])[:, :, 0]
    if corners.shape[1] == 2:
        s = np.clip(s, 0.0, 1.0)
        return np.column_stack([1.0 - s, s])
    w = np.column_stack([1.0 - s.sum(axis=1), s])
    outside = np.flatnonzero(w.min(axis=1) < 0)
    w[outside] = _project_on_sides(corners[outside], x[outside])
    return w


def _project_on_sides(corners: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The same where the nearest point of a triangle lies on one of its sides."""
    w = np.zeros((len(x), 3))
    best = np.full(len(x), np.inf)
    for side in ([0, 1], [1, 2], [0, 2]):
        ends = corners[:, side]
        part = _project(ends, x)
        distance = _distance(ends, part, x)
        rows = np.flatnonzero(distance < best)
        best[rows] = distance[rows]
        w[rows] = 0.0
        for corner, weight in zip(side, part.T, strict=True):
            w[rows, corner] = weight[rows]
    return w
