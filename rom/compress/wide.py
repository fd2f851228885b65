"""More snapshots than dofs: factors of U from a matrix (n, n).

With X = L L^H and A = L^H U (n, m), n < m: A^H = Q R, R^H = P S Z^H, hence A = P S (Q Z)^H. Only
R (n, n) is held; Q is never formed, and nothing is squared.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp

from rom.compress.blocks import RowBlocks
from rom.compress.orthonormal import EPS, column_signs


def wide_factors(data: RowBlocks) -> tuple[np.ndarray, np.ndarray]:
    """s and right singular vectors W (m, k) of U, without round-off."""
    root = _root(data)
    R = np.zeros((0, data.space.size), dtype=data.dtype)
    for _, columns in _column_blocks(data):
        stacked = np.vstack([R, (root @ columns).conj().T])
        R = la.qr(stacked, mode="r", overwrite_a=True, check_finite=False)[0][: R.shape[1]]
    P, s, _ = la.svd(R.conj().T, full_matrices=False)
    k = max(1, int(np.sum(s > EPS * np.sqrt(data.m) * s[0])))
    back = root.conj().T @ P[:, :k] / np.where(s[:k] > 0, s[:k], 1.0)
    W = np.empty((data.m, k), dtype=data.dtype)
    for span, columns in _column_blocks(data):
        W[span] = columns.conj().T @ back
    return s, W * column_signs(W)


def _root(data: RowBlocks) -> np.ndarray:
    """L^H with X = L L^H, (N, N), on every rank."""
    space = data.space
    if not sp.issparse(space.product):
        return np.asarray(np.diag(np.sqrt(space.assemble(space.product))))
    values, vectors = la.eigh(space.matrix(space.product).toarray())
    return np.asarray(np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.conj().T)


def _column_blocks(data: RowBlocks) -> Iterator[tuple[slice, np.ndarray]]:
    """(columns, U[:, columns] with all N rows on every rank)."""
    step = max(1, int(data.budget / (4 * data.space.size * data.dtype.itemsize)))
    for start in range(0, data.m, step):
        span = slice(start, min(start + step, data.m))
        yield span, data.space.gather(data.column_block(span))
