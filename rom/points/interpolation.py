"""Interpolation points from samples: EIM in its symmetric form, DEIM, Q-DEIM."""

from __future__ import annotations

import numpy as np
from scipy.linalg import qr

from rom.errors import BadInput, real
from rom.rule import Interpolation

FLOOR = 64 * float(np.finfo(float).eps)


def eim(g: np.ndarray, tol: float = 1e-12, rank: int | None = None) -> Interpolation:
    """I_d g(mu, x) = g(mu, X)^T G^{-1} g(M, x), G_ml = g(mu_m, x_l): M and X greedy by the largest residual.

    g : (n, m) real or complex, columns are g(mu_j, .); of a vector- or set-valued g the components lie below each other
    tol : on the largest residual relative to the largest |g|; rank : at most that many points
    Each mode is re-interpolated twice, so that the matrix stays unit lower triangular below round-off, where the loop stops.
    Raises BadInput for NaN, an empty or a zero sample. Reference: Barrault, Maday, Nguyen, Patera (2004); Casenave, Ern, Lelievre (2014).
    """
    rho = _sample(g)
    size = np.abs(rho).max()
    Q, reason = np.zeros((len(rho), 0), rho.dtype), ""
    dofs: list[int] = []
    picked: list[int] = []
    errors: list[float] = []
    while not reason:
        x, j = np.unravel_index(np.argmax(np.abs(rho)), rho.shape)
        error = float(np.abs(rho[x, j]) / size)
        errors.append(error)
        reason = _reason(error, tol, len(dofs), min(rho.shape) if rank is None else rank)
        if not reason:
            q = _exact(rho[:, j], Q, dofs, int(x))
            rho -= np.outer(q, rho[x])
            rho[x] = 0.0
            Q, dofs, picked = np.column_stack([Q, q]), [*dofs, int(x)], [*picked, int(j)]
    return Interpolation(
        Q, np.array(dofs), Q[dofs], np.array(picked), np.array(errors), tol, reason
    )


def _reason(error: float, tol: float, d: int, most: int) -> str:
    if error <= tol:
        return f"tol {tol:g} reached"
    if error <= FLOOR:
        return f"round-off reached: residual {error:.1e}; further points would be noise"
    return f"rank {most} reached" if d >= most else ""


def _exact(q: np.ndarray, Q: np.ndarray, dofs: list[int], x: int) -> np.ndarray:
    """q scaled to q(x) = 1 and zero at the earlier points, by re-interpolation."""
    q = q / q[x]
    for _ in range(2 if dofs else 0):
        c = q[dofs].copy()
        for k in range(len(dofs)):
            c[k + 1 :] -= Q[dofs[k + 1 :], k] * c[k]
        q = q - Q @ c
        q = q / q[x]
        q[dofs] = 0.0
    q[x] = 1.0
    return q


def _sample(g: np.ndarray) -> np.ndarray:
    """A copy of g in double precision, or BadInput."""
    g = g if getattr(getattr(g, "dtype", None), "kind", "") == "c" else real(g, "the sample")
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
    return g.astype(complex if g.dtype.kind == "c" else float)


def deim(modes: np.ndarray) -> Interpolation:
    """x_l = argmax |w_l - I_{l-1} w_l| for modes W (n, d): DEIM points. Reference: Chaturantabut and Sorensen (2010)."""
    W = _sample(modes)
    dofs = [int(np.argmax(np.abs(W[:, 0])))]
    for k in range(1, W.shape[1]):
        rest = W[:, k] - W[:, :k] @ np.linalg.solve(W[dofs, :k], W[dofs, k])
        rest[dofs] = 0.0
        if not np.abs(rest).max() > FLOOR * np.abs(W[:, k]).max():
            raise BadInput(
                f"mode {k} depends on those before it; give linearly independent modes (run pod first)"
            )
        dofs.append(int(np.argmax(np.abs(rest))))
    return Interpolation(W, np.array(dofs), W[dofs])


def qdeim(modes: np.ndarray) -> Interpolation:
    """The first d pivots of W^H P = Q R with column pivoting, for modes W (n, d). Reference: Drmac and Gugercin (2016)."""
    W = _sample(modes)
    R, dofs = qr(W.conj().T, mode="r", pivoting=True)
    diagonal = np.abs(np.diagonal(R))
    if len(diagonal) < W.shape[1] or diagonal[-1] <= FLOOR * diagonal[0]:
        raise BadInput(
            f"the {W.shape[1]} modes are linearly dependent; give independent modes (run pod first)"
        )
    dofs = dofs[: W.shape[1]]
    return Interpolation(W, dofs, W[dofs])
