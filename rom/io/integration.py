"""Fields at points of integration as data of the cells that hold them.

The points follow the cells in order, q in each: values (g c, ...) -> (g / q, q c, ...).
"""

from __future__ import annotations

import logging

import numpy as np

from rom.mesh import Mesh
from rom.prediction import Part

AT_POINTS = "at integration points"
log = logging.getLogger("rom")


def cell_array(name: str, part: Part, values: np.ndarray, mesh: Mesh) -> np.ndarray | None:
    """Values (g c, ...) at points of integration by cell, (cells, q c, ...).

    None, with a warning in the log, where the cells are of several types, which may hold
    different numbers of points or none, or where the points are no multiple of the cells.
    """
    kinds = {kind: len(cells) for kind, cells in mesh.cells.items() if len(cells)}
    count = sum(kinds.values())
    rows = count * part.quantity.components
    if len(kinds) == 1 and len(values) and len(values) % rows == 0:
        width = len(values) // count
        shape = (count, width) if width > 1 else (count,)
        return values.reshape(*shape, *values.shape[1:])
    log.warning(
        "%r %s is left out of the mesh: nothing says how its %d points lie in %s; "
        "write .npz or .csv for it",
        name,
        AT_POINTS,
        len(values) // part.quantity.components,
        " and ".join(f"{n} {kind} cells" for kind, n in kinds.items()) or "no cells",
    )
    return None
