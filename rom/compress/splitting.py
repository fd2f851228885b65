"""New columns split into their part in a basis and new orthonormal directions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg as la

from rom.compress.orthonormal import EPS
from rom.space import Space

VISIBLE = 1e-12  # of the largest squared size: what a Gram matrix shows
LARGE = 0.05  # new part over the whole: one pass is orthogonal to 20 eps then
TINY = 1e-300


class Split(NamedTuple):
    """B = V C + Q T + rest, Q orthonormal and orthogonal to V; dropped = |rest|^2."""

    C: np.ndarray
    Q: np.ndarray
    T: np.ndarray
    dropped: float


def split(
    space: Space,
    W: np.ndarray,
    B: np.ndarray,
    R: np.ndarray | None = None,
    *,
    energy: float = 0.0,
    rounds: int = 2,
) -> Split:
    """B = W R^{-1} C + Q T + dropped with Q^H X [W, Q] = [0, I].

    W : (n, c), R : (c, c) with W R^{-1} orthonormal, R = I by default; B : (n, b)
    energy : of the data before; what is dropped is round-off of |B|_X^2 + energy
    Directions below 1e-6 of the largest are orthogonalised in a further round, as their Gram
    matrix does not show them.
    """
    if R is None:
        R = np.eye(W.shape[1])
    C = _coefficients(space, W, R, B)
    rest = B - _lift(W, R, C) if C.size else B
    values, Z = la.eigh(space.gram(rest), check_finite=False)
    inside = np.sum(np.abs(C) ** 2, axis=0)
    outside = np.maximum(values, 0.0)
    total = energy + float(inside.sum() + outside.sum())
    floor = (64 * EPS) ** 2 * max(total, TINY)
    visible = _visible(values, floor, space.size - W.shape[1])
    small = ~visible
    Q, T = _directions(rest, values[visible], Z[:, visible])
    part = Split(C, Q, T, 0.0)
    sizes = np.sqrt(values[visible])
    largest = np.sqrt(inside.max(initial=0.0) + values[-1])
    if sizes.size and sizes.min() < LARGE * largest:
        part = _orthogonalise(space, W, R, part)
    dropped = float(np.sum(outside[small]))
    if rounds > 1 and visible.any() and small.any():
        columns = rest @ Z[:, small]
        dropped = float(np.sum(space.norm(columns) ** 2))  # their eigenvalues are round-off
        if dropped > floor:
            both = np.hstack([W, part.Q])
            joint = la.block_diag(R, np.eye(part.Q.shape[1]))
            fine = split(space, both, columns, joint, energy=energy, rounds=rounds - 1)
            return _join(part, fine, Z[:, small].conj().T)
    return part._replace(dropped=dropped)


def times(W: np.ndarray, C: np.ndarray) -> np.ndarray:
    """W C by columns."""
    transposed = C.T @ W.T
    return np.asarray(transposed.T)


def _visible(values: np.ndarray, floor: float, free: int) -> np.ndarray:
    """Which eigenvalues are no round-off; at most `free`, as many as dofs are left."""
    visible = values > max(VISIBLE * values[-1], floor)
    surplus = max(len(values) - free, 0)
    visible[:surplus] = False
    return np.asarray(visible)


def _directions(
    rest: np.ndarray, values: np.ndarray, Z: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Q (n, k) orthonormal and T (k, b) with Q T = rest Z Z^H.

    rest^H X rest Z = Z diag(values)
    """
    sizes = np.sqrt(values)
    Q = times(rest, Z / sizes)
    T = sizes[:, None] * Z.conj().T
    return Q, T


def _orthogonalise(space: Space, W: np.ndarray, R: np.ndarray, part: Split) -> Split:
    """The same split with Q orthogonal to W to round-off."""
    C, Q, T, dropped = part
    again = _coefficients(space, W, R, Q)
    Q -= _lift(W, R, again)
    L = la.cholesky(space.gram(Q))
    inverse = la.solve_triangular(L, np.eye(len(L)), check_finite=False)
    return Split(C + again @ T, times(Q, inverse), L @ T, dropped)


def _join(part: Split, fine: Split, back: np.ndarray) -> Split:
    """One split of a coarse one and of its small directions.

    back : (j, b) from small directions to columns of B
    """
    k = len(part.C)
    along = fine.C @ back
    C = part.C + along[:k]
    Q = np.hstack([part.Q, fine.Q])
    T = np.vstack([part.T + along[k:], fine.T @ back])
    return Split(C, Q, T, fine.dropped)


def _coefficients(space: Space, W: np.ndarray, R: np.ndarray, B: np.ndarray) -> np.ndarray:
    """R^{-H} W^H X B: coefficients of B in W R^{-1}."""
    products = space.inner(W, B)
    C = la.solve_triangular(R, products, trans="C", check_finite=False)
    return np.asarray(C)


def _lift(W: np.ndarray, R: np.ndarray, C: np.ndarray) -> np.ndarray:
    """W R^{-1} C."""
    mix = la.solve_triangular(R, C, check_finite=False)
    return times(W, mix)
