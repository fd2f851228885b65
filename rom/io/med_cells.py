"""Cells of MED in the order of VTK and back.

MED's cells are mirror images of VTK's where both fill the space; writers disagree, so a cell that
is read is turned where its measure says so. Reference: MED 4.1, format of files (2020).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rom.errors import BadInput, require
from rom.io.pieces import Faces
from rom.io.regions import DIMENSION
from rom.io.turning import MIDDLES, are_inverted, node_order

NAMES = {  # MED's type -> cell type
    "NORM_POINT1": "vertex", "NORM_SEG2": "line", "NORM_SEG3": "line3", "NORM_TRI3": "triangle",
    "NORM_TRI6": "triangle6", "NORM_QUAD4": "quad", "NORM_QUAD8": "quad8", "NORM_QUAD9": "quad9",
    "NORM_TETRA4": "tetra", "NORM_TETRA10": "tetra10", "NORM_PYRA5": "pyramid",
    "NORM_PYRA13": "pyramid13", "NORM_PENTA6": "wedge", "NORM_PENTA15": "wedge15",
    "NORM_PENTA18": "wedge18", "NORM_HEXA8": "hexahedron", "NORM_HEXA20": "hexahedron20",
    "NORM_HEXA27": "hexahedron27",
}  # fmt: skip
MANY = {"NORM_POLYGON": "polygon", "NORM_POLYHED": "polyhedron"}  # of any number of nodes
SETS = {  # corners that MED's further nodes lie between, where VTK has another order
    "hexahedron27": [
        *MIDDLES["hexahedron20"],
        *((0, 1, 2, 3), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7), (4, 5, 6, 7)),
        tuple(range(8)),
    ],
}


def require_medcoupling() -> None:
    """MissingExtra where there is no medcoupling."""
    require("medcoupling", "med", "files of MED")


def med_types() -> dict[str, int]:
    """Cell type -> number of MED's type."""
    import medcoupling

    return {kind: getattr(medcoupling, name) for name, kind in NAMES.items()}


def kind_of(code: int, file: str) -> str:
    """The cell type of one of MED. Raises BadInput where it is not known here."""
    import medcoupling

    for name, kind in (NAMES | MANY).items():
        if getattr(medcoupling, name) == code:
            return kind
    raise BadInput(
        f"{file} has cells of MED's type {code}; known: {', '.join(NAMES | MANY)}; write others "
        "as these"
    )


def cells_from_med(
    points: np.ndarray, kind: str, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (k, ...) in VTK's order, and the place in MED's row of each, (k, ...)."""
    order = np.tile(node_order(kind, SETS.get(kind)), (len(rows), 1))
    bad = are_inverted(points, kind, np.take_along_axis(rows, order, axis=1))
    order[bad] = node_order(kind, SETS.get(kind), mirror=True)
    return np.take_along_axis(rows, order, axis=1), order


def faces_from_med(kind: str, mesh: Any, first: int) -> Faces:
    """Polygons or polyhedra of one type; row of the first cell.

    Nodes of a polyhedron are those of its faces, with -1 between two faces.
    """
    nodes = plain_array(mesh.getNodalConnectivity()).astype(np.int64)
    ends = plain_array(mesh.getNodalConnectivityIndex())[1:].astype(np.int64)
    rows = first + np.arange(len(ends))
    if kind == "polygon":
        return Faces(rows, nodes, ends, np.arange(len(ends)))
    between = np.flatnonzero(nodes < 0)
    last = np.sort(np.concatenate([between, ends]))  # of each face, among nodes and gaps
    cell = np.searchsorted(ends, last, side="left")
    return Faces(rows, nodes[nodes >= 0], last - np.searchsorted(between, last), cell)


def cells_to_med(kind: str, nodes: np.ndarray, d: int) -> np.ndarray:
    """Nodes (k, ...) in MED's order; d : dimension of the space."""
    mirror = DIMENSION[kind] == d
    order = node_order(kind, SETS.get(kind), mirror=mirror)
    rows: np.ndarray = nodes[:, np.argsort(order)]
    return rows


def plain_array(array: Any) -> np.ndarray:
    """An array of medcoupling as one of numpy, copied."""
    return np.array(array.toNumPyArray())
