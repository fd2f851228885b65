"""Results of other codes: a series of files on one mesh as fields over time, with units, orientation and order checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from rom.errors import BadInput
from rom.io.frame import Frame
from rom.io.frames import read_frames
from rom.io.grid import DIMENSION, Fields
from rom.io.placement import check_orientation, reorder, within
from rom.io.result import Result
from rom.mesh import Mesh

__all__ = ["check_orientation", "convert", "ingest_files", "reorder"]

# unit -> (kind, factor to SI); temperatures differ by a shift and are not converted
UNITS = {
    "m": ("length", 1.0), "mm": ("length", 1e-3), "um": ("length", 1e-6), "Pa": ("stress", 1.0), "kPa": ("stress", 1e3),
    "MPa": ("stress", 1e6), "GPa": ("stress", 1e9), "N/mm2": ("stress", 1e6), "K": ("temperature", 1.0), "s": ("time", 1.0),
    "1": ("number", 1.0), "": ("number", 1.0), "%": ("number", 1e-2),
}  # fmt: skip


def ingest_files(
    paths: Sequence[str | Path],
    fields: Mapping[str, str],
    unit: str = "m",
    rename: Mapping[str, str] | None = None,
    integration: Mapping[str, str] | None = None,
    positions: str | None = None,
    at: Callable[[Mesh], np.ndarray] | None = None,
    written: Mapping[str, str] | None = None,
    times: Sequence[float] | None = None,
) -> Result:
    """The result in files that share a mesh, each of one time or of several, in order.

    fields, integration : {name: unit asked for} of fields on points or cells, and at points of integration
    rename : {name in the file: name}, or "a,b,c" for one field of several components; unit : of the coordinates
    positions : the cell field that says where the points of integration lie, if the format does not; at : mesh -> points (g, d) in whose
    order they are wanted; written : {name: unit in the file} where the file names none; times : of all states, where the files know none

    Values are converted to the units asked for. Raises ForeignFile for what cannot be read; BadInput for no files, a missing field, a mesh
    that changes, units of another kind or missing, times that do not increase, cells that are turned inside out, and points of
    integration that lie outside their cells or are not those of `at`.
    """
    if not paths:
        raise BadInput("no files to ingest; check the pattern")
    inner = dict(integration or {})
    asked = {**fields, **inner}
    written = written or {}
    unknown = [name for name in written if name not in asked]
    if unknown:
        raise BadInput(
            f"a unit is given for {unknown[0]!r}, which is not asked for; asked for: {', '.join(asked)}"
        )
    series: dict[str, list[np.ndarray]] = {name: [] for name in asked}
    where: dict[str, str] = {}
    known: list[float | None] = []
    mesh: Mesh | None = None
    x: np.ndarray | None = None
    for path in paths:
        other, frames = read_frames(path, unit)
        mesh = check_orientation(other, path) if mesh is None else mesh
        if other.digest != mesh.digest:
            raise BadInput(
                f"{Path(path).name} has another mesh than {Path(paths[0]).name}; ingest one mesh at a time"
            )
        for frame in frames:
            known.append(frame.t)
            outside, inside = _outer(frame, rename or {}), _inner(frame, mesh, rename or {})
            if inner and x is None:
                x = _positions(frame, inside, positions, mesh, unit, path)
            for name in asked:
                place, values, theirs = _among(inside if name in inner else outside, name, path)
                values = _known(
                    values,
                    theirs,
                    asked[name],
                    written.get(name),
                    f"field {name!r} of {Path(path).name}",
                )
                series[name].append(
                    _pointwise(values, x, name, path)
                    if name in inner
                    else values.reshape(len(values), -1)
                )
                where[name] = place
    assert mesh is not None
    stacked = {name: _stacked(name, values) for name, values in series.items()}
    if x is not None and at is not None:
        wanted = np.asarray(at(mesh), dtype=float)
        rows = reorder(np.arange(len(x)), x, wanted)
        stacked, x = stacked | {name: stacked[name][rows] for name in inner}, wanted
    return Result(mesh, stacked, asked, where, _times(known, times, paths), x)


def _stacked(name: str, values: list[np.ndarray]) -> np.ndarray:
    if len(seen := {v.shape for v in values}) > 1:
        raise BadInput(f"field {name!r} changes its shape from file to file: {sorted(seen)}")
    return np.stack(values, axis=-1)


Held = dict[str, tuple[str, np.ndarray, str]]


def _outer(frame: Frame, rename: Mapping[str, str]) -> Held:
    """Fields on cells and points: name -> (place, values, unit)."""
    return _renamed(frame.cells, rename, "cells") | _renamed(frame.points, rename, "points")


def _inner(frame: Frame, mesh: Mesh, rename: Mapping[str, str]) -> Held:
    """Fields at points of integration: the format's own, or the cell fields of the cells that fill the space."""
    full = np.concatenate(
        [
            np.full(len(cells), DIMENSION[kind] == mesh.points.shape[1])
            for kind, cells in mesh.cells.items()
        ]
    )
    cells = {name: (np.asarray(values)[full], unit) for name, (values, unit) in frame.cells.items()}
    return _renamed(frame.integration or cells, rename, "integration")


