"""Gaps between the boundary of a moved reference and a shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from rom.mesh import Mesh
from rom.shapes.facets import facet_normals, facets
from rom.shapes.nearest import nearest_cells
from rom.shapes.simplex import scatter, simplices

NEAR = 1e-3  # share of the largest gap, up to which a normal is that of the boundary itself
TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Gaps:
    """Boundary nodes (b,), signed distances to the shape (b,), and normals (b, d)."""

    nodes: np.ndarray
    gap: np.ndarray
    normal: np.ndarray

    def normal_matrix(self, n: int) -> sp.csr_array:
        """N (b, n) with (N u)_b = u.n at boundary node b, dofs node-major."""
        count, d = self.normal.shape
        rows = np.repeat(np.arange(count), d)
        dofs = self.nodes[:, None] * d + np.arange(d)
        return scatter(self.normal, rows, dofs, (count, n))


def gaps(
    mesh: Mesh, reference: Mesh, x: np.ndarray, cells: np.ndarray, regions: tuple[str, ...]
) -> Gaps:
    """Gaps between the reference with its nodes at x (N, d) and the shape, by region."""
    boundary, owner = facets(cells)
    number = {tuple(facet): k for k, facet in enumerate(_sort(boundary))}
    parts = []
    for part, onto in _parts(mesh, reference, regions):
        rows = np.array([number[tuple(facet)] for facet in _sort(part)])
        edges = boundary[rows]
        normals = facet_normals(x, cells, edges, owner[rows])
        nodes, normal = _nodal_normals(x, edges, normals)
        parts.append(_gaps_to(mesh.points, onto, x, nodes, normal))
    nodes = np.concatenate([part.nodes for part in parts])
    gap = np.concatenate([part.gap for part in parts])
    normal = np.vstack([part.normal for part in parts])
    return Gaps(nodes, gap, normal)


def _sort(facet: np.ndarray) -> list[list[int]]:
    """The nodes of each facet in order."""
    nodes: list[list[int]] = np.sort(facet, axis=1).tolist()
    return nodes


def _nodal_normals(
    x: np.ndarray, edges: np.ndarray, normals: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Nodes of facets (b,), and mean unit normals around them (b, d)."""
    total = np.zeros_like(x)
    repeated = np.repeat(normals, edges.shape[1], axis=0)
    np.add.at(total, edges.ravel(), repeated)
    nodes = np.unique(edges)
    normal = total[nodes]
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    return nodes, normal / np.maximum(length, TINY)


def _gaps_to(
    points: np.ndarray, onto: np.ndarray, x: np.ndarray, nodes: np.ndarray, normal: np.ndarray
) -> Gaps:
    """Gaps of nodes with their normals to the facets `onto` of a shape's points."""
    from scipy.spatial import cKDTree

    here = x[nodes]
    tree = cKDTree(points[onto].mean(axis=1))
    face, w = nearest_cells(points, onto, here, tree=tree)
    corners = points[onto[face]]
    reach = np.einsum("jk,jkd->jd", w, corners) - here
    outward = np.sum(reach * normal, axis=1)
    distance = np.linalg.norm(reach, axis=1)
    gap = distance * np.sign(outward)
    size = distance[:, None]
    far = size > NEAR * distance.max() + TINY
    side = np.sign(gap)[:, None]
    towards = reach * side / np.maximum(size, TINY)
    return Gaps(nodes, gap, np.where(far, towards, normal))


def _parts(
    mesh: Mesh, reference: Mesh, regions: tuple[str, ...]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """(facets of the reference, facets of the shape) to bring together."""
    if regions:
        return [(_region(reference, name), _region(mesh, name)) for name in regions]
    here, _ = facets(simplices(reference))
    there, _ = facets(simplices(mesh))
    return [(here, there)]


def _region(mesh: Mesh, name: str) -> np.ndarray:
    """The facets of a named region (b, q)."""
    parts = mesh.region(name)
    pieces = [mesh.cells[kind][numbers] for kind, numbers in parts.items()]
    return np.vstack(pieces)
