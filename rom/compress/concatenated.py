"""Published greedy algorithms of concatenated-matrix SVD, to compare with.

Reference: Concatenated Matrix SVD: Compression Bounds, Incremental Approximation, and
Error-Constrained Clustering (2026).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.linalg as la

from rom.arrays import COLUMNS, each, gate
from rom.basis import Basis
from rom.compress.clusters import energies
from rom.compress.merge import Merging
from rom.compress.orthonormal import ROUND_OFF
from rom.compress.splitting import split
from rom.compress.truncation_bounds import BOUNDS, UpperBound
from rom.errors import BadInput
from rom.space import Space


@gate(blocks=each(COLUMNS), space=Space)
def greedy_concatenation(
    blocks: Sequence[np.ndarray],
    tol: float,
    rank: int,
    space: Space,
    *,
    bound: str = "incremental",
    patience: int = 10,
) -> Merging:
    """The published greedy algorithms: candidates join while the bound of e_r <= tol.

    bound : "norms" (Alg. 1, smallest norms first), "residuals" (Alg. 2) or "incremental"
        (Alg. 3), both by ascending residual to the seed
    patience : ends after so many clusters of one block
    Seeds are the largest blocks that are left; at the first candidate beyond tol a cluster closes.
    Raises BadInput for another bound or bad blocks.
    """
    if bound not in BOUNDS:
        raise BadInput(f"unknown bound {bound!r}; choose {', '.join(BOUNDS)}")
    energy = energies(blocks, tol, space)
    order = np.argsort(-energy, kind="stable")
    left = [int(k) for k in order]
    clusters: list[list[int]] = []
    singles = 0
    while left and singles < patience:
        seed = _seed(blocks, left, rank)
        rest = [k for k in left if k not in seed]
        if bound == "norms":
            rest.reverse()
        else:
            rest = _by_residual(blocks, seed, rest, space)
        members = _grow(blocks, seed, rest, energy, (BOUNDS[bound](space, rank), tol))
        singles = singles + 1 if len(members) == 1 else 0
        clusters.append(members)
        left = [k for k in left if k not in members]
    clusters.extend([k] for k in left)
    return _fixed_rank_merging(blocks, clusters, rank, space)


def _seed(blocks: Sequence[np.ndarray], left: list[int], rank: int) -> list[int]:
    """The largest blocks in a row that are no wider than the rank, at least one."""
    first, *others = left
    seed = [first]
    width = blocks[first].shape[1]
    for k in others:
        width += blocks[k].shape[1]
        if width > rank:
            break
        seed.append(k)
    return seed


def _grow(
    blocks: Sequence[np.ndarray],
    seed: list[int],
    rest: list[int],
    energy: np.ndarray,
    limit: tuple[UpperBound, float],
) -> list[int]:
    """The seed and the first candidates of `rest` while the bound allows."""
    state, tol = limit
    members = list(seed)
    for k in seed:
        state.add(blocks[k], energy[k])
    for k in rest:
        missing = state.add(blocks[k], energy[k])
        total = sum(energy[j] for j in [*members, k])
        if np.sqrt(missing / total) + ROUND_OFF > tol:
            break
        members.append(k)
    return members


def _by_residual(
    blocks: Sequence[np.ndarray], seed: list[int], rest: list[int], space: Space
) -> list[int]:
    """Candidates by ascending norm of what the span of the seed lacks."""
    columns = np.hstack([blocks[k] for k in seed])
    nothing = np.zeros((space.n, 0))
    Q = split(space, nothing, columns).Q
    gaps = []
    for k in rest:
        residual = blocks[k] - Q @ space.inner(Q, blocks[k])
        gaps.append(float(np.linalg.norm(space.norm(residual))))
    order = np.argsort(gaps, kind="stable")
    return [rest[i] for i in order]


def _fixed_rank_merging(
    blocks: Sequence[np.ndarray], clusters: list[list[int]], rank: int, space: Space
) -> Merging:
    """Every cluster with one rank, single blocks raw, as published.

    The certificates are the exact e_r.
    """
    labels = np.empty(len(blocks), dtype=int)
    bases, bounds, stored = [], [], []
    for c, members in enumerate(clusters):
        labels[members] = c
        M = np.hstack([blocks[k] for k in members])
        raw = space.size * M.shape[1]
        factors = rank * (space.size + M.shape[1])
        several = len(members) > 1
        basis = _leading_modes(M, rank, space) if several and factors < raw else None
        bases.append(basis)
        bounds.append(0.0 if basis is None else basis.error)
        stored.append(min(factors, raw) if several else raw)
    ranks = [0 if basis is None else rank for basis in bases]
    columns = sum(A.shape[1] for A in blocks)
    return Merging(
        labels,
        tuple(bases),
        np.array(ranks),
        np.array(bounds),
        np.array(stored),
        raw=columns * space.size,
    )


def _leading_modes(M: np.ndarray, rank: int, space: Space) -> Basis:
    """The leading left singular vectors of M, with e_r."""
    part = split(space, np.zeros((space.n, 0)), M)
    W, s, _ = la.svd(part.T, full_matrices=False)
    tail = part.dropped + float(np.sum(s[rank:] ** 2))
    error = float(np.sqrt(tail / (tail + np.sum(s[:rank] ** 2)))) + ROUND_OFF
    return Basis(space, part.Q @ W[:, :rank], error=error)
