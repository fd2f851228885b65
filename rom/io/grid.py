"""Meshes as VTK sees them."""

from __future__ import annotations

from typing import Any

import numpy as np

from rom.archive.grids import TYPES, flat_cells, points_3d
from rom.arrays import gate
from rom.errors import BadInput, ForeignFile, require
from rom.io.content import Content
from rom.io.fields import Fields, check_fields
from rom.io.pieces import Faces, cut_blocks, has_pieces, no_faces, pieces_of_runs, repeat_rows
from rom.io.regions import masks, mesh_and_fields
from rom.mesh import Mesh

KINDS = {code: kind for kind, code in TYPES.items()}
TURNED_WEDGE = [0, 2, 1, 3, 5, 4]  # the nodes of a wedge from its other side
ALIASES = {  # (VTK type, nodes) of cells that are one of KINDS by another name -> kind
    (8, 4): "quad", (11, 8): "hexahedron",
    (68, 2): "line", (68, 3): "line3", (69, 3): "triangle", (69, 6): "triangle6",
    (70, 4): "quad", (70, 9): "quad9", (71, 4): "tetra", (71, 10): "tetra10",
    (72, 8): "hexahedron", (72, 27): "hexahedron27", (73, 6): "wedge",
}  # fmt: skip
POLYGON, POLYHEDRON = 7, 42  # types of VTK
RUNS = {2: ("vertex", 1), 4: ("line", 2), 6: ("triangle", 3)}  # of any number of simple cells
ORDERS = {8: [0, 1, 3, 2], 11: [0, 1, 3, 2, 4, 5, 7, 6]}  # of pixels and voxels: row by row


def require_pyvista() -> None:
    """MissingExtra where there is no PyVista."""
    require("pyvista", "view", "files and grids of VTK")


@gate(mesh=Mesh)
def to_grid(mesh: Mesh, fields: Fields | None = None, cell_fields: Fields | None = None) -> Any:
    """The mesh as a pyvista.UnstructuredGrid; regions and node sets become 0/1 arrays."""
    require_pyvista()
    import pyvista

    connectivity, offsets, types = flat_cells(mesh)
    cells = np.insert(connectivity, offsets[:-1], np.diff(offsets))
    grid = pyvista.UnstructuredGrid(cells, types, points_3d(mesh))
    cell_masks, node_masks = masks(mesh)
    point_data = node_masks | check_fields(fields, len(mesh.points), "points")
    cell_data = cell_masks | check_fields(cell_fields, len(types), "cells")
    for name, values in point_data.items():
        grid.point_data[name] = values
    for name, values in cell_data.items():
        grid.cell_data[name] = values
    return grid


def from_grid(grid: Any, unit: str = "m") -> tuple[Mesh, Fields, Fields]:
    """Mesh, point fields and cell fields of a pyvista.UnstructuredGrid.

    Cells of one type become one block. Linear wedges of negative volume are turned, because
    writers disagree on their order. Raises BadInput for unknown cell types, ForeignFile for
    cells that are not complete.
    """
    content = grid_content(grid)
    return mesh_and_fields(content.blocks, content.point_data, content.cell_data, unit)


def grid_content(grid: Any) -> Content:
    """What a pyvista.UnstructuredGrid holds, ghosts too; polyhedra as tetrahedra."""
    types = np.asarray(grid.celltypes)
    offsets, connectivity = _offsets_and_nodes(grid, types)
    sizes = np.diff(offsets)
    kinds: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    points = np.array(grid.points, dtype=float)
    is_many = (types == POLYHEDRON) | ((types == POLYGON) & (sizes > 2))
    for code, size in dict.fromkeys(
        zip(types[~is_many].tolist(), sizes[~is_many].tolist(), strict=True)
    ):
        i = np.flatnonzero((types == code) & (sizes == size) & ~is_many)
        nodes = connectivity[offsets[i][:, None] + np.arange(size)]
        if code in RUNS:
            kind, width = RUNS[code]
            kinds.setdefault(kind, []).extend((i, part) for part in pieces_of_runs(nodes, width))
            continue
        kinds.setdefault(_kind_of(code, size), []).append((i, nodes[:, ORDERS.get(code, ...)]))
    polygons, polyhedra = _many_faces(grid, types, offsets, connectivity)
    blocks = cut_blocks(points, kinds, polygons, polyhedra, centres=not grid.point_data.keys())
    if "wedge" in blocks.cells:
        blocks.cells["wedge"] = positive_wedges(blocks.points, blocks.cells["wedge"])
    content = Content(blocks, dict(grid.point_data), dict(grid.cell_data))
    is_run = any(((types == code) & (sizes > width)).any() for code, (_, width) in RUNS.items())
    return repeat_rows(content) if is_run or has_pieces(polygons, polyhedra) else content


