"""Regions and node sets of a mesh as 0/1 arrays among the data of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.io.fields import Fields, unlabel
from rom.mesh import NODES, Mesh

REGION = "region:"
NODE_SET = "nodes:"
PLANE = ("tria", "quad")  # how the names of plane cell types begin


def _dimension(kind: str) -> int:
    if kind == "vertex":
        return 0
    if "line" in kind:
        return 1
    return 2 if kind[:4] in PLANE else 3


DIMENSION = {kind: _dimension(kind) for kind in NODES}


@dataclass(frozen=True, eq=False)
class Blocks:
    """Points (n, 3), cells by type, and rows: the number of each cell in the file."""

    points: np.ndarray
    cells: dict[str, np.ndarray]
    rows: dict[str, np.ndarray]


def count_cells(mesh: Mesh) -> int:
    """Number of cells of all types."""
    return sum(len(cells) for cells in mesh.cells.values())


def cell_dimensions(mesh: Mesh) -> np.ndarray:
    """Dimension of every cell (k,), block after block."""
    parts = [np.full(len(cells), DIMENSION[kind]) for kind, cells in mesh.cells.items()]
    return np.concatenate(parts)


def masks(mesh: Mesh) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """0/1 arrays 'region:NAME' over cells and 'nodes:NAME' over points."""
    sizes = [len(cells) for cells in mesh.cells.values()]
    starts = np.cumsum([0, *sizes])
    first = dict(zip(mesh.cells, starts, strict=False))
    cell_masks = {}
    for name, parts in mesh.regions.items():
        mask = np.zeros(sum(sizes), dtype=np.uint8)
        for kind, numbers in parts.items():
            mask[first[kind] + np.asarray(numbers, dtype=np.int64)] = 1
        cell_masks[REGION + name] = mask
    node_masks = {}
    for name, numbers in mesh.nodes.items():
        mask = np.zeros(len(mesh.points), dtype=np.uint8)
        mask[np.asarray(numbers, dtype=np.int64)] = 1
        node_masks[NODE_SET + name] = mask
    return cell_masks, node_masks


def mesh_and_fields(
    blocks: Blocks, point_data: Mapping[str, Any], cell_data: Mapping[str, Any], unit: str = "m"
) -> tuple[Mesh, Fields, Fields]:
    """Mesh, point fields and cell fields; masks become regions and node sets.

    Trailing zero coordinates beyond the dimension of the cells are dropped.
    """
    regions = _regions(blocks.rows, cell_data)
    nodes = _node_sets(point_data)
    points = drop_zero_axes(blocks.points, blocks.cells)
    no_rows = np.zeros(0, np.int64)
    order = np.concatenate([*blocks.rows.values(), no_rows]).astype(np.int64)
    point_fields = _fields(point_data, NODE_SET)
    cell_fields = {
        name: (values[order], theirs)
        for name, (values, theirs) in _fields(cell_data, REGION).items()
    }
    mesh = Mesh(points, blocks.cells, regions, nodes, unit)
    return mesh, point_fields, cell_fields


def _regions(
    rows: dict[str, np.ndarray], cell_data: Mapping[str, Any]
) -> dict[str, dict[str, np.ndarray]]:
    regions: dict[str, dict[str, np.ndarray]] = {}
    for name, mask in cell_data.items():
        if not name.startswith(REGION):
            continue
        parts = {kind: np.flatnonzero(np.asarray(mask)[i]) for kind, i in rows.items()}
        filled = {kind: numbers for kind, numbers in parts.items() if len(numbers)}
        regions[name.removeprefix(REGION)] = filled
    return regions


def _node_sets(point_data: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {
        name.removeprefix(NODE_SET): np.flatnonzero(np.asarray(mask))
        for name, mask in point_data.items()
        if name.startswith(NODE_SET)
    }


def _fields(data: Mapping[str, Any], prefix: str) -> Fields:
    """name -> (array, unit) of all but the masks."""
    fields: Fields = {}
    for key, values in data.items():
        if not key.startswith(prefix):
            name, unit = unlabel(key)
            fields[name] = (np.array(values), unit)
    return fields


def drop_zero_axes(points: np.ndarray, cells: dict[str, np.ndarray]) -> np.ndarray:
    """Points without trailing zero coordinates beyond the dimension of the cells."""
    dimensions = [DIMENSION[kind] for kind in cells]
    least = max(max(dimensions, default=points.shape[1]), 1)
    while points.shape[1] > least and not points[:, -1].any():
        points = points[:, :-1]
    return points
