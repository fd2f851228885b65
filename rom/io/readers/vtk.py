"""Formats of VTK: grids, blocks, EnSight; series in a .pvd, parts in a .pvtu."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rom.io.content import frame_of_content
from rom.io.frame import Frame
from rom.io.grid import require_pyvista
from rom.io.vtk_files import open_reader, raise_complaints, timed_frames
from rom.io.vtk_trees import PARTS, collection_content, file_content, read_collection
from rom.mesh import Mesh


def vtk_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """Mesh and frame at every time of the file, or once."""
    with raise_complaints(path):
        reader = open_reader(path)
    yield from timed_frames(path, reader, unit)


def pvd_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """Mesh and frame at every time of a series; blocks of one time below each other."""
    require_pyvista()
    for t, blocks in read_collection(path):
        yield frame_of_content(collection_content(path, blocks), t, unit)


def pvtu_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """The parts of a mesh as one, without ghosts, interfaces once."""
    require_pyvista()
    yield frame_of_content(file_content(path), None, unit)


LIBRARIES = ("pyvista", "vtkmodules.vtkIOXML", "vtkmodules.vtkIOLegacy")  # loaded once
VTK = (
    ".vtu", ".vtk", ".vtp", ".vtm", ".vtmb", ".vti", ".vtr", ".vts", ".pvti", ".pvtr", ".pvts",
    ".vtpd", ".vtpc", ".case",
)  # fmt: skip
SUFFIXES = {
    **dict.fromkeys(VTK, vtk_frames),
    **dict.fromkeys(PARTS, pvtu_frames),
    ".pvd": pvd_frames,
}
