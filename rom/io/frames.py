"""Result files of other programs, read time after time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rom.io.readers as readers
from rom.errors import BadInput, DamagedFile, ForeignFile, MissingExtra
from rom.io.alignment import cell_order, reorder_cells
from rom.io.apart import read_apart
from rom.io.frame import Frame
from rom.io.registry import is_result_folder
from rom.mesh import Mesh

Frames = Iterator[tuple[Any, Frame]]  # the mesh, or None where it is that of before


def read_frames(path: str | Path, unit: str = "m") -> tuple[Mesh, Iterator[Frame]]:
    """Mesh of a file and its fields at one time after the other, read on demand.

    path : a file, or the folder of a case of OpenFOAM
    unit : of the coordinates, which most formats do not store
    Several times are in .vtkhdf, .pvd, .case, .e, .xdmf, .med and .ut; fields at points of
    integration in .ut alone: elsewhere they are cell fields, all points of a cell in a row.
    Raises ForeignFile where the file is missing, of another format or truncated (text formats
    without an end mark, such as .inp, show that only by a broken line), BadInput where it
    holds NaN.
    """
    path = Path(path)
    if not path.is_file() and not is_result_folder(readers, path):
        what = "no result, but a folder:" if path.is_dir() else "no file"
        raise ForeignFile(f"{what} {path}")
    steps: Frames = read_apart("frames", path, unit)
    mesh, first = next(steps)
    return mesh, _same_mesh(path, mesh, first, steps)


def _same_mesh(path: Path, mesh: Mesh, first: Frame, steps: Frames) -> Iterator[Frame]:
    """The frames of a file; BadInput where the mesh is not always the same."""
    yield first
    order = None
    for other, frame in steps:
        if other is not None:
            order = None
            if other.digest != mesh.digest:
                order = cell_order(mesh, other)
                if order is None:
                    raise BadInput(
                        f"the mesh of {path.name} changes at time {frame.t}; ingest one mesh at "
                        "a time"
                    )
        yield frame if order is None else reorder_cells(frame, order)


@contextlib.contextmanager
def name_errors(path: Path) -> Iterator[None]:
    """Whatever a reader raises, as an error of this package with the name of the file."""
    try:
        yield
    except (DamagedFile, ForeignFile, MissingExtra):
        raise
    except BadInput as error:
        if str(error).startswith(path.name):
            raise
        raise BadInput(f"{path.name}: {error}") from error
    except (Exception, SystemExit) as error:
        raise ForeignFile(
            f"{path.name} cannot be read ({error or type(error).__name__}); "
            "is it complete, and its suffix right?"
        ) from error
