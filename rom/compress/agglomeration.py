"""Clusterings of blocks: pairs merge down to one cluster, then blocks move."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rom.compress.clusters import (
    Cluster,
    SingleBlocks,
    build_cluster,
    join,
    nearness,
    stored_total,
)

Pair = tuple[int, int]
History = tuple[tuple[int, int, int, float], ...]  # clusters i, j, numbers saved, certificate
STARTS = 2  # clusterings from which blocks move


class _Clustering(NamedTuple):
    """A clustering on the way: its numbers, how many merges led to it, its clusters."""

    stored: int
    merges: int
    clusters: list[Cluster]


def agglomerate(singles: SingleBlocks, neighbours: int) -> tuple[list[list[Cluster]], History]:
    """Merges of the pair that saves most numbers, until one cluster is left.

    Where no pair saves numbers, the one that costs least is merged.
    Returns the cheapest clusterings that no neighbour on the way undercuts, best first, and the
    merges up to the best. Only pairs with a new cluster are looked at again.
    """
    search = _Agglomeration(singles, neighbours)
    path = [search.clustering()]
    while search.savings:
        search.merge_best()
        path.append(search.clustering())
    best = _cheapest(path)
    merges = search.history[: best[0].merges]
    return [clustering.clusters for clustering in best], tuple(merges)


def _cheapest(path: list[_Clustering]) -> list[_Clustering]:
    """The cheapest of the clusterings that no neighbour on the path undercuts."""
    costs = [np.inf, *(clustering.stored for clustering in path), np.inf]
    dips = []
    for k, clustering in enumerate(path):
        before, cost, after = costs[k : k + 3]
        if cost < before and cost <= after:
            dips.append(clustering)
    dips.sort(key=lambda clustering: clustering.stored)
    return dips[:STARTS]


class _Agglomeration:
    """Clusters that are alive, how near they are, and what merging each pair saves."""

    def __init__(self, singles: SingleBlocks, neighbours: int):
        self.singles = singles
        self.neighbours = neighbours
        self.history: list[tuple[int, int, int, float]] = []
        self.alive: dict[int, Cluster] = {}
        self.savings: dict[Pair, tuple[int, Cluster]] = {}
        for k in range(len(singles.F)):
            self.alive[k] = build_cluster((k,), singles)
        self.near = np.full((len(self.alive), len(self.alive)), -np.inf)
        for i in self.alive:
            self._measure(i, list(range(i)))
        self.stored = stored_total(self.alive.values())
        for k in self.alive:
            self._consider(k)

    def clustering(self) -> _Clustering:
        """The clusters now."""
        return _Clustering(self.stored, len(self.history), list(self.alive.values()))

    def merge_best(self) -> None:
        """Merges the pair that saves most; of equal ones the nearest."""
        pair = max(self.savings, key=self._merit)
        saved, both = self.savings[pair]
        i, j = pair
        self.history.append((i, j, saved, both.bound))
        touched = self._partners(i, j)
        self._forget(i, j)
        del self.alive[j]
        self.alive[i] = both
        self._measure(i, [k for k in self.alive if k != i])
        self.stored -= saved
        for k in (i, *touched):
            self._consider(k)

    def _measure(self, i: int, others: list[int]) -> None:
        """How near cluster i is to others."""
        near = nearness(self.alive[i], [self.alive[k] for k in others])
        self.near[i, others] = near
        self.near[others, i] = near

    def _merit(self, pair: Pair) -> tuple[int, float]:
        """What merging saves, then how near the two are."""
        saved, _ = self.savings[pair]
        return saved, float(self.near[pair])

    def _partners(self, i: int, j: int) -> set[int]:
        """Clusters of which a merge with i or j was considered."""
        partners: set[int] = set()
        for pair in self.savings:
            if i in pair or j in pair:
                partners.update(pair)
        return partners - {i, j}

    def _forget(self, i: int, j: int) -> None:
        """Drops all pairs with i or j."""
        self.near[[i, j]] = -np.inf
        self.near[:, [i, j]] = -np.inf
        for pair in list(self.savings):
            if i in pair or j in pair:
                del self.savings[pair]

    def _consider(self, k: int) -> None:
        """Looks at merges of k with its nearest neighbours."""
        row = self.near[k]
        order = np.argsort(-row, kind="stable")[: self.neighbours]
        for other in order[row[order] > -np.inf].tolist():
            i, j = min(k, other), max(k, other)
            if (i, j) not in self.savings:
                first, second = self.alive[i], self.alive[j]
                both = join(first, second, self.singles)
                saved = first.stored + second.stored - both.stored
                self.savings[i, j] = (saved, both)


def reassign(clusters: list[Cluster], singles: SingleBlocks, neighbours: int) -> int:
    """Moves single blocks to where the total is smallest; the number of moves.

    The list is changed in place. A cluster of its own is a place too.
    """
    moves = 0
    for k in range(len(singles.F)):
        moves += _move(k, clusters, singles, neighbours)
    return moves


def _move(k: int, clusters: list[Cluster], singles: SingleBlocks, neighbours: int) -> bool:
    """Whether block k is better off elsewhere; then it is moved."""
    block = build_cluster((k,), singles)
    home = next(c for c, cluster in enumerate(clusters) if k in cluster.members)
    rest = _without(clusters[home], k, singles)
    gain = clusters[home].stored
    alone = gain
    if rest is not None:
        gain -= rest.stored
        alone = block.stored
    place, cost, joined = _best_offer(block, home, clusters, singles, neighbours)
    if joined is not None and cost < min(gain, alone):
        clusters[place] = joined
    elif alone < gain:
        clusters.append(block)
    else:
        return False
    if rest is None:
        del clusters[home]
    else:
        clusters[home] = rest
    return True


def _without(cluster: Cluster, k: int, singles: SingleBlocks) -> Cluster | None:
    """The cluster without block k, or None where nothing is left."""
    others = tuple(member for member in cluster.members if member != k)
    return build_cluster(others, singles) if others else None


def _best_offer(
    block: Cluster,
    home: int,
    clusters: list[Cluster],
    singles: SingleBlocks,
    neighbours: int,
) -> tuple[int, float, Cluster | None]:
    """The near cluster where the block costs least: its place, the cost, both joined."""
    places = [c for c in range(len(clusters)) if c != home]
    near = nearness(block, [clusters[c] for c in places])
    order = np.argsort(-near, kind="stable")[:neighbours]
    best: tuple[int, float, Cluster | None] = (home, np.inf, None)
    for place in order.tolist():
        c = places[place]
        both = join(clusters[c], block, singles)
        cost = both.stored - clusters[c].stored
        if cost < best[1]:
            best = (c, cost, both)
    return best
