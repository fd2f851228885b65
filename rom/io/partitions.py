"""Parts of one mesh that several ranks wrote: one mesh again, its interfaces once.

Points of different parts at one place are one point, unless a part has several there: those are
an open crack or a discontinuous field, and stay apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rom.io.content import Content, stack_contents
from rom.io.frame import AT_POINTS
from rom.io.ghosts import remove_ghosts
from rom.io.regions import Blocks


def join_partitions(parts: Sequence[Content]) -> Content:
    """One mesh of its parts, without ghosts; a point of several parts is there once."""
    cleaned = [remove_ghosts(part) for part in parts]
    filled = [part for part in cleaned if len(part.blocks.points)] or cleaned[:1]
    whole = stack_contents(filled)
    if len(filled) == 1:
        return whole
    owner = np.repeat(np.arange(len(filled)), [len(part.blocks.points) for part in filled])
    return _merge_points(whole, _first_at_place(whole.blocks.points, owner))


def _first_at_place(points: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """For each point the first one of another part at its place, or itself."""
    _, place = np.unique(points + 0.0, axis=0, return_inverse=True)
    place = place.ravel()
    pairs, counts = np.unique(np.stack([place, owner], axis=1), axis=0, return_counts=True)
    is_open = np.zeros(place.max() + 1, dtype=bool)
    is_open[pairs[counts > 1, 0]] = True
    first = np.full(len(is_open), len(points))
    np.minimum.at(first, place, np.arange(len(points)))
    return np.where(is_open[place], np.arange(len(points)), first[place])


def _merge_points(content: Content, target: np.ndarray) -> Content:
    """The content with every point i in place of those whose target it is."""
    stay = target == np.arange(len(target))
    number = np.cumsum(stay) - 1
    cells = {kind: number[target[nodes]] for kind, nodes in content.blocks.cells.items()}
    points = {name: np.asarray(values)[stay] for name, values in content.point_data.items()}
    masks = {
        key: mask[stay] if key.startswith(AT_POINTS) else mask
        for key, mask in content.known.items()
    }
    blocks = Blocks(content.blocks.points[stay], cells, content.blocks.rows)
    return Content(blocks, points, content.cell_data, masks)
