"""Results of other codes: a series of files on one mesh as fields over time.

Units, orientation of cells and order of points of integration are checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from rom.errors import BadInput
from rom.io.alignment import cell_order, reorder_cells
from rom.io.filling import filling_part, lacks_faces_only
from rom.io.frames import read_frames
from rom.io.placement import check_cells, check_orientation, reorder
from rom.io.result import Result
from rom.io.sources import FieldState, Request, find_positions, frame_sources, read_state
from rom.io.turning import turn_mesh
from rom.mesh import Mesh


def ingest_files(
    paths: Sequence[str | Path],
    fields: Mapping[str, str],
    *,
    unit: str = "m",
    rename: Mapping[str, str] | None = None,
    integration: Mapping[str, str] | None = None,
    positions: str | None = None,
    at: Callable[[Mesh], np.ndarray] | None = None,
    written: Mapping[str, str] | None = None,
    times: Sequence[float] | None = None,
    turn: bool = False,
) -> Result:
    """The result in files that share a mesh, each of one time or of several, in order.

    fields : {name: unit asked for} of fields on points or cells; unit : of the coordinates
    rename : {name in the file: name}, or "a,b,c" for one field of several components
    integration : {name: unit asked for} of fields at points of integration
    positions : the cell field of their positions, if the format has none
    at : mesh -> points (g, d) in whose order they are wanted
    written : {name: unit in the file} where the file names none
    times : [s] of all states, where the files know none
    turn : cells that are inside out are turned; values at points of integration stay where the
        file says they lie

    Values are converted to the units asked for. Raises ForeignFile for what cannot be read;
    BadInput for no files, a missing field, a mesh that changes, units of another kind or missing,
    times that do not increase, cells that are inside out where points of integration are
    asked for, and points of integration that
    lie outside their cells or are not those of `at`.
    """
    if not paths:
        raise BadInput("no files to ingest; check the pattern")
    inner = dict(integration or {})
    units = {**fields, **inner}
    unknown = [name for name in written or {} if name not in units]
    if unknown:
        raise BadInput(
            f"a unit is given for {unknown[0]!r}, which is not asked for; "
            f"asked for: {', '.join(units)}"
        )
    request = Request(units, frozenset(inner), rename or {}, written or {}, positions, unit, turn)
    mesh, states, x = _read_states(paths, request)
    values = {name: _stack(name, states) for name in units}
    if x is not None and at is not None:
        ours = np.asarray(at(mesh), dtype=float)
        rows = reorder(np.arange(len(x)), x, ours)
        values |= {name: values[name][rows] for name in inner}
        x = ours
    t = _check_times([state.t for state in states], times, len(paths))
    return Result(mesh, values, units, states[-1].where, t, x)


def _read_states(
    paths: Sequence[str | Path], request: Request
) -> tuple[Mesh, list[FieldState], np.ndarray | None]:
    """The mesh of all files, the fields at every time, and the points of integration."""
    first = read_frames(paths[0], request.unit)
    whole = mesh = _check_mesh(first[0], paths[0], request)
    inner = x = None
    states: list[FieldState] = []
    for k, path in enumerate(paths):
        other, frames = read_frames(path, request.unit) if k else first
        order = _order_of_cells(whole, other, path, paths[0], turn=request.turn)
        for frame in frames:
            moved = frame if order is None else reorder_cells(frame, order)
            if not states and lacks_faces_only(whole, moved, _theirs(request)):
                mesh, inner = filling_part(whole)
            part = moved if inner is None else reorder_cells(moved, inner)
            sources = frame_sources(part, mesh, request, path)
            if request.inner and x is None:
                x = find_positions(sources, mesh, request)
            states.append(read_state(frame.t, sources, x, request))
    return mesh, states, x


def _check_mesh(mesh: Mesh, path: str | Path, request: Request) -> Mesh:
    """The first mesh, turned on demand; BadInput where cells are inside out."""
    check_cells(mesh, path)
    if request.turn:
        mesh = turn_mesh(mesh)
    if request.inner:
        check_orientation(mesh, path)
    return mesh


def _theirs(request: Request) -> list[str]:
    """Names in the file of the fields that are asked for on points and cells."""
    names = {name: name for name in request.units if name not in request.inner}
    for theirs, name in request.rename.items():
        if name in names:
            names[name] = theirs.partition(":")[2] or theirs.split(",")[0]
    return list(names.values())


def _order_of_cells(
    mesh: Mesh, other: Mesh, path: str | Path, first: str | Path, *, turn: bool
) -> np.ndarray | None:
    """Places of our cells in a file, None for the same; BadInput for another mesh."""
    if turn:
        other = turn_mesh(other)
    if other.digest == mesh.digest:
        return None
    order = cell_order(mesh, other)
    if order is None:
        raise BadInput(
            f"{Path(path).name} has another mesh than {Path(first).name}; ingest one mesh at a time"
        )
    return order


def _stack(name: str, states: list[FieldState]) -> np.ndarray:
    """Values of one field at all times, (n, c, m)."""
    values = [state.values[name] for state in states]
    shapes = {array.shape for array in values}
    if len(shapes) > 1:
        raise BadInput(f"field {name!r} changes its shape from file to file: {sorted(shapes)}")
    return np.stack(values, axis=-1)


def _check_times(
    theirs: list[float | None], ours: Sequence[float] | None, n_files: int
) -> np.ndarray | None:
    """Times [s] of all states, the files' or `ours`; None where there are neither."""
    present = [t for t in theirs if t is not None]
    n, m = len(present), len(theirs)
    if ours is not None and present:
        raise BadInput(
            f"the files know their times ({present[0]:g} to {present[-1]:g} s); give none"
        )
    if ours is None and n not in (0, m):
        raise BadInput(f"{n} of {m} states know their times; give times for all")
    t = np.array(present if ours is None else ours, dtype=float)
    if ours is not None and len(t) != m:
        raise BadInput(f"{len(t)} times are given for {m} states")
    backward = np.diff(t) <= 0
    if backward.any():
        k = int(np.argmax(backward))
        raise BadInput(
            f"time {t[k + 1]:g} s follows {t[k]:g} s; give the {n_files} files in the order of time"
        )
    return t if len(t) else None
