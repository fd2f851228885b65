"""MED through medcoupling, the library of the format.

meshio mixes points of integration up, loses modes and close times, and leaves cells inside out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rom.errors import BadInput, ForeignFile
from rom.io.content import Content, Data, append_blocks, frame_of_content
from rom.io.frame import Frame
from rom.io.med_cells import (
    MANY,
    cells_from_med,
    faces_from_med,
    kind_of,
    plain_array,
    require_medcoupling,
)
from rom.io.med_fields import STATIC, MedBlock, attach_steps, field_entries
from rom.io.pieces import Faces, cut_blocks, has_pieces, join_faces, repeat_rows
from rom.io.regions import NODE_SET, REGION, Blocks
from rom.io.steps import Entry, group_steps
from rom.io.units import UNITS
from rom.mesh import Mesh


def med_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """Mesh and frame at every time and mode; several meshes are blocks of one time."""
    require_medcoupling()
    import medcoupling

    names = medcoupling.GetMeshNames(str(path))
    if not names:
        raise ForeignFile(f"{path.name} holds no mesh of MED; is it complete?")
    if len(names) > 1:
        parts = {name: _static_content(path, name) for name in names}
        yield frame_of_content(append_blocks(parts), None, unit)
        return
    shape, theirs = _mesh_content(path, names[0])
    mesh = None
    entries = field_entries(str(path), names[0])
    centres = _may_have_centres(shape, entries)
    for t, steps in group_steps(entries, STATIC):
        state = _with_fields(shape, steps, path.name, centres)
        other, frame = frame_of_content(state, t, theirs or unit)
        mesh = other if mesh is None else mesh
        yield mesh, frame


def _static_content(path: Path, name: str) -> Content:
    """One mesh of several with its fields. Raises BadInput where these have times."""
    shape, _ = _mesh_content(path, name)
    entries = field_entries(str(path), name)
    states = group_steps(entries, STATIC)
    if len(states) > 1:
        raise BadInput(
            f"{path.name} holds several meshes and fields of several times; write one mesh a file"
        )
    return _with_fields(shape, states[0][1], path.name, _may_have_centres(shape, entries))


@dataclass(frozen=True, eq=False)
class _Shape:
    """Points and groups, cells by type and of many faces; blocks : rows of fields."""

    content: Content
    kinds: dict[str, list[tuple[np.ndarray, np.ndarray]]]
    polygons: Faces
    polyhedra: Faces
    blocks: list[MedBlock]


def _may_have_centres(shape: _Shape, entries: list[Entry]) -> bool:
    """Whether no values at nodes stand against a point more."""
    import medcoupling

    places = {place for entry in entries for place in entry.what.getTypesOfFieldAvailable()}
    return not shape.content.point_data and medcoupling.ON_NODES not in places


def _with_fields(shape: _Shape, steps: list[Any], file: str, centres: bool) -> Content:
    """A mesh with its fields of one time."""
    base = shape.content
    state = Content(base.blocks, dict(base.point_data), dict(base.cell_data))
    attach_steps(state, steps, shape.blocks, file)
    blocks = cut_blocks(
        base.blocks.points, shape.kinds, shape.polygons, shape.polyhedra, centres=centres
    )
    whole = replace(state, blocks=blocks)
    return repeat_rows(whole) if has_pieces(shape.polygons, shape.polyhedra) else whole


def _mesh_content(path: Path, name: str) -> tuple[_Shape, str]:
    """Points, cells and groups of a mesh, and the unit of its coordinates or none."""
    mesh = _open_mesh(path, name)
    coordinates = mesh.getCoords()
    points = plain_array(coordinates)
    kinds: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    many: dict[str, list[Faces]] = {kind: [] for kind in MANY.values()}
    blocks: list[MedBlock] = []
    levels, start = {}, 0
    for level in mesh.getNonEmptyLevels():
        levels[level] = start
        for code in mesh.getGeoTypesAtLevel(level):
            kind = kind_of(code, path.name)
            single = mesh.getDirectUndergroundSingleGeoTypeMesh(code)
            rows = start + np.arange(single.getNumberOfCells())
            order = np.zeros((len(rows), 0), np.int64)
            if kind in many:
                many[kind].append(faces_from_med(kind, single, start))
            else:
                flat = plain_array(single.getNodalConnectivity()).astype(np.int64)
                nodes, order = cells_from_med(points, kind, flat.reshape(len(rows), -1))
                kinds.setdefault(kind, []).append((rows, nodes))
            blocks.append(MedBlock(kind, rows, order))
            start += len(rows)
    content = Content(Blocks(points, {}, {}), *_groups(mesh, levels, len(points), start))
    polygons, polyhedra = (join_faces(many[kind]) for kind in MANY.values())
    return _Shape(content, kinds, polygons, polyhedra, blocks), _unit(coordinates)


def _open_mesh(path: Path, name: str) -> Any:
    """A mesh of cells. Raises BadInput where it changes with time."""
    import medcoupling

    if _count_states(path, name) > 1:
        raise BadInput(f"{path.name}: mesh {name!r} changes with time; ingest one mesh at a time")
    mesh = medcoupling.MEDFileMesh.New(str(path), name)
    if isinstance(mesh, medcoupling.MEDFileUMesh):
        return mesh
    grid = mesh.getMesh().buildUnstructured()
    grid.setName(name)
    structured, mesh = mesh, medcoupling.MEDFileUMesh()
    mesh.setMeshAtLevel(0, grid)
    mesh.forceComputationOfParts()
    _copy_groups(structured, mesh)
    return mesh


def _count_states(path: Path, name: str) -> int:
    """How many states of a mesh a file holds: one, not named, before MED 3."""
    import h5py

    with h5py.File(path, "r") as file:
        states = file["ENS_MAA"][name]
        return 1 if "NOE" in states else len(states)


def _copy_groups(structured: Any, mesh: Any) -> None:
    for level in (0, 1):
        for group in structured.getGroupsOnSpecifiedLev(level):
            array = structured.getGroupArr(level, group)
            array.setName(group)
            mesh.addGroup(level, array)


def _groups(mesh: Any, levels: dict[int, int], n: int, k: int) -> tuple[Data, Data]:
    """Groups of nodes as masks over n points, of cells over k cells."""
    point_data: Data = {}
    cell_data: Data = {}
    for group in mesh.getGroupsOnSpecifiedLev(1):
        mask = np.zeros(n, dtype=bool)
        mask[plain_array(mesh.getGroupArr(1, group))] = True
        point_data[NODE_SET + group] = mask
    for level, start in levels.items():
        for group in mesh.getGroupsOnSpecifiedLev(level):
            mask = cell_data.setdefault(REGION + group, np.zeros(k, dtype=bool))
            mask[start + plain_array(mesh.getGroupArr(level, group))] = True
    return point_data, cell_data


def _unit(coordinates: Any) -> str:
    """The unit of the coordinates where all name one length, "" elsewhere."""
    units = {text.partition("[")[2].rstrip("] ") for text in coordinates.getInfoOnComponents()}
    unit = units.pop() if len(units) == 1 else ""
    return unit if unit and UNITS.get(unit, ("", 0.0))[0] == "length" else ""


LIBRARIES = ("medcoupling",)  # loaded once for all files
SUFFIXES = dict.fromkeys((".med", ".rmed", ".mmed"), med_frames)
