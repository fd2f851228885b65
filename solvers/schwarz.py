"""Krylov iterations on shared matrices, preconditioned by two-level Schwarz.

Ranks hold A = sum_i R_i^T A_i R_i in shares. M^{-1} = sum_s R_s^T D_s (R_s A R_s^T)^{-1} R_s + Z
(Z^T A Z)^{-1} Z^T: subdomains s of a rank's nodes with one layer of overlap, D_s a partition into
owned nodes, Z the rigid modes of the subdomains. References: Cai & Sarkis (1999); Toselli & Widlund
(2005).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp

from rom.space import Space, euclidean
from solvers.linear import factorise, rigid_modes
from solvers.partition import split

SUBDOMAIN = 15_000


def gmres(
    space: Space,
    apply: Callable[[np.ndarray], np.ndarray],
    M: Callable[[np.ndarray], np.ndarray],
    b: np.ndarray,
    tol: float,
    most: int = 300,
) -> tuple[np.ndarray, int]:
    """x with |b - A x| <= tol |b| and the iterations, at most `most`.

    Flexible GMRES, vectors alike where ranks share dofs.
    apply, M : x (n,) -> A x and M^{-1} x, values in full on every rank; M need be linear to its own
        precision only. Reference: Saad (1993).
    """
    once = euclidean(space.numbers, space.comm).product

    def inner(V: np.ndarray, w: np.ndarray) -> np.ndarray:
        return space.sum(V @ (once * w))

    size = float(np.sqrt(inner(b[None], b)[0]))
    x, left, count = np.zeros_like(b), size, 0
    while left > tol * size and count < most:
        r = b - apply(x) if count else b
        beta = float(np.sqrt(inner(r[None], r)[0]))
        V, Z, H, g = [r / beta], [], np.zeros((101, 100)), np.zeros(101)
        g[0] = beta
        for k in range(min(100, most - count)):
            Z.append(M(V[k]))
            w = apply(Z[k])
            basis = np.array(V)
            for _ in range(2):
                h = inner(basis, w)
                w = w - h @ basis
                H[: k + 1, k] += h
            H[k + 1, k] = float(np.sqrt(inner(w[None], w)[0]))
            y = la.lstsq(H[: k + 2, : k + 1], g[: k + 2])[0]
            left, count = float(np.linalg.norm(g[: k + 2] - H[: k + 2, : k + 1] @ y)), count + 1
            if left <= tol * size or H[k + 1, k] <= 1e-14 * beta:
                break
            V.append(w / H[k + 1, k])
        x = x + y @ np.array(Z[: len(y)])
    return x, count


def schwarz(
    space: Space, K: sp.bsr_array, points: np.ndarray, fixed: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """r -> M^{-1} r of shares K (n, n) whose rows `fixed` are held.

    At the nodes `points` (n / d, d) of this rank. Factors of about SUBDOMAIN rows each, so that
    time and memory grow with n, in single precision, which a preconditioner does with; one
    subdomain on one rank is a direct solve. Raises Singular.
    """
    A = constrain(assemble(space, K), fixed)
    d = A.blocksize[0]
    mine, near, rows = space.owned[::d], pattern(A), A.tocsr()
    parts = split(near, points, max(1, round(space.n / SUBDOMAIN)))
    alone = space.comm is None or space.comm.Get_size() == 1
    solves, kind = [], float if alone and not parts.any() else np.float32
    for s in np.unique(parts):
        wide = np.flatnonzero(near @ (parts == s).astype(float))
        at = (wide[:, None] * d + np.arange(d)).ravel()
        solves.append(
            (at, np.repeat((parts[wide] == s) & mine[wide], d), factorise(rows[at][:, at], kind))
        )
    Z, coarse = _coarse(space, K, points, fixed, [at for at, _, _ in solves])

    def precondition(r: np.ndarray) -> np.ndarray:
        x = np.zeros_like(r)
        for at, own, solve in solves:
            x[at[own]] += solve(r[at])[own]
        return space.whole(x + Z @ (coarse @ space.sum(Z.T @ r)))

    return precondition


def _coarse(
    space: Space, K: Any, points: np.ndarray, fixed: np.ndarray, reach: list[np.ndarray]
) -> tuple[Any, np.ndarray]:
    """Z (n, k) of this rank's subdomains, and (Z^T A Z)^+ of those of all ranks.

    Rigid modes cut off by a partition of unity.
    """
    modes = rigid_modes(points)
    modes[fixed] = 0.0
    often = space.whole(np.bincount(np.concatenate(reach), minlength=space.n).astype(float))
    counts = [len(reach)] if space.comm is None else space.comm.allgather(len(reach))
    before = 0 if space.comm is None else sum(counts[: space.comm.Get_rank()])
    width, Z = modes.shape[1], sp.lil_array((space.n, sum(counts) * modes.shape[1]))
    if Z.shape[1] == width:
        return sp.csr_array(Z), np.zeros((width, width))
    for k, at in enumerate(reach):
        U, s, _ = la.svd(modes[at] / often[at][:, None], full_matrices=False)
        Z[at, (before + k) * width : (before + k + 1) * width] = U * (s > 1e-8 * s[0])
    own = sp.csr_array(Z)
    # on shared dofs the modes of other ranks' subdomains count as well
    parts = [
        sp.csr_array(space.whole(own[:, i : i + 96].toarray())) for i in range(0, own.shape[1], 96)
    ]
    whole = sp.csr_array(sp.hstack(parts))
    return own, la.pinv(space.sum((whole.T @ (K @ whole)).toarray()), rtol=1e-12)


def assemble(space: Space, K: sp.bsr_array) -> sp.bsr_array:
    """R A R^T, the rows and columns of A at this rank's dofs, from shares.

    What other ranks add lies between shared dofs.
    """
    if space.comm is None:
        return K
    d, own = K.blocksize[0], sp.csr_array(K)
    edge = sp.diags_array(space.shared.astype(float))
    between = sp.csr_array(edge @ own @ edge)
    others = space.matrix(between)[space.numbers][:, space.numbers] - between
    return sp.bsr_array(sp.csr_array(own + others), blocksize=(d, d))


def constrain(K: sp.bsr_array, fixed: np.ndarray) -> sp.bsr_array:
    """K with rows and columns of fixed dofs replaced by those of its mean diagonal."""
    A = K.copy()
    keep = np.ones(K.shape[0])
    keep[fixed] = 0.0
    d = A.blocksize[0]
    rows = np.repeat(np.arange(len(A.indptr) - 1), np.diff(A.indptr))
    grid = keep.reshape(-1, d)
    A.data = A.data * grid[rows][:, :, None] * grid[A.indices][:, None, :]
    middle = np.flatnonzero(rows == A.indices)
    A.data[middle[:, None], np.arange(d), np.arange(d)] += (1 - grid) * np.abs(K.diagonal()).mean()
    return A


def pattern(A: sp.bsr_array) -> sp.csr_array:
    """Ones where blocks are."""
    n = len(A.indptr) - 1
    return sp.csr_array((np.ones(len(A.indices)), A.indices, A.indptr), shape=(n, n))
