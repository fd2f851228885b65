"""One time of a result file as the fields that were asked for, in their units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rom.errors import BadInput
from rom.io.fields import Fields
from rom.io.frame import Frame
from rom.io.placement import check_inside
from rom.io.regions import cell_dimensions
from rom.io.units import convert
from rom.mesh import Mesh


@dataclass(frozen=True, eq=False)
class Request:
    """What is asked of result files.

    units : name -> unit of every field; inner : those at points of integration
    rename : name in the file, points:NAME or cells:NAME where both have it -> name
    written : name -> unit where the file names none
    positions : the field that says where the points of integration lie; unit : of coordinates;
    turn : whether cells that are inside out are turned
    """

    units: Mapping[str, str]
    inner: frozenset[str]
    rename: Mapping[str, str]
    written: Mapping[str, str]
    positions: str | None
    unit: str
    turn: bool = False


@dataclass(frozen=True, eq=False)
class Source:
    """A field of a frame: place ("points", "cells", "integration"), values, unit.

    mask : where it is known, None for everywhere
    """

    place: str
    values: np.ndarray
    unit: str
    mask: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class FrameSources:
    """The fields of one frame of a file: on points and cells, and at integration."""

    file: str
    outer: dict[str, Source]
    inner: dict[str, Source]
    x: np.ndarray | None


@dataclass(frozen=True, eq=False)
class FieldState:
    """Values (n, c) and places of all fields that were asked for, at time t."""

    t: float | None
    values: dict[str, np.ndarray]
    where: dict[str, str]


def frame_sources(frame: Frame, mesh: Mesh, request: Request, path: str | Path) -> FrameSources:
    """The fields of a frame under their new names.

    At points of integration they are the format's own, or the cell fields of the cells that fill
    the space. Raises BadInput where parts of one field have different units.
    """
    rename = request.rename
    on_cells = _rename(frame.cells, rename, "cells", frame.known)
    on_points = _rename(frame.points, rename, "points", frame.known)
    for name in request.units.keys() - request.inner:
        if name in on_cells and name in on_points:
            raise BadInput(
                f"{Path(path).name} has {name!r} on points and on cells; say which by renaming: "
                f"points:{name}={name} or cells:{name}={name}"
            )
    inside = frame.integration or _filling(frame.cells, mesh)
    at_integration = _rename(inside, rename, "integration", {})
    return FrameSources(Path(path).name, on_cells | on_points, at_integration, frame.x)


def _filling(cells: Fields, mesh: Mesh) -> Fields:
    """Cell fields of the cells that fill the space."""
    full = cell_dimensions(mesh) == mesh.points.shape[1]
    return {name: (np.asarray(values)[full], unit) for name, (values, unit) in cells.items()}


def _rename(
    fields: Fields, rename: Mapping[str, str], place: str, known: Mapping[str, np.ndarray]
) -> dict[str, Source]:
    """Fields under their new names; those of "a,b,c" become one of several components."""
    sources = {
        name: Source(place, values, unit, known.get(f"{place}:{name}"))
        for name, (values, unit) in fields.items()
    }
    for theirs, name in rename.items():
        if theirs.startswith(("points:", "cells:")):
            _choose_place(sources, theirs, name, place)
        parts = theirs.split(",")
        if not all(part in fields for part in parts):
            continue
        units = {fields[part][1] for part in parts}
        if len(units) > 1:
            raise BadInput(
                f"{theirs} are in different units ({', '.join(sorted(units))}) "
                f"and cannot be one field {name!r}"
            )
        mask = sources[parts[0]].mask
        for part in parts:
            sources.pop(part, None)
        columns = [np.asarray(fields[part][0]) for part in parts]
        values = columns[0] if len(parts) == 1 else np.stack(columns, axis=-1)
        sources[name] = Source(place, values, units.pop(), mask)
    return sources


def _choose_place(sources: dict[str, Source], theirs: str, name: str, place: str) -> None:
    """The field of one place under its new name; that of the other place under none."""
    its_place, _, theirs_name = theirs.partition(":")
    source = sources.pop(theirs_name, None)
    if source is not None and its_place == place:
        sources[name] = source


def find_positions(sources: FrameSources, mesh: Mesh, request: Request) -> np.ndarray:
    """Points of integration (g, d).

    Raises BadInput where they are not known, or a cell does not hold its own.
    """
    if sources.x is not None:
        return sources.x
    name = request.positions
    if name is None:
        raise BadInput(
            f"{sources.file} does not say where its points of integration lie; "
            "name the field that holds their positions"
        )
    source = _find(sources.inner, name, sources.file)
    values = source.values
    d = mesh.points.shape[1]
    width = 3 if np.size(values) % (3 * len(values)) == 0 else d
    if np.size(values) % (width * len(values)):
        raise BadInput(
            f"positions {name!r} have shape {values.shape}; "
            f"give {d} coordinates of every point, one point after the other"
        )
    what = f"field {name!r} of {sources.file}"
    flat = convert(values, source.unit or request.unit, request.unit, what)
    x = flat.reshape(len(values), -1, width)
    return check_inside(x[..., :d], mesh, what)


def read_state(
    t: float | None, sources: FrameSources, x: np.ndarray | None, request: Request
) -> FieldState:
    """The fields asked for at time t; x (g, d) : points of integration.

    Raises BadInput for missing fields, other units, NaN and values that are not at every point.
    """
    values, where = {}, {}
    for name in request.units:
        inner = name in request.inner
        source = _find(sources.inner if inner else sources.outer, name, sources.file)
        array = _converted_values(source, name, request, sources.file)
        if inner:
            values[name] = _at_points(array, x, name, sources.file)
        else:
            values[name] = array.reshape(len(array), -1)
        where[name] = source.place
    return FieldState(t, values, where)


def _find(sources: dict[str, Source], name: str, file: str) -> Source:
    if name not in sources:
        raise BadInput(f"{file} has no field {name!r}; it has: {', '.join(sources) or 'none'}")
    return sources[name]


def _converted_values(source: Source, name: str, request: Request, file: str) -> np.ndarray:
    """Values in the unit asked for, from that of the file or else that of `written`."""
    what = f"field {name!r} of {file}"
    written = request.written.get(name)
    if written is not None and source.unit not in ("", written):
        raise BadInput(f"{what} is in {source.unit!r} and not, as you say, in {written!r}")
    if source.mask is not None and not source.mask.all():
        raise BadInput(
            f"{what} is known on {int(source.mask.sum())} of {len(source.mask)} {source.place} "
            "only; ingest the blocks that hold it as a file of their own"
        )
    theirs = source.unit or written or ""
    unit = request.units[name]
    if not theirs and unit not in ("", "1", "%"):
        raise BadInput(
            f"{what} is in no unit, not in {unit!r}: the file names none; say the file's own "
            f"with --written {name}=UNIT (written in Python)"
        )
    values = convert(source.values, theirs, unit, what)
    if not np.isfinite(values).all():
        raise BadInput(f"{what} holds NaN or Inf; was the run that wrote it finished?")
    return values


def _at_points(values: np.ndarray, x: np.ndarray | None, name: str, file: str) -> np.ndarray:
    """Values (g, c) from those of cells in a row."""
    g = 0 if x is None else len(x)
    if len(values) != g and np.size(values) % max(g, 1):
        raise BadInput(
            f"{file}: field {name!r} of shape {values.shape} does not hold as many values "
            f"at each of {g} points of integration"
        )
    return np.asarray(values).reshape(g, -1)
