"""XDMF of one time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rom.io.exchange import meshio_parts, write_meshio
from rom.io.fields import Fields
from rom.mesh import Mesh

VECTOR = 3  # XDMF knows vectors and tensors; wider rows must be matrices


def write_xdmf(path: Path, mesh: Mesh, fields: Fields | None, cell_fields: Fields | None) -> None:
    """Mesh and fields; regions and node sets are 0/1 arrays."""
    parts = meshio_parts(mesh, fields, cell_fields)
    point_data = parts.node_masks | _as_matrices(parts.point_data)
    cell_data = parts.cell_masks | _as_matrices(parts.cell_data)
    parts.attach(point_data, cell_data)
    write_meshio(path, parts.bare)


def _as_matrices(data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays (n, c) of more components than a vector has as (n, c, 1)."""
    matrices = {}
    for name, values in data.items():
        wide = values.ndim == 2 and values.shape[1] > VECTOR
        matrices[name] = values[..., None] if wide else values
    return matrices


SUFFIXES = {".xdmf": write_xdmf}
