"""Columns with a known Gram matrix: an orthonormal basis W R^{-1}, W^H X W = R^H R, that is enlarged without being formed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg as la

from rom.errors import BadInput
from rom.space import Space

EPS = float(np.finfo(float).eps)


@dataclass(eq=False)
class Room:
    """Columns that states share: whoever has all that are used may append; a state sees only its own first ones."""

    store: np.ndarray
    used: int


def append(
    space: Space,
    room: Room,
    R: np.ndarray,
    B: np.ndarray,
    lost: float,
    energy: float,
    cut: Callable[[np.ndarray, np.ndarray], float] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float, float]:
    """(C, T, R', |B|^2, dropped): B = W R^{-1} C + Q T + dropped, [W R^{-1}, Q] orthonormal, as W' R'^{-1} with W' in the room.

    B, or else B less its part in W, is appended as it is, with one product [W, P]^H X P and a Cholesky factor, where the round-off of
    that is a millionth of what is discarded, `lost` of `energy` before or `cut`(C, T) after; it counts as dropped. Dependent columns go
    through `split`.
    Raises BadInput for NaN, Inf or squares that overflow.
    """
    c, b = len(R), B.shape[1]
    both = room.store[:, : c + b]
    W, P = both[:, :c], both[:, c:]
    P[:] = B
    C, added = np.zeros((c, b), dtype=both.dtype), 0.0
    for stage in range(2):
        with np.errstate(invalid="ignore", over="ignore"):
            G = space.inner(both, P)
        size = np.sqrt(np.maximum(np.diag(G[c:]).real, 0.0))
        if not np.isfinite(G).all():
            raise _culprit(B)
        added = added if stage else float(size @ size)
        D = la.solve_triangular(R, G[:c], trans="C", check_finite=False)
        S = G[c:] - D.conj().T @ D
        least = (
            float(la.eigvalsh(S / np.outer(size, size))[0])
            if size.min() > 64 * EPS * np.sqrt(added)
            else 0.0
        )
        bar = 1e6 * EPS * (energy + added)
        if least > 1e-5 and cut is not None and least * lost <= bar:
            lost = max(lost, cut(C + D, la.cholesky(S, check_finite=False)))
        if least > 1e-5 and least * lost > bar:
            T, room.used = la.cholesky(S, check_finite=False), c + b
            noise = 4 * EPS / least * float(size @ size)
            return C + D, T, np.block([[R, D], [np.zeros((b, c)), T]]), added, noise
        C += D
        _subtract(P, W, la.solve_triangular(R, D, check_finite=False))
        if not lost > 0.0:
            break
    again, Q, T, dropped = split(space, W, P, R, added)
    k = Q.shape[1]
    P[:, :k], room.used = Q, c + k
    return (
        C + again,
        T,
        np.block([[R, np.zeros((c, k))], [np.zeros((k, c)), np.eye(k)]]),
        added,
        dropped,
    )


def _subtract(P: np.ndarray, W: np.ndarray, C: np.ndarray) -> None:
    """P <- P - W C in place."""
    if C.size and P.size:
        made = la.get_blas_funcs("gemm", (W, P))(-1.0, W, C, 1.0, P, overwrite_c=True)
        if not np.may_share_memory(made, P):
            P[:] = made


def make_room(
    space: Space,
    room: Room | None,
    W: np.ndarray | None,
    R: np.ndarray,
    K: np.ndarray,
    B: np.ndarray,
) -> tuple[Room, np.ndarray, np.ndarray]:
    """A room where columns like B fit, R and K: the room there is, else a new one of V = W R^{-1} K multiplied out and twice as much again."""
    dtype = np.result_type(float, B, *([] if W is None else [W]))
    if (
        room is not None
        and room.used == len(R)
        and room.used + B.shape[1] <= room.store.shape[1]
        and room.store.dtype == dtype
    ):
        return room, R, K
    r = K.shape[1]
    made = Room(np.empty((space.n, 3 * max(r, B.shape[1]) + 8), dtype=dtype, order="F"), r)
    if W is None or r == 0:
        return made, np.zeros((0, 0)), np.zeros((0, 0))
    np.matmul(
        la.solve_triangular(R, K, check_finite=False).T, W.T, out=made.store[:, :r].T
    )  # no second array of this size
    R = la.cholesky(space.gram(made.store[:, :r]), check_finite=False)
    return made, R, R


def split(
    space: Space,
    W: np.ndarray,
    B: np.ndarray,
    R: np.ndarray | None = None,
    energy: float = 0.0,
    rounds: int = 2,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """B = W R^{-1} C + Q T + dropped, Q^H X [W, Q] = [0, I]: (C, Q, T, energy dropped); dropped is round-off of |B|_X^2 + energy. R = I by default.

    Directions below 1e-6 of the largest are orthogonalised in a further round, as their Gram matrix does not show them.
    """
    R = np.eye(W.shape[1]) if R is None else R
    C = _along(space, W, R, B)
    left = B - _inside(W, R, C) if C.size else B
    values, Z = la.eigh(space.gram(left), check_finite=False)
    inside = np.sum(np.abs(C) ** 2, axis=0)
    floor = (64 * EPS) ** 2 * max(
        energy + float(inside.sum() + np.maximum(values, 0.0).sum()), 1e-300
    )
    big = values > max(1e-12 * values[-1], floor)
    big[: max(len(big) - (space.size - W.shape[1]), 0)] = (
        False  # a space has no more directions than dofs
    )
    root, dropped = np.sqrt(values[big]), float(np.sum(np.maximum(values[~big], 0.0)))
    Q, T = times(left, Z[:, big] / root), root[:, None] * Z[:, big].conj().T
    if root.size and root.min() < 0.05 * np.sqrt(
        inside.max(initial=0.0) + values[-1]
    ):  # else one pass is orthogonal to 20 eps
        again = _along(space, W, R, Q)
        Q -= _inside(W, R, again)
        L = la.cholesky(space.gram(Q))
        Q, C, T = (
            times(Q, la.solve_triangular(L, np.eye(len(L)), check_finite=False)),
            C + again @ T,
            L @ T,
        )
    if rounds > 1 and 0 < big.sum() < len(big):
        small = left @ Z[:, ~big]
        dropped = float(
            np.sum(space.norm(small) ** 2)
        )  # the eigenvalues of these are round-off of the largest
        if dropped > floor:
            joint, k = la.block_diag(R, np.eye(Q.shape[1])), len(C)
            D, P, S, dropped = split(space, np.hstack([W, Q]), small, joint, energy, rounds - 1)
            rest = Z[:, ~big].conj().T
            return (
                C + D[:k] @ rest,
                np.hstack([Q, P]),
                np.vstack([T + D[k:] @ rest, S @ rest]),
                dropped,
            )
    return C, Q, T, dropped


def times(W: np.ndarray, C: np.ndarray) -> np.ndarray:
    """W C by columns."""
    return (C.T @ W.T).T


def _along(space: Space, W: np.ndarray, R: np.ndarray, B: np.ndarray) -> np.ndarray:
    return la.solve_triangular(R, space.inner(W, B), trans="C", check_finite=False)


def _inside(W: np.ndarray, R: np.ndarray, C: np.ndarray) -> np.ndarray:
    return times(W, la.solve_triangular(R, C, check_finite=False))


def _culprit(B: np.ndarray) -> BadInput:
    bad = np.argwhere(~np.isfinite(B))
    where = (
        f"snapshot {bad[0][1]} of the update holds NaN or Inf at row {bad[0][0]}"
        if len(bad)
        else "a snapshot holds NaN or squares beyond 1e308"
    )
    return BadInput(f"{where}; drop it or solve it again")
