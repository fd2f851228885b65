"""The group /VTKHDF of a file: a mesh as VTK reads it, and modes of a model on it.

What /rom holds already is a virtual dataset here: its numbers stand in the file once.
Reference: Kitware, VTK File Formats, VTKHDF (2024).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from rom.mesh import Mesh
from rom.space import Field, Space

VERSION = (2, 2)
# The nodes of every type stand in VTK's own order, wedges included: their first triangle looks
# inwards, and volumes are positive.
TYPES = {
    "vertex": 1, "line": 3, "line3": 21, "triangle": 5, "triangle6": 22,
    "quad": 9, "quad8": 23, "quad9": 28, "tetra": 10, "tetra10": 24,
    "hexahedron": 12, "hexahedron20": 25, "hexahedron27": 29,
    "wedge": 13, "wedge15": 26, "wedge18": 32, "pyramid": 14, "pyramid13": 27,
}  # fmt: skip

Named = Mapping[str, np.ndarray]  # name of an array in /rom -> the array


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


def put_grid(file: Any, mesh: Mesh, stored: Named | None = None) -> Any:
    """The group /VTKHDF with a mesh, in an open HDF5 file.

    stored : arrays of /rom; those of the mesh among them are not written again
    """
    stored = stored or {}
    root = file.create_group("VTKHDF")
    root.attrs["Version"] = np.array(VERSION, dtype=np.int64)
    root.attrs["Type"] = np.bytes_("UnstructuredGrid")
    connectivity, offsets, types = flat_cells(mesh)
    _put_points(root, mesh, stored)
    names = [name_of(stored, cells) for cells in mesh.cells.values()]
    if names and all(names):
        _virtual_lines(root, "Connectivity", [(file["rom"][name], ...) for name in names])
    else:
        root.create_dataset("Connectivity", data=connectivity)
    root.create_dataset("Offsets", data=offsets)
    root.create_dataset("Types", data=types)
    counts = {"Points": len(mesh.points), "Cells": len(types)}
    counts["ConnectivityIds"] = len(connectivity)
    for name, count in counts.items():
        root.create_dataset(f"NumberOf{name}", data=np.array([count], dtype=np.int64))
    return root


def name_of(stored: Named, array: Any) -> str | None:
    """The name under which /rom holds this array itself, or None."""
    return next((name for name, values in stored.items() if values is array), None)


def _put_points(root: Any, mesh: Mesh, stored: Named) -> None:

    name, (n, d) = name_of(stored, mesh.points), mesh.points.shape
    if name is None:
        points = root.create_dataset("Points", data=points_3d(mesh))
    else:
        layout = _virtual_layout((n, 3), float)
        layout[:, :d] = _source(root.file["rom"][name])
        points = root.create_virtual_dataset("Points", layout, fillvalue=0.0)
    points.attrs["unit"] = mesh.unit


def _virtual_layout(shape: tuple[int, ...], dtype: Any) -> Any:
    """The layout of a virtual dataset, without the time of day.

    So equal models are equal files.
    """
    import h5py

    layout = h5py.VirtualLayout(shape, dtype)
    layout.dcpl.set_obj_track_times(False)
    return layout


def _source(dataset: Any) -> Any:
    """A dataset of this file as the source of a virtual one."""
    import h5py

    return h5py.VirtualSource(".", dataset.name, dataset.shape, dataset.dtype)


def _virtual_lines(root: Any, key: str, sources: list[tuple[Any, Any]]) -> None:
    """(dataset, selection), ... as one long row of integers."""
    layout = _virtual_layout((sum(dataset.size for dataset, _ in sources),), np.int64)
    start = 0
    for dataset, _ in sources:
        layout[start : start + dataset.size] = _source(dataset)
        start += dataset.size
    root.create_virtual_dataset(key, layout)


def put_modes(file: Any, model: Any, mesh: Mesh, stored: Named) -> None:
    """The mesh of a model, with its modes and mean as fields.

    They are there where they fit points or cells. Modes of a field of c components are one
    array of c times as many as there are modes, those
    of the first mode first in each component.
    """
    root = put_grid(file, mesh, stored)
    groups = {key: root.create_group(key) for key in ("PointData", "CellData")}
    sizes = {"PointData": len(mesh.points), "CellData": len(root["Types"])}
    for what, array, space in _states(model):
        name = name_of(stored, array)
        if name is None or array.dtype.kind != "f":
            continue
        for part, rows in _slices(space):
            for key, count in sizes.items():
                if rows is not None and count and (rows.stop - rows.start) % count == 0:
                    _put_part(groups[key], f"{what} of {part.name}", file["rom"][name], rows, count)
                    break


def _states(model: Any) -> Iterator[tuple[str, np.ndarray, Space]]:
    """What, array (n, ...) and space of the modes and means that a model holds."""
    holders = [getattr(model, "basis", model), *getattr(model, "fields", ())]
    for holder in holders:
        basis = getattr(holder, "basis", holder)
        space = getattr(basis, "space", None)
        if not isinstance(space, Space) or (space.comm is not None and space.comm.Get_size() > 1):
            continue
        named = space.fields or (Field(getattr(holder, "name", "u"), "1", np.arange(space.n)),)
        for what, key in (("modes", "modes"), ("mean", "offset")):
            array = getattr(basis, key, None)
            if isinstance(array, np.ndarray) and array.ndim:
                yield what, array, Space(space.product, space.numbers, None, named)


def _slices(space: Space) -> Iterator[tuple[Field, slice | None]]:
    """Fields and their rows as a slice, None where they are not consecutive."""
    for part in space.fields:
        rows = np.asarray(part.rows)
        consecutive = len(rows) > 0 and np.array_equal(
            rows, np.arange(rows[0], rows[0] + len(rows))
        )
        yield part, slice(int(rows[0]), int(rows[-1]) + 1) if consecutive else None


def _put_part(group: Any, key: str, dataset: Any, rows: slice, count: int) -> None:
    """Rows of an array as a field (count, components), without a copy of its numbers."""
    size = (rows.stop - rows.start) * int(np.prod(dataset.shape[1:], dtype=int))
    shape = (count,) if size == count else (count, size // count)
    layout = _virtual_layout(shape, dataset.dtype)
    layout[...] = _source(dataset)[rows]
    group.create_virtual_dataset(key.replace("/", "_"), layout)
