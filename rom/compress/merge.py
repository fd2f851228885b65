"""Which blocks of snapshots may share one basis: certified bounds, the published greedy algorithms, and merging by what it saves.

A block A_k (n, n_k) holds the snapshots of one run or time window; M_c = [A_k, k in c] is a cluster kept as V (n, r_c) and
V^H X M_c (r_c, N_c). E_r(M)^2 = sum_{i > r} sigma_i(M)^2, e_r = E_r / |M|. Any L <= sum_{i <= r} sigma_i^2 gives e_r <= sqrt(1 - L / |M|^2).
Reference: Concatenated Matrix SVD: Compression Bounds, Incremental Approximation, and Error-Constrained Clustering (2026).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg as la

from rom.basis import Basis
from rom.compress.hierarchical import hierarchical
from rom.errors import BadInput
from rom.space import Space


@dataclass(frozen=True, eq=False)
class Merging:
    """Clusters of blocks, each with one basis of its own rank and a certificate |M_c - V V^H X M_c|_X <= bounds[c] |M_c|_X.

    labels : (K,) cluster of each block; bases : V of each cluster, or None where its raw columns are the smaller choice
    ranks, bounds, stored : (C,) modes, certificates, numbers kept with all factors; raw : numbers of the blocks as they are
    history : ((cluster, cluster, numbers saved, certificate), ...) of every merge, in the order they were made
    """

    labels: np.ndarray
    bases: tuple[Basis | None, ...]
    ranks: np.ndarray
    bounds: np.ndarray
    stored: np.ndarray
    raw: int
    history: tuple[tuple[int, int, int, float], ...] = ()

    @property
    def compression(self) -> float:
        """Numbers of the blocks over numbers kept."""
        return self.raw / float(self.stored.sum())


@dataclass(frozen=True, eq=False)
class _Cluster:
    """M M^H = F F^H + D, D >= 0, tr D = lost, in coordinates of a common hull: F = V diag(s) (R, q)."""

    members: tuple[int, ...]
    F: np.ndarray
    s: np.ndarray
    energy: float
    lost: float
    width: int

    def rank(self, tol: float) -> int:
        """Smallest r with sum_{i > r} s_i^2 + lost <= tol^2 energy; all of them where there is none."""
        tails = self.lost + np.append(np.cumsum(self.s[::-1] ** 2)[::-1], 0.0)
        enough = np.flatnonzero(tails <= tol**2 * self.energy)
        return int(enough[0]) if enough.size else self.s.size + 1

    def stored(self, n: int, tol: float) -> int:
        """min(r (n + N), n N)."""
        return int(min(self.rank(tol) * (n + self.width), n * self.width))


def merged_blocks(
    blocks: Sequence[np.ndarray], tol: float, space: Space, neighbours: int = 8, passes: int = 3, margin: float = 0.1
) -> Merging:
    """Clusters with |M_c - V V^H X M_c| <= tol |M_c| that keep few numbers: best saving first, each cluster its own rank, then reassignment.

    Every pair among `neighbours` by mutual projection is a candidate until none saves; no merge is refused for what another one did.
    Then blocks move wherever that keeps fewer numbers, at most `passes` times. Spectra are carried down to margin * tol.
    Raises BadInput for a tol outside (0, 1), zero blocks, or blocks of another space.
    """
    V, single = _coordinates(blocks, tol, space, margin)
    n = space.size
    clusters, history = _agglomerated(list(single), n, tol, neighbours, margin)
    for _ in range(passes):
        moved = _reassigned(clusters, single, n, tol, margin, neighbours)
        if moved == 0:
            break
    return _certified(clusters, V, n, tol, sum(A.shape[1] for A in blocks) * n, len(blocks), history)


def given_blocks(blocks: Sequence[np.ndarray], labels: np.ndarray, tol: float, space: Space, margin: float = 0.1) -> Merging:
    """The clusters of given labels with the smallest ranks that tol allows: how good is a partition made elsewhere?"""
    V, single = _coordinates(blocks, tol, space, margin)
    names = np.unique(np.asarray(labels), return_inverse=True)[1]
    if names.shape != (len(blocks),):
        raise BadInput(f"labels have shape {np.shape(labels)}; {len(blocks)} blocks need one each")
    clusters = [_rebuilt([single[k] for k in np.flatnonzero(names == c)], margin * tol) for c in range(int(names.max()) + 1)]
    return _certified(clusters, V, space.size, tol, sum(A.shape[1] for A in blocks) * space.size, len(blocks), ())


def _coordinates(blocks: Sequence[np.ndarray], tol: float, space: Space, margin: float) -> tuple[Basis, list[_Cluster]]:
    """A hull of all blocks, each of norm one, and the blocks in its coordinates."""
    energy = energies(blocks, tol, space)
    V = hierarchical((A / np.sqrt(e) for A, e in zip(blocks, energy, strict=True)), space, 0.3 * margin * tol).basis()
    return V, [_single(k, V.coefficients(A), e, margin * tol) for k, (A, e) in enumerate(zip(blocks, energy, strict=True))]


def _single(k: int, C: np.ndarray, energy: float, tol: float) -> _Cluster:
    W, s, _ = la.svd(C, full_matrices=False)
    return _cut((k,), W, s, energy, max(energy - float(np.sum(s**2)), 0.0), C.shape[1], tol)


def _joined(a: _Cluster, b: _Cluster, tol: float) -> _Cluster:
    W, s, _ = la.svd(np.hstack([a.F, b.F]), full_matrices=False, check_finite=False)
    return _cut((*a.members, *b.members), W, s, a.energy + b.energy, a.lost + b.lost, a.width + b.width, tol)


def _cut(members: tuple[int, ...], W: np.ndarray, s: np.ndarray, energy: float, lost: float, width: int, tol: float) -> _Cluster:
    tails = np.append(np.cumsum(s[::-1] ** 2)[::-1], 0.0)
    q = max(int(np.argmax(tails <= tol**2 * energy / 4)), 1)
    return _Cluster(members, W[:, :q] * s[:q], s[:q], energy, lost + float(tails[q]), width)


def _near(a: _Cluster, b: _Cluster) -> float:
    """Mutual projection energy of unit clusters: |V_a^H F_b|^2 / |F_b|^2 + |V_b^H F_a|^2 / |F_a|^2."""
    P = np.abs((a.F / a.s).T @ (b.F / b.s)) ** 2
    return float(np.sum(P * b.s**2) / np.sum(b.s**2) + np.sum(P.T * a.s**2) / np.sum(a.s**2))


def _agglomerated(
    clusters: list[_Cluster], n: int, tol: float, neighbours: int, margin: float
) -> tuple[list[_Cluster], tuple[tuple[int, int, int, float], ...]]:
    """Merge the pair that saves most numbers until none saves; only pairs with a new cluster are looked at again."""
    alive, history = dict(enumerate(clusters)), []
    near = {(i, j): _near(alive[i], alive[j]) for i in alive for j in alive if i < j}
    saving: dict[tuple[int, int], tuple[int, _Cluster]] = {}

    def consider(i: int) -> None:
        pairs = sorted((p for p in near if i in p), key=near.__getitem__, reverse=True)[:neighbours]
        for i_, j in pairs:
            if (i_, j) not in saving:
                both = _joined(alive[i_], alive[j], margin * tol)
                saving[i_, j] = alive[i_].stored(n, tol) + alive[j].stored(n, tol) - both.stored(n, tol), both

    for i in alive:
        consider(i)
    while saving:
        pair = max(saving, key=lambda p: (saving[p][0], p))
        saved, both = saving[pair]
        if saved <= 0:
            break
        i, j = pair
        history.append((i, j, saved, _bound(both, tol)))
        touched = {k for p in saving if i in p or j in p for k in p} - {i, j}
        for table in (near, saving):
            for p in [p for p in table if i in p or j in p]:
                del table[p]  # type: ignore[attr-defined]
        del alive[j]
        alive[i] = both
        near.update({(min(i, k), max(i, k)): _near(both, alive[k]) for k in alive if k != i})
        for k in (i, *touched):
            consider(k)
    return list(alive.values()), tuple(history)


def _reassigned(clusters: list[_Cluster], single: list[_Cluster], n: int, tol: float, margin: float, neighbours: int) -> int:
    """Move single blocks to where the total is smallest, a cluster of their own included; the list is changed, the moves are counted."""
    moves = 0
    for k, block in enumerate(single):
        home = next(c for c in range(len(clusters)) if k in clusters[c].members)
        if len(clusters[home].members) == 1:
            rest, gain = None, clusters[home].stored(n, tol)
        else:
            rest = _rebuilt([single[i] for i in clusters[home].members if i != k], margin * tol)
            gain = clusters[home].stored(n, tol) - rest.stored(n, tol)
        others = sorted((c for c in range(len(clusters)) if c != home), key=lambda c: -_near(block, clusters[c]))[:neighbours]
        offers = [(c, _joined(clusters[c], block, margin * tol)) for c in others]
        costs = [made.stored(n, tol) - clusters[c].stored(n, tol) for c, made in offers]
        alone = block.stored(n, tol) if rest is not None else gain
        if costs and min(costs) < min(gain, alone):
            c, made = offers[int(np.argmin(costs))]
            clusters[c] = made
        elif alone < gain:
            clusters.append(block)
        else:
            continue
        moves += 1
        if rest is None:
            del clusters[home]
        else:
            clusters[home] = rest
    return moves


def _rebuilt(parts: list[_Cluster], tol: float) -> _Cluster:
    W, s, _ = la.svd(np.hstack([p.F for p in parts]), full_matrices=False, check_finite=False)
    members = tuple(m for p in parts for m in p.members)
    return _cut(members, W, s, sum(p.energy for p in parts), sum(p.lost for p in parts), sum(p.width for p in parts), tol)


def _bound(cluster: _Cluster, tol: float) -> float:
    r = cluster.rank(tol)
    return float(np.sqrt((np.sum(cluster.s[r:] ** 2) + cluster.lost) / cluster.energy)) if r <= cluster.s.size else 0.0


def _certified(
    clusters: list[_Cluster], V: Basis, n: int, tol: float, raw: int, K: int, history: tuple[tuple[int, int, int, float], ...]
) -> Merging:
    labels, bases = np.empty(K, dtype=int), []
    for c, cluster in enumerate(clusters):
        labels[list(cluster.members)] = c
        r = cluster.rank(tol)
        useful = r * (n + cluster.width) < n * cluster.width and r <= cluster.s.size
        modes = V.modes @ (cluster.F[:, :r] / cluster.s[:r]) if useful else None
        bases.append(None if modes is None else Basis(V.space, modes, s=cluster.s, tol_asked=tol, error=_bound(cluster, tol)))
    ranks = np.array([b.r if b is not None else c.width for b, c in zip(bases, clusters, strict=True)])
    bounds = np.array([b.error if b is not None else 0.0 for b in bases])
    stored = np.array([c.stored(n, tol) for c in clusters])
    return Merging(labels, tuple(bases), ranks, bounds, stored, raw, history)


def energies(blocks: Sequence[np.ndarray], tol: float, space: Space) -> np.ndarray:
    """|A_k|_X^2, (K,); BadInput for a tol outside (0, 1), for no blocks, and naming one that is zero, NaN or of another space."""
    if not 0.0 < tol < 1.0 or len(blocks) == 0:
        raise BadInput(f"tol = {tol} must lie in (0, 1), and there must be at least one block")
    for k, A in enumerate(blocks):
        if np.ndim(A) != 2 or A.shape[0] != space.n or A.shape[1] == 0 or not np.isfinite(A).all():
            raise BadInput(f"block {k} has shape {np.shape(A)} or holds NaN; give finite columns of {space.n} rows")
    energy = np.array([float(np.sum(np.square(space.norm(A)))) for A in blocks])
    if not (energy > 0).all():
        raise BadInput(f"block {int(np.argmin(energy))} is zero; leave it out")
    return energy
