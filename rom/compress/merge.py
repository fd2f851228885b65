"""Which blocks of snapshots may share one basis: merging by the numbers that it saves, every merge with its certificate.

A block A_k (n, n_k) holds the snapshots of one run or time window; M_c = [A_k, k in c] is a cluster kept as V (n, r_c), the leading left
singular vectors of M_c, and the first d_k <= r_c rows of V^H X A_k of each of its blocks: weak blocks need few of them. What is cut is
known, |M_c - V C_c|^2 = sum_k sum_{j > d_k} |(V^H X A_k)_j|^2 + what no mode has, so that is a certificate. Numbers: sum_c n r_c + sum_k (n_k d_k + 1).
Reference: Concatenated Matrix SVD: Compression Bounds, Incremental Approximation, and Error-Constrained Clustering (2026).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg as la

from rom.basis import Basis
from rom.compress.hierarchical import hierarchical
from rom.errors import BadInput
from rom.space import Space


@dataclass(frozen=True, eq=False)
class Merging:
    """Clusters of blocks, each with one basis of its own rank and a certificate |M_c - V C_c|_X <= bounds[c] |M_c|_X.

    labels : (K,) cluster of each block; bases : V of each cluster, or None where its raw columns are the smaller choice
    ranks, bounds, stored : (C,) modes, certificates, numbers kept with all factors; raw : numbers of the blocks as they are
    history : ((cluster, cluster, numbers saved, certificate), ...) of every merge, in the order they were made; some may save less than
        nothing, where later ones pay for them
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
        return (
            A if V is None else V.coefficients(A)[: None if self.depths is None else self.depths[k]]
        )

    def restore(self, k: int, kept: np.ndarray) -> np.ndarray:
        """Block k (n, n_k) from what was kept of it."""
        V = self.bases[self.labels[k]]
        return kept if V is None else V.modes[:, : len(kept)] @ kept


@dataclass(frozen=True, eq=False)
class _Blocks:
    """Single blocks A_k A_k^H = F_k F_k^H + D_k, D_k >= 0, tr D_k = lost_k, in coordinates of a common hull, and what they cost."""

    F: tuple[np.ndarray, ...]
    energy: np.ndarray
    lost: np.ndarray
    width: np.ndarray
    n: int
    tol: float
    cut: float
    whole: bool = False


@dataclass(frozen=True, eq=False)
class _Cluster:
    """M M^H = F F^H + D, D >= 0, tr D = lost, F = V diag(s) (R, q); rank, depths (m,), bound and numbers as they are stored best."""

    members: tuple[int, ...]
    F: np.ndarray
    s: np.ndarray
    energy: float
    lost: float
    rank: int = 0
    depths: np.ndarray | None = None
    bound: float = 0.0
    stored: int = 0


def merge_blocks(
    blocks: Sequence[np.ndarray],
    tol: float,
    space: Space,
    neighbours: int = 8,
    passes: int = 3,
    margin: float = 0.1,
) -> Merging:
    """Clusters with |M_c - V C_c| <= tol |M_c| that keep few numbers: best saving first, down to one cluster, then reassignment.

    Every pair among `neighbours` by mutual projection is a candidate; merges that cost numbers are made too, and the cheapest clusterings
    on the way are the starts from which blocks move wherever that keeps fewer numbers, at most `passes` times.
    Spectra are carried down to margin * tol. Raises BadInput for a tol outside (0, 1), zero blocks, or blocks of another space.
    """
    V, given = _coordinates(blocks, tol, space, margin)
    starts, history = _agglomerated(given, neighbours)
    best: list[_Cluster] = []
    for start in starts:
        clusters = [_rebuilt(c.members, given) for c in start]
        for _ in range(passes):
            if _reassigned(clusters, given, neighbours) == 0:
                break
        clusters = [_rebuilt(c.members, given) for c in clusters]
        if not best or _total(clusters) < _total(best):
            best = clusters
    return _certified(best, V, given, history)


def blocks_of_labels(
    blocks: Sequence[np.ndarray],
    labels: np.ndarray,
    tol: float,
    space: Space,
    margin: float = 0.1,
    whole: bool = False,
) -> Merging:
    """The clusters of given labels, stored as well as `merged_blocks` stores its own: how good is a partition made elsewhere?

    whole : all r_c rows of every block are kept, r_c (n + N_c) numbers, as is usual
    """
    V, given = _coordinates(blocks, tol, space, margin)
    given = replace(given, whole=whole)
    names = np.unique(np.asarray(labels), return_inverse=True)[1]
    if names.shape != (len(blocks),):
        raise BadInput(f"labels have shape {np.shape(labels)}; {len(blocks)} blocks need one each")
    clusters = [
        _rebuilt(tuple(np.flatnonzero(names == c).tolist()), given)
        for c in range(int(names.max()) + 1)
    ]
    return _certified(clusters, V, given, ())


