"""What readers through VTK share: complaints as errors, blocks as one grid, times."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rom.errors import BadInput, ForeignFile
from rom.io.content import Content, append_blocks, frame_of_content
from rom.io.frame import Frame
from rom.io.ghosts import GHOST, remove_ghosts
from rom.io.grid import grid_content, require_pyvista
from rom.io.partitions import join_partitions
from rom.mesh import Mesh

PLAIN = {  # readers of VTK that PyVista does not know
    ".vtpc": "vtkXMLPartitionedDataSetCollectionReader",
    ".pvts": "vtkXMLPStructuredGridReader",
}
LEGACY = ".vtk"
MAX_LINE = 256  # bytes of the first line of a legacy file
ONE_STEP = (".vtu", ".vtp", ".vti", ".vtr", ".vts")
PREAMBLE = r"(ERROR|Warning|Generic Warning): In "  # of a complaint, before what it is about


def open_reader(path: Path, extension: str | None = None) -> Any:
    """The reader of PyVista for a file, or for another extension than its own."""
    require_pyvista()
    import pyvista

    if path.suffix in PLAIN:
        return _plain_reader(path)
    if path.suffix == LEGACY:
        _check_first_line(path)
    get_reader: Any = pyvista.get_reader
    reader = get_reader(path, force_ext=extension)
    _refuse_steps(path, reader.reader)
    return reader


def _check_first_line(path: Path) -> None:
    """ForeignFile where a legacy file does not say its version: VTK may crash."""
    with open(path, "rb") as raw:
        line = raw.readline(MAX_LINE)
    if not re.match(rb"# vtk DataFile Version [1-5]\.\d+\b", line):
        raise ForeignFile(
            f"{path.name} does not begin with '# vtk DataFile Version x.y'; is it a file of VTK?"
        )


def _plain_reader(path: Path) -> Any:
    """VTK's own reader of a file."""
    from vtkmodules import vtkIOXML

    reader: Any = getattr(vtkIOXML, PLAIN[path.suffix])()
    reader.SetFileName(str(path))
    return SimpleNamespace(reader=reader, read=partial(read_output, reader))


def read_output(reader: Any) -> Any:
    """What a reader of VTK puts out, collections of partitions too."""
    reader.Update()
    return reader.GetOutputDataObject(0)


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


def _refuse_steps(path: Path, reader: Any) -> None:
    """BadInput for several steps in a file: VTK mixes their values up."""
    count = reader.GetNumberOfTimeSteps() if hasattr(reader, "GetNumberOfTimeSteps") else 0
    if path.suffix in ONE_STEP and count > 1:
        raise BadInput(f"{path.name} holds {count} steps; write a file for each, and a .pvd")


def mesh_and_frame(path: Path, output: Any, t: float | None, unit: str) -> tuple[Mesh, Frame]:
    """What VTK read, at time t [s]; ForeignFile where it is no complete mesh."""
    if t is None:
        t = _time_of(output)
    return frame_of_content(output_content(path, output), t, unit)


def output_content(path: Path, output: Any) -> Content:
    """What VTK read: all blocks below each other, all parts of each, without ghosts."""
    blocks = {name: block for name, block in _name_leaves(output) if len(block.blocks.cells)}
    if not blocks:
        points = [block for _, block in _name_leaves(output) if len(block.blocks.points)]
        if len(points) != 1:
            raise ForeignFile(
                f"{path.name} is damaged or truncated (no complete mesh in it); write it again"
            )
        return points[0]
    return append_blocks(blocks)


def _time_of(output: Any) -> float | None:
    """The time that a grid, or the first block that has one, carries."""
    data = output.GetFieldData() if output is not None else None
    array = data.GetArray("TimeValue") if data is not None else None
    if array is not None and array.GetNumberOfTuples():
        return float(array.GetTuple1(0))
    if hasattr(output, "GetNumberOfBlocks"):
        blocks = map(output.GetBlock, range(output.GetNumberOfBlocks()))
        return next((t for t in map(_time_of, blocks) if t is not None), None)
    return None


def _name_leaves(output: Any, path: str = "") -> Iterator[tuple[str, Content]]:
    """The blocks of a tree with their paths, a/b/c; parts of a block are one."""
    if output is None:
        return
    if output.IsA("vtkPartitionedDataSetCollection"):
        for k in range(output.GetNumberOfPartitionedDataSets()):
            name = _block_name(output, k)
            yield from _name_leaves(output.GetPartitionedDataSet(k), f"{path}{name}/")
    elif output.IsA("vtkPartitionedDataSet"):
        count = range(output.GetNumberOfPartitions())
        parts = [leaf_content(output.GetPartition(k)) for k in count if output.GetPartition(k)]
        if parts:
            yield path.rstrip("/"), join_partitions(parts)
    elif output.IsA("vtkMultiBlockDataSet"):
        names = [_block_name(output, k) for k in range(output.GetNumberOfBlocks())]
        for k, name in enumerate(names):
            unique = name if names.count(name) == 1 else f"{name} {k}"
            yield from _name_leaves(output.GetBlock(k), f"{path}{unique}/")
    else:
        yield path.rstrip("/"), remove_ghosts(leaf_content(output))


def _block_name(tree: Any, k: int) -> str:
    from vtkmodules.vtkCommonDataModel import vtkCompositeDataSet

    facts = tree.GetMetaData(k) if tree.HasMetaData(k) else None
    name = facts.Get(vtkCompositeDataSet.NAME()) if facts is not None else None
    return name or f"block {k}"


def leaf_content(block: Any) -> Content:
    """One grid of VTK of any kind as a content, ghosts too."""
    import pyvista

    grid: Any = pyvista.wrap(block)
    if isinstance(grid, pyvista.UnstructuredGrid):
        if grid.GetCells() is None:
            raise ForeignFile("the file is damaged or truncated (no complete mesh in it)")
        return grid_content(grid)
    if not hasattr(grid, "cast_to_unstructured_grid"):
        raise BadInput(f"holds a {type(grid).__name__}, which is no mesh")
    return grid_content(_as_unstructured(grid))


def _as_unstructured(grid: Any) -> Any:
    """A structured grid with all its cells; VTK makes hidden ones cells of no type."""
    flags = []
    for data in (grid.point_data, grid.cell_data):
        flags.append(data.pop(GHOST) if GHOST in data else None)
    loose = grid.cast_to_unstructured_grid()
    for data, values in zip((loose.point_data, loose.cell_data), flags, strict=True):
        if values is not None:
            data[GHOST] = values
    return loose


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
