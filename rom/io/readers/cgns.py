"""CGNS in HDF5: one unstructured zone with its tags, fields and global scalars.

PLAID keeps its samples in such files. References: CGNS Standard Interface Data Structures (2023);
Casenave et al., PLAID (2025).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rom.errors import BadInput, ForeignFile
from rom.io.apart import read_apart
from rom.io.fields import Fields
from rom.io.frame import Frame
from rom.io.grid import positive_wedges
from rom.io.regions import drop_zero_axes
from rom.mesh import NODES, Mesh

# ElementType_t of the standard -> cell type here
ELEMENTS = {
    2: "vertex", 3: "line", 4: "line3", 5: "triangle", 6: "triangle6", 7: "quad", 8: "quad8",
    9: "quad9", 10: "tetra", 11: "tetra10", 12: "pyramid", 14: "wedge", 15: "wedge15",
    17: "hexahedron", 18: "hexahedron20", 19: "hexahedron27",
}  # fmt: skip
MIXED = 20  # a section in which every element is led by its type
# places in the file of the nodes in VTK's order, where the standard has another: it puts the
# edges that rise before those of the top, and the faces of a hexahedron from bottom to top
VTK_ORDER = {
    "wedge15": [*range(9), 12, 13, 14, 9, 10, 11],
    "hexahedron20": [*range(12), 16, 17, 18, 19, 12, 13, 14, 15],
    "hexahedron27": [*range(12), 16, 17, 18, 19, 12, 13, 14, 15, 24, 22, 21, 23, 20, 25, 26],
}
Content = tuple[Mesh, Fields, Fields, dict[str, float]]
LIBRARIES = ("h5py",)
AXES = "XYZ"  # the last letter of the components of a vector


@dataclass(frozen=True, eq=False)
class _Cells:
    """Cells by type, and the number of each in the file, from 1."""

    nodes: dict[str, np.ndarray]
    numbers: dict[str, np.ndarray]


def cgns_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """Mesh and fields of a CGNS file; NAMEX, NAMEY, NAMEZ are one field NAME."""
    mesh, points, cells, _ = cgns_content(path, unit)
    if "wedge" in mesh.cells:
        mesh.cells["wedge"] = positive_wedges(mesh.points, mesh.cells["wedge"])
    plain = drop_zero_axes(mesh.points, mesh.cells)
    plain_mesh = Mesh(plain, mesh.cells, mesh.regions, mesh.nodes, unit)
    yield plain_mesh, Frame(None, _join_vectors(points), _join_vectors(cells))


def read_cgns(path: str | Path, unit: str = "m") -> Content:
    """Mesh, point fields, cell fields and global scalars, as they stand in a file.

    Vertex tags (BC_t) are node sets, the others regions of the cells they list. Coordinates keep
    the physical dimension of the base.
    Raises ForeignFile for what is no CGNS file; BadInput for structured, several or no zones and
    for unknown elements.
    """
    path = Path(path)
    if not path.is_file():
        raise ForeignFile(f"no file {path}")
    content: Content = next(read_apart("cgns", path, unit))
    return content


def cgns_content(path: Path, unit: str) -> Content:
    """The content of a CGNS file, read here; see `read_cgns`."""
    import h5py

    try:
        with h5py.File(path) as file:
            return _read(path, file, unit)
    except OSError as error:
        raise ForeignFile(
            f"{path.name} is no CGNS file in HDF5 ({error}); is it complete?"
        ) from error


def _read(path: Path, file: Any, unit: str) -> Content:
    bases = _children(file, "CGNSBase_t")
    base, zone = _only_zone(path, bases)
    axes = sorted(_children(zone["GridCoordinates"], "DataArray_t"), key=_name)
    d = int(_data(base)[1])
    points = np.column_stack([_data(axis) for axis in axes[:d]])
    cells = _cells(path, zone)
    regions, nodes = _tags(zone, cells)
    mesh = Mesh(points, cells.nodes, regions, nodes, unit)
    order = np.concatenate([cells.numbers[kind] for kind in cells.nodes])
    at_nodes, at_cells = _fields(zone, len(points), order)
    return mesh, at_nodes, at_cells, _scalars(bases)


def _only_zone(path: Path, bases: list[Any]) -> tuple[Any, Any]:
    """The zone of a file, and its base."""
    zones = [(base, zone) for base in bases for zone in _children(base, "Zone_t")]
    if len(zones) != 1:
        raise BadInput(
            f"{path.name} has {len(zones)} zones; a sample needs one, so write one mesh per file"
        )
    base, zone = zones[0]
    if "ZoneType" in zone and _text(zone["ZoneType"]) != "Unstructured":
        raise BadInput(
            f"{path.name}: zone {_name(zone)} is structured; write it as quads or hexahedra"
        )
    if "GridCoordinates" not in zone:
        raise BadInput(f"{path.name}: zone {_name(zone)} has no GridCoordinates")
    return base, zone


def _scalars(bases: list[Any]) -> dict[str, float]:
    """The single numbers of the bases without a zone."""
    scalars = {}
    for base in bases:
        if _children(base, "Zone_t"):
            continue
        for array in _children(base, "DataArray_t"):
            values = _data(array)
            if values.size == 1 and np.issubdtype(values.dtype, np.number):
                scalars[_name(array)] = float(values[0])
    return scalars


def _cells(path: Path, zone: Any) -> _Cells:
    nodes: dict[str, list[np.ndarray]] = {}
    numbers: dict[str, list[np.ndarray]] = {}
    sections = _children(zone, "Elements_t")
    for section in sorted(sections, key=_first_number):
        for kind, its_nodes, its_numbers in _section(path, section):
            nodes.setdefault(kind, []).append(its_nodes)
            numbers.setdefault(kind, []).append(its_numbers)
    if not nodes:
        raise BadInput(f"{path.name}: zone {_name(zone)} has no elements")
    joined = {}
    for kind, parts in nodes.items():
        cells = np.concatenate(parts)
        joined[kind] = cells[:, VTK_ORDER[kind]] if kind in VTK_ORDER else cells
    return _Cells(joined, {kind: np.concatenate(parts) for kind, parts in numbers.items()})


def _first_number(section: Any) -> int:
    return int(_data(section["ElementRange"])[0])


def _section(path: Path, section: Any) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(cell type, nodes (k, ...), numbers (k,)) of the elements of a section."""
    code = int(_data(section)[0])
    first, last = _data(section["ElementRange"])
    entries = _data(section["ElementConnectivity"]).astype(np.int64)
    if code != MIXED:
        kind = _cell_type(path, section, code)
        yield kind, entries.reshape(last - first + 1, -1) - 1, np.arange(first, last + 1)
        return
    place = 0
    for number in range(first, last + 1):
        kind = _cell_type(path, section, int(entries[place]))
        end = place + 1 + NODES[kind]
        yield kind, entries[None, place + 1 : end] - 1, np.array([number])
        place = end


