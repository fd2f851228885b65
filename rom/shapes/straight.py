"""Meshes of linear simplices: cells with nodes inside edges become several."""

from __future__ import annotations

import numpy as np

from rom.arrays import gate
from rom.errors import BadInput
from rom.mesh import Mesh
from rom.shapes.simplex import KINDS, SPLIT, simplices

# simplices of all nodes of a cell; the octahedron inside tetra10 along its diagonal, edge 02 to 13
PARTS = {
    "triangle6": [[0, 3, 5], [3, 1, 4], [5, 4, 2], [3, 4, 5]],
    "quad8": [[0, 4, 7], [4, 1, 5], [5, 2, 6], [6, 3, 7], [4, 5, 6], [4, 6, 7]],
    "quad9": [
        [0, 4, 8], [0, 8, 7], [4, 1, 5], [4, 5, 8], [8, 5, 2], [8, 2, 6], [7, 8, 6], [7, 6, 3],
    ],
    "tetra10": [
        [0, 4, 6, 7], [4, 1, 5, 8], [6, 5, 2, 9], [7, 8, 9, 3],
        [4, 5, 6, 8], [4, 6, 7, 8], [6, 5, 9, 8], [6, 9, 7, 8],
    ],
}  # fmt: skip
WHOLE = {"hexahedron20", "hexahedron27", "wedge15", "wedge18", "pyramid13"}  # not split
ON_CURVES = {"line", "line3", "vertex"}


@gate(mesh=Mesh)
def linear(mesh: Mesh) -> Mesh:
    """The same nodes with linear simplices only, so that no node is lost.

    Cells with nodes inside edges become several; regions of lines stay.
    Raises BadInput for cells that cannot be split so.
    """
    if WHOLE & set(mesh.cells):
        raise _unfit(mesh)
    cells = simplices(mesh)
    curved = _curved_kind(mesh, cells.shape[1])
    if curved is not None:
        cells = _split(mesh.cells[curved], PARTS[curved])
    elif len(_lines(mesh, "line3")) and not set(mesh.cells) - ON_CURVES:
        return _linear_curve(mesh)
    kind = KINDS[cells.shape[1]]
    has_lines = len(_lines(mesh, "line")) or len(_lines(mesh, "line3"))
    if kind == "line" or not has_lines:
        regions = {name: parts for name, parts in mesh.regions.items() if set(parts) <= {kind}}
        return Mesh(mesh.points, {kind: cells}, regions, mesh.nodes, mesh.unit)
    lines, regions = _linear_lines(mesh)
    return Mesh(mesh.points, {"line": lines, kind: cells}, regions, mesh.nodes, mesh.unit)


def _curved_kind(mesh: Mesh, corners: int) -> str | None:
    """The cell type with nodes inside edges, None where there is none.

    corners : of the simplices of highest dimension
    Raises BadInput where it is not alone.
    """
    highest = [kind for kind in mesh.cells if _corners(SPLIT, kind) == corners]
    curved = [kind for kind in PARTS if kind in mesh.cells and _corners(PARTS, kind) == corners]
    if not curved:
        return None
    others = set(highest) - set(curved)
    if len(curved) > 1 or others:
        raise _unfit(mesh)
    return curved[0]


def _corners(table: dict[str, list[list[int]]], kind: str) -> int:
    """Corners of the simplices of a cell type; 0 where the table has none."""
    pieces = table.get(kind, [[]])
    return len(pieces[0])


def _unfit(mesh: Mesh) -> BadInput:
    """What is said of cells that cannot be split."""
    kinds = list(mesh.cells)
    curved = ", ".join(PARTS)
    return BadInput(
        f"cells {kinds} have nodes inside edges; give one of {curved} alone, or linear cells"
    )


def _split(cells: np.ndarray, parts: list[list[int]]) -> np.ndarray:
    """The simplices of all nodes of cells."""
    return np.vstack([cells[:, part] for part in parts])


def _lines(mesh: Mesh, kind: str) -> np.ndarray:
    """Line cells of one type, none where the mesh has none."""
    return mesh.cells.get(kind, np.zeros((0, 1), np.int64))


def _linear_curve(mesh: Mesh) -> Mesh:
    """A mesh of line3 cells with the first halves, then the second."""
    three = mesh.cells["line3"]
    lines = np.vstack([three[:, [0, 2]], three[:, [2, 1]]])
    return Mesh(mesh.points, {"line": lines}, {}, mesh.nodes, mesh.unit)


def _linear_lines(mesh: Mesh) -> tuple[np.ndarray, dict[str, dict[str, np.ndarray]]]:
    """Lines, then the halves of line3 side by side; and the regions of both."""
    lines = _lines(mesh, "line").reshape(-1, 2)
    three = _lines(mesh, "line3")
    halves = np.zeros((0, 2), np.int64)
    if len(three):
        pairs = [three[:, [0, 2]], three[:, [2, 1]]]
        halves = np.stack(pairs, axis=1).reshape(-1, 2)
    regions = {}
    for name, parts in mesh.regions.items():
        straight = _numbers(parts, "line")
        first = len(lines) + 2 * _numbers(parts, "line3")
        numbers = np.concatenate([straight, first, first + 1])
        if numbers.size:
            regions[name] = {"line": numbers}
    return np.vstack([lines, halves]), regions


def _numbers(parts: dict[str, np.ndarray], kind: str) -> np.ndarray:
    """Cell numbers of one type in a region."""
    return np.asarray(parts.get(kind, ()), dtype=np.int64)
