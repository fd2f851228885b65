"""The metric of displacements that optimal mappings ascend in."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from rom.errors import BadInput
from rom.shapes.ascent import Linear
from rom.shapes.facets import facet_normals, facets
from rom.shapes.simplex import elasticity, mass, scatter, stiffness, volumes

HELMHOLTZ, ELASTICITY = KINDS = ("helmholtz", "elasticity")
SLIP, FIXED = BOUNDARIES = ("slip", "fixed")
CORNER = 0.25  # singular value over the largest, above which normals span one more direction


def mapping_preconditioner(
    x: np.ndarray, cells: np.ndarray, length: float, kind: str, boundary: str
) -> tuple[sp.csr_array, Linear]:
    """K on displacements (N d, N d) and g (m, N, d) -> K^{-1} g, factored once.

    K = length^2 grad:grad + mass, or length^2 elasticity + mass.
    Raises BadInput for another `kind` or `boundary`.
    """
    if kind not in KINDS:
        raise BadInput(f"no preconditioner {kind!r}; known: {', '.join(KINDS)}")
    if boundary not in BOUNDARIES:
        raise BadInput(f"no boundary condition {boundary!r}; known: {', '.join(BOUNDARIES)}")
    volume = volumes(x, cells).sum()
    each = sp.eye_array(x.shape[1])
    M = sp.kron(mass(x, cells), each) / volume
    A = sp.kron(stiffness(x, cells), each) if kind == HELMHOLTZ else elasticity(x, cells)
    K = sp.csc_array(length**2 * A / volume + M)
    T = _admissible(x, cells, boundary)
    lu = splu(sp.csc_array(T.T @ K @ T))

    def solve(g: np.ndarray) -> np.ndarray:
        """K^{-1} g on the admissible displacements, (m, N, d)."""
        flat = g.reshape(len(g), -1)
        right = np.ascontiguousarray((flat @ T).T)
        columns = T @ lu.solve(right)
        return np.asarray(columns.T.reshape(g.shape))

    return sp.csr_array(K), solve


def _admissible(x: np.ndarray, cells: np.ndarray, boundary: str) -> sp.csr_array:
    """Columns that span the admissible displacements (N d, free).

    On the boundary they are zero, or tangential with corners fixed.
    """
    n, d = x.shape
    edge, owner = facets(cells)
    rim = np.unique(edge)
    inside = np.setdiff1d(np.arange(n), rim)
    dofs = inside[:, None] * d + np.arange(d)
    rows = [dofs.ravel()]
    cols = [np.arange(dofs.size)]
    data = [np.ones(dofs.size)]
    columns = dofs.size
    if boundary == SLIP and d > 1:
        normals = facet_normals(x, cells, edge, owner)
        for node in rim:
            around = (edge == node).any(axis=1)
            for tangent in _tangents(normals[around]):
                rows.append(node * d + np.arange(d))
                cols.append(np.full(d, columns))
                data.append(tangent)
                columns += 1
    values, i, j = (np.concatenate(part) for part in (data, rows, cols))
    return scatter(values, i, j, (n * d, columns))


def _tangents(normals: np.ndarray) -> np.ndarray:
    """Directions (t, d) that are normal to none of the facets around a node."""
    _, s, directions = np.linalg.svd(normals)
    rank = int(np.sum(s > CORNER * s[0]))
    return np.asarray(directions[rank:])
