"""Fields from mesh to mesh: point location, P1 and P2 interpolation with clamped exterior, conservative projection."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree

from rom.errors import BadInput
from rom.mesh import Mesh
from rom.shapes.simplex import CURVED, geometry, lumped_mass, neighbours, simplices


@dataclass(frozen=True, eq=False)
class Locator:
    """x -> (cell, barycentric coordinates) on linear simplices (k, q + 1); built once per mesh, asked as often as one likes.

    A walk from the cell with the nearest centre, across the facet of the most negative coordinate; points that leave the mesh are
    carried to its nearest boundary point. On curves and surfaces (q < d): to the nearest point. Reference: Devillers, Pion, Teillaud (2002).
    """

    points: np.ndarray
    cells: np.ndarray
    gradients: np.ndarray
    beyond: np.ndarray
    tree: Any

    def __call__(
        self, x: np.ndarray, slack: float = 1e-10, near: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """cells (j,), barycentric coordinates (j, q + 1), non-negative and of sum one; near (j,) : cells from which to walk."""
        x = np.asarray(x, dtype=float)
        if self.points.shape[1] == 1:
            return self._on_line(x[:, 0])
        if self.cells.shape[1] <= self.points.shape[1]:
            return nearest_cells(self.points, self.cells, self.tree, x, 12)
        cell, w = self._walked(x, slack, near)
        lost = np.flatnonzero(cell < 0)
        if lost.size:
            edge, owner, tree = self._rim
            rim, weight = nearest_cells(self.points, edge, tree, x[lost], 12)
            onto = np.einsum("jk,jkd->jd", weight, self.points[edge[rim]])
            cell[lost] = owner[rim]
            w[lost] = self._barycentric(cell[lost], onto)
            # a concave boundary can end a walk early: those points are inside a cell near them
            self._rescue(x, lost, cell, w, np.linalg.norm(onto - x[lost], axis=1))
        w = np.maximum(w, 0.0)
        return cell, w / w.sum(axis=1, keepdims=True)

    def matrix(self, x: np.ndarray) -> sp.csr_array:
        """P (j, n) with (P u)_j = u_h(x_j) for piecewise linear u_h."""
        cell, w = self(x)
        return weight_matrix(self.cells[cell], w, len(self.points))

    def with_points(self, points: np.ndarray) -> Locator:
        """The same cells with their nodes elsewhere; neighbours are not sought again."""
        return Locator(
            points,
            self.cells,
            geometry(points, self.cells)[1],
            self.beyond,
            _centres(points, self.cells),
        )

    @cached_property
    def _rim(self) -> tuple[np.ndarray, np.ndarray, Any]:
        """Boundary facets, the cell that each belongs to, and a tree of their centres."""
        owner, corner = np.nonzero(self.beyond < 0)
        keep = np.arange(self.cells.shape[1]) != corner[:, None]
        edge = self.cells[owner][keep].reshape(len(owner), -1)
        return edge, owner, _centres(self.points, edge)

    def _barycentric(self, cell: np.ndarray, x: np.ndarray) -> np.ndarray:
        w = np.einsum("jkd,jd->jk", self.gradients[cell], x - self.points[self.cells[cell, 0]])
        w[:, 0] += 1.0
        return w

    def _walked(
        self, x: np.ndarray, slack: float, near: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        cell = self.tree.query(x)[1] if near is None else near.copy()
        w = self._barycentric(cell, x)
        active = np.flatnonzero(w.min(axis=1) < -slack)
        for _ in range(200):
            if not active.size:
                break
            step = self.beyond[cell[active], np.argmin(w[active], axis=1)]
            cell[active] = step
            active = active[step >= 0]
            w[active] = self._barycentric(cell[active], x[active])
            active = active[w[active].min(axis=1) < -slack]
        cell[active] = -1
        return cell, w

    def _rescue(
        self, x: np.ndarray, lost: np.ndarray, cell: np.ndarray, w: np.ndarray, distance: np.ndarray
    ) -> None:
        check = lost[distance > 0]
        near = self.tree.query(x[check], k=min(16, len(self.cells)))[1].reshape(len(check), -1)
        for column in near.T:
            tried = self._barycentric(column, x[check])
            inside = tried.min(axis=1) >= -1e-10
            cell[check[inside]], w[check[inside]] = column[inside], tried[inside]

    def _on_line(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        ends = np.sort(self.points[self.cells, 0], axis=1)
        order = np.argsort(ends[:, 0])
        place = np.clip(np.searchsorted(ends[order, 0], x, side="right") - 1, 0, len(order) - 1)
        cell = order[place]
        a, b = self.points[self.cells[cell, 0], 0], self.points[self.cells[cell, 1], 0]
        s = np.clip((x - a) / (b - a), 0.0, 1.0)
        return cell, np.column_stack([1.0 - s, s])


def locator(points: np.ndarray, cells: np.ndarray) -> Locator:
    """The point location of linear simplices."""
    solid = cells.shape[1] == points.shape[1] + 1 > 2
    beyond = neighbours(cells) if solid else np.zeros((0, 0), np.int64)
    return Locator(points, cells, geometry(points, cells)[1], beyond, _centres(points, cells))


def _centres(points: np.ndarray, cells: np.ndarray) -> cKDTree:
    return cKDTree(points[cells].mean(axis=1))


def interpolation(mesh: Mesh, x: np.ndarray, at: Locator | None = None) -> sp.csr_array:
    """P (j, n) with (P u)_j = u_h(x_j), the constant extension beyond the boundary; P1, and P2 on triangle6, tetra10 and line3.

    Exact for affine fields inside the mesh. Raises BadInput for points of another dimension.
    """
    x = np.asarray(x, dtype=float)
    if x.ndim != 2 or x.shape[1] != mesh.points.shape[1]:
        raise BadInput(
            f"points have shape {x.shape}; the mesh lives in dimension {mesh.points.shape[1]}: give (j, {mesh.points.shape[1]})"
        )
    at = at or locator(mesh.points, simplices(mesh))
    curved = [
        kind for kind in mesh.cells if kind in CURVED and len(mesh.cells[kind]) == len(at.cells)
    ]
    if not curved or CURVED[curved[0]] != at.cells.shape[1]:
        return at.matrix(x)
    cell, w = at(x)
    return weight_matrix(mesh.cells[curved[0]][cell], quadratic(w), len(mesh.points))


def weight_matrix(nodes: np.ndarray, w: np.ndarray, n: int) -> sp.csr_array:
    """P (j, n) with weights w (j, k) at the nodes (j, k)."""
    made = sp.csr_array(
        (w.ravel(), nodes.ravel(), np.arange(0, w.size + 1, w.shape[1])), shape=(len(w), n)
    )
    made.eliminate_zeros()
    made.sort_indices()
    return made


def quadratic(w: np.ndarray) -> np.ndarray:
    """P2 shape functions in the order of VTK at barycentric coordinates w (j, q + 1): corners w (2 w - 1), edges 4 w_a w_b."""
    edges = {
        2: [(0, 1)],
        3: [(0, 1), (1, 2), (2, 0)],
        4: [(0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3)],
    }[w.shape[1]]
    return np.column_stack([w * (2 * w - 1), *(4 * w[:, a] * w[:, b] for a, b in edges)])


def conservative(mesh: Mesh, onto: Mesh, points: int = 4) -> sp.csr_array:
    """P u = D^{-1} sum_q w_q phi(x_q) u(x_q), D the lumped mass of `onto`: 1^T D P u = int u to round-off.

    points : per direction and cell of `mesh`; raise it where `onto` is much finer. Constants are kept to quadrature accuracy.
    Reference: Farrell, Piggott, Pain, Gorman, Wilson (2009).
    """
    cells = simplices(mesh)
    q = cells.shape[1] - 1
    lattice = np.array([k for k in np.ndindex(*(points,) * (q + 1)) if sum(k) == points - 1])
    w = (lattice + 1 / (q + 1)) / points
    volume = np.abs(geometry(mesh.points, cells)[0])
    x = np.einsum("ga,kad->kgd", w, mesh.points[cells]).reshape(-1, mesh.points.shape[1])
    rows = np.repeat(np.arange(len(x)), q + 1)
    values = np.broadcast_to(w, (len(cells), *w.shape)).ravel()
    at = np.repeat(cells[:, None, :], len(w), axis=1).ravel()
    here = sp.csr_array(sp.coo_array((values, (rows, at)), shape=(len(x), len(mesh.points))))
    weight = sp.diags_array(np.repeat(volume / len(w), len(w)))
    D = lumped_mass(onto.points, simplices(onto))
    return sp.csr_array(
        sp.diags_array(1.0 / np.where(D > 0, D, 1.0)) @ (interpolation(onto, x).T @ weight @ here)
    )


def nearest_cells(
    points: np.ndarray, cells: np.ndarray, tree: Any, x: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest point of curve or surface cells (b, 2) or (b, 3) among those with the k nearest centres."""
    near = tree.query(x, k=min(k, len(cells)))[1].reshape(len(x), -1)
    best, cell, weight = (
        np.full(len(x), np.inf),
        np.zeros(len(x), np.int64),
        np.zeros((len(x), cells.shape[1])),
    )
    for column in near.T:
        corners = points[cells[column]]
        w = _projected(corners, x)
        distance = np.linalg.norm(np.einsum("jk,jkd->jd", w, corners) - x, axis=1)
        closer = distance < best
        best[closer], cell[closer], weight[closer] = distance[closer], column[closer], w[closer]
    return cell, weight


