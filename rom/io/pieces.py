"""Cells of many faces as rows of their pieces, triangles and tetrahedra."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rom.io.content import Content
from rom.io.frame import AT_CELLS
from rom.io.polyhedra import Facets, cut_cells, polygon_facets, polyhedron_facets
from rom.io.regions import Blocks

SIMPLE = {3: "triangle", 4: "quad"}  # polygons that are cells as they stand
PIECE_OF = "cell of the file"  # of which a triangle or tetrahedron is a piece


@dataclass(frozen=True, eq=False)
class Faces:
    """Cells by their faces: rows (k,) of the file, and the cell (faces,) of each.

    nodes : of all faces one after the other; those of each end at `ends` (faces,). The one face
        of a polygon is the cell itself.
    """

    rows: np.ndarray
    nodes: np.ndarray
    ends: np.ndarray
    cell: np.ndarray


Kinds = Mapping[str, Sequence[tuple[np.ndarray, np.ndarray]]]  # type -> rows and nodes of parts


def cut_blocks(
    points: np.ndarray, kinds: Kinds, polygons: Faces, polyhedra: Faces, *, centres: bool
) -> Blocks:
    """Blocks of cells as they stand, and of the pieces of those of many faces.

    centres : whether a cell may be cut at its centre, a point more
    Raises BadInput where one cannot be cut.
    """
    parts = {kind: list(its) for kind, its in kinds.items()}
    d = points.shape[1]
    points = np.pad(points, ((0, 0), (0, 3 - d)))
    for size, rows, nodes in _by_size(polygons):
        if size in SIMPLE:
            parts.setdefault(SIMPLE[size], []).append((rows, nodes))
    for kind, rows, facets in _facets(points, polygons, polyhedra):
        nodes, cell, extra = cut_cells(points, facets, rows, centres=centres)
        parts.setdefault(kind, []).append((rows[cell], nodes))
        points = np.concatenate([points, extra])
    cells = {kind: np.concatenate([nodes for _, nodes in its]) for kind, its in parts.items()}
    numbers = {kind: np.concatenate([part for part, _ in its]) for kind, its in parts.items()}
    return Blocks(points[:, :d], cells, numbers)


def _facets(
    points: np.ndarray, polygons: Faces, polyhedra: Faces
) -> Iterator[tuple[str, np.ndarray, Facets]]:
    """Kind of their pieces, rows and facets: of polygons by size, of polyhedra."""
    for size, rows, nodes in _by_size(polygons):
        if size not in SIMPLE:
            yield "triangle", rows, polygon_facets(points, nodes)
    if len(polyhedra.rows):
        facets = polyhedron_facets(points, polyhedra.nodes, polyhedra.ends, polyhedra.cell)
        yield "tetra", polyhedra.rows, facets


def _by_size(polygons: Faces) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Number of nodes, rows and nodes (k, size) of the polygons of every size."""
    sizes = np.diff(polygons.ends, prepend=0)
    for size in np.unique(sizes).tolist():
        its = np.flatnonzero(sizes == size)
        nodes = polygons.nodes[(polygons.ends[its] - size)[:, None] + np.arange(size)]
        yield size, polygons.rows[its], nodes


def has_pieces(polygons: Faces, polyhedra: Faces) -> bool:
    """Whether any of the cells is cut."""
    sizes = np.diff(polygons.ends, prepend=0)
    return bool(len(polyhedra.rows)) or not np.isin(sizes, list(SIMPLE)).all()


def repeat_rows(content: Content) -> Content:
    """A row for every piece of a cell, and the number of that cell in the file."""
    blocks = content.blocks
    numbers = np.concatenate(list(blocks.rows.values()))
    order = np.argsort(numbers, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    ends = np.cumsum([len(rows) for rows in blocks.rows.values()])[:-1]
    rows = dict(zip(blocks.rows, np.split(place, ends), strict=True))
    data = {name: np.asarray(values)[numbers[order]] for name, values in content.cell_data.items()}
    data[PIECE_OF] = numbers[order]
    masks = {
        key: mask[numbers[order]] if key.startswith(f"{AT_CELLS}:") else mask
        for key, mask in content.known.items()
    }
    return Content(Blocks(blocks.points, blocks.cells, rows), content.point_data, data, masks)


def pieces_of_runs(nodes: np.ndarray, width: int) -> list[np.ndarray]:
    """Points, lines or triangles, one after the other, of runs (k, size) of them.

    Every second triangle of a strip turns the other way.
    """
    parts = []
    for j in range(nodes.shape[1] - width + 1):
        part = nodes[:, j : j + width]
        parts.append(part[:, [1, 0, 2]] if width == 3 and j % 2 else part)
    return parts


def no_faces() -> Faces:
    """No cells."""
    return Faces(*(np.zeros(0, np.int64) for _ in range(4)))


def join_faces(parts: Sequence[Faces]) -> Faces:
    """The cells of all parts."""
    parts = [no_faces(), *parts]
    nodes = np.cumsum([0, *(len(part.nodes) for part in parts)])
    cells = np.cumsum([0, *(len(part.rows) for part in parts)])
    return Faces(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.nodes for part in parts]),
        np.concatenate([part.ends + k for part, k in zip(parts, nodes, strict=False)]),
        np.concatenate([part.cell + k for part, k in zip(parts, cells, strict=False)]),
    )
