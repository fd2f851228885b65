"""VTKHDF, one time or several on one mesh."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rom.io.frame import Frame
from rom.io.vtk_files import mesh_and_frame, open_reader, raise_complaints, read_output
from rom.mesh import Mesh


def vtkhdf_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """Mesh and frame at every time of the file, or once."""
    with raise_complaints(path):
        reader = open_reader(path, ".hdf")
        output = read_output(reader.reader)
    times = _times(reader.reader)
    if not times:
        yield mesh_and_frame(path, output, None, unit)
    for k, t in enumerate(times):
        with raise_complaints(path):
            reader.reader.SetStep(k)
            output = read_output(reader.reader)
        yield mesh_and_frame(path, output, t, unit)


def _times(reader: Any) -> list[float]:
    """Times of the file; VTK tells only the time of the step it stands at."""
    if not reader.GetHasTemporalData():
        return []
    times = []
    for k in range(reader.GetNumberOfSteps()):
        reader.SetStep(k)
        reader.Update()
        times.append(float(reader.GetTimeValue()))
    reader.SetStep(0)
    return times


LIBRARIES = ("pyvista", "h5py", "vtkmodules.vtkIOHDF")  # loaded once for all files
SUFFIXES = dict.fromkeys((".vtkhdf", ".hdf"), vtkhdf_frames)
