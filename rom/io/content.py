"""What a file holds of one mesh at one time, and several such blocks.

Blocks follow each other unmerged; an array that only some of them hold is NaN in the others,
and a mask says where it is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rom.errors import BadInput
from rom.io.fields import unlabel
from rom.io.frame import AT_CELLS, AT_POINTS, Frame
from rom.io.regions import NODE_SET, REGION, Blocks, mesh_and_fields
from rom.mesh import Mesh

Data = dict[str, Any]  # 'name [unit]', 'region:NAME' or 'nodes:NAME' -> array (k, ...)
Cells = Sequence[tuple[str, np.ndarray]]  # (type, nodes (k, ...)), ... as they stand in a file


@dataclass(frozen=True, eq=False)
class Content:
    """Points, cells and arrays over them; known : 'points:NAME', 'cells:NAME' -> mask."""

    blocks: Blocks
    point_data: Data = field(default_factory=dict)
    cell_data: Data = field(default_factory=dict)
    known: dict[str, np.ndarray] = field(default_factory=dict)


def blocks_of(points: np.ndarray, cells: Cells) -> Blocks:
    """Blocks of points (n, d) and cells; those of one type become one block."""
    rows: dict[str, list[np.ndarray]] = {}
    nodes: dict[str, list[np.ndarray]] = {}
    start = 0
    for kind, block in cells:
        rows.setdefault(kind, []).append(np.arange(start, start + len(block)))
        nodes.setdefault(kind, []).append(np.asarray(block, dtype=np.int64))
        start += len(block)
    joined = {kind: np.concatenate(parts) for kind, parts in nodes.items()}
    numbered = {kind: np.concatenate(parts) for kind, parts in rows.items()}
    return Blocks(np.asarray(points, dtype=float), joined, numbered)


def count_block_cells(blocks: Blocks) -> int:
    """Number of all cells."""
    return sum(len(rows) for rows in blocks.rows.values())


def frame_of_content(content: Content, t: float | None, unit: str) -> tuple[Mesh, Frame]:
    """Mesh and frame at time t [s]."""
    mesh, points, cells = mesh_and_fields(
        content.blocks, content.point_data, content.cell_data, unit
    )
    order = [content.blocks.rows[kind] for kind in mesh.cells]
    masks = {}
    for key, mask in content.known.items():
        place, _, text = key.partition(":")
        is_cell = place == AT_CELLS
        name = f"{place}:{unlabel(text)[0]}"
        masks[name] = mask[np.concatenate(order)] if is_cell and order else mask
    return mesh, Frame(t, points, cells, known=masks)


def spread_rows(rows: np.ndarray, values: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Values at some of n rows as an array, NaN elsewhere, and where they are."""
    mask = np.zeros(n, dtype=bool)
    mask[rows] = True
    if mask.all() and len(rows) == n:
        whole = np.empty_like(values)
        whole[rows] = values
        return whole, mask
    whole = np.full((n, *values.shape[1:]), np.nan)
    whole[rows] = values
    return whole, mask


def append_blocks(parts: Mapping[str, Content]) -> Content:
    """Blocks below each other, each a region of its name; a single one as it is."""
    if len(parts) == 1:
        return next(iter(parts.values()))
    named = []
    for name, part in parts.items():
        masks: Data = {}
        for other in parts:
            masks[REGION + other] = np.full(count_block_cells(part.blocks), other == name, np.uint8)
        named.append(replace(part, cell_data=part.cell_data | masks))
    return stack_contents(named)


def stack_contents(parts: Sequence[Content]) -> Content:
    """Contents below each other, nothing merged."""
    if len(parts) == 1:
        return parts[0]
    sizes = [len(part.blocks.points) for part in parts]
    counts = [count_block_cells(part.blocks) for part in parts]
    point_data, at_points = _stack_data([part.point_data for part in parts], sizes, AT_POINTS)
    cell_data, at_cells = _stack_data([part.cell_data for part in parts], counts, AT_CELLS)
    masks = _old_masks(parts, sizes, counts) | at_points | at_cells
    blocks = _stack_blocks([part.blocks for part in parts], sizes, counts)
    return Content(blocks, point_data, cell_data, masks)


def _stack_blocks(parts: list[Blocks], sizes: list[int], counts: list[int]) -> Blocks:
    cells: dict[str, list[np.ndarray]] = {}
    rows: dict[str, list[np.ndarray]] = {}
    first_point = first_cell = 0
    for part, n, k in zip(parts, sizes, counts, strict=True):
        for kind, numbers in part.cells.items():
            cells.setdefault(kind, []).append(numbers + first_point)
            rows.setdefault(kind, []).append(part.rows[kind] + first_cell)
        first_point, first_cell = first_point + n, first_cell + k
    joined = {kind: np.concatenate(numbers) for kind, numbers in cells.items()}
    numbered = {kind: np.concatenate(numbers) for kind, numbers in rows.items()}
    return Blocks(np.concatenate([part.points for part in parts]), joined, numbered)


def _stack_data(
    parts: list[Data], sizes: list[int], place: str
) -> tuple[Data, dict[str, np.ndarray]]:
    """Arrays of all parts below each other, and where those of only some are known."""
    names = list(dict.fromkeys(name for part in parts for name in part))
    data: Data = {}
    masks = {}
    for name in names:
        arrays = [np.asarray(part[name]) if name in part else None for part in parts]
        data[name] = _stack_arrays(name, arrays, sizes)
        if not _is_mask(name) and any(array is None for array in arrays):
            flags = [np.full(n, a is not None) for a, n in zip(arrays, sizes, strict=True)]
            masks[f"{place}:{name}"] = np.concatenate(flags)
    return data, masks


def _stack_arrays(name: str, arrays: list[np.ndarray | None], sizes: list[int]) -> np.ndarray:
    shapes = {array.shape[1:] for array in arrays if array is not None}
    if len(shapes) > 1:
        raise BadInput(
            f"array {name!r} has {' and '.join(map(str, sorted(shapes)))} components in "
            "different blocks; write one block per file"
        )
    shape = shapes.pop()
    fill: float = 0 if _is_mask(name) else np.nan
    return np.concatenate(
        [
            np.full((n, *shape), fill) if array is None else array
            for array, n in zip(arrays, sizes, strict=True)
        ]
    )


def _is_mask(name: str) -> bool:
    return name.startswith((REGION, NODE_SET))


def _old_masks(
    parts: Sequence[Content], sizes: list[int], counts: list[int]
) -> dict[str, np.ndarray]:
    """Masks that parts bring with them, over all rows."""
    masks = {}
    for key in {key for part in parts for key in part.known}:
        place, _, name = key.partition(":")
        lengths = sizes if place == AT_POINTS else counts
        flags = []
        for part, n in zip(parts, lengths, strict=True):
            data = part.point_data if place == AT_POINTS else part.cell_data
            flags.append(part.known.get(key, np.full(n, name in data)))
        masks[key] = np.concatenate(flags)
    return masks
