"""XDMF of one time, or of several on one mesh."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rom.archive.files import durably
from rom.io.carries import EVERY, Carries, check_carries
from rom.io.exchange import check_suffix, meshio_parts, require_meshio, silence
from rom.io.fields import Fields, check_fields
from rom.io.regions import count_cells
from rom.mesh import Mesh

SUFFIX = (".xdmf", ".xmf")
CARRIES = dict.fromkeys(SUFFIX, Carries(EVERY - {"pyramid13", "wedge15"}))  # as meshio has them
VECTOR = 3  # XDMF knows vectors and tensors; wider rows must be matrices


def write_xdmf(path: Path, mesh: Mesh, fields: Fields | None, cell_fields: Fields | None) -> None:
    """Mesh and fields; regions and node sets are 0/1 arrays.

    Numbers stand in the file itself: an .h5 of that name beside it may be a model.
    """
    parts = meshio_parts(mesh, fields, cell_fields)
    point_data = _as_matrices(_plain(parts.node_masks | parts.point_data))
    cell_data = _as_matrices(_plain(parts.cell_masks | parts.cell_data))
    parts.attach(point_data, cell_data)
    durably(path, partial(_write_inline, parts.bare))


def _write_inline(bare: Any, path: Path) -> None:
    """A meshio.Mesh with its numbers as text, whatever their shape."""
    with silence():
        from meshio.xdmf.main import XdmfWriter

    class Inline(XdmfWriter):  # type: ignore[misc]
        """The writer of meshio, which puts tables into text but no stacks of them."""

        def numpy_to_xml_string(self, data: np.ndarray) -> str:
            """All numbers of an array, one a line."""
            return str(super().numpy_to_xml_string(data.ravel()))

    Inline(path, bare, data_format="XML")


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
    require_meshio()
    import meshio

    check_carries(path, CARRIES[SUFFIX[0]], mesh, (), ())
    parts = meshio_parts(mesh, None, None)
    at_points = check_fields(fields, len(mesh.points), "points", times)
    at_cells = check_fields(cell_fields, count_cells(mesh), "cells", times)

    def write(temp: Path) -> None:
        with meshio.xdmf.TimeSeriesWriter(temp, data_format="XML") as writer:
            writer.write_points_cells(parts.bare.points, parts.bare.cells)
            for k, t in enumerate(times):
                point_data = _at_time(at_points | parts.node_masks, k)
                cell_data = _at_time(at_cells | parts.cell_masks, k)
                by_block = {name: parts.by_block(values) for name, values in cell_data.items()}
                writer.write_data(float(t), point_data=point_data, cell_data=by_block)

    durably(path, write)
    return path


def _at_time(data: dict[str, np.ndarray], k: int) -> dict[str, np.ndarray]:
    """Arrays (n, ..., n_t) at time k, contiguous; those without times as they are."""
    moments = {name: values[..., k] if values.ndim > 1 else values for name, values in data.items()}
    return _as_matrices(_plain(moments))


def _plain(data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Contiguous arrays; bytes and truth values, unknown as text, as integers."""
    arrays = {}
    for name, values in data.items():
        whole = values.dtype.kind in "bu"
        arrays[name] = np.ascontiguousarray(values, dtype=np.int64 if whole else None)
    return arrays


def _as_matrices(data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays (n, c) of more components than a vector has as (n, c, 1)."""
    matrices = {}
    for name, values in data.items():
        wide = values.ndim == 2 and values.shape[1] > VECTOR
        matrices[name] = values[..., None] if wide else values
    return matrices


CHECK = check_suffix
SUFFIXES = dict.fromkeys(SUFFIX, write_xdmf)
