"""Results of Ansys, .rst and .rth, through ansys-mapdl-reader.

Degrees of freedom by their kinds at nodes in global axes; stress, elastic strain and temperature
at nodes, which the library averages over the elements there, and which are not known in the
middle of edges. Modes have no times.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rom.errors import BadInput, ForeignFile, require
from rom.io.content import Content, frame_of_content, spread_rows
from rom.io.frame import AT_POINTS, Frame
from rom.io.grid import grid_content
from rom.io.numbering import number_places
from rom.io.regions import NODE_SET, REGION
from rom.io.vtk_files import raise_complaints
from rom.mesh import NODES, Mesh

NUMBER, ELEMENT = "ansys_node_num", "ansys_elem_num"
MODAL = 2  # kind of an analysis
VECTORS = {"displacement": ("UX", "UY", "UZ"), "rotation": ("ROTX", "ROTY", "ROTZ")}
SCALARS = {"TEMP": "temperature", "VOLT": "potential", "PRES": "pressure"}
AVERAGES = {  # kinds of results of elements -> name, how the library gives it, components
    "ENS": ("stress", "nodal_stress", 6),
    "EEL": ("elastic strain", "nodal_elastic_strain", 6),
    "EPL": ("plastic strain", "nodal_plastic_strain", 6),
    "EPT": ("element temperature", "nodal_temperature", 1),
}


def rst_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """Mesh and frame at every result of a file.

    Raises BadInput for cyclic sectors and for parts of a distributed run, MissingExtra.
    """
    require("ansys.mapdl.reader", "ansys", "results .rst of Ansys")
    from ansys.mapdl.reader import read_binary
    from ansys.mapdl.reader.rst import Result

    with raise_complaints(path), _copy(path) as place:
        result: Any = read_binary(place)
        if type(result) is not Result:
            raise BadInput(
                f"{path.name} holds a {type(result).__name__}; write a whole model's results as "
                "one file"
            )
        content = _mesh_content(path, result)
        yield from _steps(path, result, content, unit)


@contextlib.contextmanager
def _copy(path: Path) -> Iterator[str]:
    """The name of a copy in memory: the library opens files to write, too."""
    handle = os.memfd_create(path.name)
    try:
        with open(handle, "wb", closefd=False) as copy:
            copy.write(path.read_bytes())
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)


def _steps(path: Path, result: Any, content: Content, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """Mesh and frame at every result."""
    numbers = number_places(np.asarray(content.point_data.pop(NUMBER)), f"{path.name}: nodes")
    times = np.asarray(result.time_values, dtype=float)
    is_modal = result._resultheader["kan"] == MODAL
    mesh = None
    for k in range(int(result.nsets)):
        point_data, masks = dict(content.point_data), {}
        for name, rows, values in _fields(result, k):
            places = numbers.find(rows)
            inside = (places >= 0) & np.isfinite(values).all(axis=1)
            whole, mask = spread_rows(places[inside], values[inside], len(numbers.numbers))
            if not mask.any():
                continue
            point_data[name] = whole[:, 0] if whole.shape[1] == 1 else whole
            if not mask.all():
                masks[f"{AT_POINTS}:{name}"] = mask
        step = Content(content.blocks, point_data, content.cell_data, masks)
        other, frame = frame_of_content(step, None if is_modal else float(times[k]), unit)
        mesh = other if mesh is None else mesh
        yield mesh, frame
    if not result.nsets:
        yield frame_of_content(content, None, unit)


def _mesh_content(path: Path, result: Any) -> Content:
    """Points with their numbers, cells and components of a result."""
    grid = result.quadgrid
    if not grid.n_cells:
        raise ForeignFile(f"{path.name} holds no elements; is it complete?")
    whole = grid_content(grid)
    _check_middles(path, whole)
    numbers, elements = (np.asarray(data[key]) for data, key in (
        (grid.point_data, NUMBER), (grid.cell_data, ELEMENT)))  # fmt: skip
    point_data = {NUMBER: numbers}
    for name, its in result.node_components.items():
        point_data[NODE_SET + name] = np.isin(numbers, its)
    cell_data = {
        REGION + name: np.isin(elements, its) for name, its in result.element_components.items()
    }
    return Content(whole.blocks, point_data, cell_data)


def _check_middles(path: Path, content: Content) -> None:
    """BadInput where an edge has no node in its middle: the library puts any."""
    points = content.blocks.points
    for kind, cells in content.blocks.cells.items():
        corners = NODES[kind.rstrip("0123456789")]
        if corners == NODES[kind]:
            continue
        x = points[cells]
        low, high = x[:, :corners].min(axis=1), x[:, :corners].max(axis=1)
        room = (high - low).max(axis=1)[:, None] / 2
        beyond = (x < (low - room)[:, None]) | (x > (high + room)[:, None])
        ordered = np.sort(cells, axis=1)
        bad = beyond.any(axis=(1, 2)) | (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
        if bad.any():
            raise BadInput(
                f"{path.name}: {kind} cell {int(np.argmax(bad))} lacks nodes in the middle of its "
                "edges; mesh without dropped midside nodes"
            )


def _fields(result: Any, k: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, numbers of nodes (n,) and values (n, c) of every field of result k."""
    numbers, values = result.nodal_solution(k)
    columns = dict(zip(result.result_dof(k), np.asarray(values).T, strict=False))
    for name, parts in VECTORS.items():
        its = [columns.pop(part, None) for part in parts]
        if any(column is not None for column in its):
            zero = np.zeros(len(numbers))
            yield name, numbers, np.column_stack([zero if c is None else c for c in its])
    for part, column in columns.items():
        yield SCALARS.get(str(part), str(part)), numbers, column[:, None]
    available = list(result.available_results)
    for kind, (name, method, c) in AVERAGES.items():
        if kind in available:
            numbers, values = getattr(result, method)(k)
            table = np.asarray(values, dtype=float).reshape(len(numbers), -1)
            yield name, numbers, table[:, :c]


LIBRARIES = ("pyvista", "ansys.mapdl.reader")  # loaded once for all files
SUFFIXES = dict.fromkeys((".rst", ".rth"), rst_frames)
