"""All formats that no other writer takes, through meshio."""

from __future__ import annotations

from pathlib import Path

from rom.io.exchange import check_suffix, meshio_parts, write_meshio
from rom.io.fields import Fields
from rom.mesh import Mesh


def write_by_meshio(
    path: Path, mesh: Mesh, fields: Fields | None, cell_fields: Fields | None
) -> None:
    """Mesh and fields; regions and node sets are 0/1 arrays.

    Raises BadInput where meshio does not know the suffix.
    """
    check_suffix(path)
    parts = meshio_parts(mesh, fields, cell_fields)
    point_data = parts.node_masks | parts.point_data
    cell_data = parts.cell_masks | parts.cell_data
    parts.attach(point_data, cell_data)
    write_meshio(path, parts.bare)


CHECK = check_suffix
SUFFIXES = {"": write_by_meshio}
