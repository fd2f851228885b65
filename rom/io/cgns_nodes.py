"""Trees of CGNS in HDF5 out of meshes and fields, node by node.

Reference: CGNS Standard Interface Data Structures; Mapping to HDF5 (2023).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rom.errors import BadInput
from rom.io.cgns_tree import UNITS, WIDTH
from rom.io.fields import Fields, check_fields, unlabel
from rom.io.readers.cgns import AXES, ELEMENTS, VTK_ORDER
from rom.io.regions import DIMENSION, count_cells
from rom.io.units import convert
from rom.mesh import Mesh

LETTERS = {"i1": "C1", "i4": "I4", "i8": "I8", "f4": "R4", "f8": "R8"}  # of the standard
CODES = {kind: code for code, kind in ELEMENTS.items()}
LENGTHS = {"m": "Meter", "mm": "Millimeter"}
BASE, ZONE, GLOBAL, TIME = "Base", "Zone", "Global", "Time"
VERSION = 3.4
SOLUTIONS = (("Vertex", "VertexFields"), ("CellCenter", "CellFields"))
Columns = dict[str, tuple[Any, str]]  # name -> array and unit


def write_tree(
    path: Path,
    mesh: Mesh,
    fields: tuple[Fields | None, Fields | None],
    scalars: Mapping[str, float] | None = None,
    t: float | None = None,
) -> None:
    """A file of one base and one zone.

    fields : on points, on cells; scalars : numbers without a place, in a base of their own
    t : time [s] of all of it, None for none
    Raises BadInput for what CGNS cannot hold, before a file is there.
    """
    import h5py

    arrays = check_tree(path, mesh, fields, scalars or {})
    with h5py.File(path, "w", track_order=True) as file:
        _write_root(file)
        dims = max(map(DIMENSION.__getitem__, mesh.cells), default=0), mesh.points.shape[1]
        base = _node(file, BASE, "CGNSBase_t", np.array(dims, np.int32))
        _write_time(base, t)
        zone = _write_zone(base, mesh)
        _write_tags(zone, mesh)
        for (place, name), columns in zip(SOLUTIONS, arrays, strict=True):
            if columns:
                _write_solution(zone, place, name, columns)
        numbers = {unlabel(text): value for text, value in (scalars or {}).items()}
        _write_units(
            base, [*arrays, {key: (value, unit) for (key, unit), value in numbers.items()}]
        )
        if numbers:
            base = _node(file, GLOBAL, "CGNSBase_t", np.array([1, 1], np.int32))
            _write_time(base, t)
            for (key, _), value in numbers.items():
                _node(base, key, "DataArray_t", np.array([value], dtype=float))


def _write_solution(zone: Any, place: str, name: str, columns: Columns) -> None:
    solution = _node(zone, name, "FlowSolution_t")
    _node(solution, "GridLocation", "GridLocation_t", _text(place))
    for key, (values, _) in columns.items():
        _node(solution, key, "DataArray_t", np.array(values, dtype=float))


def _write_units(base: Any, parts: list[Columns]) -> None:
    """A text of the units of arrays by name."""
    units = {key: unit for columns in parts for key, (_, unit) in columns.items() if unit}
    if units:
        lines = "\n".join(f"{key}\t{unit}" for key, unit in units.items())
        _node(base, UNITS, "Descriptor_t", _text(lines))


def check_tree(
    path: Path,
    mesh: Mesh,
    fields: tuple[Fields | None, Fields | None],
    scalars: Mapping[str, float],
) -> list[Columns]:
    """The arrays on points and on cells, with their units.

    Raises BadInput for names and values that CGNS cannot hold.
    """
    dims = {DIMENSION[kind] for kind, nodes in mesh.cells.items() if len(nodes)}
    if fields[1] and len(dims) > 1:
        raise BadInput(
            f"{path.name}: CGNS has fields on the cells of one dimension, and these are of "
            f"{' and '.join(map(str, sorted(dims)))}; write vtkhdf or vtu"
        )
    sizes = ((len(mesh.points), "points"), (count_cells(mesh), "cells"))
    arrays = [_columns(part, *size) for part, size in zip(fields, sizes, strict=True)]
    plain = [unlabel(text)[0] for text in scalars]
    names = [*mesh.nodes, *mesh.regions, *arrays[0], *arrays[1], *plain]
    bad = [name for name in names if not 0 < len(name) <= WIDTH or "/" in name]
    bad += [name for name in names if not name.isascii()]
    if bad:
        raise BadInput(
            f"{path.name}: names of CGNS have 1 to {WIDTH} letters of ASCII and no '/', unlike "
            f"{', '.join(map(repr, bad))}"
        )
    both = set(mesh.nodes) & set(mesh.regions)
    if both:
        raise BadInput(f"{path.name}: {sorted(both)[0]!r} is a node set and a region; rename one")
    return arrays


def _columns(fields: Fields | None, n: int, what: str) -> Columns:
    """Arrays (n,) and units by name; components of a vector end in X, Y and Z."""
    columns: Columns = {}
    for text, array in check_fields(fields, n, what).items():
        name, unit = unlabel(text)
        if array.ndim == 1 or array.shape[1] == 1:
            columns[name] = (array.ravel(), unit)
        elif array.ndim == 2 and array.shape[1] <= len(AXES):
            for axis, column in zip(AXES, array.T, strict=False):
                columns[name + axis] = (column, unit)
        else:
            raise BadInput(
                f"field {name!r} has shape {array.shape}; CGNS holds numbers and vectors of "
                f"2 or {len(AXES)} components: write vtkhdf or vtu"
            )
    return columns


def _write_root(file: Any) -> None:
    for key, value in (("name", "HDF5 MotherNode"), ("label", "Root Node of HDF5 File")):
        file.attrs.create(key, np.bytes_(value), dtype="S33")
    file.attrs.create("type", np.bytes_("MT"), dtype="S3")
    file.create_dataset(" format", data=_text("IEEE_LITTLE_32\0"))
    file.create_dataset(" hdf5version", data=_text("HDF5 Version 1.8.17".ljust(33, "\0")))
    _node(file, "CGNSLibraryVersion", "CGNSLibraryVersion_t", np.array([VERSION], np.float32))


def _node(parent: Any, name: str, kind: str, data: np.ndarray | None = None) -> Any:
    """A node and its data, with the axes of Fortran, first in the file the last."""
    letters = "MT" if data is None else LETTERS[data.dtype.str[1:]]
    group = parent.create_group(name, track_order=True)
    for key, value in (("name", name), ("label", kind)):
        group.attrs.create(key, np.bytes_(value), dtype="S33")
    group.attrs.create("type", np.bytes_(letters), dtype="S3")
    group.attrs.create("flags", np.array([1], np.int32))
    if data is not None:
        group.create_dataset(" data", data=data)
    return group


def _text(words: str) -> np.ndarray:
    return np.frombuffer(words.encode(), np.int8)


def _write_time(base: Any, t: float | None) -> None:
    if t is not None:
        data = _node(base, TIME, "BaseIterativeData_t", np.array([1], np.int32))
        _node(data, "TimeValues", "DataArray_t", np.array([t], dtype=float))


def _write_zone(base: Any, mesh: Mesh) -> Any:
    """Points and a section of elements for every type of cell."""
    n, k = len(mesh.points), sum(len(nodes) for nodes in mesh.cells.values())
    zone = _node(base, ZONE, "Zone_t", np.array([[n], [k], [0]], np.int64))
    _node(zone, "ZoneType", "ZoneType_t", _text("Unstructured"))
    grid = _node(zone, "GridCoordinates", "GridCoordinates_t")
    unit = mesh.unit if mesh.unit in LENGTHS else "m"
    points = convert(mesh.points, mesh.unit, unit, "coordinates")
    for axis, x in zip(AXES, points.T, strict=False):
        _node(grid, f"Coordinate{axis}", "DataArray_t", np.array(x, dtype=float))
    units = ["Null", LENGTHS[unit], "Null", "Null", "Null"]
    words = _text("".join(word.ljust(WIDTH) for word in units)).reshape(-1, WIDTH)
    _node(grid, "DimensionalUnits", "DimensionalUnits_t", words)
    first = 1
    for kind, nodes in mesh.cells.items():
        if not len(nodes):
            continue
        order = np.argsort(VTK_ORDER.get(kind, range(nodes.shape[1])))
        part = _node(zone, f"Elements_{kind}", "Elements_t", np.array([CODES[kind], 0], np.int32))
        last = first + len(nodes) - 1
        _node(part, "ElementRange", "IndexRange_t", np.array([first, last], np.int64))
        _node(part, "ElementConnectivity", "DataArray_t",
            (nodes[:, order] + 1).ravel().astype(np.int64))  # fmt: skip
        first = last + 1
    return zone


def _write_tags(zone: Any, mesh: Mesh) -> None:
    """Node sets and regions as boundaries, by the numbers of nodes and elements."""
    starts, start = {}, 1
    top = max((DIMENSION[kind] for kind in mesh.cells), default=0)
    tags: dict[str, tuple[str, np.ndarray]] = {}
    for kind, nodes in mesh.cells.items():
        starts[kind], start = start, start + len(nodes)
    for name, rows in mesh.nodes.items():
        tags[name] = ("Vertex", np.sort(np.asarray(rows)) + 1)
    for name, parts in mesh.regions.items():
        numbers = [starts[kind] + np.asarray(rows) for kind, rows in parts.items()]
        is_full = all(DIMENSION[kind] == top for kind in parts)
        whole = np.sort(np.concatenate([np.zeros(0, np.int64), *numbers]))
        tags[name] = ("CellCenter" if is_full else "FaceCenter", whole)
    if not tags:
        return
    group = _node(zone, "ZoneBC", "ZoneBC_t")
    for name, (place, entries) in tags.items():
        tag = _node(group, name, "BC_t", _text("BCTypeUserDefined"))
        _node(tag, "GridLocation", "GridLocation_t", _text(place))
        _node(tag, "PointList", "IndexArray_t", np.asarray(entries, np.int64)[:, None])
