"""Meshes and fields in files of other programs: the format follows the suffix."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import rom.io.writers as writers
from rom.arrays import gate
from rom.io.carries import Carries, check_carries
from rom.io.fields import Fields
from rom.io.frames import read_frames
from rom.io.registry import choose_by_suffix
from rom.mesh import Mesh

# (path, mesh, point fields, cell fields)
Writer = Callable[[Path, Mesh, Fields | None, Fields | None], None]


@gate(mesh=Mesh)
def write_mesh(
    path: str | Path, mesh: Mesh, fields: Fields | None = None, cell_fields: Fields | None = None
) -> Path:
    """Mesh and fields as vtkhdf, vtu, vtk, xdmf, med, msh, inp, mesh, off or obj.

    Named regions and node sets become physical groups in msh, groups in med, sets in inp, 0/1
    arrays elsewhere. Raises BadInput for an unknown suffix, and for cells, fields and sets that
    the format cannot carry, before anything is written.
    """
    path = Path(path)
    check_format(path)
    writer: Writer = choose_by_suffix(writers, path)
    carries = getattr(sys.modules[writer.__module__], "CARRIES", {}).get(path.suffix, Carries())
    check_carries(path, carries, mesh, fields or {}, cell_fields or {})
    writer(path, mesh, fields, cell_fields)
    return path


def check_format(path: str | Path) -> None:
    """BadInput for a suffix that nothing writes, MissingExtra without what writes it."""
    writer: Writer = choose_by_suffix(writers, Path(path))
    check = getattr(sys.modules[writer.__module__], "CHECK", None)
    if check is not None:
        check(Path(path))


def read_file(path: str | Path, unit: str = "m") -> tuple[Mesh, Fields, Fields]:
    """Mesh, point fields and cell fields of a file, at its first time.

    Fields named 'temperature [K]' come back as temperature in K.
    unit : of the coordinates, which most formats do not store. Raises as `read_frames`.
    """
    mesh, frames = read_frames(path, unit)
    frame = next(frames)
    return mesh, frame.points, frame.cells


def read_mesh(path: str | Path, unit: str = "m") -> Mesh:
    """The mesh of a file with its named regions and node sets; raises as `read_file`."""
    return read_file(path, unit)[0]
