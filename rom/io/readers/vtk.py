"""Formats that VTK reads by itself: its own, series in a .pvd, EnSight, OpenFOAM."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rom.io.frame import Frame
from rom.io.vtk_files import open_reader, raise_complaints, timed_frames
from rom.mesh import Mesh


def vtk_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """Mesh and frame at every time of the file, or once."""
    with raise_complaints(path):
        reader = open_reader(path)
    yield from timed_frames(path, reader, unit)


LIBRARIES = ("pyvista",)  # loaded once for all files
SUFFIXES = dict.fromkeys(
    (".vtu", ".vtk", ".vtp", ".vtm", ".pvtu", ".pvd", ".case", ".foam"), vtk_frames
)
