"""Meshes as VTK sees them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from rom.errors import BadInput, ForeignFile, real
from rom.mesh import Mesh

# The node order of every type is VTK's own, wedges included: their first triangle looks inwards, and volumes are positive.
TYPES = {
    "vertex": 1, "line": 3, "line3": 21, "triangle": 5, "triangle6": 22, "quad": 9, "quad8": 23, "quad9": 28,
    "tetra": 10, "tetra10": 24, "hexahedron": 12, "hexahedron20": 25, "hexahedron27": 29, "wedge": 13, "wedge15": 26, "pyramid": 14,
}  # fmt: skip
DIMENSION = {"vertex": 0} | {
    kind: 1 if "line" in kind else 2 if kind[:4] in ("tria", "quad") else 3
    for kind in TYPES
    if kind != "vertex"
}
SLASH = "\N{DIVISION SLASH}"  # HDF5 names hold no "/", units do
Fields = dict[str, tuple[np.ndarray, str]]


def label(name: str, unit: str) -> str:
    """'temperature', 'K' -> 'temperature [K]'."""
    return f"{name} [{unit}]" if unit else name


def unlabel(text: str) -> tuple[str, str]:
    """'temperature [K]' -> ('temperature', 'K')."""
    found = re.fullmatch(r"(.*) \[(.*)\]", text)
    return (found[1], found[2].replace(SLASH, "/")) if found else (text, "")


def flat_cells(mesh: Mesh) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Connectivity, offsets (k + 1,) and VTK types (k,) of all cells, block after block."""
    blocks = [(kind, np.asarray(cells, dtype=np.int64)) for kind, cells in mesh.cells.items()]
    connectivity = np.concatenate([cells.ravel() for _, cells in blocks] or [np.zeros(0, np.int64)])
    sizes = np.concatenate(
        [np.full(len(cells), cells.shape[1]) for _, cells in blocks] or [np.zeros(0, np.int64)]
    )
    types = np.concatenate(
        [np.full(len(cells), TYPES[kind], np.uint8) for kind, cells in blocks]
        or [np.zeros(0, np.uint8)]
    )
    return connectivity, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), types


def points_3d(mesh: Mesh) -> np.ndarray:
    """Points (n, 3), missing coordinates zero."""
    return np.pad(mesh.points, ((0, 0), (0, 3 - mesh.points.shape[1])))


