"""Extreme eigenvalues of A v = lambda X v, each proved by inertia.

lambda_min >= s  <=>  A - s X has no negative eigenvalue  <=>  nor has D of its L D L^T
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh, splu

from rom.errors import NotConverged, Singular

ROUGH = 1e-6  # tolerance of an end of a range, which inertia moves outwards
MAX_RESTARTS = 50
OUTWARDS = 1e-6  # of a term's size: first step outwards, doubled until inertia agrees
MAX_STEPS = 60
DENSE = 256  # unknowns up to which all eigenvalues are computed
ROUND_OFF = 1e-12  # of the largest quotient: by how much more a bound is moved outwards
SEED = 0  # of the first Krylov vector, which must not be orthogonal to what is sought


def smallest_eigenpair(A: Any, X: Any, span: tuple[float, float]) -> tuple[float, np.ndarray]:
    """A lower bound of the smallest eigenvalue of A v = lambda X v, and v.

    span : (low, high) with all eigenvalues inside; v^T X v = 1
    Raises NotConverged where inertia shows an eigenvalue below the bound.
    """
    low, high = span
    v = _smallest_vector(A, X, low - 1e-3 * max(high - low, abs(high), abs(low)))
    v = v / np.sqrt(v @ (X @ v))
    value = float(v @ (A @ v))
    residual = A @ v - value * (X @ v)
    bound = value - _dual_norm(residual, X) - ROUND_OFF * max(abs(low), abs(high))
    if not is_positive(A - bound * X):
        raise NotConverged(
            f"an eigenvalue lies below {bound:g}, the smallest that was computed; scale the terms "
            "alike, or improve the condition of the inner product"
        )
    return bound, v


def eigenvalue_range(A: Any, X: Any) -> tuple[float, float]:
    """[low, high] that holds all eigenvalues of A v = lambda X v."""
    return -_largest_eigenvalue(-A, X), _largest_eigenvalue(A, X)


def is_positive(A: Any) -> bool:
    """Whether a symmetric matrix has no eigenvalue below zero: the signs of its pivots."""
    try:
        factors = splu(
            sp.csc_array(A),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
    except RuntimeError:  # a pivot is zero
        return False
    symmetric = bool((factors.perm_r == factors.perm_c).all())
    return symmetric and bool((factors.U.diagonal() > 0).all())


def _smallest_vector(A: Any, X: Any, below: float) -> np.ndarray:
    """The eigenvector of the smallest eigenvalue, all of which lie above `below`."""
    n = X.shape[0]
    if n <= DENSE:
        _, vectors = la.eigh(A.toarray(), X.toarray(), subset_by_index=[0, 0])
    else:
        _, vectors = _krylov(A, X, sigma=below, which="LM")
    return np.asarray(vectors[:, 0])


def _largest_eigenvalue(A: Any, X: Any) -> float:
    """An upper bound of the largest eigenvalue of A v = lambda X v."""
    n = X.shape[0]
    if A.nnz == 0:
        return 0.0
    if n <= DENSE:
        values = la.eigh(A.toarray(), X.toarray(), eigvals_only=True)
        return float(values[-1] + ROUND_OFF * np.abs(values).max())
    v = _leading_vector(A, X)
    value = float(v @ (A @ v))
    residual = _dual_norm(A @ v - value * (X @ v), X)
    step = max(residual, OUTWARDS * _dual_norm(A @ v, X))
    bound = value + residual
    for _ in range(MAX_STEPS):
        if is_positive(bound * X - A):
            return bound
        bound, step = bound + step, 2 * step
    raise NotConverged(
        f"an eigenvalue of a term lies above {bound:g}, the largest that was computed; scale the "
        "terms alike"
    )


def _leading_vector(A: Any, X: Any) -> np.ndarray:
    """About the eigenvector of the largest eigenvalue; inertia corrects what it misses."""
    inverse = LinearOperator(X.shape, _solver(X))
    try:
        _, vectors = _krylov(A, X, Minv=inverse, which="LA", tol=ROUGH, maxiter=MAX_RESTARTS)
        v = vectors[:, 0]
    except NotConverged:
        v = np.random.default_rng(SEED).standard_normal(X.shape[0])
    return np.asarray(v / np.sqrt(v @ (X @ v)))


def _krylov(A: Any, X: Any, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """One eigenpair by Lanczos' method, of a random start. Raises NotConverged."""
    start = np.random.default_rng(SEED).standard_normal(X.shape[0])
    try:
        value, vector = eigsh(sp.csc_array(A), 1, M=X, v0=start, **options)
    except (ArpackError, RuntimeError) as error:
        raise NotConverged(
            f"extreme eigenvalue of a term not found: {error}; scale the terms alike"
        ) from error
    return value, vector


def _solver(X: Any) -> Callable[[np.ndarray], np.ndarray]:
    try:
        solve: Callable[[np.ndarray], np.ndarray] = splu(sp.csc_array(X)).solve
    except RuntimeError as error:
        raise Singular(
            f"the inner product cannot be factorised ({error}); add a mass or boundary term"
        ) from error
    return solve


def _dual_norm(residual: np.ndarray, X: Any) -> float:
    """(r^T X^{-1} r)^{1/2}."""
    return float(np.sqrt(max(residual @ _solver(X)(residual), 0.0)))
