"""Meshes as meshio sees them: the formats of other programs."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rom.archive.files import durably
from rom.archive.grids import points_3d
from rom.errors import BadInput, require
from rom.io.fields import Fields, check_fields
from rom.io.med_families import masks_of_families
from rom.io.regions import DIMENSION, NODE_SET, REGION, Blocks, count_cells, masks, mesh_and_fields
from rom.mesh import Mesh

PHYSICAL = "gmsh:physical"
OWN = (".vtkhdf", ".vtu", ".vtk")  # named in the message besides the formats of meshio
HDF5 = {"med", "h5m", "hmf", "cgns"}  # formats of meshio that HDF5 writes


@dataclass(frozen=True, eq=False)
class Parts:
    """A file of meshio in parts: points and cells, fields, and masks of sets.

    bare : meshio.Mesh of points and cells; the others: name -> array over points or cells
    """

    mesh: Mesh
    bare: Any
    point_data: dict[str, np.ndarray]
    cell_data: dict[str, np.ndarray]
    node_masks: dict[str, np.ndarray]
    cell_masks: dict[str, np.ndarray]

    def by_block(self, values: np.ndarray) -> list[np.ndarray]:
        """Values over all cells (k, ...), split where the blocks of cells end."""
        sizes = [len(cells) for cells in self.mesh.cells.values()]
        return np.split(values, np.cumsum(sizes)[:-1])

    def attach(self, point_data: Mapping[str, Any], cell_data: Mapping[str, Any]) -> None:
        """Adds arrays to `bare`."""
        self.bare.point_data |= point_data
        for name, values in cell_data.items():
            self.bare.cell_data[name] = self.by_block(values)


def meshio_parts(mesh: Mesh, fields: Fields | None, cell_fields: Fields | None) -> Parts:
    """A mesh with its fields as the parts of a file of meshio.

    Raises BadInput for fields of a wrong length, NaN and Inf.
    """
    require_meshio()
    import meshio

    cell_masks, node_masks = masks(mesh)
    point_data = check_fields(fields, len(mesh.points), "points")
    cell_data = check_fields(cell_fields, count_cells(mesh), "cells")
    blocks = [(kind, np.asarray(cells)) for kind, cells in mesh.cells.items()]
    bare = meshio.Mesh(points_3d(mesh), blocks)
    return Parts(mesh, bare, point_data, cell_data, node_masks, cell_masks)


def require_meshio() -> None:
    """MissingExtra where there is no meshio."""
    with silence():
        require("meshio", "view", "mesh files of this format")


def check_suffix(path: Path) -> None:
    """BadInput where meshio does not know the suffix; MissingExtra without meshio."""
    require_meshio()
    import meshio

    suffixes = meshio.extension_to_filetypes
    if path.suffix not in suffixes:
        every = sorted({*OWN, *suffixes})
        raise BadInput(f"{path.name}: unknown format; known: {', '.join(every)}")


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Nothing is written to stdout and stderr inside the block."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def read_meshio(path: Path) -> Any:
    """The meshio.Mesh of a file."""
    require_meshio()
    with silence():
        import meshio

        return meshio.read(path)


def write_meshio(path: Path, source: Any, **options: Any) -> None:
    """A meshio.Mesh in the format of the suffix; options : of its writer.

    Raises NotWritten.
    """
    durably(path, partial(_write_whole, path.name, source, options))


def _write_whole(name: str, source: Any, options: Mapping[str, Any], temp: Path) -> None:
    """The file at `temp`."""
    import meshio

    kinds = meshio.extension_to_filetypes.get(Path(name).suffix, [])
    with silence():
        if HDF5.intersection(kinds):  # its library ends the process on a full disk
            memory = io.BytesIO()
            source.write(memory, file_format=kinds[0], **options)
            temp.write_bytes(memory.getvalue())
            return
        with tempfile.TemporaryDirectory(dir=temp.parent, prefix=".") as folder:
            source.write(Path(folder, name), **options)
            Path(folder, name).replace(temp)


def from_meshio(source: Any, unit: str = "m") -> tuple[Mesh, Fields, Fields]:
    """Mesh, point fields and cell fields of a meshio.Mesh, one block per cell type."""
    ends = np.cumsum([len(block.data) for block in source.cells])
    points = np.array(source.points, dtype=float)
    point_data = _plain_data(source.point_data)
    for name, numbers in source.point_sets.items():
        point_data[NODE_SET + name] = np.isin(np.arange(len(points)), numbers)
    joined = {name: np.concatenate(parts) for name, parts in source.cell_data.items()}
    cell_data = _plain_data(joined)
    if "point_tags" in point_data:
        tags = point_data.pop("point_tags")
        point_data |= masks_of_families(tags, source.point_tags, NODE_SET)
    if "cell_tags" in cell_data:
        tags = cell_data.pop("cell_tags")
        cell_data |= masks_of_families(tags, source.cell_tags, REGION)
    cell_data |= _region_masks(source, ends)
    return mesh_and_fields(_blocks(points, source, ends), point_data, cell_data, unit)


def _plain_data(data: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays but those of gmsh, without a last axis of length 1 behind components."""
    plain = {}
    for name, values in data.items():
        if name.startswith("gmsh:"):
            continue
        column = np.ndim(values) == 3 and values.shape[2] == 1
        plain[name] = values[..., 0] if column else values
    return plain


def _blocks(points: np.ndarray, source: Any, ends: np.ndarray) -> Blocks:
    rows: dict[str, list[np.ndarray]] = {}
    cells: dict[str, list[np.ndarray]] = {}
    for block, end in zip(source.cells, ends, strict=True):
        numbers = np.arange(end - len(block.data), end)
        nodes = np.asarray(block.data, dtype=np.int64)
        rows.setdefault(block.type, []).append(numbers)
        cells.setdefault(block.type, []).append(nodes)
    joined_cells = {kind: np.concatenate(parts) for kind, parts in cells.items()}
    joined_rows = {kind: np.concatenate(parts) for kind, parts in rows.items()}
    return Blocks(points, joined_cells, joined_rows)


def _region_masks(source: Any, ends: np.ndarray) -> dict[str, np.ndarray]:
    """Cell sets, or else gmsh's physical groups, as masks over all cells."""
    if PHYSICAL in source.cell_data:
        return _group_masks(source)
    regions = {}
    for name, parts in source.cell_sets.items():
        mask = np.zeros(int(ends[-1]), dtype=bool)
        for numbers, end, block in zip(parts, ends, source.cells, strict=True):
            if numbers is not None and len(numbers):
                start = end - len(block.data)
                mask[start + np.asarray(numbers, dtype=np.int64)] = True
        regions[REGION + name] = mask
    return regions


def _group_masks(source: Any) -> dict[str, np.ndarray]:
    tags = np.concatenate(source.cell_data[PHYSICAL])
    parts = [np.full(len(block.data), DIMENSION.get(block.type, -1)) for block in source.cells]
    dimension = np.concatenate(parts)
    return {
        REGION + name: (tags == tag) & (dimension == d)
        for name, (tag, d) in source.field_data.items()
    }
