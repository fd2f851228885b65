"""VTKHDF (version 2.2): an unstructured grid in HDF5, stored once for all times.

Reference: Kitware, VTK File Formats, VTKHDF (2024).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rom.archive.grids import put_grid
from rom.arrays import VECTOR, gate
from rom.errors import BadInput
from rom.io.fields import SLASH, Fields, check_fields, unlabel
from rom.io.regions import count_cells, masks
from rom.mesh import Mesh
from rom.rows import Rows, row_blocks, send_all


@dataclass(frozen=True, eq=False)
class _Content:
    """A mesh and its arrays over points and cells, at `times` (n_t,) [s] or once.

    scalars : name -> (n_t,) or (1,), of the whole mesh
    """

    mesh: Mesh
    point_data: dict[str, Any]
    cell_data: dict[str, Any]
    times: np.ndarray | None
    scalars: Mapping[str, np.ndarray] = field(default_factory=dict)


@gate(mesh=Mesh, times=VECTOR)
def vtkhdf(
    mesh: Mesh,
    fields: Fields | None = None,
    times: np.ndarray | None = None,
    cell_fields: Fields | None = None,
    *,
    scalars: Mapping[str, np.ndarray] | None = None,
) -> Callable[[Any], None]:
    """A function that puts the group /VTKHDF into an open HDF5 file.

    fields, cell_fields : name -> (array, unit), arrays (n,), (n, c), or at `times` [s] (n, n_t),
        (n, c, n_t); (n,) is static
    scalars : 'name [unit]' -> one number per time, data of the whole mesh
    Raises BadInput for NaN and wrong lengths.
    """
    cell_masks, node_masks = masks(mesh)
    point_data = node_masks | check_fields(fields, len(mesh.points), "points", times)
    cell_data = cell_masks | check_fields(cell_fields, count_cells(mesh), "cells", times)
    content = _Content(mesh, point_data, cell_data, times, scalars or {})
    return partial(_fill, content)


@gate(mesh=Mesh, times=VECTOR)
def write_vtkhdf(
    path: str | Path,
    mesh: Mesh | None = None,
    fields: Fields | None = None,
    times: np.ndarray | None = None,
    cell_fields: Fields | None = None,
    *,
    scalars: Mapping[str, np.ndarray] | None = None,
) -> Path:
    """A VTKHDF file for ParaView and PyVista; shapes and errors as of `vtkhdf`.

    Fields that are Rows are brought to the first rank, which has the mesh, block by block; the
    other ranks call with mesh None and the same fields.
    """
    from rom.archive.nouns import write_h5

    if mesh is None:
        arrays = [values for part in (fields, cell_fields) for values, _ in (part or {}).values()]
        if not any(isinstance(values, Rows) and not values.root for values in arrays):
            raise BadInput("no mesh; give the one that the fields lie on")
        send_all(check_fields(fields, None, "points", times).values())
        send_all(check_fields(cell_fields, None, "cells", times).values())
        return Path(path)
    write_h5(Path(path), vtkhdf(mesh, fields, times, cell_fields, scalars=scalars))
    return Path(path)


def write_vtkhdf_mesh(
    path: Path, mesh: Mesh, fields: Fields | None, cell_fields: Fields | None
) -> None:
    """A mesh and its fields at one time."""
    write_vtkhdf(path, mesh, fields, cell_fields=cell_fields)


def _fill(content: _Content, file: Any) -> None:
    mesh, times = content.mesh, content.times
    root = put_grid(file, mesh)
    steps = None if times is None else _steps(root, np.asarray(times, dtype=float))
    for kind, data in (("PointData", content.point_data), ("CellData", content.cell_data)):
        group = root.create_group(kind)
        offsets_group = None if steps is None else steps.create_group(f"{kind}Offsets")
        for name, values in data.items():
            _attach(group, offsets_group, name, values, times)
    if content.scalars:
        _attach_scalars(root, steps, content.scalars)


def _attach_scalars(root: Any, steps: Any, scalars: Mapping[str, np.ndarray]) -> None:
    """Numbers of the whole mesh, one per step, and where each step finds its own."""
    group = root.create_group("FieldData")
    if steps is not None:
        offsets = steps.create_group("FieldDataOffsets")
        sizes = steps.create_group("FieldDataSizes")
    for name, values in scalars.items():
        key = name.replace("/", SLASH)
        numbers = np.real(np.asarray(values)).astype(float)
        group.create_dataset(key, data=numbers).attrs["unit"] = unlabel(name)[1]
        if steps is not None:
            offsets.create_dataset(key, data=np.arange(len(numbers), dtype=np.int64))
            sizes.create_dataset(key, data=np.ones((len(numbers), 2), dtype=np.int64))


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


def _attach(group: Any, offsets: Any, name: str, values: Any, times: np.ndarray | None) -> None:
    """One array: its times one after the other, and where each begins."""
    moving = times is not None and values.ndim > 1
    n, trail = len(values), values.shape[1:]
    shape = (n * trail[-1], *trail[:-1]) if moving else (n, *trail)
    key = name.replace("/", SLASH)
    dataset = group.create_dataset(key, shape, values.dtype)
    for start, block in row_blocks(values):
        moments = np.moveaxis(block, -1, 0) if moving else [block]
        for k, moment in enumerate(moments):
            dataset[k * n + start : k * n + start + len(moment)] = moment
    dataset.attrs["unit"] = unlabel(name)[1]
    if times is not None:
        stride = len(values) if moving else 0
        starts = np.arange(len(times), dtype=np.int64) * stride
        offsets.create_dataset(key, data=starts)


SUFFIXES = {".vtkhdf": write_vtkhdf_mesh}
