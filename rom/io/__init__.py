"""Meshes and fields in the files of other programs.

A file is read frame by frame: one mesh, and at every time t [s] fields name -> (values, unit) on
points (n, c), cells (k, c) and points of integration (g, c). A series of files on one mesh is a
`Result`, fields (n, c, m) at m times in the units asked for, whatever the file's: value in the
unit asked for = value in the file * (its factor to SI / the factor asked for).
Formats live in `rom.io.readers` and `rom.io.writers`, one file each, and follow the suffix.

    >>> import numpy as np
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from rom.io import ingest_files, write_vtkhdf
    >>> from rom.mesh import Mesh
    >>> mesh = Mesh(np.array([[0.0, 0], [1, 0], [0, 1]]), {"triangle": np.array([[0, 1, 2]])})
    >>> u = np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0]])  # three points, two times
    >>> with TemporaryDirectory() as folder:
    ...     path = write_vtkhdf(Path(folder, "a.vtkhdf"), mesh, {"u": (u, "mm")}, np.arange(2.0))
    ...     result = ingest_files([path], {"u": "m"})
    >>> result.fields["u"].shape, result.t, result.units
    ((3, 1, 2), array([0., 1.]), {'u': 'm'})

Reference: Schroeder, Martin and Lorensen (2006), for the cells and the order of their nodes.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rom.io.bases import read_basis, write_basis
    from rom.io.fields import check_fields, label, unlabel
    from rom.io.files import read_file, read_mesh, write_mesh
    from rom.io.frame import Frame
    from rom.io.frames import read_frames
    from rom.io.grid import from_grid, to_grid
    from rom.io.labelled import from_dataset, from_table, to_dataset, to_table
    from rom.io.loadings import read_loading
    from rom.io.placement import reorder
    from rom.io.plaid import write_plaid
    from rom.io.result import Result, history_of_result
    from rom.io.series import ingest_files
    from rom.io.states import on_mesh, write_columns
    from rom.io.tables import write_points
    from rom.io.units import convert
    from rom.io.writers.vtkhdf import vtkhdf, write_vtkhdf

NOUNS = ("Result",)
__all__ = [
    "NOUNS", "Frame", "Result", "check_fields", "convert", "from_dataset", "from_grid",
    "from_table", "history_of_result", "ingest_files", "label", "on_mesh", "read_basis",
    "read_file", "read_frames", "read_loading", "read_mesh", "reorder", "to_dataset", "to_grid",
    "to_table", "unlabel", "vtkhdf", "write_basis", "write_columns", "write_mesh", "write_plaid",
    "write_points", "write_vtkhdf",
]  # fmt: skip
_HOME = {
    **dict.fromkeys(("read_basis", "write_basis"), "rom.io.bases"),
    **dict.fromkeys(("check_fields", "label", "unlabel"), "rom.io.fields"),
    **dict.fromkeys(("read_file", "read_mesh", "write_mesh"), "rom.io.files"),
    **dict.fromkeys(("Frame",), "rom.io.frame"),
    **dict.fromkeys(("read_frames",), "rom.io.frames"),
    **dict.fromkeys(("from_grid", "to_grid"), "rom.io.grid"),
    **dict.fromkeys(("from_dataset", "from_table", "to_dataset", "to_table"), "rom.io.labelled"),
    **dict.fromkeys(("read_loading",), "rom.io.loadings"),
    **dict.fromkeys(("reorder",), "rom.io.placement"),
    **dict.fromkeys(("write_plaid",), "rom.io.plaid"),
    **dict.fromkeys(("Result", "history_of_result"), "rom.io.result"),
    **dict.fromkeys(("ingest_files",), "rom.io.series"),
    **dict.fromkeys(("on_mesh", "write_columns"), "rom.io.states"),
    **dict.fromkeys(("write_points",), "rom.io.tables"),
    **dict.fromkeys(("convert",), "rom.io.units"),
    **dict.fromkeys(("vtkhdf", "write_vtkhdf"), "rom.io.writers.vtkhdf"),
}


def __getattr__(name: str) -> Any:
    """A name of the face, imported when it is first asked for: readers take a while."""
    if name not in _HOME:
        raise AttributeError(f"rom.io has no {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value
