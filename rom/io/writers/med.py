"""MED through medcoupling: regions and node sets as groups, fields, units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rom.archive.files import write_file
from rom.errors import BadInput
from rom.io.fields import Fields, check_fields, unlabel
from rom.io.med_cells import cells_to_med, med_types, require_medcoupling
from rom.io.regions import DIMENSION, count_cells
from rom.mesh import Mesh

END_ADDRESS = {0: 40, 1: 44, 2: 28, 3: 28}  # byte of the end's address, by version of HDF5
NAME, SHORT, GROUP = 64, 16, 80  # characters of the format


def check_med(path: Path) -> None:
    """MissingExtra without medcoupling."""
    require_medcoupling()


def write_med_file(
    path: Path, mesh: Mesh, fields: Fields | None, cell_fields: Fields | None
) -> None:
    """Mesh, fields and sets. Raises BadInput for names and units that are too long."""
    require_medcoupling()
    import medcoupling

    at_points = check_fields(fields, len(mesh.points), "points")
    at_cells = check_fields(cell_fields, count_cells(mesh), "cells")
    _check_names(path, mesh, [*at_points, *at_cells])
    file, orders = _file_mesh(mesh)
    series = medcoupling.MEDFileFields()
    for name, values in at_points.items():
        step = medcoupling.MEDFileField1TS()
        step.setFieldNoProfileSBT(_field(medcoupling.ON_NODES, name, values, file, 0))
        _append(series, step)
    for name, values in at_cells.items():
        step = medcoupling.MEDFileField1TS()
        for level, order in orders.items():
            step.setFieldNoProfileSBT(
                _field(medcoupling.ON_CELLS, name, values[order], file, level)
            )
        _append(series, step)
    data = medcoupling.MEDFileData()
    meshes = medcoupling.MEDFileMeshes()
    meshes.pushMesh(file)
    data.setMeshes(meshes)
    data.setFields(series)
    write_file(path, _trim(bytes(data.serialize().toNumPyArray())))


def _trim(image: bytes) -> bytes:
    """A file of HDF5 without what the library laid in behind its end."""
    start = END_ADDRESS[image[8]]
    return image[: int.from_bytes(image[start : start + 8], "little")]


def _append(series: Any, step: Any) -> None:
    import medcoupling

    times = medcoupling.MEDFileFieldMultiTS()
    times.pushBackTimeStep(step)
    series.pushField(times)


def _check_names(path: Path, mesh: Mesh, texts: list[str]) -> None:
    parts = [unlabel(text) for text in texts]
    names = [name for name, _ in parts]
    long = [(name, NAME) for name in names if len(name.encode()) > NAME]
    long += [(unit, SHORT) for _, unit in parts if len(unit.encode()) > SHORT]
    long += [(name, GROUP) for name in (*mesh.regions, *mesh.nodes) if len(name.encode()) > GROUP]
    if long:
        raise BadInput(f"{path.name}: {long[0][0]!r} is longer than {long[0][1]} characters of MED")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise BadInput(f"{path.name}: {twice[0]!r} is on points and on cells; MED holds it once")


def _file_mesh(mesh: Mesh) -> tuple[Any, dict[int, np.ndarray]]:
    """The mesh of a file, and at each level the rows of our cells in its order."""
    import medcoupling

    codes, d = med_types(), mesh.points.shape[1]
    points = medcoupling.DataArrayDouble(np.ascontiguousarray(mesh.points, dtype=float))
    points.setInfoOnComponents([f"{axis} [{mesh.unit}]" for axis in "XYZ"[:d]])
    file = medcoupling.MEDFileUMesh()
    file.setCoords(points)
    file.setName("mesh")
    top = max((DIMENSION[kind] for kind in mesh.cells), default=0)
    starts = np.cumsum([0, *(len(cells) for cells in mesh.cells.values())])
    first = dict(zip(mesh.cells, starts, strict=False))
    orders: dict[int, np.ndarray] = {}
    for dimension in sorted({DIMENSION[kind] for kind in mesh.cells}, reverse=True):
        kinds = [kind for kind in mesh.cells if DIMENSION[kind] == dimension]
        kinds = [kind for kind in kinds if len(mesh.cells[kind])]
        if not kinds:
            continue
        parts = [_part(mesh, kind, codes[kind], points) for kind in kinds]
        whole = medcoupling.MEDCouplingUMesh.MergeUMeshesOnSameCoords(parts)
        whole.setName("mesh")
        place = whole.sortCellsInMEDFileFrmt().toNumPyArray()  # old -> new
        rows = np.concatenate(
            [
                first[kind] + np.arange(len(mesh.cells[kind]))
                for kind in kinds
                if len(mesh.cells[kind])
            ]
        )
        level = dimension - top
        orders[level] = rows[np.argsort(place)]
        file.setMeshAtLevel(level, whole)
    _put_groups(file, mesh, first, orders)
    return file, orders


def _part(mesh: Mesh, kind: str, code: int, points: Any) -> Any:
    import medcoupling

    nodes = cells_to_med(kind, np.asarray(mesh.cells[kind], np.int64), mesh.points.shape[1])
    part = medcoupling.MEDCoupling1SGTUMesh("mesh", code)
    part.setCoords(points)
    part.setNodalConnectivity(medcoupling.DataArrayInt64(np.ascontiguousarray(nodes).ravel()))
    return part.buildUnstructured()


def _put_groups(file: Any, mesh: Mesh, first: Any, orders: dict[int, np.ndarray]) -> None:
    for name, numbers in mesh.nodes.items():
        _put_group(file, 1, name, np.unique(numbers))
    for name, parts in mesh.regions.items():
        rows = [first[kind] + np.asarray(numbers) for kind, numbers in parts.items()]
        mask = np.zeros(sum(len(cells) for cells in mesh.cells.values()), dtype=bool)
        mask[np.concatenate([*rows, np.zeros(0)]).astype(np.int64)] = True
        for level, order in orders.items():
            places = np.flatnonzero(mask[order])
            if len(places) or level == 0:
                _put_group(file, level, name, places)


def _put_group(file: Any, level: int, name: str, places: np.ndarray) -> None:
    import medcoupling

    array = medcoupling.DataArrayInt64(np.ascontiguousarray(places, dtype=np.int64))
    array.setName(name)
    file.addGroup(level, array)


def _field(kind: int, text: str, values: np.ndarray, file: Any, level: int) -> Any:
    """A field of medcoupling without a time."""
    import medcoupling

    name, unit = unlabel(text)
    table = np.ascontiguousarray(values.reshape(len(values), -1), dtype=float)
    array = medcoupling.DataArrayDouble(table)
    suffix = f" [{unit}]" if unit else ""
    array.setInfoOnComponents([f"{k}{suffix}" for k in range(table.shape[1])])
    field = medcoupling.MEDCouplingFieldDouble(kind, medcoupling.ONE_TIME)
    field.setName(name)
    field.setMesh(file.getMeshAtLevel(level))
    field.setArray(array)
    field.setTime(0.0, -1, -1)
    return field


CHECK = check_med
SUFFIXES = {".med": write_med_file}
