"""Files of VTK: .vtu and legacy .vtk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rom.archive.files import write_file
from rom.io.fields import Fields
from rom.io.grid import require_pyvista, to_grid
from rom.mesh import Mesh


def check_vtk(path: Path) -> None:
    """MissingExtra without PyVista."""
    require_pyvista()


def write_vtk(path: Path, mesh: Mesh, fields: Fields | None, cell_fields: Fields | None) -> None:
    """One unstructured grid; regions and node sets are 0/1 arrays."""
    save_grid(path, to_grid(mesh, fields, cell_fields))


def save_grid(path: Path, grid: Any) -> Path:
    """A grid of PyVista as .vtu or legacy .vtk.

    VTK writes to memory: where a disk refuses it ends the process. Raises NotWritten.
    """
    from vtkmodules.vtkIOLegacy import vtkUnstructuredGridWriter
    from vtkmodules.vtkIOXML import vtkXMLUnstructuredGridWriter

    is_legacy = path.suffix == ".vtk"
    writer: Any = vtkUnstructuredGridWriter() if is_legacy else vtkXMLUnstructuredGridWriter()
    if is_legacy:
        writer.SetFileTypeToBinary()
    else:
        writer.SetDataModeToBinary()
    writer.SetInputData(grid)
    writer.SetWriteToOutputString(True)
    writer.Write()
    content = writer.GetOutputStdString() if is_legacy else writer.GetOutputString()
    return write_file(path, content)


CHECK = check_vtk
SUFFIXES = dict.fromkeys((".vtu", ".vtk"), write_vtk)