def _coordinates(
    blocks: Sequence[np.ndarray], tol: float, space: Space, margin: float
) -> tuple[Basis, _Blocks]:
    """A hull of all blocks, each of norm one, and the blocks in its coordinates."""
    energy = energies(blocks, tol, space)
    V = hierarchical(
        (A / np.sqrt(e) for A, e in zip(blocks, energy, strict=True)), space, 0.3 * margin * tol
    ).basis()
    parts, lost = [], []
    for A, e in zip(blocks, energy, strict=True):
        C = V.coefficients(A)
        W, s, _ = la.svd(C, full_matrices=False)
        q, tail = _carried(s, e, margin * tol)
        parts.append(W[:, :q] * s[:q])
        lost.append(max(float(e - np.sum(s**2)), 0.0) + tail)
    width = np.array([A.shape[1] for A in blocks])
    return V, _Blocks(tuple(parts), energy, np.array(lost), width, space.size, tol, margin * tol)


def _carried(s: np.ndarray, energy: float, tol: float) -> tuple[int, float]:
    tails = np.append(np.cumsum(s[::-1] ** 2)[::-1], 0.0)
    q = max(int(np.argmax(tails <= tol**2 * energy / 4)), 1)
    return q, float(tails[q])


def _rebuilt(members: tuple[int, ...], given: _Blocks) -> _Cluster:
    part = list(members)
    return _cluster(
        members,
        [given.F[k] for k in part],
        float(given.energy[part].sum()),
        float(given.lost[part].sum()),
        given,
    )


def _joined(a: _Cluster, b: _Cluster, given: _Blocks) -> _Cluster:
    return _cluster(
        (*a.members, *b.members), [a.F, b.F], a.energy + b.energy, a.lost + b.lost, given
    )


def _cluster(
    members: tuple[int, ...], parts: list[np.ndarray], energy: float, lost: float, given: _Blocks
) -> _Cluster:
    W, s, _ = la.svd(np.hstack(parts), full_matrices=False, check_finite=False)
    q, tail = _carried(s, energy, given.cut)
    raw = _Cluster(
        members,
        W[:, :q] * s[:q],
        s[:q],
        energy,
        lost + tail,
        stored=given.n * int(given.width[list(members)].sum()),
    )
    rows = np.abs(W[:, :q].conj().T @ np.hstack([given.F[k] for k in members])) ** 2
    first = np.cumsum([0, *(given.F[k].shape[1] for k in members[:-1])])
    return _stored(raw, np.add.reduceat(rows, first, axis=1), given)


def _stored(raw: _Cluster, rows: np.ndarray, given: _Blocks) -> _Cluster:
    """The cheapest rank and depths for energies `rows` (q, m) of modes in blocks: rows of least energy per number go first, last rows
    before others. The raw columns, where nothing is cheaper.

    What is kept of the energy is known from below, by the F_k, so that what is missing is bounded from above.
    """
    width, q = given.width[list(raw.members)], raw.s.size
    allowed, best = given.tol**2 * raw.energy, raw
    first = int(np.argmax(raw.lost + np.append(np.cumsum(raw.s[::-1] ** 2)[::-1], 0.0) <= allowed))
    order = (
        np.maximum.accumulate(rows[::-1], axis=0)[::-1] / width
    )  # so that a row never goes before those after it
    missing = max(raw.energy - float(rows.sum()), 0.0)
    for r in range(max(first, 1), min(first + 4, q) + 1):
        block, mode = np.divmod(
            np.lexsort((-np.tile(np.arange(r), len(width)), order[:r].T.ravel())), r
        )
        spent = missing + float(rows[r:].sum()) + np.cumsum(rows[mode, block])
        count = 0 if given.whole else int(np.searchsorted(spent, allowed, side="right"))
        depths = r - np.bincount(block[:count], minlength=len(width))
        numbers = given.n * r + int(depths @ width) + (0 if given.whole else len(width))
        bound = float(
            np.sqrt(
                max(spent[count - 1] if count else missing + float(rows[r:].sum()), 0.0)
                / raw.energy
            )
        )
        if bound <= given.tol and numbers < best.stored:
            best = replace(raw, rank=r, depths=depths, bound=bound, stored=numbers)
    return best


def _near(a: _Cluster, b: _Cluster) -> float:
    """Mutual projection energy of unit clusters: |V_a^H F_b|^2 / |F_b|^2 + |V_b^H F_a|^2 / |F_a|^2."""
    P = np.abs((a.F / a.s).conj().T @ (b.F / b.s)) ** 2
    return float(np.sum(P * b.s**2) / np.sum(b.s**2) + np.sum(P.T * a.s**2) / np.sum(a.s**2))


def _total(clusters: Sequence[_Cluster]) -> int:
    return sum(c.stored for c in clusters)


