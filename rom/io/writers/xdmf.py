"""XDMF of one time, or of several on one mesh."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rom.archive.files import MAGIC
from rom.errors import BadInput
from rom.io.exchange import meshio_parts, silence, write_meshio
from rom.io.fields import Fields, check_fields
from rom.io.regions import count_cells
from rom.mesh import Mesh

VECTOR = 3  # XDMF knows vectors and tensors; wider rows must be matrices


def write_xdmf(path: Path, mesh: Mesh, fields: Fields | None, cell_fields: Fields | None) -> None:
    """Mesh and fields, numbers in an .h5 file of that name.

    Regions and node sets are 0/1 arrays. Raises BadInput where that file is there and is not
    of an earlier answer.
    """
    _spare_other_files(path)
    parts = meshio_parts(mesh, fields, cell_fields)
    point_data = parts.node_masks | _as_matrices(parts.point_data)
    cell_data = parts.cell_masks | _as_matrices(parts.cell_data)
    parts.attach(point_data, cell_data)
    write_meshio(path, parts.bare)


def write_xdmf_series(
    path: Path,
    mesh: Mesh,
    fields: Fields,
    times: np.ndarray,
    *,
    cell_fields: Fields | None = None,
) -> Path:
    """Fields (n, ..., n_t) at times (n_t,) [s] on one mesh.

    Numbers stand in the file itself as text. Raises BadInput for NaN and wrong lengths.
    """
    with silence():
        import meshio

    parts = meshio_parts(mesh, None, None)
    at_points = check_fields(fields, len(mesh.points), "points", times)
    at_cells = check_fields(cell_fields, count_cells(mesh), "cells", times)
    with meshio.xdmf.TimeSeriesWriter(path, data_format="XML") as writer:
        writer.write_points_cells(parts.bare.points, parts.bare.cells)
        for k, t in enumerate(times):
            point_data = _at_time(at_points | parts.node_masks, k)
            cell_data = _at_time(at_cells | parts.cell_masks, k)
            by_block = {name: parts.by_block(values) for name, values in cell_data.items()}
            writer.write_data(float(t), point_data=point_data, cell_data=by_block)
    return path


def _spare_other_files(path: Path) -> None:
    """Raises BadInput where numbers would be written over another file, as a model's."""
    heavy = path.with_suffix(".h5")
    if not heavy.exists():
        return
    with open(heavy, "rb") as file:
        is_archive = file.read(len(MAGIC)) == MAGIC
    if is_archive or not path.exists():
        raise BadInput(
            f"{path.name} keeps its numbers in {heavy.name}, which is there and holds something "
            "else; choose another name"
        )


def _at_time(data: dict[str, np.ndarray], k: int) -> dict[str, np.ndarray]:
    """Arrays (n, ..., n_t) at time k, contiguous; those without times as they are."""
    arrays = {}
    for name, values in data.items():
        moment = values[..., k] if values.ndim > 1 else values
        whole = moment.dtype.kind in "bu"  # the writer of series knows no bytes
        arrays[name] = np.ascontiguousarray(moment, dtype=np.int64 if whole else None)
    return _as_matrices(arrays)


def _as_matrices(data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays (n, c) of more components than a vector has as (n, c, 1)."""
    matrices = {}
    for name, values in data.items():
        wide = values.ndim == 2 and values.shape[1] > VECTOR
        matrices[name] = values[..., None] if wide else values
    return matrices


SUFFIXES = {".xdmf": write_xdmf}
