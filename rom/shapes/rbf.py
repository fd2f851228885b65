"""Morphing by radial basis functions from matched control points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from rom.errors import BadInput, Folded
from rom.mesh import Mesh
from rom.shapes.curves import Names, match_curves
from rom.shapes.simplex import determinants, scatter, simplices

BLOCK = 2**17  # kernel values at a time: what stays in a core's cache
WIDE = 0.05  # share of the control points in a support, above which matrices are dense
PROBES = 50  # control points where that share is measured
RIDGE = 1e-12

Points = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Radial:
    """phi(x) = A x + b + sum_c alpha_c f(|x - x_c| / R), f(s) = (1 - s)_+^4 (4 s + 1).

    curves : regions of line cells, matched by normalised arc length; closed ones from the node
        set of their name, or their lowest node in x
    controls : node sets whose k-th nodes match
    radius : R in diagonals of the bounding box
    substeps : the displacement is cut in two, at most so often, where one step would fold a cell
    most : control points per curve; finer curves are thinned evenly
    Raises Folded naming the cell where that does not help, BadInput where names do not match.
    References: Wendland (1995); de Boer, van der Schoot, Bijl (2007).
    """

    curves: Names = ()
    controls: Names = ()
    radius: float = 0.5
    substeps: int = 4
    most: int = 150

    def __call__(self, mesh: Mesh, reference: Mesh) -> np.ndarray:
        """Where the nodes of `mesh` lie in the reference (n, d)."""
        x, y = self.match(mesh, reference)
        cells = simplices(mesh)
        diagonal = float(np.linalg.norm(np.ptp(mesh.points, axis=0)))
        radius = self.radius * diagonal
        for halving in range(self.substeps + 1):
            moved = _move(mesh.points, x, y, radius, steps=2**halving)
            det = determinants(mesh.points, moved, cells)
            if det.min() > 0:
                return moved
        worst = int(np.argmin(det))
        nodes = cells[worst]
        place = mesh.points[nodes].mean(axis=0)
        raise Folded(
            f"cell {worst} with nodes {nodes.tolist()} near {place} is turned over"
            f" (determinant {det[worst]:.2g}); add control points there, enlarge the radius, or"
            " take Elastic"
        )

    def match(self, mesh: Mesh, reference: Mesh) -> Points:
        """Control points on the mesh (c, d) and where the reference has them (c, d)."""
        pairs = match_curves(mesh, reference, self.curves, self.most)
        pairs += [_match_sets(mesh, reference, name) for name in self.controls]
        if not pairs:
            raise BadInput(
                "no control points; give curves (regions of line cells) or controls (node sets)"
            )
        x, y = (np.vstack(part) for part in zip(*pairs, strict=True))
        size = max(np.ptp(mesh.points), 1e-300)
        _, first = np.unique(np.round(x / size, 10), axis=0, return_index=True)
        rows = np.sort(first)
        return x[rows], y[rows]


def _match_sets(mesh: Mesh, reference: Mesh, name: str) -> Points:
    """Nodes of a node set on the mesh and on the reference."""
    here = mesh.nodes.get(name)
    there = reference.nodes.get(name)
    if here is None or there is None or len(here) != len(there):
        names = ", ".join(mesh.nodes)
        raise BadInput(
            f"node set {name!r} must be on mesh and reference with equal length; regions and "
            f"sets: {names}"
        )
    return mesh.points[here], reference.points[there]


def _move(
    points: np.ndarray, x: np.ndarray, y: np.ndarray, radius: float, *, steps: int
) -> np.ndarray:
    """Points under the radial map x -> y in equal steps."""
    moved = points
    for left in range(steps, 0, -1):
        target = x + (y - x) / left
        moved = radial_map(moved, x, target, radius)
        x = target
    return moved


def radial_map(points: np.ndarray, x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """The radial map with x -> y applied to points (n, d); affine maps are exact."""
    from scipy.spatial import cKDTree

    ones = np.column_stack([x, np.ones(len(x))])
    affine, *_ = np.linalg.lstsq(ones, y, rcond=1e-10)
    rest = y - ones @ affine
    tree = cKDTree(x)
    probes = x[:: max(1, len(x) // PROBES)]
    inside = tree.query_ball_point(probes, radius, return_length=True)
    if inside.mean() > WIDE * len(x):
        bend = _dense_map(points, x, rest, radius)
    else:
        bend = _sparse_map(points, tree, rest, radius)
    straight = np.column_stack([points, np.ones(len(points))]) @ affine
    return np.asarray(straight + bend)


def _dense_map(points: np.ndarray, x: np.ndarray, rest: np.ndarray, radius: float) -> np.ndarray:
    """sum_c alpha_c f(|x - x_c| / R) where supports are wide."""
    matrix = _dense(x, x, radius)
    ridge = RIDGE * np.eye(len(x))
    alpha = la.solve(matrix + ridge, rest, assume_a="pos")
    count = len(points) * len(x) // BLOCK + 1
    blocks = np.array_split(points, count)
    return np.vstack([_dense(block, x, radius) @ alpha for block in blocks])


def _sparse_map(points: np.ndarray, tree: Any, rest: np.ndarray, radius: float) -> np.ndarray:
    """The same where supports are small: only pairs nearer than R are formed."""
    from scipy.spatial import cKDTree

    ridge = RIDGE * sp.eye_array(tree.n)
    matrix = sp.csc_array(_sparse(tree, tree, radius) + ridge)
    alpha = splu(matrix).solve(rest)
    return np.asarray(_sparse(cKDTree(points), tree, radius) @ alpha)


def _wendland(s: np.ndarray) -> np.ndarray:
    """(1 - s)_+^4 (4 s + 1), with t = 1 - s."""
    t = np.maximum(1.0 - s, 0.0)
    f = t * t
    f *= f
    t *= -4.0
    t += 5.0
    f *= t
    return np.asarray(f)


def _dense(a: np.ndarray, b: np.ndarray, radius: float) -> np.ndarray:
    """f(|a_i - b_c| / R) of all pairs."""
    from scipy.spatial.distance import cdist

    return _wendland(cdist(a, b) / radius)


def _sparse(a: Any, b: Any, radius: float) -> sp.csr_array:
    """f(|a_i - b_c| / R) of the pairs of two trees that are nearer than R."""
    near = a.sparse_distance_matrix(b, radius, output_type="coo_matrix")
    values = _wendland(near.data / radius)
    return scatter(values, near.row, near.col, (a.n, b.n))
