"""Point location: the cell in which a point lies, and where in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from rom.shapes.facets import BEYOND, neighbours
from rom.shapes.nearest import nearest_cells
from rom.shapes.simplex import geometry, scatter
from rom.shapes.stars import Star, star

MAX_WALK = 200  # cells on the way to a point
RESCUE = 16  # cells around a point that are tried where a walk ends early
SLACK = 1e-10  # barycentric coordinates below zero that still count as inside

Places = tuple[np.ndarray, np.ndarray]  # cells (j,), barycentric coordinates (j, q + 1)


@dataclass(frozen=True, eq=False)
class Locator:
    """x -> (cell, barycentric coordinates) on linear simplices (k, q + 1).

    Built once per mesh. A walk from the cell with the nearest centre crosses the facet of the most
    negative coordinate; points that leave the mesh are carried to its nearest boundary point. On
    curves and surfaces (q < d) : to the nearest point.
    Reference: Devillers, Pion, Teillaud (2002).
    """

    points: np.ndarray
    cells: np.ndarray
    gradients: np.ndarray
    beyond: np.ndarray
    tree: Any

    def __call__(self, x: np.ndarray, near: np.ndarray | None = None) -> Places:
        """Cells (j,), and barycentric coordinates (j, q + 1) >= 0 of sum one.

        near (j,) : cells from which to walk
        """
        x = np.asarray(x, dtype=float)
        dimension = self.points.shape[1]
        if dimension == 1:
            return self._on_line(x[:, 0])
        if self.cells.shape[1] <= dimension:
            return nearest_cells(self.points, self.cells, x, tree=self.tree)
        cell, w = self._walk(x, near)
        lost = np.flatnonzero(cell == BEYOND)
        if lost.size:
            self._to_boundary(x, lost, cell, w)
        w = np.maximum(w, 0.0)
        return cell, w / w.sum(axis=1, keepdims=True)

    @cached_property
    def star(self) -> Star | None:
        """The surface from its centre, where it is closed and seen from there."""
        return star(self.points, self.cells)

    def matrix(self, x: np.ndarray) -> sp.csr_array:
        """P (j, n) with (P u)_j = u_h(x_j) for piecewise linear u_h."""
        cell, w = self(x)
        nodes = self.cells[cell]
        return weight_matrix(nodes, w, len(self.points))

    def with_points(self, points: np.ndarray) -> Locator:
        """The same cells with their nodes elsewhere; neighbours are not sought again."""
        _, gradients = geometry(points, self.cells)
        tree = _centre_tree(points, self.cells)
        return Locator(points, self.cells, gradients, self.beyond, tree)

    def nodal_gradient(self, v: np.ndarray) -> np.ndarray:
        """grad v (N, c, d) of piecewise linear v (N, c): means around each node by volume."""
        signed, _ = geometry(self.points, self.cells)
        volume = np.abs(signed)
        slope = np.einsum("kac,kad->kcd", v[self.cells], self.gradients)
        weighted = slope * volume[:, None, None]
        cells, corners = self.cells.shape
        owner = np.repeat(np.arange(cells), corners)
        around = scatter(np.ones(cells * corners), self.cells, owner, (len(v), cells))
        total = around @ weighted.reshape(cells, -1)
        weight = around @ volume
        divisor = np.where(weight > 0, weight, 1.0)
        nodal = total.reshape(len(v), *slope.shape[1:])
        return np.asarray(nodal / divisor[:, None, None])

    @cached_property
    def _rim(self) -> tuple[np.ndarray, np.ndarray, Any]:
        """Boundary facets, the cell that each belongs to, and a tree of their centres."""
        owner, corner = np.nonzero(self.beyond == BEYOND)
        corners = np.arange(self.cells.shape[1])
        others = corners != corner[:, None]
        facet = self.cells[owner][others].reshape(len(owner), -1)
        return facet, owner, _centre_tree(self.points, facet)

    def _barycentric(self, cell: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Barycentric coordinates (j, q + 1) of points x (j, d) in cells (j,)."""
        node = self.cells[cell, 0]
        offset = x - self.points[node]
        w: np.ndarray = np.einsum("jkd,jd->jk", self.gradients[cell], offset)
        w[:, 0] += 1.0
        return w

    def _walk(self, x: np.ndarray, near: np.ndarray | None) -> Places:
        """Walks across facets; BEYOND where a point leaves the mesh."""
        cell = self.tree.query(x)[1] if near is None else near.copy()
        w = self._barycentric(cell, x)
        active = np.flatnonzero(w.min(axis=1) < -SLACK)
        for _ in range(MAX_WALK):
            if not active.size:
                break
            corner = np.argmin(w[active], axis=1)
            step = self.beyond[cell[active], corner]
            cell[active] = step
            active = active[step != BEYOND]
            w[active] = self._barycentric(cell[active], x[active])
            outside = w[active].min(axis=1) < -SLACK
            active = active[outside]
        cell[active] = BEYOND
        return cell, w

    def _to_boundary(
        self, x: np.ndarray, lost: np.ndarray, cell: np.ndarray, w: np.ndarray
    ) -> None:
        """Lost points go to the nearest boundary point; changes cell and w."""
        facet, owner, tree = self._rim
        rim, weight = nearest_cells(self.points, facet, x[lost], tree=tree)
        corners = self.points[facet[rim]]
        onto = np.einsum("jk,jkd->jd", weight, corners)
        cell[lost] = owner[rim]
        w[lost] = self._barycentric(cell[lost], onto)
        distance = np.linalg.norm(onto - x[lost], axis=1)
        self._rescue(x, lost[distance > 0], cell, w)

    def _rescue(self, x: np.ndarray, lost: np.ndarray, cell: np.ndarray, w: np.ndarray) -> None:
        """A concave boundary can end a walk early: such points are in a cell near them."""
        count = min(RESCUE, len(self.cells))
        near = self.tree.query(x[lost], k=count)[1].reshape(-1, count)
        for candidates in near.T:
            trial = self._barycentric(candidates, x[lost])
            inside = trial.min(axis=1) >= -SLACK
            rows = lost[inside]
            cell[rows] = candidates[inside]
            w[rows] = trial[inside]

    def _on_line(self, x: np.ndarray) -> Places:
        """The same on a mesh of the real line, x (j,)."""
        ends = self.points[self.cells, 0]
        left = ends.min(axis=1)
        order = np.argsort(left)
        place = np.searchsorted(left[order], x, side="right") - 1
        cell = order[np.clip(place, 0, len(order) - 1)]
        a, b = ends[cell].T
        share = (x - a) / (b - a)
        s = np.clip(share, 0.0, 1.0)
        return cell, np.column_stack([1.0 - s, s])


def locator(points: np.ndarray, cells: np.ndarray) -> Locator:
    """The point location of linear simplices."""
    solid = cells.shape[1] == points.shape[1] + 1 > 2
    beyond = neighbours(cells) if solid else np.zeros((0, 0), np.int64)
    _, gradients = geometry(points, cells)
    return Locator(points, cells, gradients, beyond, _centre_tree(points, cells))


def _centre_tree(points: np.ndarray, cells: np.ndarray) -> Any:
    """A k-d tree of the centres of cells."""
    from scipy.spatial import cKDTree

    centres = points[cells].mean(axis=1)
    return cKDTree(centres)


def weight_matrix(nodes: np.ndarray, w: np.ndarray, n: int) -> sp.csr_array:
    """P (j, n) with weights w (j, k) at the nodes (j, k)."""
    rows, count = w.shape
    starts = np.arange(0, w.size + 1, count)
    P = sp.csr_array((w.ravel(), nodes.ravel(), starts), shape=(rows, n))
    P.eliminate_zeros()
    P.sort_indices()
    return P
