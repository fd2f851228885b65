"""Cells that a file holds twice or hides: of neighbouring parts, blanked ones.

Reference: VTK, vtkDataSetAttributes, ghost types of points and cells (2024).
"""

from __future__ import annotations

import numpy as np

from rom.io.content import Content, Data, count_block_cells
from rom.io.frame import AT_POINTS
from rom.io.regions import Blocks

GHOST, OLD_GHOST = "vtkGhostType", "vtkGhostLevels"
NO_CELL = 1 | 8 | 32  # a copy, one that finer cells replace, one that is hidden
NO_POINT = 2  # one that is hidden


def remove_ghosts(content: Content) -> Content:
    """The content without ghosts, hidden cells and the points of only those."""
    cell_data, point_data = dict(content.cell_data), dict(content.point_data)
    flags = np.asarray(cell_data.pop(GHOST, 0)).astype(np.int64)
    levels = np.asarray(cell_data.pop(OLD_GHOST, 0))
    points = np.asarray(point_data.pop(GHOST, 0)).astype(np.int64)
    point_data.pop(OLD_GHOST, None)
    rest = Content(content.blocks, point_data, cell_data, content.known)
    drop = np.zeros(count_block_cells(content.blocks), dtype=bool)
    drop |= (flags & NO_CELL > 0) | (levels > 0)
    hidden = points & NO_POINT > 0
    if hidden.any():
        for kind, nodes in content.blocks.cells.items():
            drop[content.blocks.rows[kind]] |= hidden[nodes].any(axis=1)
    return keep_cells(rest, ~drop) if drop.any() else rest


def keep_cells(content: Content, keep: np.ndarray) -> Content:
    """The cells of a mask (k,), and the points but those of the other cells alone."""
    blocks, n = content.blocks, len(content.blocks.points)
    before, after = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    number = np.cumsum(keep) - 1
    cells, rows = {}, {}
    for kind, nodes in blocks.cells.items():
        its = keep[blocks.rows[kind]]
        before[nodes] = True
        after[nodes[its]] = True
        if its.any():
            cells[kind] = nodes[its]
            rows[kind] = number[blocks.rows[kind][its]]
    stay = after | ~before
    place = np.cumsum(stay) - 1
    cells = {kind: place[nodes] for kind, nodes in cells.items()}
    masks = {
        key: mask[stay if key.startswith(AT_POINTS) else keep]
        for key, mask in content.known.items()
    }
    return Content(
        Blocks(blocks.points[stay], cells, rows),
        _choose(content.point_data, stay),
        _choose(content.cell_data, keep),
        masks,
    )


def _choose(data: Data, rows: np.ndarray) -> Data:
    return {name: np.asarray(values)[rows] for name, values in data.items()}