def _many_faces(
    grid: Any, types: np.ndarray, offsets: np.ndarray, connectivity: np.ndarray
) -> tuple[Faces, Faces]:
    """Polygons and polyhedra."""
    sizes = np.diff(offsets)
    i = np.flatnonzero((types == POLYGON) & (sizes > 2))
    nodes = connectivity[np.repeat(np.isin(np.arange(len(types)), i), sizes)]
    polygons = Faces(i, nodes, np.cumsum(sizes[i]), np.arange(len(i)))
    i = np.flatnonzero(types == POLYHEDRON)
    if not len(i):
        return polygons, no_faces()
    if not hasattr(grid, "GetPolyhedronFaces"):
        raise BadInput("polyhedra are read by VTK 9.4 and later; pip install -U vtk")
    ends, nodes = _ragged(grid.GetPolyhedronFaces())
    last, faces = _ragged(grid.GetPolyhedronFaceLocations())
    counts = np.diff(last, prepend=0)[i]
    its = np.concatenate([faces[a - k : a] for a, k in zip(last[i], counts, strict=True)])
    length = np.diff(ends, prepend=0)[its]
    their = np.concatenate([nodes[a - k : a] for a, k in zip(ends[its], length, strict=True)])
    cell = np.repeat(np.arange(len(i)), counts)
    return polygons, Faces(i, their, np.cumsum(length), cell)


def _ragged(array: Any) -> tuple[np.ndarray, np.ndarray]:
    """Ends and entries of a vtkCellArray."""
    from vtkmodules.util import numpy_support

    to_numpy: Any = numpy_support.vtk_to_numpy
    offsets: np.ndarray = to_numpy(array.GetOffsetsArray())
    entries: np.ndarray = to_numpy(array.GetConnectivityArray())
    if offsets[-1] != len(entries):
        raise ForeignFile("faces of polyhedra are cut short; the file is damaged")
    return offsets[1:].astype(np.int64), entries.astype(np.int64)


def _kind_of(code: int, size: int) -> str:
    """The cell type of a VTK type of `size` nodes. Raises BadInput for others."""
    kind = KINDS.get(code)
    if kind is not None:
        return kind
    if (code, size) in ALIASES:
        return ALIASES[code, size]
    raise BadInput(
        f"VTK cells of type {code} with {size} nodes are not known here; convert to "
        f"{', '.join(TYPES)}"
    )


def _offsets_and_nodes(grid: Any, types: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from vtkmodules.util import numpy_support

    to_numpy: Any = numpy_support.vtk_to_numpy
    array = grid.GetCells()
    offsets: np.ndarray = to_numpy(array.GetOffsetsArray())
    connectivity: np.ndarray = to_numpy(array.GetConnectivityArray())
    if len(offsets) != len(types) + 1 or offsets[-1] != len(connectivity):
        raise ForeignFile(
            f"{len(types)} cells but {len(offsets)} offsets and {len(connectivity)} nodes; "
            "the file is damaged"
        )
    return offsets, connectivity


def positive_wedges(points: np.ndarray, wedges: np.ndarray) -> np.ndarray:
    """Linear wedges (k, 6), those of negative volume turned."""
    corner = points[wedges[:, 0]]
    low = points[wedges[:, :3]].mean(axis=1)
    high = points[wedges[:, 3:]].mean(axis=1)
    first_edge = points[wedges[:, 1]] - corner
    second_edge = points[wedges[:, 2]] - corner
    normal = np.cross(first_edge, second_edge)
    inverted = np.einsum("kd,kd->k", normal, high - low) < 0
    return np.where(inverted[:, None], wedges[:, TURNED_WEDGE], wedges)
