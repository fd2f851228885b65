"""Which blocks of snapshots may share one basis: merging to save numbers.

A block A_k (n, n_k) holds the snapshots of one run or time window. A cluster M_c = [A_k, k in c]
is stored as V (n, r_c), its leading left singular vectors, and the first d_k <= r_c rows of
V^H X A_k of each of its blocks: weak blocks need few of them. What is cut is known,
|M_c - V C_c|^2 = sum_k sum_{j > d_k} |(V^H X A_k)_j|^2 + what no mode has, so that is a
certificate. Numbers: sum_c n r_c + sum_k n_k d_k, and one a block where its cluster has depths.
Reference: Concatenated Matrix SVD: Compression Bounds, Incremental Approximation, and
Error-Constrained Clustering (2026).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rom.arrays import COLUMNS, each, gate, integers
from rom.basis import Basis
from rom.compress.agglomeration import History, agglomerate, reassign
from rom.compress.clusters import Cluster, SingleBlocks, build_cluster, single_blocks, stored_total
from rom.errors import BadInput
from rom.space import Space


@dataclass(frozen=True, eq=False)
class Merging:
    """Clusters of blocks, each with one basis: |M_c - V C_c|_X <= bounds[c] |M_c|_X.

    labels : (K,) cluster of each block
    bases : V of each cluster, or None where its raw columns are the smaller choice
    ranks, bounds, stored : (C,) modes, certificates, numbers kept with all factors
    raw : numbers of the blocks as they are
    history : ((cluster, cluster, numbers saved, certificate), ...) of every merge, in order; some
        may save less than nothing, where later ones pay for them
    depths : (K,) rows d_k of V^H X A_k that are kept, all r_c of them by default
    """

    labels: np.ndarray
    bases: tuple[Basis | None, ...]
    ranks: np.ndarray
    bounds: np.ndarray
    stored: np.ndarray
    raw: int
    history: tuple[tuple[int, int, int, float], ...] = ()
    depths: np.ndarray | None = None

    @property
    def compression(self) -> float:
        """Numbers of the blocks over numbers kept."""
        return self.raw / float(self.stored.sum())

    def coordinates(self, k: int, A: np.ndarray) -> np.ndarray:
        """What is kept of block k: the first d_k rows of V^H X A_k, or the block itself."""
        V = self.bases[self.labels[k]]
        if V is None:
            return A
        rows = V.coefficients(A)
        depth = None if self.depths is None else self.depths[k]
        return np.asarray(rows[:depth])

    def restore(self, k: int, rows: np.ndarray) -> np.ndarray:
        """Block k (n, n_k) from what was kept of it."""
        V = self.bases[self.labels[k]]
        if V is None:
            return rows
        leading = V.modes[:, : len(rows)]
        return np.asarray(leading @ rows)


@gate(blocks=each(COLUMNS), space=Space)
def merge_blocks(
    blocks: Sequence[np.ndarray],
    tol: float,
    space: Space,
    *,
    neighbours: int = 8,
    max_passes: int = 3,
    margin: float = 0.1,
) -> Merging:
    """Clusters with |M_c - V C_c| <= tol |M_c| that keep few numbers.

    blocks : A_k (n, n_k); tol : relative
    neighbours : candidates of each cluster, by mutual projection
    max_passes : of reassignment; margin : spectra are carried down to margin * tol
    The best saving is merged first, down to one cluster: merges that cost numbers too. The
    cheapest clusterings on the way are the starts from which blocks move wherever that keeps
    fewer numbers.
    Raises BadInput for a tol outside (0, 1), zero blocks, or blocks of another space.
    """
    hull, singles = single_blocks(blocks, tol, space, margin)
    starts, history = agglomerate(singles, neighbours)
    best: list[Cluster] = []
    for start in starts:
        clusters = _rebuild(start, singles)
        for _ in range(max_passes):
            moves = reassign(clusters, singles, neighbours)
            if moves == 0:
                break
        clusters = _rebuild(clusters, singles)
        if not best or stored_total(clusters) < stored_total(best):
            best = clusters
    return _build_merging(best, hull, singles, history)


@gate(blocks=each(COLUMNS), labels=integers, space=Space)
def blocks_of_labels(
    blocks: Sequence[np.ndarray],
    labels: np.ndarray,
    tol: float,
    space: Space,
    *,
    margin: float = 0.1,
    whole: bool = False,
) -> Merging:
    """The clusters of given labels (K,), stored as `merge_blocks` stores its own.

    So one sees how good a partition is that was made elsewhere.
    whole : all r_c rows of every block are kept, r_c (n + N_c) numbers, as is usual
    """
    hull, singles = single_blocks(blocks, tol, space, margin)
    singles = replace(singles, whole=whole)
    numbers = np.unique(np.asarray(labels), return_inverse=True)[1]
    if numbers.shape != (len(blocks),):
        raise BadInput(f"labels have shape {np.shape(labels)}; {len(blocks)} blocks need one each")
    clusters = []
    for c in range(int(numbers.max()) + 1):
        members = np.flatnonzero(numbers == c)
        clusters.append(build_cluster(tuple(members.tolist()), singles))
    return _build_merging(clusters, hull, singles, ())


def _rebuild(clusters: list[Cluster], singles: SingleBlocks) -> list[Cluster]:
    """The same clusters from their blocks, without the round-off of merges."""
    return [build_cluster(cluster.members, singles) for cluster in clusters]


def _build_merging(
    clusters: list[Cluster], hull: Basis, singles: SingleBlocks, history: History
) -> Merging:
    """The public answer: bases in the space, labels and depths of blocks."""
    labels = np.empty(len(singles.F), dtype=int)
    depths = np.array(singles.width)
    bases, ranks = [], []
    for c, cluster in enumerate(clusters):
        members = list(cluster.members)
        labels[members] = c
        if cluster.depths is not None:
            depths[members] = cluster.depths
        columns = int(singles.width[members].sum())
        bases.append(_basis(cluster, hull, singles.tol))
        ranks.append(cluster.rank or columns)
    return Merging(
        labels,
        tuple(bases),
        np.array(ranks),
        np.array([cluster.bound for cluster in clusters]),
        np.array([cluster.stored for cluster in clusters]),
        raw=int(singles.width.sum()) * singles.n,
        history=history,
        depths=depths,
    )


def _basis(cluster: Cluster, hull: Basis, tol: float) -> Basis | None:
    """V of a cluster in the space, or None where raw columns are kept."""
    r = cluster.rank
    if r == 0:
        return None
    rotation = cluster.F[:, :r] / cluster.s[:r]
    modes = hull.modes @ rotation
    return Basis(hull.space, modes, s=cluster.s, tol_asked=tol, error=cluster.bound)
