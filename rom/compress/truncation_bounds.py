"""Published upper bounds of the truncation error of concatenated blocks.

E_r(M)^2 = sum_{i > r} sigma_i(M)^2 for M = [A_1 ... A_K], e_r = E_r / |M|. Any
L <= sum_{i <= r} sigma_i^2 gives e_r <= sqrt(1 - L / |M|^2), and |M|^2 = sum |A_k|^2 costs nothing.
What is missing, |M|^2 - L, is a sum of squares here, never that difference, which cancels.
Reference: Concatenated Matrix SVD: Compression Bounds, Incremental Approximation, and
Error-Constrained Clustering (2026).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import scipy.linalg as la

from rom.arrays import COLUMNS, each, gate
from rom.compress.clusters import block_energy, check_rows
from rom.compress.orthonormal import ROUND_OFF
from rom.compress.running import RunningPod, update
from rom.compress.splitting import split
from rom.errors import BadInput
from rom.space import Space


class UpperBound(Protocol):
    """E_r^2 <= |M|^2 - L of the blocks added so far."""

    def add(self, A: np.ndarray, energy: float) -> float:
        """|M|^2 - L with one more block of this energy."""
        ...


@gate(blocks=each(COLUMNS), space=Space)
def norms_bound(blocks: Sequence[np.ndarray], rank: int, space: Space) -> float:
    """e_r <= sqrt(1 - L / |M|^2), L the energy of the largest blocks up to width r.

    By Weyl's inequality sigma_i([A, B]) >= sigma_i(A).
    """
    return _bound(_Norms(space, rank), blocks, space)


@gate(blocks=each(COLUMNS), space=Space)
def residuals_bound(blocks: Sequence[np.ndarray], rank: int, space: Space) -> float:
    """e_r with L the r largest squared singular values of all residuals.

    The residuals are R_k = A_k - Q Q^H X A_k, by pinching of a triangular factor.
    """
    return _bound(_Residuals(space, rank), blocks, space)


@gate(blocks=each(COLUMNS), space=Space)
def incremental_bound(
    blocks: Sequence[np.ndarray], rank: int, space: Space, oversampling: int = 5
) -> float:
    """e_r with L the leading energy of the running POD of rank r + p.

    It is a lower bound, as truncation removes only positive parts.
    """
    return _bound(_Incremental(space, rank, oversampling), blocks, space)


def _bound(state: UpperBound, blocks: Sequence[np.ndarray], space: Space) -> float:
    """sqrt((|M|^2 - L) / |M|^2) + round-off of all blocks."""
    missing, total = 0.0, 0.0
    check_rows(blocks, space)
    for A in blocks:
        energy = block_energy(A, space)
        missing = state.add(A, energy)
        total += energy
    if not total > 0:
        raise BadInput("all blocks are zero; give at least one that is not")
    return float(np.sqrt(missing / total)) + ROUND_OFF


class _Norms:
    """Bound 1: energies of all but the largest blocks that fit the rank.

    The first alone counts by its leading singular values.
    """

    def __init__(self, space: Space, rank: int):
        self.space = space
        self.rank = rank
        self.sizes: list[tuple[float, int]] = []
        self.tails = 0.0
        self.least = 0.0

    def add(self, A: np.ndarray, energy: float) -> float:
        """|M|^2 - L with one more block."""
        width = A.shape[1]
        if width > self.rank:
            width = self.rank
            squares, dropped = _new_squares(self.space, A)
            energy = float(np.sum(squares[:width]))
            self.tails += float(np.sum(squares[width:])) + dropped
            self.least += float(np.sum(squares[width:])) + dropped
        self.sizes.append((energy, width))
        room, left_out = self.rank, self.tails
        for size, columns in sorted(self.sizes, reverse=True):
            if columns <= room:
                room -= columns
            else:
                left_out += size
        self.least = min(self.least + energy, left_out)
        return self.least


class _Residuals:
    """Bound 2: all but the largest singular values of what each block adds."""

    def __init__(self, space: Space, rank: int):
        self.space = space
        self.rank = rank
        self.squares = np.zeros(0)
        self.inside = 0.0
        self.Q = np.zeros((space.n, 0))

    def add(self, A: np.ndarray, energy: float) -> float:
        """|M|^2 - L with one more block."""
        part = split(self.space, self.Q, A)
        self.Q = np.hstack([self.Q, part.Q])
        new = la.svdvals(part.T) ** 2 if part.T.size else np.zeros(0)
        pool = np.concatenate([self.squares, new])
        self.squares = np.sort(pool)[::-1]
        self.inside += float(np.sum(np.abs(part.C) ** 2)) + part.dropped
        return self.inside + float(np.sum(self.squares[self.rank :]))


class _Incremental:
    """Bound 3: what a running POD with a few columns to spare does not lead with."""

    def __init__(self, space: Space, rank: int, oversampling: int = 5):
        self.rank = rank
        self.width = rank + oversampling
        self.state = RunningPod(space)

    def add(self, A: np.ndarray, energy: float) -> float:
        """|M|^2 - L with one more block."""
        self.state = update(self.state, A, rank=self.width)
        s = self.state.s
        if s is None:
            return energy
        return self.state.lost + float(np.sum(s[self.rank :] ** 2))


def _new_squares(space: Space, A: np.ndarray) -> tuple[np.ndarray, float]:
    """Squared singular values of A, largest first, and the energy that is round-off."""
    part = split(space, np.zeros((space.n, 0)), A)
    squares = la.svdvals(part.T) ** 2 if part.T.size else np.zeros(0)
    return squares, part.dropped


BOUNDS: dict[str, Callable[[Space, int], UpperBound]] = {
    "norms": _Norms,
    "residuals": _Residuals,
    "incremental": _Incremental,
}
