"""CGNS in HDF5: one base and zone, sets as boundaries, vectors as NAMEX, ..."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from rom.archive.files import durably
from rom.io.cgns_nodes import check_tree, write_tree
from rom.io.fields import Fields
from rom.mesh import Mesh


def write_cgns(path: Path, mesh: Mesh, fields: Fields | None, cell_fields: Fields | None) -> None:
    """Mesh, sets and fields.

    Raises BadInput for tensors, for fields on cells of several dimensions, and for names longer
    than 32 characters.
    """
    check_tree(path, mesh, (fields, cell_fields), {})
    durably(path, partial(_write, mesh, (fields, cell_fields)))


def _write(mesh: Mesh, fields: tuple[Fields | None, Fields | None], path: Path) -> None:
    write_tree(path, mesh, fields)


SUFFIXES = {".cgns": write_cgns}
