"""Result files of other programs, read time after time."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rom.errors import BadInput, ForeignFile, MissingExtra
from rom.io.exchange import from_meshio
from rom.io.frame import Frame
from rom.io.grid import Fields, from_grid
from rom.io.readers.ansys import read_cdb
from rom.io.readers.zset import read_geof, zset_frames
from rom.mesh import Mesh

VTK_FILES = (".vtu", ".vtk", ".vtkhdf")
VTK_READS = (".vtp", ".vtm", ".case", ".foam", ".pvd", ".pvtu", ".cgns", ".e", ".exo", ".ex2")


def read_frames(path: str | Path, unit: str = "m") -> tuple[Mesh, Iterator[Frame]]:
    """Mesh of a file and its fields at one time after the other, read when they are asked for.

    Several times are found in .vtkhdf, .pvd, .case, .e, .xdmf, .med and .ut; fields at points of integration in .ut alone: elsewhere
    they are cell fields, all points of a cell in a row. unit : of the coordinates, which most formats do not store
    Raises ForeignFile where the file is missing, of another format or truncated (text formats without an end mark, such as
    .inp, show that only by a broken line), BadInput where it holds NaN.
    """
    path = Path(path)
    if not path.is_file():
        raise ForeignFile(f"no file {path}")
    walk = _walk(path, unit)
    with _named(path):
        mesh, first = next(walk)

    def frames() -> Iterator[Frame]:
        yield first
        while True:
            with _named(path):
                following = next(walk, None)
            if following is None:
                return
            if following[0] is not mesh and following[0].digest != mesh.digest:
                raise BadInput(
                    f"the mesh of {path.name} changes at time {following[1].t}; ingest one mesh at a time"
                )
            yield following[1]

    return mesh, frames()


def _walk(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    if path.suffix == ".geof":
        yield read_geof(path, unit), Frame(None, {}, {})
    elif path.suffix == ".ut":
        mesh, frames = zset_frames(path, unit)
        yield from ((mesh, frame) for frame in frames)
    elif path.suffix == ".cdb":
        mesh, on_points, on_cells = read_cdb(path, unit)
        yield mesh, Frame(None, on_points, on_cells)
    elif path.suffix in VTK_FILES + VTK_READS:
        yield from _vtk_frames(path, unit)
    else:
        yield from _meshio_frames(path, unit)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Whatever a reader raises, as one of this package's errors with the name of the file."""
    try:
        yield
    except (ForeignFile, MissingExtra):
        raise
    except BadInput as error:
        raise BadInput(f"{path.name}: {error}") from error
    except (Exception, SystemExit) as error:
        raise ForeignFile(
            f"{path.name} cannot be read ({error or type(error).__name__}); is it complete, and its suffix right?"
        ) from error


def _meshio_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        import meshio

        series = path.suffix == ".xdmf" and b'CollectionType="Temporal"' in path.read_bytes()[:2000]
        made = None if series else meshio.read(path)
    if made is None:
        with meshio.xdmf.TimeSeriesReader(path) as reader:
            points, cells = reader.read_points_cells()
            for k in range(reader.num_steps):
                t, point_data, cell_data = reader.read_data(k)
                made = meshio.Mesh(points, cells, point_data=point_data, cell_data=cell_data)
                mesh, on_points, on_cells = from_meshio(made, unit)
                yield mesh, Frame(float(t), on_points, on_cells)
        return
    mesh, *both = from_meshio(made, unit)
    yield from ((mesh, frame) for frame in _series(*both))


def _series(points: Fields, cells: Fields) -> list[Frame]:
    """Frames of fields named "name[step] - time", as times of a .med come through meshio; one frame where there are none."""
    frames: dict[float | None, tuple[Fields, Fields]] = {}
    for k, fields in enumerate((points, cells)):
        for name, value in fields.items():
            found = re.fullmatch(r"(.*)\[\d+\] - (\S+)", name)
            frames.setdefault(float(found[2]) if found else None, ({}, {}))[k][
                found[1] if found else name
            ] = value
    still = frames.pop(None, ({}, {}))
    if not frames:
        return [Frame(None, *still)]
    return [
        Frame(t, still[0] | at[0], still[1] | at[1])
        for t, at in sorted(frames.items(), key=lambda item: item[0] or 0.0)
    ]


