"""OpenFOAM, a folder or a .foam in it: inner cells and their own values.

Regions of a case are regions of the mesh.

VTK adds the patches of the boundary as blocks and averages cells to points; neither is the
solver's, and both are switched off. It keeps single precision; so numbers are read again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rom.io.content import frame_of_content
from rom.io.foam_values import sharpen
from rom.io.frame import Frame
from rom.io.grid import require_pyvista
from rom.io.references import home_of
from rom.io.vtk_files import output_content, raise_complaints
from rom.mesh import Mesh

INNER = "internalMesh"
NO_FILE = "case.foam"  # VTK takes the folder of a name, and opens no such file


def foam_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """Mesh and cell fields at every time of a case."""
    require_pyvista()
    with raise_complaints(path):
        reader = _open(path)
        times = reader.GetTimeValues()
        count = times.GetNumberOfTuples() if times is not None else 0
    for k in range(count):
        t = float(times.GetValue(k))
        content = output_content(path, _read(path, reader, t))
        yield frame_of_content(sharpen(content, home_of(path), t), t, unit)
    if not count:
        content = output_content(path, _read(path, reader, None))
        yield frame_of_content(sharpen(content, home_of(path), None), None, unit)


def _open(path: Path) -> Any:
    """VTK's reader with all that it adds unasked switched off."""
    from vtkmodules.vtkIOGeometry import vtkOpenFOAMReader
    from vtkmodules.vtkIOParallel import vtkPOpenFOAMReader

    folder = home_of(path)
    is_whole = (folder / "constant" / "polyMesh").is_dir() or not (folder / "processor0").is_dir()
    reader: Any = vtkOpenFOAMReader() if is_whole else vtkPOpenFOAMReader()
    reader.SetFileName(str(path / NO_FILE if path.is_dir() else path))
    if not is_whole:
        reader.SetCaseType(0)  # of decomposed cases
    reader.SkipZeroTimeOff()
    reader.CreateCellToPointOff()
    reader.UpdateInformation()
    for k in range(reader.GetNumberOfPatchArrays()):
        name = reader.GetPatchArrayName(k)
        reader.SetPatchArrayStatus(name, int(name.rpartition("/")[2] == INNER))
    for k in range(reader.GetNumberOfCellArrays()):
        reader.SetCellArrayStatus(reader.GetCellArrayName(k), 1)
    return reader


def _read(path: Path, reader: Any, t: float | None) -> Any:
    with raise_complaints(path):
        if t is None:
            reader.Update()
        else:
            reader.UpdateTimeStep(t)
        return reader.GetOutputDataObject(0)


LIBRARIES = ("pyvista", "vtkmodules.vtkIOGeometry", "vtkmodules.vtkIOParallel")  # loaded once
SUFFIXES = dict.fromkeys((".foam", ".OpenFOAM"), foam_frames)
FOLDERS = {"system/controlDict": foam_frames}
