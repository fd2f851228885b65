"""CGNS in HDF5: bases and zones as blocks, tags, fields, times and global scalars.

PLAID keeps its samples in such files. References: CGNS Standard Interface Data Structures (2023);
Casenave et al., PLAID (2025).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from rom.errors import BadInput, ForeignFile
from rom.io.apart import read_apart
from rom.io.cgns_faces import (
    NFACE,
    NGON,
    join_ragged,
    outer_faces,
    parents_of,
    polyhedra,
    read_ragged,
)
from rom.io.cgns_tree import (
    CgnsNode,
    children,
    node_names,
    node_text,
    tree_units,
    units_of_arrays,
)
from rom.io.content import Content, Data, append_blocks, frame_of_content, spread_rows
from rom.io.fields import Fields, label
from rom.io.frame import AT_CELLS, Frame
from rom.io.grid import positive_wedges
from rom.io.pieces import Faces, cut_blocks, has_pieces, no_faces, repeat_rows
from rom.io.regions import DIMENSION, NODE_SET, REGION, Blocks
from rom.io.xdmf_grids import structured_cells
from rom.mesh import NODES, Mesh

# ElementType_t of the standard -> cell type here
ELEMENTS = {
    2: "vertex", 3: "line", 4: "line3", 5: "triangle", 6: "triangle6", 7: "quad", 8: "quad8",
    9: "quad9", 10: "tetra", 11: "tetra10", 12: "pyramid", 14: "wedge", 15: "wedge15",
    16: "wedge18", 17: "hexahedron", 18: "hexahedron20", 19: "hexahedron27", 21: "pyramid13",
}  # fmt: skip
MIXED = 20  # a section in which every element is led by its type
# places in the file of the nodes in VTK's order, where the standard has another: it puts the
# edges that rise before those of the top, and the faces of a hexahedron from bottom to top
VTK_ORDER = {
    "wedge15": [*range(9), 12, 13, 14, 9, 10, 11],
    "wedge18": [*range(9), 12, 13, 14, 9, 10, 11, 15, 16, 17],
    "hexahedron20": [*range(12), 16, 17, 18, 19, 12, 13, 14, 15],
    "hexahedron27": [*range(12), 16, 17, 18, 19, 12, 13, 14, 15, 24, 22, 21, 23, 20, 25, 26],
}
Sample = tuple[Mesh, Fields, Fields, dict[str, float]]
LIBRARIES = ("h5py",)
NONE = np.zeros(0, np.int64)
AXES = "XYZ"  # the last letter of the components of a vector
ROUND = ("CoordinateR", "CoordinateTheta")


@dataclass(frozen=True, eq=False)
class _Cells:
    """Cells by type, those of many faces, and the number of each in the file, from 1."""

    nodes: dict[str, np.ndarray]
    numbers: dict[str, np.ndarray]
    polygons: Faces = field(default_factory=no_faces)
    polyhedra: Faces = field(default_factory=no_faces)

    def all_numbers(self, dimension: int | None = None) -> np.ndarray:
        """The numbers of all cells, or of those of a dimension."""
        parts = [(DIMENSION[kind], rows) for kind, rows in self.numbers.items()]
        parts += [(2, self.polygons.rows), (3, self.polyhedra.rows)]
        return np.concatenate([rows for d, rows in parts if dimension in (None, d)] or [NONE])

    def content(
        self, points: np.ndarray, data: Content, order: np.ndarray, *, centres: bool
    ) -> Content:
        """Arrays over the cells of numbers `order`, with these."""
        kinds = {
            kind: [(np.searchsorted(order, self.numbers[kind]), nodes)]
            for kind, nodes in self.nodes.items()
        }
        polygons, polyhedra = (
            replace(many, rows=np.searchsorted(order, many.rows))
            for many in (self.polygons, self.polyhedra)
        )
        blocks = cut_blocks(points, kinds, polygons, polyhedra, centres=centres)
        whole = replace(data, blocks=blocks)
        return repeat_rows(whole) if has_pieces(polygons, polyhedra) else whole


def cgns_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """Mesh and fields at every time; NAMEX, NAMEY, NAMEZ are one field NAME."""
    mesh = None
    for t, content, theirs in _states(path):
        if "wedge" in content.blocks.cells:
            wedges = content.blocks.cells["wedge"]
            content.blocks.cells["wedge"] = positive_wedges(content.blocks.points, wedges)
        other, frame = frame_of_content(content, t, theirs or unit)
        mesh = other if mesh is None else mesh
        points, cells = _join_vectors(frame.points), _join_vectors(frame.cells)
        yield mesh, Frame(t, points, cells, known=_join_masks(frame.known, cells))


def read_cgns(path: str | Path, unit: str = "m") -> Sample:
    """Mesh, point fields, cell fields and global scalars, as they stand in a file.

    Vertex tags (BC_t) are node sets, the others regions of the cells they list. Coordinates keep
    the physical dimension of the base; a field of the cells that fill the zone is NaN on others.
    Raises ForeignFile for what is no CGNS file; BadInput for several times, several or no zones
    and for unknown elements.
    """
    path = Path(path)
    if not path.is_file():
        raise ForeignFile(f"no file {path}")
    sample: Sample = next(read_apart("cgns", path, unit))
    return sample


def cgns_content(path: Path, unit: str) -> Sample:
    """The content of a CGNS file, read here; see `read_cgns`."""
    with _open(path) as file:
        bases = children(file, "CGNSBase_t")
        zones = [(base, zone) for base in bases for zone in children(base, "Zone_t")]
        scalars = _scalars(bases)
        d = int(zones[0][0].data[1]) if zones else 0
    if len(zones) != 1:
        raise BadInput(
            f"{path.name} has {len(zones)} zones; a sample needs one, so write one mesh per file"
        )
    states = list(_states(path))
    if len(states) > 1:
        raise BadInput(f"{path.name} has {len(states)} times; a sample needs one")
    _, content, theirs = states[0]
    mesh, frame = frame_of_content(content, None, theirs or unit)
    points = content.blocks.points[:, :d]
    whole = Mesh(points, mesh.cells, mesh.regions, mesh.nodes, mesh.unit)
    return whole, frame.points, frame.cells, scalars


@contextmanager
def _open(path: Path) -> Iterator[CgnsNode]:
    import h5py

    try:
        file = h5py.File(path)
    except OSError as error:
        raise ForeignFile(
            f"{path.name} is no CGNS file in HDF5 ({error}); is it complete?"
        ) from error
    with file:
        yield CgnsNode(file)


def _states(path: Path) -> Iterator[tuple[float | None, Content, str]]:
    """Time, all zones and the unit of length, time after time."""
    with _open(path) as file:
        bases = [base for base in children(file, "CGNSBase_t") if children(base, "Zone_t")]
        if not bases:
            raise BadInput(f"{path.name} has 0 zones; is it complete?")
        times = _times(path, bases)
        for k, t in enumerate(times or [None]):
            parts: dict[str, Content] = {}
            units = set()
            for base in bases:
                for zone in children(base, "Zone_t"):
                    name = f"{base.name}/{zone.name}"
                    content, unit = _zone_content(path, base, zone, k if times else None)
                    parts[name if len(bases) > 1 else zone.name] = content
                    units.add(unit)
            if len(units) > 1:
                raise BadInput(f"{path.name} has zones in {' and '.join(sorted(units))}")
            yield t, append_blocks(parts), units.pop()


def _times(path: Path, bases: list[CgnsNode]) -> list[float]:
    """The times of all bases. Raises BadInput where they differ."""
    series = []
    for base in bases:
        for data in children(base, "BaseIterativeData_t"):
            if "TimeValues" in data:
                series.append(data["TimeValues"].data.ravel().tolist())
    if any(times != series[0] for times in series):
        raise BadInput(f"{path.name} has bases of different times; write one per file")
    return [float(t) for t in series[0]] if series else []


def _zone_content(path: Path, base: CgnsNode, zone: CgnsNode, k: int | None) -> tuple[Content, str]:
    """Points, cells, tags and fields of a zone at time k, and the unit of its length."""
    if "GridCoordinates" not in zone:
        raise BadInput(f"{path.name}: zone {zone.name} has no GridCoordinates")
    pointers = _pointers(zone, "GridCoordinatesPointers")
    if len(set(pointers)) > 1:
        raise BadInput(f"{path.name}: the mesh of zone {zone.name} changes with time")
    grid = zone[pointers[0]] if pointers else zone["GridCoordinates"]
    unit, factor, angle = tree_units(base, zone, grid)
    points = factor * _points(path, base, grid, angle)
    is_structured = "ZoneType" in zone and node_text(zone["ZoneType"]) == "Structured"
    shape = tuple(zone.data[0][::-1].tolist()) if is_structured else ()
    if is_structured and (len(shape) != base.data[0] or np.prod(shape) != len(points)):
        raise BadInput(
            f"{path.name}: structured zone {zone.name} of {shape} points does not fit its "
            f"{len(points)} coordinates"
        )
    solutions = _solutions(zone, k)
    cells = _grid_cells(shape) if is_structured else _cells(path, zone)
    order = np.sort(cells.all_numbers())  # of every cell that is read, as in the file
    content = Content(Blocks(points, {}, {}), *_tags(zone, cells, shape, order, len(points)))
    filling = np.isin(order, cells.all_numbers(int(base.data[0])))
    _put_fields(path, content, solutions, filling, shape)
    has_nodal = bool(content.point_data) or any(_place_of(part) == "Vertex" for part in solutions)
    whole = cells.content(points, content, order, centres=not has_nodal)
    return _label_arrays(whole, units_of_arrays([base])), unit


def _label_arrays(content: Content, units: dict[str, str]) -> Content:
    """The content with its arrays named 'NAME [unit]' where their units are known."""
    if not units:
        return content
    points, cells = (
        {label(name, units.get(name, "")): values for name, values in data.items()}
        for data in (content.point_data, content.cell_data)
    )
    masks = {}
    for key, mask in content.known.items():
        place, _, name = key.partition(":")
        masks[f"{place}:{label(name, units.get(name, ''))}"] = mask
    return Content(content.blocks, points, cells, masks)


def _points(path: Path, base: CgnsNode, grid: CgnsNode, angle: str) -> np.ndarray:
    """Points (n, 3) of Cartesian or cylindrical coordinates."""
    arrays = {axis.name: axis.data.ravel() for axis in children(grid, "DataArray_t")}
    if all(name in arrays for name in ROUND) and "CoordinatePhi" not in arrays:
        theta = arrays["CoordinateTheta"]
        theta = np.radians(theta) if angle == "Degree" else theta
        r = arrays["CoordinateR"]
        arrays |= {"CoordinateX": r * np.cos(theta), "CoordinateY": r * np.sin(theta)}
    names = [f"Coordinate{axis}" for axis in AXES[: int(base.data[1])]]
    absent = [name for name in names if name not in arrays]
    if absent:
        raise BadInput(
            f"{path.name} has coordinates {', '.join(arrays)}, and no {absent[0]}; write x, y, z"
        )
    points = np.stack([arrays[name] for name in names], axis=1).astype(float)
    return np.pad(points, ((0, 0), (0, 3 - points.shape[1])))


def _grid_cells(shape: tuple[int, ...]) -> _Cells:
    kind, nodes = structured_cells(shape)
    return _Cells({kind: nodes}, {kind: np.arange(1, len(nodes) + 1)})


def _pointers(zone: CgnsNode, key: str) -> list[str]:
    """Names of the nodes that a zone has at every time."""
    for data in children(zone, "ZoneIterativeData_t"):
        if key in data:
            return node_names(data[key])
    return []


def _solutions(zone: CgnsNode, k: int | None) -> list[CgnsNode]:
    """The solutions of time k: those it points to and those that no time points to."""
    pointers = _pointers(zone, "FlowSolutionPointers")
    every = children(zone, "FlowSolution_t")
    now = None if k is None or k >= len(pointers) else pointers[k]
    return [node for node in every if node.name not in pointers or node.name == now]


def _place_of(node: CgnsNode) -> str:
    """Where the numbers of a solution or a boundary are."""
    return node_text(node["GridLocation"]) if "GridLocation" in node else "Vertex"


def _put_fields(
    path: Path,
    content: Content,
    solutions: list[CgnsNode],
    filling: np.ndarray,
    shape: tuple[int, ...],
) -> None:
    """Fields at vertices and cells; NaN on boundaries where they lie inside."""
    n, k = len(content.blocks.points), len(filling)
    for solution in solutions:
        place = _place_of(solution)
        for array in children(solution, "DataArray_t"):
            name, values = array.name, _without_rind(solution, array.data)
            data = content.point_data if place == "Vertex" else content.cell_data
            size = {"Vertex": n, "CellCenter": k}.get(place, -1)
            if place == "CellCenter" and values.size == filling.sum() < k:
                rows = np.flatnonzero(filling)
                data[name], mask = spread_rows(rows, values.ravel().astype(float), k)
                content.known[f"{AT_CELLS}:{name}"] = mask
            elif values.size != size:
                raise BadInput(
                    f"{path.name}: {name!r} has {values.size} numbers at {place}; the zone has "
                    f"{n} vertices and {k} elements"
                )
            elif name in data:
                raise BadInput(f"{path.name}: {name!r} is in two solutions of one time")
            else:
                data[name] = values.ravel().astype(float)


def _without_rind(solution: CgnsNode, values: np.ndarray) -> np.ndarray:
    """An array without the layers around its zone."""
    if "Rind" not in solution:
        return values
    rind = solution["Rind"].data.reshape(-1, 2)[::-1]
    parts = [slice(int(a), n - int(b)) for (a, b), n in zip(rind, values.shape, strict=True)]
    return values[tuple(parts)]


def _scalars(bases: list[CgnsNode]) -> dict[str, float]:
    """The single numbers of the bases without a zone."""
    scalars = {}
    units = units_of_arrays(bases)
    for base in bases:
        if children(base, "Zone_t"):
            continue
        for array in children(base, "DataArray_t"):
            values = array.data
            if values.size == 1 and np.issubdtype(values.dtype, np.number):
                scalars[label(array.name, units.get(array.name, ""))] = float(values[0])
    return scalars


def _cells(path: Path, zone: CgnsNode) -> _Cells:
    nodes: dict[str, list[np.ndarray]] = {}
    numbers: dict[str, list[np.ndarray]] = {}
    sections = sorted(children(zone, "Elements_t"), key=_first_number)
    if not sections:
        raise BadInput(f"{path.name}: zone {zone.name} has no elements")
    for section in sections:
        if _code(section) not in (NGON, NFACE):
            for kind, its_nodes, its_numbers in _section(path, section):
                nodes.setdefault(kind, []).append(its_nodes)
                numbers.setdefault(kind, []).append(its_numbers)
    joined = {}
    for kind, parts in nodes.items():
        cells = np.concatenate(parts)
        joined[kind] = cells[:, VTK_ORDER[kind]] if kind in VTK_ORDER else cells
    every = {kind: np.concatenate(parts) for kind, parts in numbers.items()}
    return _Cells(joined, every, *_many_faces(path, zone, sections))


def _code(section: CgnsNode) -> int:
    return int(section.data.ravel()[0])


def _many_faces(path: Path, zone: CgnsNode, sections: list[CgnsNode]) -> tuple[Faces, Faces]:
    """Polygons that are cells, or faces of one cell or of a boundary, and polyhedra."""
    faces, cells = (
        join_ragged([read_ragged(path.name, part) for part in sections if _code(part) == code])
        for code in (NGON, NFACE)
    )
    signed, owner = cells.entries, np.repeat(cells.numbers, np.diff(cells.ends, prepend=0))
    if not len(cells.numbers):
        signed, owner = parents_of([part for part in sections if _code(part) == NGON])
    tags = [tag for group in children(zone, "ZoneBC_t") for tag in children(group, "BC_t")]
    at_faces = [_tag_entries(tag) for tag in tags if _place_of(tag) != "Vertex"]
    is_outer = outer_faces(signed, faces.numbers)
    is_outer |= np.isin(faces.numbers, np.concatenate(at_faces or [NONE]))
    its = faces.take(np.flatnonzero(is_outer))
    polygons = Faces(its.numbers, its.entries - 1, its.ends, np.arange(len(its.numbers)))
    return polygons, polyhedra(path.name, faces, signed, owner)


def _first_number(section: CgnsNode) -> int:
    return int(section["ElementRange"].data.ravel()[0])


def _section(path: Path, section: CgnsNode) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(cell type, nodes (k, ...), numbers (k,)) of the elements of a section."""
    code = _code(section)
    first, last = section["ElementRange"].data.ravel()
    entries = section["ElementConnectivity"].data.astype(np.int64).ravel()
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


