"""One mesh whose cells stand in another order: values follow their cells.

Programs write the types of cells, and the cells of one type, in orders of their own.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rom.io.fields import Fields
from rom.io.frame import AT_CELLS, Frame
from rom.mesh import Mesh


def cell_order(mesh: Mesh, other: Mesh) -> np.ndarray | None:
    """Places (k,) in `other` of the cells of `mesh`; None where it is another mesh.

    Points must be the same in the same order, and so must the nodes of a cell.
    """
    kinds = [kind for kind, cells in mesh.cells.items() if len(cells)]
    theirs = {kind for kind, cells in other.cells.items() if len(cells)}
    if set(kinds) != theirs or not np.array_equal(mesh.points, other.points):
        return None
    places = {}
    for kind in kinds:
        place = _row_order(mesh.cells[kind], other.cells[kind])
        if place is None:
            return None
        places[kind] = place
    if not _same_sets(mesh, other, places):
        return None
    ends = np.cumsum([0, *(len(cells) for cells in other.cells.values())])
    starts = dict(zip(other.cells, ends, strict=False))
    parts = [starts[kind] + places[kind] for kind in kinds]
    return np.concatenate([*parts, np.zeros(0, np.int64)]).astype(np.int64)


def _row_order(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray | None:
    """Places of our rows among theirs; None where they are not the same rows."""
    if ours.shape != theirs.shape:
        return None
    if np.array_equal(ours, theirs):
        return np.arange(len(ours))
    our_order, their_order = np.lexsort(ours.T), np.lexsort(theirs.T)
    if not np.array_equal(ours[our_order], theirs[their_order]):
        return None
    place = np.empty(len(ours), dtype=np.int64)
    place[our_order] = their_order
    return place


def _same_sets(mesh: Mesh, other: Mesh, places: dict[str, np.ndarray]) -> bool:
    """Whether regions and node sets are the same, cells under their places."""
    if set(mesh.nodes) != set(other.nodes) or set(mesh.regions) != set(other.regions):
        return False
    for name, numbers in mesh.nodes.items():
        if not np.array_equal(np.unique(numbers), np.unique(other.nodes[name])):
            return False
    for name, parts in mesh.regions.items():
        theirs = other.regions[name]
        for kind in parts.keys() | theirs.keys():
            ours = places.get(kind, np.zeros(0, np.int64))[parts.get(kind, [])]
            if not np.array_equal(np.unique(ours), np.unique(theirs.get(kind, []))):
                return False
    return True


def reorder_cells(frame: Frame, order: np.ndarray) -> Frame:
    """The frame with the values of its cells in another order."""
    masks = {
        key: mask[order] if key.startswith(AT_CELLS) else mask for key, mask in frame.known.items()
    }
    return replace(frame, cells=_arrange(frame.cells, order), known=masks)


def _arrange(fields: Fields, order: np.ndarray) -> Fields:
    return {name: (np.asarray(values)[order], unit) for name, (values, unit) in fields.items()}
