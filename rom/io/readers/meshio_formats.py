"""All formats that no other reader takes, through meshio: Gmsh, Abaqus, ..."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rom.io.exchange import from_meshio, read_meshio
from rom.io.frame import Frame
from rom.mesh import Mesh


def meshio_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """Mesh and fields of a file of one time."""
    mesh, points, cells = from_meshio(read_meshio(path), unit)
    yield mesh, Frame(None, points, cells)


LIBRARIES = ("meshio", "h5py")  # loaded once for all files
SUFFIXES = {"": meshio_frames}
