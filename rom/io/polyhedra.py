"""Polygons and polyhedra as triangles and tetrahedra of their own points.

A cell is cut at one of its nodes: the simplices of that node and each facet of the boundary that
it does not lie on. Faces are cut at their lowest node, so that neighbours agree. A cell that
no node of its own sees as a whole is cut at its centre, where no values at points are to be had.
Reference: Dompierre, Labbe, Vallet and Camarero (1999), how to subdivide pyramids, prisms and
hexahedra into tetrahedra.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rom.errors import BadInput

FLAT = 1e-5  # of a cell: a simplex as small lies in its boundary, up to the digits of a text


@dataclass(frozen=True, eq=False)
class Facets:
    """Boundaries of cells as simplices: nodes (f, d) and the cell (f,) of each.

    Those of a cell turn one way; normals : of polygons (cells, 3), None for polyhedra
    """

    nodes: np.ndarray
    cell: np.ndarray
    normals: np.ndarray | None = None

    @property
    def count(self) -> int:
        """Number of cells."""
        return int(self.cell[-1]) + 1 if len(self.cell) else 0


def polygon_facets(points: np.ndarray, polygons: np.ndarray) -> Facets:
    """Edges of polygons (k, nodes) of one size."""
    count, size = polygons.shape
    edges = np.stack([polygons, np.roll(polygons, -1, axis=1)], axis=-1).reshape(-1, 2)
    cell = np.repeat(np.arange(count), size)
    cross = np.cross(points[edges[:, 0]], points[edges[:, 1]])
    normals = cross.reshape(count, size, 3).sum(axis=1)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return Facets(edges, cell, normals / np.where(length > 0, length, 1.0))


def polyhedron_facets(
    points: np.ndarray, nodes: np.ndarray, ends: np.ndarray, cell: np.ndarray
) -> Facets:
    """Triangles of faces, whose nodes end at `ends` (faces,); cell (faces,) of each.

    They turn outwards: as in the file where its faces close, else as the mean of the nodes
    sees them.
    """
    sizes = np.diff(ends, prepend=0)
    parts, owners = [], []
    for size in np.unique(sizes[sizes > 2]):
        its = np.flatnonzero(sizes == size)
        faces = nodes[(ends[its] - size)[:, None] + np.arange(size)]
        turn = (np.argmin(faces, axis=1)[:, None] + np.arange(size)) % size
        faces = np.take_along_axis(faces, turn, axis=1)
        fans = [faces[:, [0, k, k + 1]] for k in range(1, size - 1)]
        parts += fans
        owners += [cell[its]] * len(fans)
    if not parts:
        return Facets(np.zeros((0, 3), np.int64), np.zeros(0, np.int64))
    triangles, owner = np.concatenate(parts), np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    return _turn_outwards(points, triangles[order], owner[order])


def _turn_outwards(points: np.ndarray, triangles: np.ndarray, cell: np.ndarray) -> Facets:
    facets = Facets(triangles, cell)
    signed = _measure(points, facets, _centres(points, facets))
    x = points[triangles]
    area = np.cross(x[:, 1] - x[:, 0], x[:, 2] - x[:, 0])
    gap = np.zeros((facets.count, 3))
    np.add.at(gap, cell, area)
    total = np.bincount(cell, np.linalg.norm(area, axis=1), minlength=facets.count)
    is_closed = np.linalg.norm(gap, axis=1) <= FLAT * total
    is_inward = np.bincount(cell, signed, minlength=facets.count) < 0
    inward = np.where(is_closed[cell], is_inward[cell], signed < 0)
    turned = np.where(inward[:, None], triangles[:, ::-1], triangles)
    return Facets(turned, cell)


def _centres(points: np.ndarray, facets: Facets) -> np.ndarray:
    """Mean of the nodes of the facets of every cell (cells, 3)."""
    width = facets.nodes.shape[1]
    count = np.bincount(facets.cell, minlength=facets.count) * width
    total = np.zeros((facets.count, 3))
    np.add.at(total, np.repeat(facets.cell, width), points[facets.nodes.ravel()])
    return total / np.maximum(count, 1)[:, None]


def _measure(points: np.ndarray, facets: Facets, apexes: np.ndarray) -> np.ndarray:
    """Signed area or volume of every facet with the apex (cells, 3) of its cell."""
    rays = points[facets.nodes] - apexes[facets.cell][:, None]
    if facets.normals is None:
        return np.einsum("fd,fd->f", rays[:, 0], np.cross(rays[:, 1], rays[:, 2])) / 6
    cross = np.cross(rays[:, 0], rays[:, 1])
    return np.einsum("fd,fd->f", cross, facets.normals[facets.cell]) / 2


def cut_cells(
    points: np.ndarray, facets: Facets, numbers: np.ndarray, *, centres: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Simplices (k, d + 1), the cell (k,) of each, points (j, 3) behind `points`.

    numbers : of the cells (cells,) in the file
    centres : whether a cell may be cut at its centre, a point more
    Raises BadInput with the first cell that cannot be cut.
    """
    signed = _measure(points, facets, _centres(points, facets))
    whole = np.bincount(facets.cell, signed, minlength=facets.count)
    left = np.arange(facets.count)
    simplices, owners = [], []
    for node in _nodes_in_order(facets):
        part, cells, bad = _cut_at(points, facets, whole, left, node)
        simplices.append(part)
        owners.append(cells)
        left = bad
        if not len(left):
            break
    extra = np.zeros((0, 3))
    if len(left):
        extra = _centres(points, facets)[left]
        part, cells, bad = _cut_at_centres(points, facets, whole, left)
        if not centres or len(bad):
            first = bad[0] if len(bad) else left[0]
            raise BadInput(
                f"cell {int(numbers[first])} of many faces cannot be cut into simple ones: no "
                "node of its own sees all of it; split it where the mesh is made"
            )
        simplices.append(part)
        owners.append(cells)
    return np.concatenate(simplices), np.concatenate(owners), extra


