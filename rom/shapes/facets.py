"""Facets of simplices: the boundary, its normals, and who lies beyond."""

from __future__ import annotations

import numpy as np

from rom.shapes.simplex import geometry

BEYOND = -1  # "cell" beyond a facet of the boundary


def facets(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boundary facets (b, q) and the cell that each belongs to (b,)."""
    corners = cells.shape[1]
    every = _all_facets(cells)
    owner = np.tile(np.arange(len(cells)), corners)
    sorted_nodes = np.sort(every, axis=1)
    _, first, count = np.unique(sorted_nodes, axis=0, return_index=True, return_counts=True)
    once = first[count == 1]
    return every[once], owner[once]


def neighbours(cells: np.ndarray) -> np.ndarray:
    """The cell beyond the facet opposite to each corner (k, q + 1), or BEYOND."""
    k, corners = cells.shape
    every = np.sort(_all_facets(cells), axis=1)
    order = np.lexsort(every.T[::-1])
    ordered = every[order]
    same = (ordered[1:] == ordered[:-1]).all(axis=1)
    one = order[:-1][same]
    other = order[1:][same]
    across = np.full(k * corners, BEYOND)
    across[one] = other % k
    across[other] = one % k
    return across.reshape(corners, k).T


def facet_normals(
    x: np.ndarray, cells: np.ndarray, edge: np.ndarray, owner: np.ndarray
) -> np.ndarray:
    """Outward unit normals (b, d) of boundary facets `edge` (b, q) of cells `owner`.

    Minus the gradient of the opposite corner's barycentric coordinate, scaled to one.
    """
    _, gradients = geometry(x, cells)
    on_facet = cells[owner][:, :, None] == edge[:, None, :]
    opposite = np.argmin(on_facet.any(axis=2), axis=1)
    outward = -gradients[owner, opposite]
    length = np.linalg.norm(outward, axis=1, keepdims=True)
    normals: np.ndarray = outward / length
    return normals


def _all_facets(cells: np.ndarray) -> np.ndarray:
    """Facets (k (q + 1), q) opposite to corner 0 of every cell, then corner 1, ..."""
    corners = range(cells.shape[1])
    opposite = [np.delete(cells, corner, axis=1) for corner in corners]
    return np.concatenate(opposite)
