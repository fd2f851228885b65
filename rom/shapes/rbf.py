"""Morphing by radial basis functions from matched control points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from rom.errors import BadInput, Folded
from rom.mesh import Mesh
from rom.shapes.charts import chain
from rom.shapes.simplex import determinants, simplices

BLOCK = 2**17  # kernel values at a time: what stays in a core's cache


@dataclass(frozen=True, eq=False)
class Radial:
    """phi(x) = A x + b + sum_c alpha_c f(|x - x_c| / R), f(s) = (1 - s)_+^4 (4 s + 1): control points go where they match.

    curves : regions of line cells, matched by normalised arc length, closed ones from the node set of their name, or their lowest node in x
    controls : node sets whose k-th nodes match; radius : R in diagonals of the bounding box
    substeps : the way is cut in two, at most so often, where one step would fold a cell
    most : control points per curve; finer curves are thinned evenly
    Raises Folded naming the cell where that does not help. Reference: Wendland (1995); de Boer, van der Schoot, Bijl (2007).
    """

    curves: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    radius: float = 0.5
    substeps: int = 4
    most: int = 150

    def __call__(self, mesh: Mesh, reference: Mesh) -> np.ndarray:
        x, y = self.match(mesh, reference)
        cells, radius = (
            simplices(mesh),
            self.radius * float(np.linalg.norm(np.ptp(mesh.points, axis=0))),
        )
        for halving in range(self.substeps + 1):
            moved, at = mesh.points, x
            for _ in range(2**halving):
                target = at + (y - at) / (2**halving - _)
                moved, at = radial_map(moved, at, target, radius), target
            det = determinants(mesh.points, moved, cells)
            if det.min() > 0:
                return moved
        worst = int(np.argmin(det))
        raise Folded(
            f"cell {worst} with nodes {cells[worst].tolist()} near {mesh.points[cells[worst]].mean(axis=0)} is turned over"
            f" (determinant {det[worst]:.2g}); add control points there, enlarge the radius, or take Elastic"
        )

    def match(self, mesh: Mesh, reference: Mesh) -> tuple[np.ndarray, np.ndarray]:
        """Control points on the mesh (c, d) and where the reference has them (c, d)."""
        pairs = [_thinned(*curve_match(mesh, reference, name), self.most) for name in self.curves]
        for name in self.controls:
            a, b = mesh.nodes.get(name), reference.nodes.get(name)
            if a is None or b is None or len(a) != len(b):
                raise BadInput(
                    f"node set {name!r} must be on mesh and reference with equal length; regions and sets: {', '.join([*mesh.nodes])}"
                )
            pairs.append((mesh.points[a], reference.points[b]))
        if not pairs:
            raise BadInput(
                "no control points; give curves (regions of line cells) or controls (node sets)"
            )
        x, y = (np.vstack(part) for part in zip(*pairs, strict=True))
        _, first = np.unique(
            np.round(x / max(np.ptp(mesh.points), 1e-300), 10), axis=0, return_index=True
        )
        return x[np.sort(first)], y[np.sort(first)]


def radial_map(points: np.ndarray, x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """The radial map with x -> y applied to points (n, d); affine maps are reproduced exactly."""
    ones = np.column_stack([x, np.ones(len(x))])
    affine, *_ = np.linalg.lstsq(ones, y, rcond=1e-10)
    rest = y - ones @ affine
    tree = cKDTree(x)
    wide = tree.query_ball_point(
        x[:: max(1, len(x) // 50)], radius, return_length=True
    ).mean() > 0.05 * len(x)
    if wide:
        alpha = la.solve(_dense(x, x, radius) + 1e-12 * np.eye(len(x)), rest, assume_a="pos")
        blocks = np.array_split(points, len(points) * len(x) // BLOCK + 1)
        moved = np.vstack([_dense(part, x, radius) @ alpha for part in blocks])
    else:
        alpha = splu(
            sp.csc_array(_sparse(tree, tree, radius) + 1e-12 * sp.eye_array(len(x)))
        ).solve(rest)
        moved = _sparse(cKDTree(points), tree, radius) @ alpha
    return np.column_stack([points, np.ones(len(points))]) @ affine + moved


def _wendland(s: np.ndarray) -> np.ndarray:
    """(1 - s)_+^4 (4 s + 1), with t = 1 - s."""
    t = np.maximum(1.0 - s, 0.0)
    f = t * t
    f *= f
    t *= -4.0
    t += 5.0
    f *= t
    return f


def _dense(a: np.ndarray, b: np.ndarray, radius: float) -> np.ndarray:
    """f(|a_i - b_c| / R), where supports are wide."""
    return _wendland(cdist(a, b) / radius)


def _sparse(a: cKDTree, b: cKDTree, radius: float) -> sp.csr_array:
    """The same, only pairs nearer than R are formed."""
    found = a.sparse_distance_matrix(b, radius, output_type="coo_matrix")
    return sp.csr_array(
        sp.coo_array((_wendland(found.data / radius), (found.row, found.col)), shape=(a.n, b.n))
    )


def curve_match(mesh: Mesh, reference: Mesh, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Nodes of a named curve (c, d) and the points of the reference's curve of that name at the same share of arc length (c, d)."""
    x, s, _ = arc_fractions(mesh, name)
    y, t, _ = arc_fractions(reference, name)
    return x, np.column_stack([np.interp(s, t, y[:, k]) for k in range(y.shape[1])])


def _thinned(x: np.ndarray, y: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    rows = np.unique(np.round(np.linspace(0, len(x) - 1, min(most, len(x)))).astype(int))
    return x[rows], y[rows]


def arc_fractions(mesh: Mesh, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of a named curve in order (c, d), shares of arc length in [0, 1], and node numbers.

    Boundaries of triangles run with the domain on their left, other curves as their first cell does. Closed ones start at the node
    of the node set of the same name, or else at their lowest node in x, and end where they start.
    """
    edges = mesh.cells["line"][mesh.region(name)["line"]]
    order = chain(edges)
    if _against(mesh, order):
        order = order[::-1]
    if len(order) == len(edges):
        x = np.round(mesh.points[order] / max(float(np.ptp(mesh.points)), 1e-300), 9)
        named = np.flatnonzero(np.isin(order, mesh.nodes.get(name, ())))
        order = np.roll(order, -int(named[0] if named.size else np.lexsort(x.T[::-1])[0]))
        order = np.append(order, order[0])
    p = mesh.points[order]
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(p, axis=0), axis=1))])
    return p, arc / arc[-1], order


def _against(mesh: Mesh, order: np.ndarray) -> bool:
    """Whether a boundary of triangles is walked with the domain on its right."""
    triangles = mesh.cells.get("triangle", np.zeros((0, 3), np.int64))
    a, b = order[0], order[1]
    for i, j in ((0, 1), (1, 2), (2, 0)):
        there = np.flatnonzero((triangles[:, i] == b) & (triangles[:, j] == a))
        if (
            there.size
            and not ((triangles[:, [0, 1, 2]] == a) & (np.roll(triangles, -1, axis=1) == b)).any()
        ):
            return True
    return False
