"""Exodus II through VTK, nodes in the order of the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rom.io.frame import Frame
from rom.io.vtk_files import open_reader, raise_complaints, timed_frames
from rom.mesh import Mesh


def exodus_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """Mesh and frame at every time of the file."""
    with raise_complaints(path):
        reader = open_reader(path)
        reader.reader.SetSqueezePoints(False)  # which would renumber the nodes
    yield from timed_frames(path, reader, unit)


LIBRARIES = ("pyvista",)  # loaded once for all files
SUFFIXES = dict.fromkeys((".e", ".exo", ".ex2"), exodus_frames)
