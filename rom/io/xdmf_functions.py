"""Functions on finite elements in XDMF, as checkpoints of DOLFIN have them.

Four arrays: the degrees of freedom of all cells in a row, their values, where those of each cell
begin, the numbers of the cells. Reference: Logg, Mardal and Wells (2012), The FEniCS book.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rom.errors import BadInput, ForeignFile
from rom.io.content import Cells
from rom.io.xdmf_items import Document
from rom.mesh import NODES

CONTINUOUS = ("CG", "P", "Q", "LAGRANGE")
BROKEN = ("DG", "DP", "DQ", "DISCONTINUOUS LAGRANGE")
LINEAR = ("line", "triangle", "quad", "tetra", "hexahedron")
# DOLFIN's place of the corner that stands at each place of a row of the topology
TENSOR = {"quad": [0, 1, 3, 2], "hexahedron": [0, 1, 3, 2, 4, 5, 7, 6]}


def element_values(
    document: Document, attribute: Any, cells: Cells, n: int
) -> tuple[str, np.ndarray]:
    """("node" or "cell", values (n or cells, ...)) of a function of degree 0 or 1.

    Of degree 1 and broken, a cell has the values at its nodes in a row. Raises BadInput for other
    elements, ForeignFile where cells differ at a node that they share.
    """
    name, file = attribute.get("Name", "field"), document.path.name
    family = attribute.get("ElementFamily", "").upper()
    degree = attribute.get("ElementDegree", "")
    kinds = {kind for kind, _ in cells}
    is_read = (family in CONTINUOUS and degree == "1") or (family in BROKEN and degree in "01")
    if not is_read or len(kinds) != 1 or not kinds <= set(LINEAR):
        raise BadInput(
            f"{file}: {name!r} is a function on elements {family} {degree} on "
            f"{' and '.join(sorted(kinds))} cells; read are degree 1, and DG of degree 0 and 1, on "
            f"cells of one of {', '.join(LINEAR)}; interpolate it there"
        )
    kind = kinds.pop()
    nodes = np.concatenate([rows for _, rows in cells])
    rows = _rows(document, attribute, len(nodes))
    if degree == "0":
        return "cell", rows
    size = NODES[kind]
    if rows.shape[1] % size:
        raise ForeignFile(f"{file}: {name!r} has {rows.shape[1]} numbers on a {kind}")
    by_node = rows.reshape(len(rows), -1, size)[:, :, TENSOR.get(kind, range(size))]
    table = by_node.transpose(0, 2, 1)  # (cells, nodes, components)
    if family in BROKEN:
        return "cell", table.reshape(len(rows), -1)
    values = np.full((n, table.shape[2]), np.nan)
    values[nodes] = table
    if not np.array_equal(values[nodes], table, equal_nan=True):
        raise ForeignFile(f"{file}: cells differ in {name!r} at a node that they share")
    return "node", values


def _rows(document: Document, attribute: Any, count: int) -> np.ndarray:
    """Values (cells, k) of the degrees of freedom of every cell."""
    name, file = attribute.get("Name", "field"), document.path.name
    arrays = [document.numbers(item).ravel() for item in attribute.findall("DataItem")]
    if len(arrays) != 4:
        raise ForeignFile(f"{file}: {name!r} has {len(arrays)} arrays; a function has 4")
    dofs, starts = arrays[0].astype(np.int64), arrays[2].astype(np.int64)
    widths = np.unique(np.diff(starts))
    if len(starts) != count + 1 or len(widths) != 1 or starts[-1] != len(dofs) or starts[0]:
        raise ForeignFile(f"{file}: {name!r} has degrees of freedom that do not fit {count} cells")
    if dofs.min() < 0 or dofs.max() >= len(arrays[1]):
        raise ForeignFile(f"{file}: {name!r} names degrees of freedom beyond its values")
    rows: np.ndarray = arrays[1].astype(float)[dofs].reshape(count, -1)
    return rows
