"""The published bounds and greedy algorithms of concatenated-matrix SVD, to use as certificates and to compare with.

E_r(M)^2 = sum_{i > r} sigma_i(M)^2 for M = [A_1 ... A_K], e_r = E_r / |M|; any L <= sum_{i <= r} sigma_i^2 gives
e_r <= sqrt(1 - L / |M|^2), and |M|^2 = sum |A_k|^2 costs nothing.
Reference: Concatenated Matrix SVD: Compression Bounds, Incremental Approximation, and Error-Constrained Clustering (2026).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.linalg as la

from rom.basis import Basis
from rom.compress.columns import split
from rom.compress.merge import Merging, energies
from rom.compress.update import RunningPod, update
from rom.errors import BadInput
from rom.space import Space


def greedy_concatenation(
    blocks: Sequence[np.ndarray],
    tol: float,
    rank: int,
    space: Space,
    bound: str = "incremental",
    patience: int = 10,
) -> Merging:
    """The three published greedy algorithms: seeds of the largest blocks, candidates added while e_r <= tol by the bound, else closed.

    bound : "norms" (Alg. 1, smallest norms first), "residuals" (Alg. 2) or "incremental" (Alg. 3), both by ascending residual to the seed
    """
    if bound not in BOUNDS:
        raise BadInput(f"unknown bound {bound!r}; choose {', '.join(BOUNDS)}")
    energy, found, singles = energies(blocks, tol, space), [], 0
    left = list(np.argsort(-energy, kind="stable"))
    while left and singles < patience:
        seed, width = [left[0]], blocks[left[0]].shape[1]
        for k in left[1:]:
            if width + blocks[k].shape[1] > rank:
                break
            seed, width = [*seed, k], width + blocks[k].shape[1]
        state, members = BOUNDS[bound](space, rank), list(seed)
        L = [state.add(blocks[k], energy[k]) for k in seed][-1]
        rest = [k for k in left if k not in seed]
        for k in reversed(rest) if bound == "norms" else _by_residual(blocks, seed, rest, space):
            L = state.add(blocks[k], energy[k])
            if 1.0 - L / sum(energy[j] for j in [*members, k]) > tol**2:
                break
            members.append(k)
        singles = singles + 1 if len(members) == 1 else 0
        found.append(members)
        left = [k for k in left if k not in members]
    return _fixed(blocks, [*found, *([k] for k in left)], rank, space)


def norms_bound(blocks: Sequence[np.ndarray], rank: int, space: Space) -> float:
    """e_r <= sqrt(1 - L / |M|^2), L = top-r energy of the largest blocks stacked up to width r (Weyl: sigma_i([A, B]) >= sigma_i(A))."""
    return _bounded(_Norms(space, rank), blocks, space)


def residuals_bound(blocks: Sequence[np.ndarray], rank: int, space: Space) -> float:
    """L = the r largest squared singular values of all residuals R_k = A_k - Q Q^H X A_k (pinching of a triangular factor)."""
    return _bounded(_Residuals(space, rank), blocks, space)


def incremental_bound(
    blocks: Sequence[np.ndarray], rank: int, space: Space, oversampling: int = 5
) -> float:
    """L = top-r energy of the running POD of rank r + p: truncation removes only positive parts, so it is a lower bound."""
    return _bounded(_Incremental(space, rank, oversampling), blocks, space)


def _bounded(state, blocks: Sequence[np.ndarray], space: Space) -> float:  # type: ignore[no-untyped-def]
    energies = [float(np.sum(np.square(space.norm(A)))) for A in blocks]
    L = [state.add(A, e) for A, e in zip(blocks, energies, strict=True)][-1]
    return float(np.sqrt(max(1.0 - L / sum(energies), 0.0)))


class _Norms:
    """Bound 1: energies of the largest blocks that fit the rank; the first alone counts by its leading singular values."""

    def __init__(self, space: Space, rank: int):
        self.space, self.rank, self.held, self.best = space, rank, [], 0.0  # type: ignore[var-annotated]

    def add(self, A: np.ndarray, energy: float) -> float:
        if A.shape[1] > self.rank:
            energy, width = (
                float(np.sum(la.eigvalsh(self.space.gram(A))[::-1][: self.rank])),
                self.rank,
            )
        else:
            width = A.shape[1]
        self.held.append((energy, width))
        room, L = self.rank, 0.0
        for e, w in sorted(self.held, reverse=True):
            if w <= room:
                room, L = room - w, L + e
        self.best = max(self.best, L)
        return self.best


class _Residuals:
    """Bound 2: pooled singular values of what each block adds to the span of those before."""

    def __init__(self, space: Space, rank: int):
        self.space, self.rank, self.values = space, rank, np.zeros(0)
        self.Q = np.zeros((space.n, 0))

    def add(self, A: np.ndarray, energy: float) -> float:
        _, Q, T, _ = split(self.space, self.Q, A)
        self.Q = np.hstack([self.Q, Q])
        self.values = np.sort(
            np.concatenate([self.values, la.svdvals(T) ** 2 if T.size else np.zeros(0)])
        )[::-1]
        return float(np.sum(self.values[: self.rank]))


class _Incremental:
    """Bound 3: leading energies of a running POD with a few columns to spare."""

    def __init__(self, space: Space, rank: int, oversampling: int = 5):
        self.rank, self.keep, self.state = rank, rank + oversampling, RunningPod(space)

    def add(self, A: np.ndarray, energy: float) -> float:
        self.state = update(self.state, A, rank=self.keep)
        return float(np.sum(self.state.s[: self.rank] ** 2)) if self.state.s is not None else 0.0


BOUNDS: dict[str, Any] = {"norms": _Norms, "residuals": _Residuals, "incremental": _Incremental}


def _by_residual(
    blocks: Sequence[np.ndarray], seed: list[int], rest: list[int], space: Space
) -> list[int]:
    Q = split(space, np.zeros((space.n, 0)), np.hstack([blocks[k] for k in seed]))[1]
    gap = [
        float(np.linalg.norm(space.norm(blocks[k] - Q @ space.inner(Q, blocks[k])))) for k in rest
    ]
    return [rest[i] for i in np.argsort(gap, kind="stable")]


def _fixed(
    blocks: Sequence[np.ndarray], members: list[list[int]], rank: int, space: Space
) -> Merging:
    """Every cluster with one rank, single blocks raw, as published; certificates are the exact e_r."""
    labels, bases, bounds, stored = np.empty(len(blocks), dtype=int), [], [], []
    for c, group in enumerate(members):
        labels[group] = c
        M, n = np.hstack([blocks[k] for k in group]), space.size
        values, Z = la.eigh(space.gram(M))
        useful = len(group) > 1 and rank * (n + M.shape[1]) < n * M.shape[1]
        modes = M @ (Z[:, -rank:] / np.sqrt(np.maximum(values[-rank:], 1e-300))) if useful else None
        bounds.append(
            float(np.sqrt(max(values[:-rank].sum(), 0.0) / values.sum())) if useful else 0.0
        )
        bases.append(None if modes is None else Basis(space, modes, error=bounds[-1]))
        stored.append(
            min(rank * (n + M.shape[1]), n * M.shape[1]) if len(group) > 1 else n * M.shape[1]
        )
    ranks = np.array([rank if b is not None else 0 for b in bases])
    raw = sum(A.shape[1] for A in blocks) * space.size
    return Merging(labels, tuple(bases), ranks, np.array(bounds), np.array(stored), raw)