def _nodes_in_order(facets: Facets) -> list[np.ndarray]:
    """The lowest node of every cell, the next and so on; few repeat their last."""
    pairs = np.unique(
        np.stack([np.repeat(facets.cell, facets.nodes.shape[1]), facets.nodes.ravel()], axis=1),
        axis=0,
    )
    counts = np.bincount(pairs[:, 0], minlength=facets.count)
    if not facets.count or not counts.all():
        raise BadInput("a polyhedral cell has no faces; write the file again")
    first = np.cumsum(counts) - counts
    return [pairs[first + np.minimum(k, counts - 1), 1] for k in range(int(counts.max()))]


def _cut_at(
    points: np.ndarray, facets: Facets, whole: np.ndarray, left: np.ndarray, node: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Simplices at a node of each cell of `left`, their cells, and cells left."""
    sizes = _measure(points, facets, points[node])
    bad = _unfit(facets, whole, sizes)
    is_asked = np.zeros(facets.count, dtype=bool)
    is_asked[left] = True
    use = (is_asked & ~bad)[facets.cell] & (sizes > FLAT * whole[facets.cell])
    base = facets.nodes[use]
    simplices = np.column_stack([_facing(base, facets), node[facets.cell[use]]])
    return simplices, facets.cell[use], np.flatnonzero(is_asked & bad)


def _cut_at_centres(
    points: np.ndarray, facets: Facets, whole: np.ndarray, left: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sizes = _measure(points, facets, _centres(points, facets))
    bad = _unfit(facets, whole, sizes)
    number = np.full(facets.count, -1)
    number[left] = len(points) + np.arange(len(left))
    use = (number[facets.cell] >= 0) & (sizes > FLAT * whole[facets.cell])
    simplices = np.column_stack([_facing(facets.nodes[use], facets), number[facets.cell[use]]])
    return simplices, facets.cell[use], left[bad[left]]


def _facing(base: np.ndarray, facets: Facets) -> np.ndarray:
    """Facets as an apex behind them makes them cells of positive size."""
    return base if facets.normals is not None else base[:, ::-1]


def _unfit(facets: Facets, whole: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Whether cells are not the sum of their simplices, or one is inside out."""
    total = np.bincount(facets.cell, sizes, minlength=facets.count)
    least = np.full(facets.count, np.inf)
    np.minimum.at(least, facets.cell, sizes)
    count = np.bincount(facets.cell, minlength=facets.count)
    return (least < -FLAT * whole) | (np.abs(total - whole) > FLAT * count * whole) | (whole <= 0)
