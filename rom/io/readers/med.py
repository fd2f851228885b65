"""MED through meshio, which puts time into the names of fields."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from rom.io.exchange import from_meshio, read_meshio
from rom.io.fields import Fields
from rom.io.frame import Frame
from rom.mesh import Mesh

TIMED = r"(.*)\[\d+\] - (\S+)"  # name[step] - time
Split = tuple[Fields, dict[float, Fields]]


def med_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """Mesh and frame at every time, or once where no field has a time."""
    mesh, points, cells = from_meshio(read_meshio(path), unit)
    static_points, timed_points = _split_times(points)
    static_cells, timed_cells = _split_times(cells)
    times = sorted({*timed_points, *timed_cells})
    if not times:
        yield mesh, Frame(None, static_points, static_cells)
    for t in times:
        at_points = static_points | timed_points.get(t, {})
        at_cells = static_cells | timed_cells.get(t, {})
        yield mesh, Frame(t, at_points, at_cells)


def _split_times(fields: Fields) -> Split:
    """Fields without a time, and time -> fields."""
    static: Fields = {}
    timed: dict[float, Fields] = {}
    for text, values in fields.items():
        match = re.fullmatch(TIMED, text)
        if match is None:
            static[text] = values
        else:
            name, t = match[1], float(match[2])
            timed.setdefault(t, {})[name] = values
    return static, timed


LIBRARIES = ("meshio", "h5py")  # loaded once for all files
SUFFIXES = {".med": med_frames}
