"""Interpolation points from samples: EIM in its symmetric form, DEIM, Q-DEIM."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import qr
from scipy.linalg.blas import dger, idamax

from rom.arrays import gate, real
from rom.errors import BadInput
from rom.rule import Interpolation

FLOOR = 64 * float(np.finfo(float).eps)  # relative: smaller residuals are round-off
SWEEPS = 2  # re-interpolations of a mode
CACHE = 2**16  # numbers that stay in the cache
FIRST = 16  # columns of modes that are set aside at first


@gate()
def eim(g: np.ndarray, tol: float = 1e-12, rank: int | None = None) -> Interpolation:
    """I_d g(mu, x) = g(mu, X)^T G^{-1} g(M, x), G_ml = g(mu_m, x_l): greedy M and X.

    g : (n, m) real or complex, columns are g(mu_j, .); of a vector- or set-valued g the
        components lie below each other
    tol : on the largest residual relative to the largest |g|; rank : at most that many points
    M and X are chosen by the largest residual. Each mode is re-interpolated twice, so that the
    matrix stays unit lower triangular below round-off, where the loop stops.
    Raises BadInput for NaN, an empty or a zero sample.
    References: Barrault, Maday, Nguyen, Patera (2004); Casenave, Ern, Lelievre (2014).
    """
    rest = _copy_sample(g)
    most = min(rest.shape) if rank is None else rank
    Q = np.empty((len(rest), 0), rest.dtype)
    dofs: list[int] = []
    picked: list[int] = []
    errors: list[float] = []
    x, j = _reduce(rest)
    size = np.abs(rest[x, j])
    while True:
        errors.append(float(np.abs(rest[x, j]) / size))
        k = len(dofs)
        reason = _stop_reason(errors[-1], tol, k, most)
        if reason:
            break
        if k == Q.shape[1]:
            Q = _widen(Q, min(max(2 * k, FIRST), most))
        Q[:, k] = _next_mode(rest[:, j], Q[:, :k], dofs, x)
        dofs.append(x)
        picked.append(j)
        x, j = _reduce(rest, Q[:, k], x)
    modes = np.ascontiguousarray(Q[:, : len(dofs)])
    history = np.array(errors)
    return Interpolation(modes, np.array(dofs), modes[dofs], np.array(picked), history, tol, reason)


def _reduce(R: np.ndarray, q: np.ndarray | None = None, x: int = 0) -> tuple[int, int]:
    """R <- R - q R[x] with zeros in row x; then where |R| is largest.

    The first by rows. R (n, m) in either order is gone through once, by pieces in the cache.
    """
    by_rows = R.flags.c_contiguous
    A = R.T if by_rows else R
    step = max(1, CACHE // len(A)) if by_rows else 1
    row = None if q is None else R[x].copy()
    best, place = -1.0, (0, 0)
    for start in range(0, A.shape[1], step):
        piece = A[:, start : start + step]
        if q is not None and row is not None:
            left, right = (row, q) if by_rows else (q, row)
            _subtract_outer(piece, left, right[start : start + step])
            if not by_rows:
                piece[x] = 0.0
            elif start <= x < start + step:
                piece[:, x - start] = 0.0
        at, size = _largest(piece.ravel(order="F"))
        column, line = divmod(at, len(A))
        here = (start + column, line) if by_rows else (line, start + column)
        if size > best or (size == best and here < place):
            best, place = size, here
    return place


def _subtract_outer(A: np.ndarray, u: np.ndarray, v: np.ndarray) -> None:
    """A <- A - u v^T in place, A by columns."""
    if A.dtype.kind == "c":
        A -= np.outer(u, v)
        return
    result = dger(-1.0, u, v, a=A, overwrite_x=0, overwrite_y=0, overwrite_a=1)
    if not np.may_share_memory(result, A):
        A[:] = result


def _largest(values: np.ndarray) -> tuple[int, float]:
    """Where |values| is largest first, and how large."""
    at = int(np.argmax(np.abs(values)) if values.dtype.kind == "c" else idamax(values))
    return at, float(np.abs(values[at]))


def _widen(Q: np.ndarray, width: int) -> np.ndarray:
    """The columns of Q in a wider array."""
    wide = np.empty((len(Q), width), Q.dtype, order="F")
    wide[:, : Q.shape[1]] = Q
    return wide


def deim(modes: np.ndarray) -> Interpolation:
    """x_l = argmax |w_l - I_{l-1} w_l|: DEIM points of modes W (n, d).

    Raises BadInput for NaN or dependent modes. Reference: Chaturantabut and Sorensen (2010).
    """
    W = _copy_sample(modes)
    dofs = [int(np.argmax(np.abs(W[:, 0])))]
    for k in range(1, W.shape[1]):
        w, before = W[:, k], W[:, :k]
        c = np.linalg.solve(before[dofs], w[dofs])
        rest = w - before @ c
        rest[dofs] = 0.0
        sizes = np.abs(rest)
        if not sizes.max() > FLOOR * np.abs(w).max():
            raise BadInput(
                f"mode {k} depends on those before it; give linearly independent modes "
                "(run pod first)"
            )
        dofs.append(int(np.argmax(sizes)))
    return Interpolation(W, np.array(dofs), W[dofs])


def qdeim(modes: np.ndarray) -> Interpolation:
    """The first d pivots of W^H P = Q R with column pivoting, modes W (n, d).

    Raises BadInput for NaN or dependent modes. Reference: Drmac and Gugercin (2016).
    """
    W = _copy_sample(modes)
    d = W.shape[1]
    R, order = qr(W.conj().T, mode="r", pivoting=True)
    diagonal = np.abs(np.diagonal(R))
    if len(diagonal) < d or diagonal[-1] <= FLOOR * diagonal[0]:
        raise BadInput(
            f"the {d} modes are linearly dependent; give independent modes (run pod first)"
        )
    dofs = order[:d]
    return Interpolation(W, dofs, W[dofs])


def _stop_reason(error: float, tol: float, points: int, rank: int) -> str:
    """Why the greedy loop ends, or an empty text where it goes on."""
    if error <= tol:
        return f"tol {tol:g} reached"
    if error <= FLOOR:
        return f"round-off reached: residual {error:.1e}; further points would be noise"
    return f"rank {rank} reached" if points >= rank else ""


def _next_mode(residual: np.ndarray, Q: np.ndarray, dofs: list[int], x: int) -> np.ndarray:
    """The residual scaled to 1 at x and re-interpolated to 0 at earlier points."""
    q: np.ndarray = residual / residual[x]
    for _ in range(SWEEPS if dofs else 0):
        c = _forward_substitution(Q[dofs], q[dofs])
        q = q - Q @ c
        q = q / q[x]
        q[dofs] = 0.0
    q[x] = 1.0
    return q


def _forward_substitution(L: np.ndarray, b: np.ndarray) -> np.ndarray:
    """L^{-1} b for a unit lower triangular L."""
    c = b.copy()
    for k in range(len(c)):
        below = slice(k + 1, None)
        c[below] -= L[below, k] * c[k]
    return c


def _copy_sample(g: np.ndarray) -> np.ndarray:
    """A copy of g (n, m) in double precision, or BadInput."""
    kind = getattr(getattr(g, "dtype", None), "kind", "")
    if kind != "c":
        g = real(g, "the sample")
    if g.ndim != 2 or not g.size:
        raise BadInput(
            f"the sample has shape {g.shape}; give columns g(mu_j, .): (n, m) with n, m > 0"
        )
    if not np.isfinite(g).all():
        i, j = np.argwhere(~np.isfinite(g))[0]
        raise BadInput(
            f"the sample holds NaN or Inf in row {i}, column {j}; leave that point or parameter out"
        )
    if not g.any():
        raise BadInput("the sample is zero everywhere; give at least one column that is not")
    dtype = complex if g.dtype.kind == "c" else float
    order: Any = "F" if g.flags.f_contiguous and not g.flags.c_contiguous else "C"
    copy: np.ndarray = np.array(g, dtype=dtype, order=order)
    return copy