def _among(fields: Held, name: str, path: str | Path) -> tuple[str, np.ndarray, str]:
    if name not in fields:
        raise BadInput(
            f"{Path(path).name} has no field {name!r}; it has: {', '.join(fields) or 'none'}"
        )
    return fields[name]


def _known(
    values: np.ndarray, theirs: str, asked: str, written: str | None, what: str
) -> np.ndarray:
    """Values in the unit asked for, from that of the file, or else from that in which they are said to be written."""
    if written is not None and theirs not in ("", written):
        raise BadInput(f"{what} is in {theirs!r} and not, as you say, in {written!r}")
    values = convert(values, theirs or written or "", asked, what)
    if not np.isfinite(values).all():
        raise BadInput(f"{what} holds NaN or Inf; was the run that wrote it finished?")
    return values


def _renamed(fields: Fields, rename: Mapping[str, str], place: str) -> Held:
    """Fields under their new names; those of "a,b,c" become one of several components."""
    made = {name: (place, values, unit) for name, (values, unit) in fields.items()}
    for theirs, name in rename.items():
        parts = theirs.split(",")
        if not all(part in fields for part in parts):
            continue
        units = {fields[part][1] for part in parts}
        if len(units) > 1:
            raise BadInput(
                f"{theirs} are in different units ({', '.join(sorted(units))}) and cannot be one field {name!r}"
            )
        for part in parts:
            made.pop(part, None)
        values = [np.asarray(fields[part][0]) for part in parts]
        made[name] = (
            place,
            values[0] if len(parts) == 1 else np.stack(values, axis=-1),
            units.pop(),
        )
    return made


def _positions(
    frame: Frame, fields: Held, name: str | None, mesh: Mesh, unit: str, path: str | Path
) -> np.ndarray:
    """Points of integration (g, d); BadInput where they are not known, or a cell does not hold its own."""
    if frame.x is not None:
        return frame.x
    if name is None:
        raise BadInput(
            f"{Path(path).name} does not say where its points of integration lie; name the field that holds their positions"
        )
    _, values, theirs = _among(fields, name, path)
    d = mesh.points.shape[1]
    width = 3 if np.size(values) % (3 * len(values)) == 0 else d
    if np.size(values) % (width * len(values)):
        raise BadInput(
            f"positions {name!r} have shape {values.shape}; give {d} coordinates of every point, one point after the other"
        )
    what = f"field {name!r} of {Path(path).name}"
    x = convert(values, theirs or unit, unit, what).reshape(len(values), -1, width)[..., :d]
    return within(x, mesh, what)


def _pointwise(values: np.ndarray, x: np.ndarray | None, name: str, path: str | Path) -> np.ndarray:
    """Values (g, c) from those of cells in a row."""
    g = 0 if x is None else len(x)
    if len(values) != g and np.size(values) % max(g, 1):
        raise BadInput(
            f"{Path(path).name}: field {name!r} of shape {values.shape} does not hold as many values at each of {g} points of integration"
        )
    return np.asarray(values).reshape(g, -1)


def _times(
    found: list[float | None], given: Sequence[float] | None, paths: Sequence[str | Path]
) -> np.ndarray | None:
    known = [t for t in found if t is not None]
    if given is not None and known:
        raise BadInput(f"the files know their times ({known[0]:g} to {known[-1]:g} s); give none")
    if given is None and len(known) not in (0, len(found)):
        raise BadInput(f"{len(known)} of {len(found)} states know their times; give times for all")
    t = np.array(known if given is None else given, dtype=float)
    if given is not None and len(t) != len(found):
        raise BadInput(f"{len(t)} times are given for {len(found)} states")
    if (np.diff(t) <= 0).any():
        k = int(np.argmax(np.diff(t) <= 0))
        raise BadInput(
            f"time {t[k + 1]:g} s follows {t[k]:g} s; give the {len(paths)} files in the order of time"
        )
    return t if len(t) else None


def convert(values: np.ndarray, theirs: str, asked: str, what: str) -> np.ndarray:
    """Values in the unit asked for. Raises BadInput where the kinds differ, or where the file names no unit though one is asked for."""
    values = np.asarray(values, dtype=float)
    if theirs == asked:
        return values
    if theirs not in UNITS or asked not in UNITS or UNITS[theirs][0] != UNITS[asked][0]:
        raise BadInput(
            f"{what} is in {theirs or 'no unit'!r}, not in {asked!r}; rename the field in the file, or ask for its own unit"
        )
    return values * (UNITS[theirs][1] / UNITS[asked][1])