def _vtk_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    import pyvista

    with _listening(path):
        reader = pyvista.get_reader(path, force_ext=".hdf" if path.suffix == ".vtkhdf" else None)
        if isinstance(reader, pyvista.ExodusIIReader):
            reader.reader.SetSqueezePoints(False)  # which would renumber the nodes
        made = reader.read()
    timed = (
        reader.reader.GetHasTemporalData()
        if path.suffix == ".vtkhdf"
        else isinstance(reader, pyvista.TimeReader)
    )
    times = _vtk_times(reader) if timed else []
    for k in range(max(1, len(times))):
        t = times[k] if times else None
        with _listening(path):
            if times and path.suffix == ".vtkhdf":
                reader.reader.SetStep(k)
            elif times:
                reader.set_active_time_point(k)
            made = reader.read() if times else made
        found = _one_grid(made)
        if not found.n_points or (
            isinstance(found, pyvista.UnstructuredGrid) and found.GetCells() is None
        ):
            raise ForeignFile(
                f"{path.name} is damaged or truncated (no complete mesh in it); write it again"
            )
        if t is None and "TimeValue" in found.field_data:
            t = float(found.field_data["TimeValue"][0])
        whole = (
            found
            if isinstance(found, pyvista.UnstructuredGrid)
            else found.cast_to_unstructured_grid()
        )
        mesh, points, cells = from_grid(whole, unit)
        yield mesh, Frame(t, points, cells)


def _vtk_times(reader: Any) -> list[float]:
    """Times of a reader; of a .vtkhdf VTK tells the number of steps and the time of the one that it stands at."""
    import pyvista

    if isinstance(reader, pyvista.TimeReader):
        return [float(t) for t in reader.time_values]
    times = []
    for k in range(reader.reader.GetNumberOfSteps()):
        reader.reader.SetStep(k)
        reader.reader.Update()
        times.append(float(reader.reader.GetTimeValue()))
    reader.reader.SetStep(0)
    return times


def _one_grid(made: Any) -> Any:
    """The grid itself, or the blocks of several as one grid whose regions are theirs."""
    import pyvista

    if not isinstance(made, pyvista.MultiBlock):
        return made
    blocks = {name: block for name, block in _leaves(made) if block.n_cells}
    if len(blocks) == 1:
        return next(iter(blocks.values()))
    for name in blocks:
        for other, block in blocks.items():
            block.cell_data[f"region:{name}"] = np.full(
                block.n_cells, other == name, dtype=np.uint8
            )
    return pyvista.MultiBlock(list(blocks.values())).combine(merge_points=True)


def _leaves(blocks: Any) -> Iterator[tuple[str, Any]]:
    import pyvista

    for k in range(blocks.n_blocks):
        block, name = blocks[k], blocks.get_block_name(k) or f"block {k}"
        if isinstance(block, pyvista.MultiBlock):
            yield from _leaves(block)
        elif block is not None:
            yield name, block


@contextlib.contextmanager
def _listening(path: Path) -> Iterator[None]:
    """ForeignFile with what VTK complains of inside the block, which it neither raises nor returns."""
    from vtkmodules.vtkCommonCore import vtkLogger, vtkOutputWindow, vtkStringOutputWindow

    before, window, loud = (
        vtkOutputWindow.GetInstance(),
        vtkStringOutputWindow(),
        vtkLogger.GetCurrentVerbosityCutoff(),
    )
    vtkOutputWindow.SetInstance(window)
    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)
    try:
        yield
    finally:
        heard = window.GetOutput() or ""
        vtkOutputWindow.SetInstance(before)
        vtkLogger.SetStderrVerbosity(loud)
    lines = (
        line
        for line in heard.splitlines()
        if line and not re.match(r"(ERROR|Warning|Generic Warning): In ", line)
    )
    if "error" in heard.lower() and (complaint := next(lines, "")):
        raise ForeignFile(f"{path.name} is damaged or truncated ({complaint}); write it again")
