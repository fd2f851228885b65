"""Linear solvers: x = A^{-1} b, symmetric positive definite A."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from rom.errors import BadInput, NotConverged, Singular

DIRECT, DIRECT_BLOCKS = 10_000, 40_000
EPS = float(np.finfo(float).eps)
STRENGTH = ("symmetric", {"theta": 0.05})
SMOOTH = ("energy", {"krylov": "cg", "degree": 1, "maxiter": 3})


def solver(
    A: Any, near_nullspace: np.ndarray | None = None, direct: int | None = None, tol: float = 1e-13
) -> Callable[[np.ndarray], np.ndarray]:
    """b (n,) or (n, k) -> A^{-1} b for a sparse symmetric positive definite A.

    Set up once. Up to `direct` rows: SuperLU in symmetric mode; beyond: conjugate gradients to |b -
    A x| <= tol |b|, or to the round-off eps | |A| |x| | of the product if that is larger,
    preconditioned by smoothed aggregation, with `near_nullspace` (n, l) the rigid-body modes of
    elasticity. By default `direct` is 10,000, where one factorisation costs as much as one
    iteration to the end, and 40,000 with a near-nullspace, for such factors serve many right-hand
    sides (measured on a slender blade: at 37,000 rows 3.6 s and 0.01 s a solve against 0.4 s and
    0.7 s a solve, 340 MB of factors). Raises BadInput, Singular, NotConverged. Reference: Vanek,
    Mandel & Brezina (1996).
    """
    A = sp.csr_array(A)
    if A.shape[0] != A.shape[1] or not np.isfinite(A.data).all():
        raise BadInput(f"the matrix of shape {A.shape} must be square and hold no NaN or Inf")
    limit = direct if direct is not None else DIRECT if near_nullspace is None else DIRECT_BLOCKS
    return factorise(A) if A.shape[0] <= limit else _multigrid(A, near_nullspace, tol)


def factorise(A: sp.csr_array, kind: Any = float) -> Callable[[np.ndarray], np.ndarray]:
    """b -> A^{-1} b by SuperLU in symmetric mode, in numbers of `kind`.

    kind : float, or np.float32 for half the memory
    Raises Singular.
    """
    try:
        lu = splu(
            A.tocsc().astype(kind),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
    except RuntimeError as error:
        raise Singular(
            f"the matrix of {A.shape[0]} rows cannot be factorised ({error}); "
            "fix a dof or add a film"
        ) from error
    return lambda b: lu.solve(np.ascontiguousarray(b, dtype=kind))


def _multigrid(
    A: sp.csr_array, near_nullspace: np.ndarray | None, tol: float
) -> Callable[[np.ndarray], np.ndarray]:
    import pyamg

    block = 1 if near_nullspace is None else {3: 2, 6: 3}.get(near_nullspace.shape[1], 1)
    # the library draws from the global state, which is put back
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        rows = (
            sp.bsr_matrix(sp.csr_matrix(A), blocksize=(block, block))
            if block > 1
            else sp.csr_matrix(A)
        )
        options = {} if near_nullspace is None else {"strength": STRENGTH, "smooth": SMOOTH}
        levels = pyamg.smoothed_aggregation_solver(rows, B=near_nullspace, **options)
    finally:
        np.random.set_state(state)  # noqa: NPY002

    def solve(b: np.ndarray) -> np.ndarray:
        columns = np.asarray(b, dtype=float).reshape(len(b), -1)
        return np.column_stack(
            [_conjugate(A, levels, column, tol) for column in columns.T]
        ).reshape(np.shape(b))

    return solve


def _conjugate(
    A: sp.csr_array, levels: Any, b: np.ndarray, tol: float, cycles: int = 8
) -> np.ndarray:
    """Conjugate gradients in cycles of at most seven digits.

    Each cycle starts from the true residual b - A x.
    """
    x, r, size = np.zeros_like(b), b, float(np.linalg.norm(b))
    target, left = tol * size, size
    for _ in range(cycles):
        if left <= target:
            return x
        x = x + levels.solve(r, tol=max(1e-7, 0.5 * target / left), maxiter=400, accel="cg")
        r = b - A @ x
        # a residual below the round-off of its own product says nothing; one of which round-off is
        # a millionth says: singular
        floor = min(EPS * float(np.linalg.norm(abs(A) @ abs(x))), 1e-6 * size)
        target, before = max(tol * size, floor), left
        left = float(np.linalg.norm(r))
        if left > 0.1 * before:
            break
    if left <= target:
        return x
    raise NotConverged(
        f"conjugate gradients stopped at |r| = {left / size:.1e} |b|; "
        "check the mesh for slivers or a free body"
    )


def rigid_modes(points: np.ndarray, centre: np.ndarray | None = None) -> np.ndarray:
    """Translations and infinitesimal rotations about `centre`, node-major.

    (d n, 3) in the plane, (d n, 6) in space; about the centroid by default.
    """
    n, d = points.shape
    x = points - (points.mean(axis=0) if centre is None else centre)
    modes = np.zeros((n, d, 3 if d == 2 else 6))
    modes[:, np.arange(d), np.arange(d)] = 1.0
    for k, (i, j) in enumerate([(0, 1)] if d == 2 else [(0, 1), (1, 2), (2, 0)]):
        modes[:, i, d + k], modes[:, j, d + k] = -x[:, j], x[:, i]
    return modes.reshape(n * d, -1)
