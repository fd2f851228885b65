"""Closed surfaces seen from a point inside: psi(x) = R(x + w(x)), R along rays.

R carries a point to the surface on its ray from the centre. Other than the nearest point it is
smooth in every cell, its cells share no points, and it has no point where many points stick.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.shapes.facets import BEYOND, neighbours
from rom.shapes.simplex import scatter

LEAST_COSINE = 0.2  # between ray and normal of a cell that is seen well
MAX_WALK = 200  # cells on the way to a point
SLACK = 1e-12
TINY = 1e-300

Places = tuple[np.ndarray, np.ndarray]  # cells (j,), barycentric coordinates (j, 3)


@dataclass(frozen=True, eq=False)
class Star:
    """A closed surface of triangles that are seen from its centre on the same side.

    rays (k, 3, 3) : b = rays (y - centre) are the coordinates of y in the corners of a cell
    beyond (k, 3) : the cell across the side opposite to each corner
    solid (k,) : determinants of the corners' directions; spread (N, 3 k) sums over cells
    """

    points: np.ndarray
    cells: np.ndarray
    centre: np.ndarray
    rays: np.ndarray
    beyond: np.ndarray
    solid: np.ndarray
    tree: Any
    spread: Any

    def __call__(self, x: np.ndarray, near: np.ndarray | None = None) -> Places:
        """Cells (j,) that the rays of x (j, 3) meet, and barycentric coordinates there.

        near (j,) : cells from which to walk
        """
        y = x - self.centre
        cell = self.tree.query(_directions(y))[1] if near is None else near.copy()
        b = self._coordinates(cell, y)
        active = np.flatnonzero(b.min(axis=1) < 0)
        for _ in range(MAX_WALK):
            if not active.size:
                break
            step = self.beyond[cell[active], np.argmin(b[active], axis=1)]
            cell[active] = step
            b[active] = self._coordinates(step, y[active])
            active = active[b[active].min(axis=1) < -SLACK]
        self._rescue(active, cell, b, y)
        b = np.maximum(b, 0.0)
        return cell, b / np.maximum(b.sum(axis=1, keepdims=True), TINY)

    def onto(self, x: np.ndarray) -> np.ndarray:
        """R x (j, 3)."""
        cell, w = self(x)
        return np.einsum("jk,jkd->jd", w, self.points[self.cells[cell]])

    def slopes(self, cell: np.ndarray, w: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Gradients (j, 3, 3) in x of the barycentric coordinates w_a = b_a / sum b."""
        b = np.einsum("jab,jb->ja", self.rays[cell], x - self.centre)
        total = self.rays[cell].sum(axis=1)[:, None]
        size = np.maximum(b.sum(axis=1), TINY)[:, None, None]
        return np.asarray((self.rays[cell] - w[:, :, None] * total) / size)

    def measure(self, moved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ratios of solid angles (k, m) under nodes moved (m, N, 3), signed.

        And their derivatives in the corners of each cell (k, m, 3, 3). The angle of a cell counts
        as the determinant of its corners' directions.
        """
        y = moved - self.centre
        size = np.maximum(np.linalg.norm(y, axis=2, keepdims=True), TINY)
        e = (y / size).transpose(1, 0, 2)[self.cells].transpose(0, 2, 1, 3)
        a, b, c = e[:, :, 0], e[:, :, 1], e[:, :, 2]
        cofactor = np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], axis=2)
        det = np.einsum("kmd,kmd->km", a, cofactor[:, :, 0])
        along = np.einsum("kmad,kmad->kma", cofactor, e)[..., None]
        length = size.transpose(1, 0, 2)[self.cells].transpose(0, 2, 1, 3)
        scale = self.solid[:, None, None, None] * length
        return det / self.solid[:, None], (cofactor - along * e) / scale

    def gather(self, weight: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """sum_k weight_k d ratio_k at the nodes (m, N, 3), of `measure`."""
        k, m, corners, d = slope.shape
        parts = (weight[:, :, None, None] * slope).transpose(0, 2, 1, 3)
        total = self.spread @ parts.reshape(k * corners, m * d)
        return np.asarray(total.reshape(-1, m, d).transpose(1, 0, 2))

    def _coordinates(self, cell: np.ndarray, y: np.ndarray) -> np.ndarray:
        """b (j, 3), below zero in all entries where a ray leaves on the other side."""
        b: np.ndarray = np.einsum("jab,jb->ja", self.rays[cell], y)
        return b

    def _rescue(self, lost: np.ndarray, cell: np.ndarray, b: np.ndarray, y: np.ndarray) -> None:
        """Walks that did not end: every cell is tried; changes cell and b."""
        for j in lost:
            every = self.rays @ y[j]
            cell[j] = int(np.argmax(every.min(axis=1)))
            b[j] = every[cell[j]]


def star(points: np.ndarray, cells: np.ndarray) -> Star | None:
    """The surface from its centre; None where it is not closed, or not seen well."""
    if cells.shape[1] != 3 or points.shape[1] != 3:
        return None
    beyond = neighbours(cells)
    if (beyond == BEYOND).any():
        return None
    edges = points[cells[:, 1:]] - points[cells[:, :1]]
    normal = np.cross(edges[:, 0], edges[:, 1])
    area = np.linalg.norm(normal, axis=1)
    middle = points[cells].mean(axis=1)
    centre = area @ middle / area.sum()
    cosine = np.sum(normal * _directions(middle - centre), axis=1) / area
    if (np.sign(np.median(cosine)) * cosine).min() < LEAST_COSINE:
        return None
    from scipy.spatial import cKDTree

    corners = points[cells] - centre
    rays = np.linalg.inv(corners.transpose(0, 2, 1))
    solid = np.linalg.det(_directions(corners))
    tree = cKDTree(_directions(middle - centre))
    k = len(cells)
    spread = scatter(np.ones(3 * k), cells, np.arange(3 * k), (len(points), 3 * k))
    return Star(points, cells, centre, rays, beyond, solid, tree, spread)


def _directions(y: np.ndarray) -> np.ndarray:
    """y over its length, along the last axis."""
    return np.asarray(y / np.maximum(np.linalg.norm(y, axis=-1, keepdims=True), TINY))
