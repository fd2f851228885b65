"""Meshes in parts: the cells of a rank by METIS, with their nodes and regions.

Named regions that the cells touch go with them. Reference: Karypis & Kumar (1998).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp

from rom.errors import MissingExtra
from rom.mesh import Mesh
from solvers.elements import CORNERS, DIMENSION, SHAPE, volume_kinds

LOOSE = 0.2  # parts may be a tenth larger or smaller than their mean


def partition(mesh: Mesh, comm: Any = None) -> tuple[Mesh, np.ndarray]:
    """This rank's part of a mesh and the global numbers (k,) of its nodes.

    Surfaces go with the cell they bound. The parts depend on mesh and number of ranks alone: every
    rank computes them. Raises MissingExtra without pymetis.
    """
    if comm is None or comm.Get_size() == 1:
        return mesh, np.arange(len(mesh.points))
    owner = _owners(mesh, comm.Get_size())
    mine = {kind: np.flatnonzero(owner[kind] == comm.Get_rank()) for kind in owner}
    used = np.unique(
        np.concatenate([mesh.cells[kind][cells].ravel() for kind, cells in mine.items()])
    )
    place = np.full(len(mesh.points), -1)
    place[used] = np.arange(len(used))
    cells = {kind: place[mesh.cells[kind][numbers]] for kind, numbers in mine.items()}
    regions = {
        name: {
            kind: np.searchsorted(mine[kind], hit)
            for kind, numbers in parts.items()
            if len(hit := np.intersect1d(numbers, mine[kind])) or len(mine[kind])
        }
        for name, parts in mesh.regions.items()
    }
    nodes = {name: place[numbers][place[numbers] >= 0] for name, numbers in mesh.nodes.items()}
    return Mesh(mesh.points[used], cells, regions, nodes, mesh.unit), used


def _owners(mesh: Mesh, parts: int) -> dict[str, np.ndarray]:
    """The rank of every cell, by type.

    Volumes as METIS says, each other cell the rank of a volume that holds its nodes.
    """
    kinds = volume_kinds(mesh)
    corners = [mesh.cells[kind][:, : len(CORNERS[SHAPE[kind]])] for kind in kinds]
    ends = np.cumsum([0, *(len(c) for c in corners)])
    centres = np.concatenate([mesh.points[c].mean(axis=1) for c in corners])
    chosen = split(_dual(corners, *mesh.points.shape), centres, parts)
    owner = {kind: chosen[ends[i] : ends[i + 1]] for i, kind in enumerate(kinds)}
    d = mesh.points.shape[1]
    for kind, cells in mesh.cells.items():
        if kind in owner:
            continue
        if DIMENSION.get(kind, 0) != d - 1:
            owner[kind] = np.zeros(len(cells), dtype=np.int64)
            continue
        owner[kind] = _holders(
            cells[:, : len(CORNERS[SHAPE[kind]])], corners, chosen, len(mesh.points)
        )
    return owner


def split(near: sp.csr_array, points: np.ndarray, parts: int) -> np.ndarray:
    """The part (n,) of each vertex of a graph at `points`.

    By METIS or by planes, whichever cuts less; an edge counts 1 / |x_i - x_j|^2. Long cells couple
    weakly along: a cut across them costs an iteration little. Raises MissingExtra without pymetis.
    """
    if parts == 1:
        return np.zeros(near.shape[0], dtype=np.int64)
    graph = sp.csr_array(near)
    graph.setdiag(0.0)
    graph.eliminate_zeros()
    rows = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    strength = 1 / np.maximum(np.sum((points[rows] - points[graph.indices]) ** 2, axis=1), 1e-300)
    weights = np.clip(1e4 * strength / np.quantile(strength, 0.95), 1, 1e5).astype(np.int64)
    candidates = [_metis(graph, weights, parts), _planes(graph, weights, points, parts)]
    return min(candidates, key=lambda part: weights[part[rows] != part[graph.indices]].sum())


def _metis(graph: sp.csr_array, weights: np.ndarray, parts: int) -> np.ndarray:
    try:
        import pymetis
    except ImportError as error:
        raise MissingExtra(
            f"meshes are cut by pymetis ({error}); run: pip install 'rom-platform[fem]'"
        ) from error
    adjacency = pymetis.CSRAdjacency(graph.indptr.astype(np.int32), graph.indices.astype(np.int32))
    return np.asarray(pymetis.part_graph(parts, adjacency, eweights=weights.tolist()).vertex_part)


def _planes(graph: sp.csr_array, weights: np.ndarray, points: np.ndarray, parts: int) -> np.ndarray:
    """Recursive bisection by planes normal to an axis.

    Each cuts least among those near the middle.
    """
    if parts == 1:
        return np.zeros(len(points), dtype=np.int64)
    n, low = len(points), parts // 2
    rows = np.repeat(np.arange(n), np.diff(graph.indptr))
    first, last = (
        int(n * (low / parts - 0.5 * LOOSE / parts)),
        int(n * (low / parts + 0.5 * LOOSE / parts)) + 1,
    )
    best: tuple[float, Any] = (np.inf, None)
    for x in points.T:
        order = np.argsort(x, kind="stable")
        place = np.empty(n, dtype=np.int64)
        place[order] = np.arange(n)
        up = place[graph.indices] > place[rows]
        steps = np.bincount(place[rows][up] + 1, weights[up], n + 1) - np.bincount(
            place[graph.indices][up] + 1, weights[up], n + 1
        )
        cut = np.cumsum(steps)[first : last + 1]
        if cut.min() < best[0]:
            best = (float(cut.min()), place >= first + int(np.argmin(cut)))
    upper, part = best[1], np.zeros(n, dtype=np.int64)
    for side, count, shift in ((~upper, low, 0), (upper, parts - low, low)):
        at, inside = np.flatnonzero(side), side[rows] & side[graph.indices]
        inner = sp.csr_array(graph[at][:, at])
        part[at] = shift + _planes(inner, weights[inside], points[at], count)
    return part


def _dual(corners: list[np.ndarray], nodes: int, d: int) -> sp.csr_array:
    """Cells are neighbours where they share a face: d corners at least."""
    rows = np.concatenate([np.repeat(np.arange(len(c)), c.shape[1]) for c in corners])
    shift = np.concatenate(
        [
            np.full(c.size, s)
            for c, s in zip(corners, np.cumsum([0, *map(len, corners)]), strict=False)
        ]
    )
    flat = np.concatenate([c.ravel() for c in corners])
    holds = sp.csr_array(
        (np.ones(flat.size), (rows + shift, flat)), shape=(sum(map(len, corners)), nodes)
    )
    touch = sp.csr_array(holds @ holds.T)
    touch.data = (touch.data > d - 0.5).astype(float)
    touch.eliminate_zeros()
    return touch


def _holders(
    faces: np.ndarray, corners: list[np.ndarray], chosen: np.ndarray, n: int
) -> np.ndarray:
    """The rank of the volume that holds all nodes of each face."""
    rows = np.concatenate([np.repeat(np.arange(len(c)), c.shape[1]) for c in corners])
    shift = np.concatenate(
        [
            np.full(c.size, s)
            for c, s in zip(corners, np.cumsum([0, *(len(c) for c in corners)]), strict=False)
        ]
    )
    nodes = np.concatenate([c.ravel() for c in corners])
    holds = sp.csr_array((np.ones(len(nodes)), (rows + shift, nodes)), shape=(len(chosen), n))
    touch = sp.csr_array(
        (np.ones(faces.size), (faces.ravel(), np.repeat(np.arange(len(faces)), faces.shape[1]))),
        shape=(n, len(faces)),
    )
    shared = sp.csc_array(holds @ touch)
    parts = []
    for first, end in pairwise(shared.indptr):
        most_shared = np.argmax(shared.data[first:end])
        parts.append(chosen[shared.indices[first:end][most_shared]])
    return np.array(parts)