def masks(mesh: Mesh) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Named regions and node sets as 0/1 arrays 'region:NAME' over cells and 'nodes:NAME' over points."""
    first = dict(
        zip(
            mesh.cells, np.cumsum([0, *(len(cells) for cells in mesh.cells.values())]), strict=False
        )
    )
    cell_masks, node_masks = {}, {}
    for name, parts in mesh.regions.items():
        mask = np.zeros(sum(len(cells) for cells in mesh.cells.values()), dtype=np.uint8)
        for kind, numbers in parts.items():
            mask[first[kind] + np.asarray(numbers, dtype=np.int64)] = 1
        cell_masks[f"region:{name}"] = mask
    for name, numbers in mesh.nodes.items():
        mask = np.zeros(len(mesh.points), dtype=np.uint8)
        mask[np.asarray(numbers, dtype=np.int64)] = 1
        node_masks[f"nodes:{name}"] = mask
    return cell_masks, node_masks


def check_fields(
    fields: Fields | None, n: int, what: str, times: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """'name [unit]' -> real array (n,), (n, c) or, at `times`, (..., n_t); complex fields become two.

    Vectors of two components gain a zero third. Raises BadInput for wrong lengths, NaN and Inf.
    """
    arrays: dict[str, np.ndarray] = {}
    for name, (values, unit) in (fields or {}).items():
        values = (
            np.asarray(values)
            if getattr(values, "dtype", None) is not None and values.dtype.kind in "biufc"
            else real(values, f"field {name!r}")
        )
        if values.ndim == 0 or values.shape[0] != n:
            raise BadInput(
                f"field {name!r} has shape {values.shape}; the mesh has {n} {what}: give ({n},) or ({n}, components)"
            )
        if times is not None and values.ndim > 1 and values.shape[-1] != len(times):
            raise BadInput(
                f"field {name!r} has shape {values.shape}; its last axis must be the {len(times)} times"
            )
        if values.ndim > 2 + (times is not None):
            raise BadInput(
                f"field {name!r} has shape {values.shape}; give times for its last axis, or one array per step"
            )
        if not np.isfinite(values).all():
            raise BadInput(
                f"field {name!r} holds NaN or Inf at {what[:-1]} {int(np.argwhere(~np.isfinite(values))[0, 0])}; give finite values"
            )
        if values.ndim == 2 + (times is not None) and values.shape[1] == 2:
            values = np.concatenate([values, np.zeros_like(values[:, :1])], axis=1)
        parts = (
            {f"{name} real": values.real, f"{name} imaginary": values.imag}
            if values.dtype.kind == "c"
            else {name: values}
        )
        arrays |= {
            label(key, unit): part.astype(np.uint8) if part.dtype == bool else part
            for key, part in parts.items()
        }
    return arrays


def to_grid(mesh: Mesh, fields: Fields | None = None, cell_fields: Fields | None = None) -> Any:
    """The mesh as a pyvista.UnstructuredGrid; regions and node sets become 0/1 arrays."""
    import pyvista

    connectivity, offsets, types = flat_cells(mesh)
    sizes = np.diff(offsets)
    cells = np.insert(connectivity, offsets[:-1], sizes)
    made = pyvista.UnstructuredGrid(cells, types, points_3d(mesh))
    cell_masks, node_masks = masks(mesh)
    for name, values in (node_masks | check_fields(fields, len(mesh.points), "points")).items():
        made.point_data[name] = values
    for name, values in (cell_masks | check_fields(cell_fields, len(types), "cells")).items():
        made.cell_data[name] = values
    return made


def from_grid(made: Any, unit: str = "m") -> tuple[Mesh, Fields, Fields]:
    """Mesh, point fields and cell fields of a pyvista.UnstructuredGrid; cells of one type become one block.

    Linear wedges of negative volume are turned, because writers disagree on their order.
    """
    kinds = {code: kind for kind, code in TYPES.items()}
    unknown = sorted(set(np.unique(made.celltypes).tolist()) - set(kinds))
    if unknown:
        raise BadInput(
            f"VTK cell types {unknown} are not known here; convert to {', '.join(TYPES)}"
        )
    from vtkmodules.util.numpy_support import vtk_to_numpy

    held = made.GetCells()
    offsets, connectivity = (
        vtk_to_numpy(held.GetOffsetsArray()),
        vtk_to_numpy(held.GetConnectivityArray()),
    )
    types = np.asarray(made.celltypes)
    if len(offsets) != len(types) + 1 or offsets[-1] != len(connectivity):
        raise ForeignFile(
            f"{len(types)} cells but {len(offsets)} offsets and {len(connectivity)} nodes; the file is damaged"
        )
    rows = {kinds[code]: np.flatnonzero(types == code) for code in dict.fromkeys(types.tolist())}
    points = np.array(made.points, dtype=float)
    cells = {
        kind: connectivity[offsets[i][:, None] + np.arange(offsets[i[0] + 1] - offsets[i[0]])]
        for kind, i in rows.items()
    }
    if "wedge" in cells:
        cells["wedge"] = _positive_wedges(points, cells["wedge"])
    return sorted_out(points, cells, rows, dict(made.point_data), dict(made.cell_data), unit)


def _positive_wedges(points: np.ndarray, wedges: np.ndarray) -> np.ndarray:
    corner, up = (
        points[wedges[:, 0]],
        points[wedges[:, 3:]].mean(axis=1) - points[wedges[:, :3]].mean(axis=1),
    )
    normal = np.cross(points[wedges[:, 1]] - corner, points[wedges[:, 2]] - corner)
    inverted = np.einsum("kd,kd->k", normal, up) < 0
    return np.where(inverted[:, None], wedges[:, [0, 2, 1, 3, 5, 4]], wedges)


def sorted_out(
    points: np.ndarray, cells: dict, rows: dict, point_data: dict, cell_data: dict, unit: str
) -> tuple[Mesh, Fields, Fields]:
    """Masks become regions and node sets, trailing zero coordinates beyond the dimension of the cells go."""
    regions = {
        name[7:]: {
            kind: hit for kind, i in rows.items() if len(hit := np.flatnonzero(np.asarray(mask)[i]))
        }
        for name, mask in cell_data.items()
        if name.startswith("region:")
    }
    nodes = {
        name[6:]: np.flatnonzero(np.asarray(mask))
        for name, mask in point_data.items()
        if name.startswith("nodes:")
    }
    dimension = max((DIMENSION[kind] for kind in cells), default=points.shape[1])
    while points.shape[1] > max(dimension, 1) and not points[:, -1].any():
        points = points[:, :-1]
    order = np.concatenate([*rows.values(), np.zeros(0, np.int64)]).astype(np.int64)
    fields = {
        n: (np.array(v), u)
        for key, v in point_data.items()
        if not key.startswith("nodes:")
        for n, u in [unlabel(key)]
    }
    cell_fields = {
        n: (np.array(v)[order], u)
        for key, v in cell_data.items()
        if not key.startswith("region:")
        for n, u in [unlabel(key)]
    }
    return Mesh(points, cells, regions, nodes, unit), fields, cell_fields
