"""Linear solvers: x = A^{-1} b, symmetric positive definite A."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from rom.errors import BadInput, NotConverged, Singular

DIRECT = 12_000


def solver(
    A: Any, near_nullspace: np.ndarray | None = None, direct: int = DIRECT, tol: float = 1e-13
) -> Callable[[np.ndarray], np.ndarray]:
    """b (n,) or (n, k) -> A^{-1} b for a sparse symmetric positive definite A, set up once.

    Up to `direct` rows: SuperLU in symmetric mode; beyond: conjugate gradients to |b - A x| <= tol |b|, preconditioned by smoothed
    aggregation, with `near_nullspace` (n, l) the rigid-body modes of elasticity. Raises Singular, NotConverged.
    Reference: Vanek, Mandel & Brezina (1996).
    """
    A = sp.csr_array(A)
    if A.shape[0] != A.shape[1] or not np.isfinite(A.data).all():
        raise BadInput(f"the matrix of shape {A.shape} must be square and hold no NaN or Inf")
    return _factorised(A) if A.shape[0] <= direct else _multigrid(A, near_nullspace, tol)


def _factorised(A: sp.csr_array) -> Callable[[np.ndarray], np.ndarray]:
    try:
        lu = splu(A.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    except RuntimeError as error:
        raise Singular(f"the matrix of {A.shape[0]} rows cannot be factorised ({error}); fix a dof or add a film") from error
    return lambda b: lu.solve(np.ascontiguousarray(b, dtype=float))


def _multigrid(A: sp.csr_array, near_nullspace: np.ndarray | None, tol: float) -> Callable[[np.ndarray], np.ndarray]:
    import pyamg

    block = 1 if near_nullspace is None else {3: 2, 6: 3}.get(near_nullspace.shape[1], 1)
    state = np.random.get_state()  # noqa: NPY002 - the library draws from the global state; it is put back
    np.random.seed(0)  # noqa: NPY002
    try:
        rows = sp.bsr_matrix(sp.csr_matrix(A), blocksize=(block, block)) if block > 1 else sp.csr_matrix(A)
        levels = pyamg.smoothed_aggregation_solver(rows, B=near_nullspace)
    finally:
        np.random.set_state(state)  # noqa: NPY002

    def solve(b: np.ndarray) -> np.ndarray:
        columns = np.asarray(b, dtype=float).reshape(len(b), -1)
        return np.column_stack([_conjugate(A, levels, column, tol) for column in columns.T]).reshape(np.shape(b))

    return solve


def _conjugate(A: sp.csr_array, levels: Any, b: np.ndarray, tol: float, restarts: int = 4) -> np.ndarray:
    """Conjugate gradients, restarted from the true residual until it meets the tolerance."""
    x, size = np.zeros_like(b), float(np.linalg.norm(b))
    # round-off of one product with A: no iteration can go below it
    for _ in range(restarts):
        r = b - A @ x
        floor = 4 * np.finfo(float).eps * float(np.linalg.norm(abs(A) @ abs(x)))
        if np.linalg.norm(r) <= max(tol * size, floor):
            return x
        x = x + levels.solve(r, tol=min(0.5, 0.5 * tol * size / float(np.linalg.norm(r))), maxiter=300, accel="cg")
    left = float(np.linalg.norm(b - A @ x))
    if left <= max(tol * size, floor):
        return x
    raise NotConverged(f"|r| = {left / size:.1e} |b| after {restarts} cycles of 300 steps; check the mesh for slivers or a free body")


def rigid_modes(points: np.ndarray) -> np.ndarray:
    """Translations and infinitesimal rotations about the centroid, node-major, (d n, 3) in the plane and (d n, 6) in space."""
    n, d = points.shape
    x = points - points.mean(axis=0)
    modes = np.zeros((n, d, 3 if d == 2 else 6))
    modes[:, np.arange(d), np.arange(d)] = 1.0
    for k, (i, j) in enumerate([(0, 1)] if d == 2 else [(0, 1), (1, 2), (2, 0)]):
        modes[:, i, d + k], modes[:, j, d + k] = -x[:, j], x[:, i]
    return modes.reshape(n * d, -1)
