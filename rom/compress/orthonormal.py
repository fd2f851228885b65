"""Columns made orthonormal in an inner product by Cholesky-QR, in place."""

from __future__ import annotations

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp

from rom.errors import NotConverged
from rom.space import Space

EPS = float(np.finfo(float).eps)
ROUND_OFF = 32 * EPS  # of a projection, relative to what is projected
MAX_SWEEPS = 6
ORTHONORMAL = 1e-10  # of |V^H X V - I|: more is no basis
COPIES = 3  # blocks of rows in memory at a time


def orthonormalise(space: Space, V: np.ndarray, budget: float = 2**26) -> np.ndarray:
    """V C^{-1} with C^H C = V^H X V, in place, repeated up to round-off.

    V : (n, r); budget : bytes for blocks of rows
    The Gram matrix is shifted where V is numerically dependent. Raises NotConverged where the
    result is not orthonormal.
    Reference: Fukaya et al. (2020).
    """
    row_bytes = max(V.shape[1], 1) * V.itemsize
    step = max(1, int(budget / (COPIES * row_bytes)))
    for _ in range(MAX_SWEEPS):
        gram = _gram(space, V, step)
        identity = np.eye(len(gram))
        defect = np.abs(gram - identity).max()
        if defect <= 8 * EPS:
            return V
        factor = _shifted_cholesky(gram)
        inverse = la.solve_triangular(factor, identity)
        _multiply_in_place(V, inverse, step)
    defect = np.abs(_gram(space, V, step) - identity).max()
    if not defect <= ORTHONORMAL:
        raise NotConverged(
            f"{V.shape[1]} modes stay dependent, |V^H X V - I| = {defect:.1e}; ask for fewer, or "
            "check the inner product"
        )
    return V


def _multiply_in_place(V: np.ndarray, T: np.ndarray, step: int) -> None:
    """V <- V T, `step` rows at a time."""
    for start in range(0, len(V), step):
        rows = slice(start, start + step)
        V[rows] = V[rows] @ T


def _shifted_cholesky(gram: np.ndarray) -> np.ndarray:
    """The Cholesky factor, of a slightly larger matrix where that is needed."""
    try:
        return np.asarray(la.cholesky(gram))
    except la.LinAlgError:
        n = len(gram)
        shift = 16 * EPS * n * np.trace(gram).real
        return np.asarray(la.cholesky(gram + shift * np.eye(n)))


def _gram(space: Space, V: np.ndarray, step: int) -> np.ndarray:
    """V^H X V; by blocks of rows where X is diagonal."""
    r = V.shape[1]
    total = np.zeros((r, r), dtype=V.dtype)
    if sp.issparse(space.product):
        width = max(1, step * r // max(len(V), 1))
        for start in range(0, r, width):
            columns = slice(start, start + width)
            total[:, columns] = V.conj().T @ space.apply(V[:, columns])
        return space.hermitian(total)
    weight = row_weights(space)
    for start in range(0, len(V), step):
        rows = slice(start, start + step)
        block = V[rows]
        if weight is not None:
            block = block * weight[rows, None]
        total += block.conj().T @ block
    return space.hermitian(total)


def row_weights(space: Space) -> np.ndarray | None:
    """sqrt(X) of a diagonal product, (n,); None for the Euclidean one."""
    weight = np.sqrt(space.product)
    euclidean = bool((weight == 1.0).all())
    return None if euclidean else weight


def column_signs(Z: np.ndarray) -> np.ndarray:
    """Factors (r,) that make the largest entry of each column positive.

    Applied to right singular vectors: the same basis for any partition of the rows.
    """
    columns = np.arange(Z.shape[1])
    if Z.size == 0:
        return np.ones(Z.shape[1])
    rows = np.argmax(np.abs(Z), axis=0)
    largest = Z[rows, columns]
    divisor = np.where(largest == 0, 1.0, largest)
    signs = np.abs(largest) / divisor
    return np.asarray(signs.conj())
