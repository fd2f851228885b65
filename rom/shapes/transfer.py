"""Fields from mesh to mesh: interpolation, and projection that keeps integrals."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from rom.arrays import POINTS, gate
from rom.errors import BadInput
from rom.mesh import Mesh
from rom.shapes.location import Locator, locator, weight_matrix
from rom.shapes.simplex import lumped_mass, scatter, simplices, volumes

CORNERS = {"line3": 2, "triangle6": 3, "tetra10": 4}  # of the types with quadratic fields
# corners -> edges of a simplex in the order of VTK
EDGES = {
    2: [(0, 1)],
    3: [(0, 1), (1, 2), (2, 0)],
    4: [(0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3)],
}


@gate(mesh=Mesh, x=POINTS)
def interpolation(mesh: Mesh, x: np.ndarray, at: Locator | None = None) -> sp.csr_array:
    """P (j, n) with (P u)_j = u_h(x_j), constant beyond the boundary.

    P1, and P2 on triangle6, tetra10 and line3; exact for affine fields inside the mesh.
    at : point location of the mesh, where there is one already
    Raises BadInput for points of another dimension.
    """
    n, d = mesh.points.shape
    if x.shape[1] != d:
        raise BadInput(
            f"points have shape {x.shape}; the mesh lives in dimension {d}: give (j, {d})"
        )
    if at is None:
        at = locator(mesh.points, simplices(mesh))
    quadratic_cells = _quadratic_cells(mesh, at)
    if quadratic_cells is None:
        return at.matrix(x)
    cell, w = at(x)
    return weight_matrix(quadratic_cells[cell], quadratic(w), n)


def _quadratic_cells(mesh: Mesh, at: Locator) -> np.ndarray | None:
    """The cells with nodes inside edges, where they are all the cells; else None."""
    count, corners = at.cells.shape
    for kind, cells in mesh.cells.items():
        if kind in CORNERS and len(cells) == count:
            return cells if CORNERS[kind] == corners else None
    return None


def quadratic(w: np.ndarray) -> np.ndarray:
    """P2 shape functions at barycentric coordinates w (j, q + 1), in the order of VTK.

    Corners w (2 w - 1), edges 4 w_a w_b.
    """
    corners = w * (2 * w - 1)
    columns = [corners]
    for a, b in EDGES[w.shape[1]]:
        columns.append(4 * w[:, a] * w[:, b])
    return np.column_stack(columns)


@gate(mesh=Mesh, onto=Mesh)
def conservative(mesh: Mesh, onto: Mesh, points: int = 4) -> sp.csr_array:
    """P u = D^{-1} sum_q w_q phi(x_q) u(x_q): 1^T D P u = int u to round-off.

    D : the lumped mass of `onto`
    points : per direction and cell of `mesh`; raise it where `onto` is much finer
    Constants are kept to quadrature accuracy.
    Reference: Farrell, Piggott, Pain, Gorman, Wilson (2009).
    """
    cells = simplices(mesh)
    corners = cells.shape[1]
    w = _lattice(corners, points)
    n, d = mesh.points.shape
    x = np.einsum("ga,kad->kgd", w, mesh.points[cells]).reshape(-1, d)
    rows = np.repeat(np.arange(len(x)), corners)
    nodes = np.repeat(cells[:, None, :], len(w), axis=1)
    values = np.broadcast_to(w, nodes.shape)
    here = scatter(values, rows, nodes, (len(x), n))
    volume = volumes(mesh.points, cells)
    share = volume / len(w)
    weight = sp.diags_array(np.repeat(share, len(w)))
    there = interpolation(onto, x)
    D = lumped_mass(onto.points, simplices(onto))
    inverse = sp.diags_array(1.0 / np.where(D > 0, D, 1.0))
    return sp.csr_array(inverse @ (there.T @ weight @ here))


def _lattice(corners: int, points: int) -> np.ndarray:
    """Barycentric coordinates (g, corners) of a regular lattice inside a simplex."""
    every = np.ndindex(*(points,) * corners)
    lattice = np.array([index for index in every if sum(index) == points - 1])
    shifted: np.ndarray = lattice + 1 / corners
    return shifted / points
