"""Columns W with a factor R of their Gram matrix: W R^{-1} is orthonormal.

R^H R = W^H X W, and W R^{-1} is never formed. The basis grows by appending columns, which costs
one product with all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.linalg as la

from rom.compress.orthonormal import EPS
from rom.compress.splitting import split
from rom.errors import BadInput
from rom.space import Space

INDEPENDENT = 1e-5  # least eigenvalue of the scaled Gram matrix of columns appended as they are
TINY = 1e-280  # of an energy: smaller ones have lost digits
NEGLIGIBLE = 1e6  # energy discarded over round-off, such that the latter is a millionth of it


@dataclass(eq=False)
class Room:
    """Spare columns that states share; each state sees only its own first ones.

    store : (n, c), used : columns in use; whoever has all that are used may append
    """

    store: np.ndarray
    used: int


class Extension(NamedTuple):
    """B = W R^{-1} C + Q T + dropped with [W R^{-1}, Q] orthonormal, as W' R'^{-1}.

    factor : R'; energy : |B|^2; dropped : energy that no column holds
    """

    C: np.ndarray
    T: np.ndarray
    factor: np.ndarray
    energy: float
    dropped: float


class _Remainder(NamedTuple):
    """P less its part in W R^{-1}: coefficients D, Gram matrix S, norms of P before."""

    D: np.ndarray
    S: np.ndarray
    norms: np.ndarray


def append_columns(
    space: Space,
    room: Room,
    R: np.ndarray,
    B: np.ndarray,
    *,
    lost: float,
    energy: float,
    cut: Callable[[np.ndarray, np.ndarray], float] | None = None,
) -> Extension:
    """B written behind the columns of the room, and B in the orthonormal basis of all.

    R : (c, c) factor of the first c columns; B : (n, b)
    lost, energy : of the data before; cut : (C, T) -> energy discarded after
    B, or B less its part in W, is appended as it is, with one product [W, P]^H X P and a
    Cholesky factor, where the round-off of that is a millionth of what is discarded; it counts
    as dropped. Dependent columns go through `split`.
    Raises BadInput for NaN, Inf or squares that overflow.
    """
    c, b = len(R), B.shape[1]
    both = room.store[:, : c + b]
    W, P = both[:, :c], both[:, c:]
    P[:] = B
    C = np.zeros((c, b), dtype=both.dtype)
    size = 0.0
    for stage in range(2):
        D, S, norms = _remainder(space, both, R, B)
        if stage == 0:
            size = float(norms @ norms)
            _refuse_tiny(B, energy + size)
        least = _least_eigenvalue(S, norms, size)
        bar = NEGLIGIBLE * EPS * (energy + size)
        if least > INDEPENDENT:
            if cut is not None and least * lost <= bar:
                factor = la.cholesky(S, check_finite=False)
                lost = max(lost, cut(C + D, factor))
            if least * lost > bar:
                T = la.cholesky(S, check_finite=False)
                room.used = c + b
                noise = 4 * EPS / least * float(norms @ norms)
                return Extension(C + D, T, _border(R, D, T), size, noise)
        C += D
        _subtract(P, W, la.solve_triangular(R, D, check_finite=False))
        if not lost > 0.0:
            break
    again, Q, T, dropped = split(space, W, P, R, energy=size)
    k = Q.shape[1]
    P[:, :k] = Q
    room.used = c + k
    factor = _border(R, np.zeros((c, k)), np.eye(k))
    return Extension(C + again, T, factor, size, dropped)


def make_room(
    space: Space,
    room: Room | None,
    B: np.ndarray,
    *,
    W: np.ndarray | None,
    R: np.ndarray,
    K: np.ndarray,
) -> tuple[Room, np.ndarray, np.ndarray]:
    """A room where columns like B (n, b) fit, and R and K of its W R^{-1} K.

    The room there is, else a new one: V = W R^{-1} K multiplied out, and twice as much again.
    """
    dtype = np.result_type(float, B) if W is None else np.result_type(float, B, W)
    if room is not None and _fits(room, len(R), B.shape[1], dtype):
        return room, R, K
    r = K.shape[1]
    width = 3 * max(r, B.shape[1]) + 8
    store = np.empty((space.n, width), dtype=dtype, order="F")
    fresh = Room(store, r)
    if W is None or r == 0:
        nothing = np.zeros((0, 0))
        return fresh, nothing, nothing.copy()
    V = store[:, :r]
    mix = la.solve_triangular(R, K, check_finite=False)
    np.matmul(mix.T, W.T, out=V.T)  # no second array of this size
    factor = la.cholesky(space.gram(V), check_finite=False)
    return fresh, factor, factor


def _fits(room: Room, columns: int, b: int, dtype: np.dtype) -> bool:
    """Whether the state owns the last column in use, and b more of this type fit."""
    if room.used != columns or room.store.dtype != dtype:
        return False
    return bool(room.used + b <= room.store.shape[1])


def _remainder(space: Space, both: np.ndarray, R: np.ndarray, B: np.ndarray) -> _Remainder:
    """What the last columns P of `both` have beside W R^{-1}; B is named in errors."""
    c = len(R)
    P = both[:, c:]
    with np.errstate(invalid="ignore", over="ignore"):
        G = space.inner(both, P)
    squares = np.diag(G[c:]).real
    norms = np.sqrt(np.maximum(squares, 0.0))
    if not np.isfinite(G).all():
        raise _bad_column(B)
    D = la.solve_triangular(R, G[:c], trans="C", check_finite=False)
    S = G[c:] - D.conj().T @ D
    return _Remainder(D, S, norms)


def _least_eigenvalue(S: np.ndarray, norms: np.ndarray, energy: float) -> float:
    """The least eigenvalue of S scaled by norms; 0 where a column is round-off."""
    if not norms.min() > 64 * EPS * np.sqrt(energy):
        return 0.0
    scaled = S / np.outer(norms, norms)
    eigenvalues = la.eigvalsh(scaled)
    return float(eigenvalues[0])


def _border(R: np.ndarray, D: np.ndarray, T: np.ndarray) -> np.ndarray:
    """[[R, D], [0, T]]."""
    below = np.zeros((len(T), len(R)))
    return np.block([[R, D], [below, T]])


def _subtract(P: np.ndarray, W: np.ndarray, C: np.ndarray) -> None:
    """P <- P - W C in place."""
    if not C.size or not P.size:
        return
    multiply = la.get_blas_funcs("gemm", (W, P))
    result = multiply(-1.0, W, C, 1.0, P, overwrite_c=True)
    if not np.may_share_memory(result, P):
        P[:] = result


def _refuse_tiny(B: np.ndarray, energy: float) -> None:
    """BadInput where the squares of all numbers so far vanish and the numbers do not."""
    if energy < TINY and B.any():
        raise BadInput(
            f"all snapshots so far are of size {np.abs(B).max():.1e}: their squares are beyond "
            "double precision; give them in another unit, or scale them"
        )


def _bad_column(B: np.ndarray) -> BadInput:
    """The error that names the first snapshot with NaN or Inf."""
    bad = np.argwhere(~np.isfinite(B))
    if not len(bad):
        return BadInput("a snapshot holds NaN or squares beyond 1e308; drop it or solve it again")
    row, column = bad[0]
    where = f"snapshot {column} of the update holds NaN or Inf at row {row}"
    return BadInput(f"{where}; drop it or solve it again")
