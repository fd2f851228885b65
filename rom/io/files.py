"""Fields and meshes in the files that other programs open."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rom.errors import BadInput
from rom.io.exchange import to_meshio
from rom.io.frames import VTK_FILES, read_frames
from rom.io.grid import SLASH, Fields, check_fields, flat_cells, masks, points_3d, to_grid, unlabel
from rom.mesh import Mesh


def vtkhdf(
    mesh: Mesh,
    fields: Fields | None = None,
    times: np.ndarray | None = None,
    cell_fields: Fields | None = None,
) -> Callable[[Any], None]:
    """The group /VTKHDF (version 2.2) of an unstructured grid as a function that fills an open HDF5 file.

    fields, cell_fields : name -> (array, unit), arrays (n,), (n, c), or at `times` [s] (n, n_t), (n, c, n_t); (n,) is static
    The mesh is stored once for all times. Reference: Kitware, VTK File Formats, VTKHDF (2024).
    """
    connectivity, offsets, types = flat_cells(mesh)
    cell_masks, node_masks = masks(mesh)
    point_data = node_masks | check_fields(fields, len(mesh.points), "points", times)
    cell_data = cell_masks | check_fields(cell_fields, len(types), "cells", times)

    def fill(file: Any) -> None:
        root = file.create_group("VTKHDF")
        root.attrs["Version"] = np.array([2, 2], dtype=np.int64)
        root.attrs["Type"] = np.bytes_("UnstructuredGrid")
        root.create_dataset("Points", data=points_3d(mesh)).attrs["unit"] = mesh.unit
        for name, values in {
            "Connectivity": connectivity,
            "Offsets": offsets,
            "Types": types,
        }.items():
            root.create_dataset(name, data=values)
        for name, count in {
            "Points": len(mesh.points),
            "Cells": len(types),
            "ConnectivityIds": len(connectivity),
        }.items():
            root.create_dataset(f"NumberOf{name}", data=np.array([count], dtype=np.int64))
        steps = None if times is None else _steps(root, np.asarray(times, dtype=float))
        for group, data in {"PointData": point_data, "CellData": cell_data}.items():
            _attach(root.create_group(group), data, group, times, steps)

    return fill


def write_vtkhdf(
    path: str | Path,
    mesh: Mesh,
    fields: Fields | None = None,
    times: np.ndarray | None = None,
    cell_fields: Fields | None = None,
) -> Path:
    """One VTKHDF file that ParaView and PyVista open; see `vtkhdf` for the shapes. Raises BadInput for NaN and wrong lengths."""
    from rom.archive.nouns import write_h5

    write_h5(Path(path), vtkhdf(mesh, fields, times, cell_fields))
    return Path(path)


def _steps(root: Any, times: np.ndarray) -> Any:
    steps = root.create_group("Steps")
    steps.attrs["NSteps"] = np.int64(len(times))
    steps.create_dataset("Values", data=times)
    zeros = np.zeros(len(times), dtype=np.int64)
    for name in ("PartOffsets", "PointOffsets"):
        steps.create_dataset(name, data=zeros)
    for name in ("CellOffsets", "ConnectivityIdOffsets"):
        steps.create_dataset(name, data=zeros[:, None])
    steps.create_dataset("NumberOfParts", data=zeros + 1)
    return steps


def _attach(group: Any, data: dict[str, np.ndarray], kind: str, times: Any, steps: Any) -> None:
    offsets = None if steps is None else steps.create_group(f"{kind}Offsets")
    for name, values in data.items():
        moving = times is not None and values.ndim > 1
        stacked = np.moveaxis(values, -1, 0).reshape(-1, *values.shape[1:-1]) if moving else values
        key = name.replace("/", SLASH)
        group.create_dataset(key, data=stacked).attrs["unit"] = unlabel(name)[1]
        if offsets is not None:
            stride = len(values) if moving else 0
            offsets.create_dataset(key, data=np.arange(len(times), dtype=np.int64) * stride)


def write_mesh(
    path: str | Path, mesh: Mesh, fields: Fields | None = None, cell_fields: Fields | None = None
) -> Path:
    """Mesh and fields in the format of the suffix: vtkhdf, vtu, vtk, or any of meshio's (msh, inp, xdmf, ...).

    Named regions and node sets are kept: physical groups in msh, sets in inp, 0/1 arrays elsewhere.
    Raises BadInput for an unknown suffix and for fields that the format cannot carry.
    """
    path = Path(path)
    if path.suffix == ".vtkhdf":
        return write_vtkhdf(path, mesh, fields, cell_fields=cell_fields)
    if path.suffix in VTK_FILES:
        to_grid(mesh, fields, cell_fields).save(path)
        return path
    import meshio

    if path.suffix not in meshio.extension_to_filetypes:
        raise BadInput(
            f"{path.name}: unknown format; known: {', '.join(sorted({*VTK_FILES, *meshio.extension_to_filetypes}))}"
        )
    made = to_meshio(mesh, fields, cell_fields, path.suffix)
    options: dict[str, Any] = (
        {"file_format": "gmsh22", "binary": True} if path.suffix == ".msh" else {}
    )
    with contextlib.redirect_stdout(io.StringIO()):
        made.write(path, **options)
    return path


def read_file(path: str | Path, unit: str = "m") -> tuple[Mesh, Fields, Fields]:
    """Mesh, point fields and cell fields of a file, at its first time; fields named 'temperature [K]' come back as temperature in K.

    unit : of the coordinates, which most formats do not store. Raises as `read_frames`.
    """
    mesh, walk = read_frames(path, unit)
    frame = next(walk)
    return mesh, frame.points, frame.cells


def read_mesh(path: str | Path, unit: str = "m") -> Mesh:
    """The mesh of a file with its named regions (cell sets, gmsh physical groups) and node sets; raises as `read_file`."""
    return read_file(path, unit)[0]
