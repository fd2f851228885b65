"""Meshes in parts: the cells of a rank by METIS, with the nodes and named regions they touch. Reference: Karypis & Kumar (1998)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from rom.errors import MissingExtra
from rom.mesh import Mesh
from solvers.elements import CORNERS, DIMENSION, SHAPE, volume_kinds


def partition(mesh: Mesh, comm: Any = None) -> tuple[Mesh, np.ndarray]:
    """This rank's part of a mesh and the global numbers (k,) of its nodes; surfaces go with the cell they bound.

    The parts depend on mesh and number of ranks alone: every rank computes them. Raises MissingExtra without pymetis.
    """
    if comm is None or comm.Get_size() == 1:
        return mesh, np.arange(len(mesh.points))
    owner = _owners(mesh, comm.Get_size())
    mine = {kind: np.flatnonzero(owner[kind] == comm.Get_rank()) for kind in owner}
    used = np.unique(np.concatenate([mesh.cells[kind][cells].ravel() for kind, cells in mine.items()]))
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
    """The rank of every cell, by type: volumes as METIS says, each other cell the rank of a volume that holds its nodes."""
    try:
        import pymetis
    except ImportError as error:
        raise MissingExtra(f"several ranks need pymetis ({error}); run: pip install 'rom-platform[fem]'") from error
    kinds = volume_kinds(mesh)
    corners = [mesh.cells[kind][:, : len(CORNERS[SHAPE[kind]])] for kind in kinds]
    ends = np.cumsum([0, *(len(c) for c in corners)])
    flat, sizes = np.concatenate([c.ravel() for c in corners]), np.concatenate([np.full(len(c), c.shape[1]) for c in corners])
    chosen = np.asarray(_metis(pymetis, flat, np.concatenate([[0], np.cumsum(sizes)]), parts))
    owner = {kind: chosen[ends[i] : ends[i + 1]] for i, kind in enumerate(kinds)}
    d = mesh.points.shape[1]
    for kind, cells in mesh.cells.items():
        if kind in owner:
            continue
        if DIMENSION.get(kind, 0) != d - 1:
            owner[kind] = np.zeros(len(cells), dtype=np.int64)
            continue
        owner[kind] = _holders(cells[:, : len(CORNERS[SHAPE[kind]])], corners, chosen, len(mesh.points))
    return owner


def _metis(pymetis: Any, flat: np.ndarray, offsets: np.ndarray, parts: int) -> list[int]:
    """Cells that share nodes stay together: METIS on the dual graph of faces."""
    cells = [flat[a:e].tolist() for a, e in pairwise(offsets)]
    return pymetis.part_mesh(parts, cells, gtype=pymetis.GType.DUAL, ncommon=3 if len(cells[0]) > 3 else 2).element_part


def _holders(faces: np.ndarray, corners: list[np.ndarray], chosen: np.ndarray, n: int) -> np.ndarray:
    """The rank of the volume that holds all nodes of each face."""
    import scipy.sparse as sp

    rows = np.concatenate([np.repeat(np.arange(len(c)), c.shape[1]) for c in corners])
    shift = np.concatenate(
        [np.full(c.size, s) for c, s in zip(corners, np.cumsum([0, *(len(c) for c in corners)]), strict=False)]
    )
    nodes = np.concatenate([c.ravel() for c in corners])
    holds = sp.csr_array((np.ones(len(nodes)), (rows + shift, nodes)), shape=(len(chosen), n))
    touch = sp.csr_array(
        (np.ones(faces.size), (faces.ravel(), np.repeat(np.arange(len(faces)), faces.shape[1]))), shape=(n, len(faces))
    )
    shared = sp.csc_array(holds @ touch)
    return np.array([chosen[shared.indices[a:e][np.argmax(shared.data[a:e])]] for a, e in zip(shared.indptr[:-1], shared.indptr[1:], strict=True)])  # fmt: skip
