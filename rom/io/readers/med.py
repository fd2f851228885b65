"""MED through medcoupling, the library of the format.

meshio mixes points of integration up, loses modes and close times, and leaves cells inside out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rom.errors import BadInput, ForeignFile
from rom.io.content import Content, Data, append_blocks, blocks_of, frame_of_content
from rom.io.frame import Frame
from rom.io.med_cells import cells_from_med, kind_of, plain_array, require_medcoupling
from rom.io.med_fields import STATIC, MedBlock, attach_steps, field_entries
from rom.io.regions import NODE_SET, REGION
from rom.io.steps import group_steps
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
    content, blocks, theirs = _mesh_content(path, names[0])
    mesh = None
    for t, steps in group_steps(field_entries(str(path), names[0]), STATIC):
        state = Content(content.blocks, dict(content.point_data), dict(content.cell_data))
        attach_steps(state, steps, blocks, path.name)
        other, frame = frame_of_content(state, t, theirs or unit)
        mesh = other if mesh is None else mesh
        yield mesh, frame


def _static_content(path: Path, name: str) -> Content:
    """One mesh of several with its fields. Raises BadInput where these have times."""
    content, blocks, _ = _mesh_content(path, name)
    states = group_steps(field_entries(str(path), name), STATIC)
    if len(states) > 1:
        raise BadInput(
            f"{path.name} holds several meshes and fields of several times; write one mesh a file"
        )
    attach_steps(content, states[0][1], blocks, path.name)
    return content


def _mesh_content(path: Path, name: str) -> tuple[Content, list[MedBlock], str]:
    """Points, cells and groups of a mesh, and the unit of its coordinates or none."""
    import medcoupling

    if _count_states(path, name) > 1:
        raise BadInput(f"{path.name}: mesh {name!r} changes with time; ingest one mesh at a time")
    mesh = medcoupling.MEDFileMesh.New(str(path), name)
    if not isinstance(mesh, medcoupling.MEDFileUMesh):
        grid = mesh.getMesh().buildUnstructured()
        grid.setName(name)
        structured, mesh = mesh, medcoupling.MEDFileUMesh()
        mesh.setMeshAtLevel(0, grid)
        mesh.forceComputationOfParts()
        _copy_groups(structured, mesh)
    coordinates = mesh.getCoords()
    points = plain_array(coordinates)
    cells, blocks, levels = [], [], {}
    start = 0
    for level in mesh.getNonEmptyLevels():
        levels[level] = start
        for code in mesh.getGeoTypesAtLevel(level):
            kind = kind_of(code, path.name)
            single = mesh.getDirectUndergroundSingleGeoTypeMesh(code)
            flat = plain_array(single.getNodalConnectivity()).astype(np.int64)
            rows = flat.reshape(single.getNumberOfCells(), -1)
            nodes, order = cells_from_med(points, kind, rows)
            cells.append((kind, nodes))
            blocks.append(MedBlock(kind, start + np.arange(len(rows)), order))
            start += len(rows)
    point_data, cell_data = _groups(mesh, levels, len(points), start)
    content = Content(blocks_of(points, cells), point_data, cell_data)
    return content, blocks, _unit(coordinates)


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
