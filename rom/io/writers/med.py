"""MED: regions and node sets as families of cells and points."""

from __future__ import annotations

from pathlib import Path

from rom.io.exchange import check_suffix, meshio_parts, write_meshio
from rom.io.fields import Fields
from rom.io.med_families import family_numbers
from rom.io.regions import count_cells
from rom.mesh import Mesh


def write_med_file(
    path: Path, mesh: Mesh, fields: Fields | None, cell_fields: Fields | None
) -> None:
    """Mesh, fields and sets."""
    parts = meshio_parts(mesh, fields, cell_fields)
    point_tags, point_families = family_numbers(parts.node_masks, len(mesh.points), 1)
    cell_tags, cell_families = family_numbers(parts.cell_masks, count_cells(mesh), -1)
    parts.bare.point_tags = point_families
    parts.bare.cell_tags = cell_families
    point_data = {"point_tags": point_tags, **parts.point_data}
    cell_data = {"cell_tags": cell_tags, **parts.cell_data}
    parts.attach(point_data, cell_data)
    write_meshio(path, parts.bare)


CHECK = check_suffix
SUFFIXES = {".med": write_med_file}