def _projected(corners: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Barycentric coordinates (j, q + 1) of the point of each simplex (j, q + 1, d), q <= 2, that is nearest to x (j, d)."""
    if corners.shape[1] == 1:
        return np.ones((len(x), 1))
    edges = corners[:, 1:] - corners[:, :1]
    right = np.einsum("jqd,jd->jq", edges, x - corners[:, 0])
    metric = edges @ edges.transpose(0, 2, 1)
    s = np.linalg.solve(metric, right[:, :, None])[:, :, 0]
    if corners.shape[1] == 2:
        s = np.clip(s, 0.0, 1.0)
        return np.column_stack([1.0 - s, s])
    w = np.column_stack([1.0 - s.sum(axis=1), s])
    outside = np.flatnonzero(w.min(axis=1) < 0)
    best = np.full(len(outside), np.inf)
    for a, b in ((0, 1), (1, 2), (0, 2)):
        part = _projected(corners[outside][:, [a, b]], x[outside])
        distance = np.linalg.norm(
            np.einsum("jk,jkd->jd", part, corners[outside][:, [a, b]]) - x[outside], axis=1
        )
        closer = distance < best
        rows = outside[closer]
        w[rows] = 0.0
        w[rows, a], w[rows, b] = part[closer, 0], part[closer, 1]
        best[closer] = distance[closer]
    return w
