"""Meshes for Abaqus: .inp with its sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rom.errors import BadInput
from rom.io.exchange import check_suffix, meshio_parts, write_meshio
from rom.io.fields import Fields
from rom.io.regions import NODE_SET, REGION
from rom.mesh import Mesh


def write_inp(path: Path, mesh: Mesh, fields: Fields | None, cell_fields: Fields | None) -> None:
    """Regions and node sets as sets. Raises BadInput where there are fields."""
    parts = meshio_parts(mesh, fields, cell_fields)
    names = {**parts.point_data, **parts.cell_data}
    if names:
        raise BadInput(
            f"{path.suffix} files carry no fields ({', '.join(names)}); write vtkhdf or vtu"
        )
    cell_sets = {}
    for name, mask in parts.cell_masks.items():
        by_block = parts.by_block(mask)
        cell_sets[name.removeprefix(REGION)] = [np.flatnonzero(block) for block in by_block]
    parts.bare.cell_sets = cell_sets
    parts.bare.point_sets = {
        name.removeprefix(NODE_SET): np.flatnonzero(mask) for name, mask in parts.node_masks.items()
    }
    write_meshio(path, parts.bare)


CHECK = check_suffix
SUFFIXES = {".inp": write_inp}
