"""Files of VTK: .vtu and legacy .vtk."""

from __future__ import annotations

from pathlib import Path

from rom.io.fields import Fields
from rom.io.grid import require_pyvista, to_grid
from rom.mesh import Mesh


def check_vtk(path: Path) -> None:
    """MissingExtra without PyVista."""
    require_pyvista()


def write_vtk(path: Path, mesh: Mesh, fields: Fields | None, cell_fields: Fields | None) -> None:
    """One unstructured grid; regions and node sets are 0/1 arrays."""
    to_grid(mesh, fields, cell_fields).save(path)


CHECK = check_vtk
SUFFIXES = dict.fromkeys((".vtu", ".vtk"), write_vtk)
