"""Hierarchical matrices: far blocks of low rank, near blocks dense.

    A[s, t] ~ U V  where  min(diam s, diam t) <= ratio dist(s, t),  |A[s, t] - U V| <= tol |A[s, t]|

s and t are clusters of a binary tree over points, halved at the median of their longest side, so
that all clusters of a level have the same size to within one. U and V come from adaptive cross
approximation with partial pivoting, which reads some rows and columns of a block; all blocks of a
level advance together, so that one call of the kernel serves hundreds of blocks. Where a block
seems done, rows drawn at random are compared: a cross whose pivots missed a part of the block goes
on there. Singular values below the tolerance are then dropped.

Reference: Bebendorf (2000); Hackbusch (2015).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.errors import BadInput, NotConverged

Entries = Callable[[np.ndarray, np.ndarray], np.ndarray]  # rows, columns -> A, broadcast

LEAF = 48  # points in a cluster that is not halved, at most
RATIO = 2.0
BATCH = 32_000  # entries of rows and columns that are asked at a time
CHECKS = 3  # rows drawn at random where a block seems done
ZERO = 1e-14  # of a block: a row this small has no pivot
MAX_RANK = 400


@dataclass(frozen=True, eq=False)
class Clusters:
    """A binary tree over points (n, 3).

    order : (n,) points cluster by cluster; bounds : per level (2^l + 1,) where clusters begin
    low, high : per level (2^l, 3) their boxes
    """

    order: np.ndarray
    bounds: tuple[np.ndarray, ...]
    low: tuple[np.ndarray, ...]
    high: tuple[np.ndarray, ...]


def clusters(points: np.ndarray, leaf: int = LEAF) -> Clusters:
    """Halve at the median of the longest side until at most `leaf` points remain."""
    n = len(points)
    order, bounds = np.arange(n), [np.array([0, n])]
    while np.diff(bounds[-1]).max() > leaf:
        parts = [order[a:b] for a, b in zip(bounds[-1][:-1], bounds[-1][1:], strict=True)]
        sizes = []
        for number, part in enumerate(parts):
            axis = np.argmax(np.ptp(points[part], axis=0))
            half = len(part) // 2
            parts[number] = part[np.argsort(points[part, axis], kind="stable")]
            sizes.extend([half, len(part) - half])
        order = np.concatenate(parts)
        bounds.append(np.concatenate([[0], np.cumsum(sizes)]))
    ordered = points[order]
    low = tuple(np.minimum.reduceat(ordered, b[:-1]) for b in bounds)
    high = tuple(np.maximum.reduceat(ordered, b[:-1]) for b in bounds)
    return Clusters(order, tuple(bounds), low, high)


def partition(
    rows: Clusters, columns: Clusters, ratio: float = RATIO, apart: float = 0.0
) -> tuple[list[np.ndarray], np.ndarray]:
    """Far pairs of clusters (b, 2) of each level, and near pairs of the last.

    apart : distance that far clusters keep at least. Both trees have as many levels.
    """
    far, pairs = [], np.zeros((1, 2), dtype=np.int64)
    last = len(rows.bounds) - 1
    for level in range(last + 1):
        s, t = pairs.T
        gap = np.maximum(
            0.0,
            np.maximum(
                rows.low[level][s] - columns.high[level][t],
                columns.low[level][t] - rows.high[level][s],
            ),
        )
        distance = np.linalg.norm(gap, axis=1)
        size = np.minimum(_diameters(rows, level)[s], _diameters(columns, level)[t])
        is_far = (size <= ratio * distance) & (distance > apart)
        far.append(pairs[is_far])
        pairs = pairs[~is_far]
        if level < last:
            halves = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
            pairs = (2 * pairs[:, None] + halves).reshape(-1, 2)
    return far, pairs


def _diameters(tree: Clusters, level: int) -> np.ndarray:
    return np.asarray(np.linalg.norm(tree.high[level] - tree.low[level], axis=1))


@dataclass(frozen=True, eq=False)
class _Level:
    """Far blocks of one level: y[s] += U_s z[where_s], z[bounds_t] = V_t x[t].

    left : (slice of s, U_s (m, k), where_s (k,)); right : (slice of t, V_t (k, n), slice of z)
    """

    left: list[tuple[slice, np.ndarray, np.ndarray]]
    right: list[tuple[slice, np.ndarray, slice]]
    size: int


@dataclass(frozen=True, eq=False)
class HMatrix:
    """A (n, c) known by its products, to a relative `tolerance` in the Frobenius norm.

    apply (c, k) -> (n, k), apply_adjoint (n, k) -> (c, k); `close` frees its memory
    diagonal : dense blocks of clusters with themselves, (rows, block), of a square matrix
    """

    shape: tuple[int, int]
    tolerance: float
    dtype: Any
    rows: Clusters
    columns: Clusters
    levels: list[_Level]
    near: list[tuple[slice, np.ndarray, np.ndarray]]

    @property
    def nbytes(self) -> int:
        """Bytes of its blocks."""
        far = sum(block[1].nbytes for level in self.levels for block in (*level.left, *level.right))
        return far + sum(block.nbytes for _, block, _ in self.near)

    def apply(self, U: np.ndarray) -> np.ndarray:
        """A U for U (c,) or (c, k)."""
        x, y = self._columns(U, self.columns, self.shape[1]), self._zeros(U, self.shape[0])
        for level in self.levels:
            z = np.empty((level.size, x.shape[1]), x.dtype)
            for part, V, place in level.right:
                np.matmul(V, x[part], out=z[place])
            for part, block, where in level.left:
                y[part] += block @ z[where]
        for part, block, where in self.near:
            y[part] += block @ x[where]
        return self._back(y, self.rows, U)

    def apply_adjoint(self, U: np.ndarray) -> np.ndarray:
        """A^H U for U (n,) or (n, k)."""
        x = self._columns(U, self.rows, self.shape[0]).conj().T.copy()
        y = self._zeros(U, self.shape[1])
        for level in self.levels:
            z = np.empty((level.size, len(x)), x.dtype)
            for part, block, where in level.left:
                z[where] = (x[:, part] @ block).T
            for part, V, place in level.right:
                y[part] += (z[place].T @ V).T
        for part, block, where in self.near:
            y[where] += (x[:, part] @ block).T
        return self._back(y.conj(), self.columns, U)

    def close(self) -> None:
        """Free the blocks."""
        self.levels.clear()
        self.near.clear()

    def diagonal_blocks(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """(points, A[points, points]) of each leaf of a square matrix over one tree."""
        blocks = []
        for part, block, where in self.near:
            own = np.flatnonzero((where >= part.start) & (where < part.stop))
            blocks.append((self.rows.order[part], block[:, own]))
        return blocks

    def _columns(self, U: np.ndarray, tree: Clusters, rows: int) -> np.ndarray:
        if not self.near:
            raise BadInput("this matrix was closed; set it up again")
        if U.ndim not in (1, 2) or U.shape[0] != rows:
            raise BadInput(f"the argument has shape {U.shape}; give ({rows}, k)")
        return U.reshape(rows, -1)[tree.order].astype(self.dtype)

    def _zeros(self, U: np.ndarray, rows: int) -> np.ndarray:
        return np.zeros((rows, 1 if U.ndim == 1 else U.shape[1]), self.dtype)

    def _back(self, y: np.ndarray, tree: Clusters, U: np.ndarray) -> np.ndarray:
        result = np.empty((len(y), y.shape[1]), dtype=complex)
        result[tree.order] = y
        return result[:, 0] if U.ndim == 1 else result


def hmatrix(
    points: np.ndarray,
    entries: Entries,
    *,
    tol: float = 1e-4,
    columns: np.ndarray | None = None,
    single: bool = False,
    apart: float = 0.0,
    rng: int = 0,
) -> HMatrix:
    """The hierarchical matrix of entries(i, j), i of `points` (n, 3), j of `columns` (c, 3).

    entries : integer arrays that are broadcast -> complex
    columns : the points themselves by default; single : blocks are kept in complex64
    apart : distance from which the kernel is smooth at most: nearer clusters are dense
    Raises BadInput for a tolerance that complex64 does not hold, NotConverged where a block needs
    a rank beyond 400.
    """
    if not 0 < tol < 1 or (single and tol < 1e-6):
        raise BadInput(f"tol = {tol:g} must lie in (0, 1), and from 1e-6 on in complex64")
    dtype = np.complex64 if single else np.complex128
    rows = clusters(points)
    other = rows if columns is None else clusters(columns, -(-len(columns) // _leaves(rows)))
    far, near = partition(rows, other, apart=apart)
    generator = np.random.default_rng(rng)
    levels = []
    for level, pairs in enumerate(far):
        if len(pairs):
            blocks = _far_blocks(rows, other, level, pairs, entries, tol, generator)
            levels.append(_stack(rows, other, level, pairs, blocks, dtype))
    shape = (len(points), len(points) if columns is None else len(columns))
    dense = _near_blocks(rows, other, near, entries, dtype)
    return HMatrix(shape, tol, dtype, rows, other, levels, dense)


def _leaves(tree: Clusters) -> int:
    return len(tree.bounds[-1]) - 1


def _near_blocks(
    rows: Clusters, columns: Clusters, pairs: np.ndarray, entries: Entries, dtype: Any
) -> list[tuple[slice, np.ndarray, np.ndarray]]:
    """Per leaf s: its rows, the dense block, and its columns in the order of the tree."""
    blocks = []
    for s in range(_leaves(rows)):
        part = slice(rows.bounds[-1][s], rows.bounds[-1][s + 1])
        mine = pairs[pairs[:, 0] == s, 1]
        ends = [np.arange(columns.bounds[-1][t], columns.bounds[-1][t + 1]) for t in mine]
        where = np.concatenate(ends) if ends else np.zeros(0, dtype=np.int64)
        i, j = rows.order[part][:, None], columns.order[where]
        blocks.append((part, entries(i, j).astype(dtype), where))
    return blocks


def _far_blocks(
    rows: Clusters,
    columns: Clusters,
    level: int,
    pairs: np.ndarray,
    entries: Entries,
    tol: float,
    rng: np.random.Generator,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """U (m, k), V (k, n) of each pair."""
    own, m = _padded(rows, level)
    other, n = _padded(columns, level)
    count = max(1, BATCH // (own.shape[1] + other.shape[1]))
    blocks = []
    for first in range(0, len(pairs), count):
        s, t = pairs[first : first + count].T
        cross = _Crosses(entries, own[s], other[t], tol, rng)
        U, V, rank = cross.run()
        U, V, rank = _recompress(U, V, rank, tol)
        for b in range(len(s)):
            r = rank[b]
            blocks.append((U[b, : m[s[b]], :r].copy(), V[b, :r, : n[t[b]]].copy()))
    return blocks


def _padded(tree: Clusters, level: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of the clusters of a level, the last one repeated where they are fewer."""
    start, sizes = tree.bounds[level][:-1], np.diff(tree.bounds[level])
    within = np.minimum(np.arange(sizes.max()), sizes[:, None] - 1)
    return tree.order[start[:, None] + within], sizes


