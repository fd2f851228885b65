"""CGNS files, in which PLAID keeps its samples: one unstructured zone, its tags as regions and node sets, its fields, its globals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rom.errors import BadInput, ForeignFile
from rom.mesh import Mesh

# ElementType_t of the standard -> cell type here; in all of these the nodes stand in VTK's order
ELEMENTS = {
    2: "vertex", 3: "line", 4: "line3", 5: "triangle", 6: "triangle6", 7: "quad", 8: "quad8", 9: "quad9",
    10: "tetra", 11: "tetra10", 12: "pyramid", 14: "wedge", 17: "hexahedron",
}  # fmt: skip
Fields = dict[str, tuple[np.ndarray, str]]


def read_cgns(path: str | Path, unit: str = "m") -> tuple[Mesh, Fields, Fields, dict[str, float]]:
    """Mesh, point fields, cell fields and global scalars of a CGNS file in HDF5 with one unstructured zone.

    Vertex tags (BC_t) are node sets, the others regions of the cells they list. Coordinates keep the physical dimension of the base.
    Raises ForeignFile for what is no CGNS file; BadInput for structured, several or no zones and for mixed or unknown elements.
    Reference: CGNS Standard Interface Data Structures (2023); Casenave et al., PLAID (2025).
    """
    import h5py

    path = Path(path)
    try:
        with h5py.File(path) as file:
            return _read(path, file, unit)
    except OSError as error:
        raise ForeignFile(
            f"{path.name} is no CGNS file in HDF5 ({error}); is it complete?"
        ) from error


def _read(path: Path, file: Any, unit: str) -> tuple[Mesh, Fields, Fields, dict[str, float]]:
    bases = _children(file, "CGNSBase_t")
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
    axes = sorted(_children(zone["GridCoordinates"], "DataArray_t"), key=_name)
    points = np.column_stack([_data(axis) for axis in axes[: int(_data(base)[1])]])
    cells, numbers = _cells(path, zone)
    regions, nodes = _tags(zone, cells, numbers)
    mesh = Mesh(points, cells, regions, nodes, unit)
    order = np.concatenate([numbers[kind] for kind in cells])
    at_nodes, at_cells = _fields(zone, len(points), order)
    values = {
        _name(a): _data(a)
        for b in bases
        if not _children(b, "Zone_t")
        for a in _children(b, "DataArray_t")
    }
    scalars = {
        name: float(v[0])
        for name, v in values.items()
        if v.size == 1 and np.issubdtype(v.dtype, np.number)
    }
    return mesh, at_nodes, at_cells, scalars


def _cells(path: Path, zone: Any) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Cells by type, and the number of each in the file, from 1."""
    cells: dict[str, list[np.ndarray]] = {}
    numbers: dict[str, list[np.ndarray]] = {}
    for section in sorted(
        _children(zone, "Elements_t"), key=lambda s: int(_data(s["ElementRange"])[0])
    ):
        code = int(_data(section)[0])
        if code not in ELEMENTS:
            raise BadInput(
                f"{path.name}: section {_name(section)} has elements of type {code}; known: {sorted(ELEMENTS)}"
            )
        first, last = _data(section["ElementRange"])
        found = (
            _data(section["ElementConnectivity"]).astype(np.int64).reshape(last - first + 1, -1) - 1
        )
        cells.setdefault(ELEMENTS[code], []).append(found)
        numbers.setdefault(ELEMENTS[code], []).append(np.arange(first, last + 1))
    if not cells:
        raise BadInput(f"{path.name}: zone {_name(zone)} has no elements")
    return {k: np.concatenate(v) for k, v in cells.items()}, {
        k: np.concatenate(v) for k, v in numbers.items()
    }


def _tags(
    zone: Any, cells: dict[str, np.ndarray], numbers: dict[str, np.ndarray]
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, np.ndarray]]:
    regions, nodes = {}, {}
    for group in _children(zone, "ZoneBC_t"):
        for tag in _children(group, "BC_t"):
            if "PointList" in tag:
                listed = _data(tag["PointList"]).ravel()
            else:
                first, last = _data(tag["PointRange"]).ravel()
                listed = np.arange(first, last + 1)
            if "GridLocation" not in tag or _text(tag["GridLocation"]) == "Vertex":
                nodes[_name(tag)] = np.unique(listed) - 1
                continue
            found = {kind: np.flatnonzero(np.isin(numbers[kind], listed)) for kind in cells}
            regions[_name(tag)] = {kind: rows for kind, rows in found.items() if len(rows)}
    return regions, nodes


def _fields(zone: Any, n: int, order: np.ndarray) -> tuple[Fields, Fields]:
    """Fields at nodes, and at cells where the file has a value for every cell."""
    at_nodes, at_cells = {}, {}
    for solution in _children(zone, "FlowSolution_t"):
        place = _text(solution["GridLocation"]) if "GridLocation" in solution else "Vertex"
        for array in _children(solution, "DataArray_t"):
            values = _data(array)
            if place == "Vertex" and len(values) == n:
                at_nodes[_name(array)] = (values.astype(float), "")
            elif place == "CellCenter" and len(values) == len(order):
                at_cells[_name(array)] = (values.astype(float)[order - 1], "")
    return at_nodes, at_cells


def _children(node: Any, label: str) -> list[Any]:
    return [child for child in node.values() if _plain(child.attrs.get("label", b"")) == label]


def _data(node: Any) -> np.ndarray:
    return np.asarray(node[" data"])


def _text(node: Any) -> str:
    return _data(node).astype(np.uint8).tobytes().decode("ascii").strip()


def _name(node: Any) -> str:
    return node.name.rsplit("/", 1)[-1]


def _plain(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