def _cell_type(path: Path, section: Any, code: int) -> str:
    if code not in ELEMENTS:
        raise BadInput(
            f"{path.name}: section {_name(section)} has elements of type {code}; "
            f"known: {sorted([*ELEMENTS, MIXED])}"
        )
    return ELEMENTS[code]


def _tags(
    zone: Any, cells: _Cells
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """Regions and node sets."""
    regions, nodes = {}, {}
    for group in _children(zone, "ZoneBC_t"):
        for tag in _children(group, "BC_t"):
            entries = _tag_entries(tag)
            if "GridLocation" not in tag or _text(tag["GridLocation"]) == "Vertex":
                nodes[_name(tag)] = np.unique(entries) - 1
                continue
            parts = {}
            for kind, numbers in cells.numbers.items():
                rows = np.flatnonzero(np.isin(numbers, entries))
                if len(rows):
                    parts[kind] = rows
            regions[_name(tag)] = parts
    return regions, nodes


def _tag_entries(tag: Any) -> np.ndarray:
    """Numbers of the nodes or elements of a tag, from 1."""
    if "PointList" in tag:
        return _data(tag["PointList"]).ravel()
    first, last = _data(tag["PointRange"]).ravel()
    return np.arange(first, last + 1)


def _fields(zone: Any, n: int, order: np.ndarray) -> tuple[Fields, Fields]:
    """Fields at nodes, and at cells where the file has a value for every cell."""
    at_nodes: Fields = {}
    at_cells: Fields = {}
    for solution in _children(zone, "FlowSolution_t"):
        location = solution.get("GridLocation")
        place = "Vertex" if location is None else _text(location)
        for array in _children(solution, "DataArray_t"):
            values = _data(array)
            if place == "Vertex" and len(values) == n:
                at_nodes[_name(array)] = (values.astype(float), "")
            elif place == "CellCenter" and len(values) == len(order):
                at_cells[_name(array)] = (values.astype(float)[order - 1], "")
    return at_nodes, at_cells


def _join_vectors(fields: Fields) -> Fields:
    """NAMEX, NAMEY, NAMEZ as a field NAME (n, 3), zero where there is no NAMEZ."""
    joined: Fields = {}
    for name, (values, unit) in fields.items():
        stem, axis = name[:-1], name[-1:]
        plane = f"{stem}X" in fields and f"{stem}Y" in fields
        if not stem or not plane or axis not in AXES:
            joined[name] = (values, unit)
        elif axis == "X":
            zero = (np.zeros_like(values), unit)
            parts = [fields.get(stem + other, zero)[0] for other in AXES]
            joined[stem] = (np.stack(parts, axis=-1), unit)
    return joined


def _children(node: Any, label: str) -> list[Any]:
    return [child for child in node.values() if _plain(child.attrs.get("label", b"")) == label]


def _data(node: Any) -> np.ndarray:
    return np.asarray(node[" data"])


def _text(node: Any) -> str:
    return _data(node).astype(np.uint8).tobytes().decode("ascii").strip()


def _name(node: Any) -> str:
    path: str = node.name
    return path.rsplit("/", 1)[-1]


def _plain(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


SUFFIXES = {".cgns": cgns_frames}