class _Crosses:
    """Adaptive cross approximation of many blocks at once."""

    def __init__(
        self,
        entries: Entries,
        rows: np.ndarray,
        columns: np.ndarray,
        tol: float,
        rng: np.random.Generator,
    ) -> None:
        count, m = rows.shape
        self.entries, self.rows, self.columns, self.tol, self.rng = entries, rows, columns, tol, rng
        self.U = np.zeros((count, m, 16), dtype=complex)
        self.V = np.zeros((count, 16, columns.shape[1]), dtype=complex)
        self.square = np.zeros(count)  # |U V|^2
        self.rank = np.zeros(count, dtype=np.int64)
        self.pivot = np.asarray(rng.integers(m, size=count))
        self.free = np.ones((count, m), dtype=bool)

    def run(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """U (B, m, K), V (B, K, n) and ranks (B,). Raises NotConverged."""
        active = np.arange(len(self.rows))
        step = 0
        while len(active):
            if step >= min(MAX_RANK, self.rows.shape[1]):
                if step >= MAX_RANK:
                    raise NotConverged(
                        f"a far block needs a rank beyond {MAX_RANK}; give smaller clusters or "
                        "a larger tolerance"
                    )
                break  # every row was read: the cross is the block
            if step == self.U.shape[2]:
                self.U = np.concatenate([self.U, np.zeros_like(self.U)], axis=2)
                self.V = np.concatenate([self.V, np.zeros_like(self.V)], axis=1)
            small = self._advance(active, step)
            step += 1
            done = active[small]
            wrong = done[self._fails(done, step)] if len(done) else done
            active = np.concatenate([active[~small], wrong])
        return self.U[:, :, :step], self.V[:, :step], self.rank

    def _advance(self, b: np.ndarray, step: int) -> np.ndarray:
        """One more row and column of blocks b; which of them seem done."""
        every = np.arange(len(b))
        i = self.pivot[b]
        U, V = self.U[b, :, :step], self.V[b, :step]
        self.free[b, i] = False
        row = self.entries(self.rows[b, i][:, None], self.columns[b])
        size = np.abs(row).max(axis=1)
        row = row - (U[every, i][:, None] @ V)[:, 0]
        j = np.argmax(np.abs(row), axis=1)
        delta = row[every, j]
        empty = np.abs(delta) <= ZERO * np.maximum(size, np.sqrt(self.square[b] / row.shape[1]))
        v = np.where(empty[:, None], 0.0, row / np.where(empty, 1.0, delta)[:, None])
        u = (
            self.entries(self.rows[b], self.columns[b, j][:, None])
            - (U @ V[every, :, j, None])[:, :, 0]
        )
        u[empty] = 0.0
        self.U[b, :, step], self.V[b, step] = u, v
        self.rank[b] = step + 1
        own = np.linalg.norm(u, axis=1) * np.linalg.norm(v, axis=1)
        mixed = np.einsum("bms,bm->bs", U.conj(), u) * np.einsum("bsn,bn->bs", V.conj(), v)
        self.square[b] = np.maximum(self.square[b] + 2 * mixed.sum(axis=1).real + own**2, 0.0)
        self.pivot[b] = np.argmax(np.where(self.free[b], np.abs(u), -1.0), axis=1)
        return np.asarray(own <= self.tol * np.sqrt(self.square[b]))

    def _fails(self, b: np.ndarray, step: int) -> np.ndarray:
        """Which of blocks b miss rows drawn from those not read; the worst is the next pivot."""
        every = np.arange(len(b))
        m = self.rows.shape[1]
        draw = np.where(self.free[b], self.rng.random((len(b), m)), 2.0)
        i = np.argsort(draw, axis=1)[:, :CHECKS]
        near = self.U[b[:, None], i, :step] @ self.V[b, :step]
        exact = self.entries(self.rows[b[:, None], i][:, :, None], self.columns[b][:, None])
        miss = np.linalg.norm(exact - near, axis=2)
        worst = np.argmax(miss, axis=1)
        share = np.sqrt(self.free[b].sum(axis=1) / CHECKS)
        size = np.maximum(
            np.sqrt(self.square[b]), np.sqrt(m / CHECKS) * np.linalg.norm(exact, axis=(1, 2))
        )
        fails = share * np.linalg.norm(miss, axis=1) > self.tol * size
        fails &= self.free[b, i[every, worst]]
        self.pivot[b[fails]] = i[every, worst][fails]
        return np.asarray(fails)


def _recompress(
    U: np.ndarray, V: np.ndarray, rank: np.ndarray, tol: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same blocks by their singular values beyond tol, and ranks (B,)."""
    short = min(U.shape[1], V.shape[2])
    Q, R = np.linalg.qr(U)
    P, S = np.linalg.qr(V.conj().swapaxes(1, 2))
    left, values, right = np.linalg.svd(R @ S.conj().swapaxes(1, 2), full_matrices=False)
    tail = np.sqrt(np.cumsum(values[:, ::-1] ** 2, axis=1))[:, ::-1]
    kept = np.sum(tail > tol * tail[:, :1], axis=1)
    most = min(int(kept.max(initial=0)), short)
    left = Q @ (left[:, :, :most] * values[:, None, :most])
    return left, right[:, :most] @ P.conj().swapaxes(1, 2), np.minimum(kept, rank)


def _stack(
    rows: Clusters,
    columns: Clusters,
    level: int,
    pairs: np.ndarray,
    blocks: list[tuple[np.ndarray, np.ndarray]],
    dtype: Any,
) -> _Level:
    """Blocks gathered by clusters: one product for all blocks of a row or a column."""
    ranks = np.array([len(V) for _, V in blocks])
    order = np.argsort(pairs[:, 1], kind="stable")
    start = np.empty(len(pairs), dtype=np.int64)
    start[order] = np.concatenate([[0], np.cumsum(ranks[order])[:-1]])
    right = []
    for t, members in _members(pairs[:, 1]):
        V = np.concatenate([blocks[b][1] for b in members]).astype(dtype)
        first = start[members[0]]
        right.append((_part(columns, level, t), V, slice(first, first + len(V))))
    left = []
    for s, members in _members(pairs[:, 0]):
        U = np.concatenate([blocks[b][0] for b in members], axis=1).astype(dtype)
        where = np.concatenate([np.arange(start[b], start[b] + ranks[b]) for b in members])
        left.append((_part(rows, level, s), U, where))
    return _Level(left, right, int(ranks.sum()))


def _members(numbers: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each number and where it stands, in rising order."""
    order = np.argsort(numbers, kind="stable")
    values, first = np.unique(numbers[order], return_index=True)
    for value, part in zip(values, np.split(order, first[1:]), strict=True):
        yield int(value), part


def _part(tree: Clusters, level: int, number: int) -> slice:
    return slice(int(tree.bounds[level][number]), int(tree.bounds[level][number + 1]))
