"""What readers through VTK share: complaints as errors, blocks as one grid, times."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rom.errors import ForeignFile
from rom.io.frame import Frame
from rom.io.grid import from_grid, require_pyvista
from rom.io.regions import REGION
from rom.mesh import Mesh

PREAMBLE = r"(ERROR|Warning|Generic Warning): In "  # of a complaint, before what it is about


def open_reader(path: Path, extension: str | None = None) -> Any:
    """The reader of PyVista for a file, or for another extension than its own."""
    require_pyvista()
    import pyvista

    get_reader: Any = pyvista.get_reader
    return get_reader(path, force_ext=extension)


def timed_frames(path: Path, reader: Any, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """Mesh and frame at every time that a reader of PyVista knows, or once."""
    import pyvista

    with raise_complaints(path):
        output = reader.read()
    times = reader.time_values if isinstance(reader, pyvista.TimeReader) else []
    if not len(times):
        yield mesh_and_frame(path, output, None, unit)
    for k, t in enumerate(times):
        with raise_complaints(path):
            reader.set_active_time_point(k)
            output = reader.read()
        yield mesh_and_frame(path, output, float(t), unit)


def mesh_and_frame(path: Path, output: Any, t: float | None, unit: str) -> tuple[Mesh, Frame]:
    """What VTK read, at time t [s]; ForeignFile where it is no complete mesh."""
    import pyvista

    grid = _join_blocks(output)
    unstructured = isinstance(grid, pyvista.UnstructuredGrid)
    if not grid.n_points or (unstructured and grid.GetCells() is None):
        raise ForeignFile(
            f"{path.name} is damaged or truncated (no complete mesh in it); write it again"
        )
    if t is None and "TimeValue" in grid.field_data:
        t = float(grid.field_data["TimeValue"][0])
    if not unstructured:
        grid = grid.cast_to_unstructured_grid()
    mesh, points, cells = from_grid(grid, unit)
    return mesh, Frame(t, points, cells)


def _join_blocks(output: Any) -> Any:
    """The grid itself, or the blocks of several as one grid whose regions are theirs."""
    import pyvista

    if not isinstance(output, pyvista.MultiBlock):
        return output
    blocks = {name: block for name, block in _leaves(output) if block.n_cells}
    if len(blocks) == 1:
        return next(iter(blocks.values()))
    for name in blocks:
        for other, block in blocks.items():
            mask = np.full(block.n_cells, other == name, dtype=np.uint8)
            block.cell_data[REGION + name] = mask
    return pyvista.MultiBlock(list(blocks.values())).combine(merge_points=True)


def _leaves(blocks: Any) -> Iterator[tuple[str, Any]]:
    import pyvista

    for k in range(blocks.n_blocks):
        block = blocks[k]
        name = blocks.get_block_name(k) or f"block {k}"
        if isinstance(block, pyvista.MultiBlock):
            yield from _leaves(block)
        elif block is not None:
            yield name, block


@contextlib.contextmanager
def raise_complaints(path: Path) -> Iterator[None]:
    """ForeignFile with what VTK complains of inside the block.

    VTK writes errors to a window of output; it neither raises nor returns them.
    """
    from vtkmodules.vtkCommonCore import vtkLogger, vtkOutputWindow, vtkStringOutputWindow

    before = vtkOutputWindow.GetInstance()
    verbosity = vtkLogger.GetCurrentVerbosityCutoff()
    window = vtkStringOutputWindow()
    vtkOutputWindow.SetInstance(window)
    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)
    try:
        yield
    finally:
        text = window.GetOutput() or ""
        vtkOutputWindow.SetInstance(before)
        vtkLogger.SetStderrVerbosity(verbosity)
    complaint = _first_complaint(text)
    if complaint:
        raise ForeignFile(f"{path.name} is damaged or truncated ({complaint}); write it again")


def _first_complaint(text: str) -> str:
    """The first line that says what is wrong, or nothing."""
    if "error" not in text.lower():
        return ""
    lines = (line for line in text.splitlines() if line and not re.match(PREAMBLE, line))
    return next(lines, "")
