"""Meshes as VTK sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rom.errors import BadInput, ForeignFile, require
from rom.io.fields import Fields, check_fields
from rom.io.regions import Blocks, masks, mesh_and_fields
from rom.mesh import Mesh

# The nodes of every type stand in VTK's own order, wedges included: their first triangle looks
# inwards, and volumes are positive.
TYPES = {
    "vertex": 1, "line": 3, "line3": 21, "triangle": 5, "triangle6": 22,
    "quad": 9, "quad8": 23, "quad9": 28, "tetra": 10, "tetra10": 24,
    "hexahedron": 12, "hexahedron20": 25, "hexahedron27": 29,
    "wedge": 13, "wedge15": 26, "pyramid": 14,
}  # fmt: skip
KINDS = {code: kind for kind, code in TYPES.items()}
TURNED_WEDGE = [0, 2, 1, 3, 5, 4]  # the nodes of a wedge from its other side


def flat_cells(mesh: Mesh) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Connectivity, offsets (k + 1,) and VTK types (k,) of all cells by block."""
    connectivity, sizes, types = [], [], []
    for kind, numbers in mesh.cells.items():
        cells = np.asarray(numbers, dtype=np.int64)
        connectivity.append(cells.ravel())
        sizes.append(np.full(len(cells), cells.shape[1]))
        types.append(np.full(len(cells), TYPES[kind], np.uint8))
    ends = np.cumsum(_join(sizes, np.int64))
    offsets = np.concatenate([[0], ends]).astype(np.int64)
    return _join(connectivity, np.int64), offsets, _join(types, np.uint8)


def _join(parts: Sequence[np.ndarray], dtype: type) -> np.ndarray:
    if not parts:
        return np.zeros(0, dtype)
    return np.concatenate(parts)


def points_3d(mesh: Mesh) -> np.ndarray:
    """Points (n, 3), missing coordinates zero."""
    absent = 3 - mesh.points.shape[1]
    return np.pad(mesh.points, ((0, 0), (0, absent)))


def require_pyvista() -> None:
    """MissingExtra where there is no PyVista."""
    require("pyvista", "view", "files and grids of VTK")


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
    types = np.asarray(grid.celltypes)
    codes = set(np.unique(types).tolist())
    unknown = sorted(codes - set(KINDS))
    if unknown:
        raise BadInput(
            f"VTK cell types {unknown} are not known here; convert to {', '.join(TYPES)}"
        )
    offsets, connectivity = _offsets_and_nodes(grid, types)
    rows = {KINDS[code]: np.flatnonzero(types == code) for code in dict.fromkeys(types.tolist())}
    points = np.array(grid.points, dtype=float)
    cells = {}
    for kind, i in rows.items():
        size = offsets[i[0] + 1] - offsets[i[0]]
        cells[kind] = connectivity[offsets[i][:, None] + np.arange(size)]
    if "wedge" in cells:
        cells["wedge"] = positive_wedges(points, cells["wedge"])
    blocks = Blocks(points, cells, rows)
    return mesh_and_fields(blocks, dict(grid.point_data), dict(grid.cell_data), unit)


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
