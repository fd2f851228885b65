"""Cells seen in a mirror: the order of nodes that turns one inside out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rom.io.placement import CORNERS
from rom.io.regions import DIMENSION
from rom.mesh import NODES, Mesh

Sets = Sequence[tuple[int, ...]]  # the corners that each further node lies between
MIRRORS: dict[str, list[int]] = {  # corners from the other side
    "triangle": [0, 2, 1], "quad": [0, 3, 2, 1], "tetra": [0, 2, 1, 3],
    "pyramid": [0, 3, 2, 1, 4], "wedge": [0, 2, 1, 3, 5, 4],
    "hexahedron": [0, 3, 2, 1, 4, 7, 6, 5],
}  # fmt: skip
MIDDLES: dict[str, list[tuple[int, ...]]] = {
    "line3": [(0, 1)],
    "triangle6": [(0, 1), (1, 2), (2, 0)],
    "quad8": [(0, 1), (1, 2), (2, 3), (3, 0)],
    "quad9": [(0, 1), (1, 2), (2, 3), (3, 0), (0, 1, 2, 3)],
    "tetra10": [(0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3)],
    "pyramid13": [(0, 1), (1, 2), (2, 3), (3, 0), (0, 4), (1, 4), (2, 4), (3, 4)],
    "wedge15": [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3), (0, 3), (1, 4), (2, 5)],
    "hexahedron20": [
        (0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6),
        (3, 7),
    ],
}  # fmt: skip
MIDDLES["wedge18"] = [*MIDDLES["wedge15"], (0, 1, 3, 4), (1, 2, 4, 5), (2, 0, 5, 3)]
MIDDLES["hexahedron27"] = [
    *MIDDLES["hexahedron20"],
    *((0, 3, 4, 7), (1, 2, 5, 6), (0, 1, 4, 5), (2, 3, 6, 7), (0, 1, 2, 3), (4, 5, 6, 7)),
    tuple(range(8)),
]


def parent_type(kind: str) -> str:
    """The linear type of a cell: "tetra" of "tetra10"."""
    return kind.rstrip("0123456789")


def node_order(kind: str, theirs: Sets | None = None, *, mirror: bool = False) -> list[int]:
    """Places in a row of another code of the nodes in VTK's order.

    theirs : the corners that each of its further nodes lies between; mirror : whether its cells
    are the mirror image of ours
    """
    parent = parent_type(kind)
    corners = MIRRORS[parent] if mirror and parent in MIRRORS else list(range(NODES[parent]))
    their_sets = [frozenset(ends) for ends in (MIDDLES.get(kind, []) if theirs is None else theirs)]
    middles = [frozenset(corners[j] for j in ends) for ends in MIDDLES.get(kind, [])]
    return [*corners, *(len(corners) + their_sets.index(ends) for ends in middles)]


def nodes_of_face(kind: str, corners: Sequence[int]) -> list[int]:
    """Places of the nodes of a face: its corners, middle nodes behind them."""
    first = NODES[parent_type(kind)]
    sets = enumerate(MIDDLES.get(kind, []))
    return [*corners, *(first + k for k, ends in sets if set(ends) <= set(corners))]


def are_inverted(points: np.ndarray, kind: str, cells: np.ndarray) -> np.ndarray:
    """Whether cells (k, ...) that fill the space turn the other way."""
    if DIMENSION[kind] != points.shape[1] or parent_type(kind) not in CORNERS:
        return np.zeros(len(cells), dtype=bool)
    total = np.zeros(len(cells))
    for corners in CORNERS[parent_type(kind)]:
        x = points[cells[:, corners]]
        total += np.linalg.det(x[:, 1:] - x[:, :1])
    return total < 0


def turn_mesh(mesh: Mesh) -> Mesh:
    """The mesh with cells that are inside out turned, all their nodes kept."""
    cells = {}
    for kind, nodes in mesh.cells.items():
        bad = are_inverted(mesh.points, kind, nodes)
        cells[kind] = np.where(bad[:, None], nodes[:, node_order(kind, mirror=True)], nodes)
    return replace(mesh, cells=cells)
