"""Clusters of blocks in a common hull, and the cheapest way to store each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg as la

from rom.basis import Basis, spectral_tail
from rom.compress.hierarchy import hierarchical
from rom.errors import BadInput
from rom.space import Space

HULL_SHARE = 0.3  # of margin * tol: the error of the hull
SUM_ROUND_OFF = 4 * float(np.finfo(float).eps)
FEEBLE = 1e-260  # of a squared norm: smaller ones lose their digits
MORE_RANKS = 4  # that are tried beyond the smallest that the tolerance allows


@dataclass(frozen=True, eq=False)
class SingleBlocks:
    """Blocks A_k A_k^H = F_k F_k^H + D_k, D_k >= 0, tr D_k = lost_k, and their costs.

    F : (R, q_k) each, in coordinates of the hull; energy, lost, width : (K,)
    n : numbers of one column; tol : of clusters, cut : of spectra, both relative
    whole : all rows of every block are kept
    round_off : of a cluster's error, relative to the cluster
    """

    F: tuple[np.ndarray, ...]
    energy: np.ndarray
    lost: np.ndarray
    width: np.ndarray
    n: int
    tol: float
    cut: float
    whole: bool = False
    round_off: float = 0.0


@dataclass(frozen=True, eq=False)
class Cluster:
    """M M^H = F F^H + D, D >= 0, tr D = lost, F = V diag(s) (R, q).

    rank, depths (m,), bound and numbers `stored` as the cluster is stored best; rank 0: raw
    """

    members: tuple[int, ...]
    F: np.ndarray
    s: np.ndarray
    energy: float
    lost: float
    rank: int = 0
    depths: np.ndarray | None = None
    bound: float = 0.0
    stored: int = 0


def energies(blocks: Sequence[np.ndarray], tol: float, space: Space) -> np.ndarray:
    """|A_k|_X^2 of blocks, (K,).

    Raises BadInput for a tol outside (0, 1), and naming a block that is zero or of another space.
    """
    if not 0.0 < tol < 1.0:
        raise BadInput(f"tol = {tol} must lie in (0, 1)")
    check_rows(blocks, space)
    energy = np.array([block_energy(A, space) for A in blocks])
    if not (energy > 0).all():
        raise BadInput(f"block {int(np.argmin(energy))} is zero; leave it out")
    if not (energy.min() > FEEBLE and energy.max() < 1 / FEEBLE):
        raise BadInput(
            f"squared norms of blocks reach from {energy.min():.1e} to {energy.max():.1e}; "
            "give them in another unit"
        )
    return energy


def check_rows(blocks: Sequence[np.ndarray], space: Space) -> None:
    """BadInput naming a block of another space."""
    for k, A in enumerate(blocks):
        if A.shape[0] != space.n:
            raise BadInput(f"block {k} has shape {A.shape}; give columns of {space.n} rows")


def block_energy(A: np.ndarray, space: Space) -> float:
    """|A|_X^2."""
    squares = np.square(space.norm(A))
    return float(np.sum(squares))


def single_blocks(
    blocks: Sequence[np.ndarray], tol: float, space: Space, margin: float
) -> tuple[Basis, SingleBlocks]:
    """A hull of all blocks, each of norm one, and the blocks in its coordinates."""
    energy = energies(blocks, tol, space)
    cut = margin * tol
    hull = hierarchical(_scale(blocks, energy), space, HULL_SHARE * margin * tol).basis()
    factors, lost = [], []
    for A, size in zip(blocks, energy, strict=True):
        C = hull.coefficients(A)
        W, s, _ = la.svd(C, full_matrices=False)
        q, tail = _cut_spectrum(s, size, cut)
        outside = block_energy(A - hull.modes @ C, space)
        factors.append(W[:, :q] * s[:q])
        lost.append(outside + tail)
    width = np.array([A.shape[1] for A in blocks])
    round_off = _round_off(hull)
    if tol < 2 * round_off:
        raise BadInput(f"tol = {tol:g} is below the round-off of these blocks, {round_off:.1e}")
    singles = SingleBlocks(
        tuple(factors),
        energy,
        np.array(lost),
        width,
        space.size,
        tol,
        cut,
        round_off=round_off,
    )
    return hull, singles


def _round_off(hull: Basis) -> float:
    """What round-off leaves of V V^H X A beside |A|_X, of V and of its products.

    A product V^H X A is summed over numbers that cancel by the condition of X.
    """
    space = hull.space
    gram = space.gram(hull.modes) - np.eye(hull.r)
    gross = space.pair(np.abs(hull.modes), np.abs(space.apply(hull.modes))).diagonal().max()
    return float(np.linalg.norm(gram, 2) + SUM_ROUND_OFF * np.sqrt(hull.r) * gross)


def build_cluster(members: tuple[int, ...], singles: SingleBlocks) -> Cluster:
    """The cluster of some blocks, from the blocks themselves."""
    numbers = list(members)
    factors = [singles.F[k] for k in numbers]
    energy = float(singles.energy[numbers].sum())
    lost = float(singles.lost[numbers].sum())
    return _cluster(members, factors, energy, lost, singles)


def join(a: Cluster, b: Cluster, singles: SingleBlocks) -> Cluster:
    """The cluster of the blocks of both, from their spectra."""
    members = (*a.members, *b.members)
    return _cluster(members, [a.F, b.F], a.energy + b.energy, a.lost + b.lost, singles)


def nearness(a: Cluster, others: Sequence[Cluster]) -> np.ndarray:
    """|V_a^H F_b|^2 / |F_b|^2 + |V_b^H F_a|^2 / |F_a|^2 of others b, (q,)."""
    if not others:
        return np.zeros(0)
    V = np.hstack([b.F / b.s for b in others])
    squares = np.concatenate([b.s**2 for b in others])
    first = np.cumsum([0, *(b.s.size for b in others[:-1])])
    P = np.abs((a.F / a.s).conj().T @ V) ** 2
    own = a.s**2
    inside_a = np.add.reduceat(P.sum(axis=0) * squares, first) / np.add.reduceat(squares, first)
    inside_b = np.add.reduceat(own @ P, first) / own.sum()
    return np.asarray(inside_a + inside_b)


def stored_total(clusters: Iterable[Cluster]) -> int:
    """Numbers kept of all clusters."""
    return sum(cluster.stored for cluster in clusters)


def _scale(blocks: Sequence[np.ndarray], energy: np.ndarray) -> Iterator[np.ndarray]:
    """Blocks of norm one."""
    for A, size in zip(blocks, energy, strict=True):
        yield A / np.sqrt(size)


def _cut_spectrum(s: np.ndarray, energy: float, tol: float) -> tuple[int, float]:
    """How many singular values are carried, and the energy of the others."""
    tails = spectral_tail(s)
    allowed = tol**2 * energy / 4
    q = max(int(np.argmax(tails <= allowed)), 1)
    return q, float(tails[q])


def _cluster(
    members: tuple[int, ...],
    factors: list[np.ndarray],
    energy: float,
    lost: float,
    singles: SingleBlocks,
) -> Cluster:
    """The cluster with spectrum of [factors], stored best."""
    joint = np.hstack(factors)
    W, s, _ = la.svd(joint, full_matrices=False, check_finite=False)
    q, tail = _cut_spectrum(s, energy, singles.cut)
    V, s = W[:, :q], s[:q]
    columns = int(singles.width[list(members)].sum())
    raw = Cluster(members, V * s, s, energy, lost + tail, stored=singles.n * columns)
    rows = _mode_energies(V, members, singles)
    outside = float(singles.lost[list(members)].sum()) + _outside(V, members, singles)
    return _store_best(raw, rows, outside, singles)


def _outside(V: np.ndarray, members: tuple[int, ...], singles: SingleBlocks) -> float:
    """|F - V V^H F|^2 of all blocks: differences first, then squares."""
    F = np.hstack([singles.F[k] for k in members])
    return float(np.sum(np.abs(F - V @ (V.conj().T @ F)) ** 2))


def _mode_energies(V: np.ndarray, members: tuple[int, ...], singles: SingleBlocks) -> np.ndarray:
    """Energy of each mode in each block, (q, m)."""
    factors = [singles.F[k] for k in members]
    projections = V.conj().T @ np.hstack(factors)
    widths = [F.shape[1] for F in factors[:-1]]
    first = np.cumsum([0, *widths])
    return np.add.reduceat(np.abs(projections) ** 2, first, axis=1)


def _store_best(raw: Cluster, rows: np.ndarray, outside: float, singles: SingleBlocks) -> Cluster:
    """The cheapest rank and depths; the raw columns, where nothing is cheaper.

    rows : (q, m) energies of modes in blocks; outside : energy that no mode has. Rows of least
    energy per number go first, last rows before others. What is missing is a sum of squares of
    what is left out, never a difference of energies, so it is known to round-off.
    """
    allowed = singles.tol**2 * raw.energy
    tails = raw.lost + spectral_tail(raw.s)
    smallest = int(np.argmax(tails <= allowed))
    largest = min(smallest + MORE_RANKS, raw.s.size)
    width = singles.width[list(raw.members)]
    later = np.maximum.accumulate(rows[::-1], axis=0)[::-1]  # no row goes before those after it
    sequence = _rows_in_order(later[:largest] / width)
    best = raw
    for rank in range(max(smallest, 1), largest + 1):
        trial = _store(raw, rank, rows, (sequence, outside), singles)
        if trial.bound <= singles.tol and trial.stored < best.stored:
            best = trial
    return best


def _store(
    raw: Cluster,
    rank: int,
    rows: np.ndarray,
    order: tuple[tuple[np.ndarray, np.ndarray], float],
    singles: SingleBlocks,
) -> Cluster:
    """The cluster with `rank` modes and as few rows as the tolerance allows.

    order : block and mode of rows, in which they go; energy outside of all modes
    A depth of each block is one number more; where rows cost less, all are kept.
    """
    width = singles.width[list(raw.members)]
    (block, mode), outside = order
    block, mode = block[mode < rank], mode[mode < rank]
    missing = outside + float(rows[rank:].sum())
    spent = missing + np.cumsum(rows[mode, block])
    allowed = (singles.tol - singles.round_off) ** 2 * raw.energy
    count = int(np.searchsorted(spent, allowed, side="right"))
    saved = int(width[block[:count]].sum()) - len(width)
    if singles.whole or saved <= 0:  # all rows, and no depths
        count, saved = 0, 0
    left_out = np.bincount(block[:count], minlength=len(width))
    depths = rank - left_out
    numbers = rank * (singles.n + int(width.sum())) - saved
    error = spent[count - 1] if count else missing
    bound = float(np.sqrt(error / raw.energy)) + singles.round_off
    return replace(raw, rank=rank, depths=depths, bound=bound, stored=numbers)


def _rows_in_order(order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Block and mode of rows by ascending `order` (r, m); later modes first."""
    r, m = order.shape
    modes = np.tile(np.arange(r), m)
    sequence = np.lexsort((-modes, order.T.ravel()))
    block, mode = np.divmod(sequence, r)
    return block, mode
