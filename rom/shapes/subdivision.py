"""Bisection of linear simplices at their longest edges."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from rom.arrays import gate, integers
from rom.errors import BadInput
from rom.mesh import Mesh
from rom.shapes.simplex import KINDS, simplices

UNCUT = -1  # "middle node" of an edge that stays whole


@gate(mesh=Mesh, marked=integers)
def subdivide(mesh: Mesh, marked: np.ndarray | None = None) -> Mesh:
    """Linear simplices with the longest edge of every marked cell halved.

    marked : cell numbers, by default all
    All cells around a halved edge are cut: no node hangs. Edges are taken longest first, and no
    cell is cut twice in one call. The node set "coarse" names the nodes that were there first;
    regions of lines stay.
    Reference: Rivara (1984).
    """
    cells = simplices(mesh)
    x = mesh.points
    edges, edges_of_cell = _edges(cells)
    ends = x[edges]
    length = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1)
    longest = np.argmax(length[edges_of_cell], axis=1)
    candidates = edges_of_cell[np.arange(len(cells)), longest]
    if marked is not None:
        if marked.size and not 0 <= marked.min() <= marked.max() < len(cells):
            raise BadInput(f"marked reaches {marked.min()}..{marked.max()} of {len(cells)} cells")
        candidates = candidates[marked]
    around = _cells_around(edges_of_cell)
    chosen, cut = _independent(candidates, length, around, len(cells))
    middle = np.full(len(edges), UNCUT)
    middle[chosen] = len(x) + np.arange(len(chosen))
    pieces = [cells[~cut]]
    for edge in chosen:
        pieces += _bisect(cells[around[edge]], edges[edge], middle[edge])
    points = np.vstack([x, x[edges[chosen]].mean(axis=1)])
    kind = KINDS[cells.shape[1]]
    finer = {kind: np.vstack(pieces)}
    regions = {}
    if kind != "line" and "line" in mesh.cells:
        finer["line"], owner = _cut_lines(mesh.cells["line"], edges, middle)
        regions = _line_regions(mesh, owner)
    nodes = {"coarse": np.arange(len(x)), **mesh.nodes}
    return Mesh(points, finer, regions, nodes, mesh.unit)


def _edges(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All edges once, sorted (e, 2), and the edges of each cell (k, pairs)."""
    pairs = list(combinations(range(cells.shape[1]), 2))
    of_cell = np.stack([np.sort(cells[:, pair], axis=1) for pair in pairs], axis=1)
    edges, where = np.unique(of_cell.reshape(-1, 2), axis=0, return_inverse=True)
    return edges, where.reshape(len(cells), -1)


def _cells_around(edges_of_cell: np.ndarray) -> dict[int, list[int]]:
    """Edge -> the cells around it."""
    around: dict[int, list[int]] = {}
    for cell, row in enumerate(edges_of_cell.tolist()):
        for edge in row:
            around.setdefault(edge, []).append(cell)
    return around


def _independent(
    candidates: np.ndarray, length: np.ndarray, around: dict[int, list[int]], cells: int
) -> tuple[list[int], np.ndarray]:
    """Edges, longest first, that share no cell; and which cells they cut (k,)."""
    cut = np.zeros(cells, dtype=bool)
    chosen = []
    longest_first = sorted(set(candidates.tolist()), key=lambda edge: (-length[edge], edge))
    for edge in longest_first:
        if not cut[around[edge]].any():
            cut[around[edge]] = True
            chosen.append(edge)
    return chosen, cut


def _bisect(cells: np.ndarray, edge: np.ndarray, middle: int) -> list[np.ndarray]:
    """Both halves of the cells around an edge."""
    a, b = edge
    return [np.where(cells == b, middle, cells), np.where(cells == a, middle, cells)]


def _line_regions(mesh: Mesh, owner: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """The regions of lines, each with the parts of its lines."""
    regions = {}
    for name, parts in mesh.regions.items():
        if "line" in parts:
            inside = np.isin(owner, parts["line"])
            regions[name] = {"line": np.flatnonzero(inside)}
    return regions


def _cut_lines(
    lines: np.ndarray, edges: np.ndarray, middle: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Lines cut at the nodes `middle` of `edges`, and the line each came from."""
    n = int(max(edges.max(), lines.max())) + 1
    line_key = np.sort(lines, axis=1) @ [n, 1]
    edge_key = edges @ [n, 1]
    place = np.searchsorted(edge_key, line_key)
    nearest = np.minimum(place, len(edge_key) - 1)
    cut = np.where(edge_key[nearest] == line_key, middle[nearest], UNCUT)
    owner = np.repeat(np.arange(len(lines)), 1 + (cut != UNCUT))
    second = np.append(False, owner[1:] == owner[:-1])
    first = np.append(second[1:], False)
    parts = lines[owner]
    parts[first, 1] = cut[owner[first]]
    parts[second, 0] = cut[owner[second]]
    return parts, owner
