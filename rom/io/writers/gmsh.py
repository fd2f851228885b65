"""Meshes for Gmsh: .msh with regions as physical groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rom.errors import BadInput
from rom.io.carries import EVERY, Carries
from rom.io.exchange import Parts, check_suffix, meshio_parts, write_meshio
from rom.io.fields import Fields
from rom.io.regions import REGION, cell_dimensions
from rom.mesh import Mesh

TAGS = ("gmsh:physical", "gmsh:geometrical")


def write_msh(path: Path, mesh: Mesh, fields: Fields | None, cell_fields: Fields | None) -> None:
    """Mesh, fields and regions that do not overlap; node sets are 0/1 arrays.

    Raises BadInput for regions that overlap.
    """
    parts = meshio_parts(mesh, fields, cell_fields)
    groups, tags = _groups(parts)
    parts.bare.field_data = groups
    parts.attach(parts.node_masks | parts.point_data, parts.cell_data | dict.fromkeys(TAGS, tags))
    write_meshio(path, parts.bare, file_format="gmsh22", binary=True)


def _groups(parts: Parts) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Physical groups, name -> (tag, dimension), and the tag of every cell."""
    dimension = cell_dimensions(parts.mesh)
    tags = np.zeros(len(dimension), dtype=np.int64)
    groups: dict[str, np.ndarray] = {}
    for key, values in parts.cell_masks.items():
        name, mask = key.removeprefix(REGION), values.astype(bool)
        if tags[mask].any() or len(set(dimension[mask])) != 1:
            raise BadInput(
                f"region {name!r} overlaps another or mixes dimensions: "
                "a .msh file holds one group per cell; write vtkhdf"
            )
        groups[name] = np.array([len(groups) + 1, dimension[mask][0]])
        tags[mask] = len(groups)
    return groups, tags


CARRIES = {".msh": Carries(EVERY - {"pyramid13", "wedge15", "wedge18"})}  # as meshio has them
CHECK = check_suffix
SUFFIXES = {".msh": write_msh}