def _cell_type(path: Path, section: CgnsNode, code: int) -> str:
    if code not in ELEMENTS:
        raise BadInput(
            f"{path.name}: section {section.name} has elements of type {code}; "
            f"known: {sorted([*ELEMENTS, MIXED, NGON, NFACE])}"
        )
    return ELEMENTS[code]


def _tags(
    zone: CgnsNode, cells: _Cells, shape: tuple[int, ...], order: np.ndarray, n: int
) -> tuple[Data, Data]:
    """Masks of node sets and regions: boundaries at vertices and elements."""
    point_data: Data = {}
    cell_data: Data = {}
    for group in children(zone, "ZoneBC_t"):
        for tag in children(group, "BC_t"):
            place = _place_of(tag)
            if shape:
                mask = np.zeros(shape, dtype=bool)
                _mark(mask, tag, place)
                point_data[NODE_SET + tag.name] = mask.ravel()
            elif "ElementRange" in tag or "ElementList" in tag or place != "Vertex":
                cell_data[REGION + tag.name] = np.isin(order, _tag_entries(tag))
            else:
                numbers = _tag_entries(tag)
                point_data[NODE_SET + tag.name] = np.isin(np.arange(1, n + 1), numbers)
    return point_data, cell_data


def _mark(mask: np.ndarray, tag: CgnsNode, place: str) -> None:
    """Marks the points (k, j, i) of a boundary of a structured zone."""
    key = "PointRange" if "PointRange" in tag else "PointList"
    d = mask.ndim
    ends = tag[key].data.reshape(-1, d)[:, ::-1] - 1
    on_faces = place.endswith("FaceCenter") and place[0] in "IJK"
    grow = np.array([int(on_faces and axis != place[0]) for axis in "IJK"[:d]])[::-1]
    if key == "PointList":
        ends = np.concatenate([ends, ends + grow])
        mask[tuple(ends.T)] = True
        return
    low, high = ends.min(axis=0), ends.max(axis=0) + grow
    mask[tuple(slice(int(a), int(b) + 1) for a, b in zip(low, high, strict=True))] = True


def _tag_entries(tag: CgnsNode) -> np.ndarray:
    """Numbers of the nodes or elements of a tag, from 1."""
    for key in ("PointList", "ElementList"):
        if key in tag:
            return tag[key].data.ravel()
    key = "PointRange" if "PointRange" in tag else "ElementRange"
    first, last = tag[key].data.ravel()
    return np.arange(first, last + 1)


def _join_masks(known: dict[str, np.ndarray], cells: Fields) -> dict[str, np.ndarray]:
    """Masks of fields, those of components under the name of their vector."""
    masks = {}
    for key, mask in known.items():
        name = key.partition(":")[2]
        masks[key if name in cells else key[:-1]] = mask
    return masks


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


SUFFIXES = {".cgns": cgns_frames}