def _agglomerated(
    given: _Blocks, neighbours: int, starts: int = 2
) -> tuple[list[list[_Cluster]], tuple[tuple[int, int, int, float], ...]]:
    """Merge the pair that saves most numbers, or costs least, until one cluster is left; only pairs with a new cluster are looked at again.

    Returns the `starts` cheapest clusterings that no neighbour on the way undercuts, best first, and the merges up to the best.
    """
    alive, history = {k: _rebuilt((k,), given) for k in range(len(given.F))}, []
    near = {(i, j): _near(alive[i], alive[j]) for i in alive for j in alive if i < j}
    saving: dict[tuple[int, int], tuple[int, _Cluster]] = {}
    path = [(_total(list(alive.values())), 0, list(alive.values()))]

    def consider(i: int) -> None:
        pairs = sorted((p for p in near if i in p), key=near.__getitem__, reverse=True)[:neighbours]
        for i_, j in pairs:
            if (i_, j) not in saving:
                both = _joined(alive[i_], alive[j], given)
                saving[i_, j] = alive[i_].stored + alive[j].stored - both.stored, both

    for i in alive:
        consider(i)
    while saving:
        pair = max(saving, key=lambda p: (saving[p][0], near[p]))
        saved, both = saving[pair]
        i, j = pair
        history.append((i, j, saved, both.bound))
        touched = {k for p in saving if i in p or j in p for k in p} - {i, j}
        for table in (near, saving):
            for p in [p for p in table if i in p or j in p]:
                del table[p]  # type: ignore[attr-defined]
        del alive[j]
        alive[i] = both
        near.update({(min(i, k), max(i, k)): _near(both, alive[k]) for k in alive if k != i})
        for k in (i, *touched):
            consider(k)
        path.append((path[-1][0] - saved, len(history), list(alive.values())))
    cost = np.array([np.inf, *(one[0] for one in path), np.inf])
    dips = [
        one for k, one in enumerate(path) if cost[k + 1] < cost[k] and cost[k + 1] <= cost[k + 2]
    ]
    best = sorted(dips, key=lambda one: one[0])[:starts]
    return [clusters for _, _, clusters in best], tuple(history[: best[0][1]])


def _reassigned(clusters: list[_Cluster], given: _Blocks, neighbours: int) -> int:
    """Move single blocks to where the total is smallest, a cluster of their own included; the list is changed, the moves are counted."""
    moves = 0
    for k in range(len(given.F)):
        block = _rebuilt((k,), given)
        home = next(c for c in range(len(clusters)) if k in clusters[c].members)
        rest = None
        if len(clusters[home].members) > 1:
            rest = _rebuilt(tuple(i for i in clusters[home].members if i != k), given)
        gain = clusters[home].stored - (rest.stored if rest else 0)
        others = sorted(
            (c for c in range(len(clusters)) if c != home), key=lambda c: -_near(block, clusters[c])
        )[:neighbours]
        offers = [(c, _joined(clusters[c], block, given)) for c in others]
        costs = [made.stored - clusters[c].stored for c, made in offers]
        alone = block.stored if rest else gain
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


def _certified(
    clusters: list[_Cluster],
    V: Basis,
    given: _Blocks,
    history: tuple[tuple[int, int, int, float], ...],
) -> Merging:
    labels, depths, bases = np.empty(len(given.F), dtype=int), np.array(given.width), []
    for c, cluster in enumerate(clusters):
        labels[list(cluster.members)] = c
        r = cluster.rank
        modes = V.modes @ (cluster.F[:, :r] / cluster.s[:r]) if r else None
        if r and cluster.depths is not None:
            depths[list(cluster.members)] = cluster.depths
        bases.append(
            None
            if modes is None
            else Basis(V.space, modes, s=cluster.s, tol_asked=given.tol, error=cluster.bound)
        )
    ranks = np.array([c.rank or int(given.width[list(c.members)].sum()) for c in clusters])
    bounds, stored = np.array([c.bound for c in clusters]), np.array([c.stored for c in clusters])
    return Merging(
        labels,
        tuple(bases),
        ranks,
        bounds,
        stored,
        int(given.width.sum()) * given.n,
        history,
        depths,
    )


def energies(blocks: Sequence[np.ndarray], tol: float, space: Space) -> np.ndarray:
    """|A_k|_X^2, (K,); BadInput for a tol outside (0, 1), for no blocks, and naming one that is zero, NaN or of another space."""
    if not 0.0 < tol < 1.0 or len(blocks) == 0:
        raise BadInput(f"tol = {tol} must lie in (0, 1), and there must be at least one block")
    for k, A in enumerate(blocks):
        if np.ndim(A) != 2 or A.shape[0] != space.n or A.shape[1] == 0 or not np.isfinite(A).all():
            raise BadInput(
                f"block {k} has shape {np.shape(A)} or holds NaN; give finite columns of {space.n} rows"
            )
    energy = np.array([float(np.sum(np.square(space.norm(A)))) for A in blocks])
    if not (energy > 0).all():
        raise BadInput(f"block {int(np.argmin(energy))} is zero; leave it out")
    return energy
