"""Sparse inverse Cholesky factors of covariances (Vecchia approximation).

U (n, n) upper triangular with U U^T ~ (K + nugget I)^{-1}. Column i holds
U_{S,i} = M^{-1} e / sqrt(e^T M^{-1} e), M = (K + nugget I)_{SS}, S = point i and its nearest
earlier points in maximin order: the minimiser of the Kullback-Leibler divergence for that
pattern; log |K + nugget I| ~ -2 sum log U_ii.
References: Vecchia (1988); Schaefer, Katzfuss, Owhadi (2021).
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from rom.errors import BadInput
from rom.gp.kernels import Stationary, radial
from rom.gp.orderings import earlier_neighbours, maximin_order

BATCH = 512
MIN_VARIANCE = 1e-14  # of a point given its neighbours, over the process variance


def ordered_factor(
    kernel: Stationary, nugget: float, x: np.ndarray, neighbours: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(maximin order (n,), near (n, k), columns (n, 1 + k)) of the factor at x (n, p).

    U is that of the points in this order. Row i of `columns` holds U_ii, then U at the rows
    near[i] < i, which are -1 where there are fewer than k.
    Raises BadInput for a kernel that is not stationary.
    """
    if not isinstance(kernel, Stationary):
        raise BadInput("the sparse factor needs a stationary kernel")
    order = maximin_order(x / kernel.lengths)
    x = x[order]
    near = earlier_neighbours(x / kernel.lengths, neighbours)
    columns = np.empty((len(x), 1 + near.shape[1]))
    for start in range(0, len(x), BATCH):
        rows = slice(start, start + BATCH)
        parents = near[rows]
        w, d = conditional_weights(kernel, nugget, x[rows], x[parents], parents >= 0)
        unscaled = np.hstack([np.ones((len(d), 1)), -w])
        deviation = np.sqrt(np.maximum(d + nugget, MIN_VARIANCE))
        columns[rows] = unscaled / deviation[:, None]
    return order, near, columns


def pattern_rows(near: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(rows (n, 1 + k), which exist): the diagonal of each column, then `near`."""
    own = np.arange(len(near))[:, None]
    rows = np.hstack([own, near])
    return rows, rows >= 0


def assemble_factor(near: np.ndarray, columns: np.ndarray) -> sp.csc_array:
    """The upper triangular matrix (n, n) of the columns of `ordered_factor`."""
    rows, exist = pattern_rows(near)
    ends = np.concatenate([[0], np.cumsum(exist.sum(axis=1))])
    shape = (len(near), len(near))
    return sp.csc_array((columns[exist], rows[exist], ends), shape=shape)


def conditional_weights(
    kernel: Stationary,
    noise: float | np.ndarray,
    z: np.ndarray,
    near: np.ndarray,
    valid: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (b, k) and variance (b,) of f at z (b, p) given its own neighbours.

    near (b, k, p) : the neighbours; noise () or (b, k) : variance of what is known there
    valid (b, k) : False where there is no neighbour, which then has no weight
    """
    scaled = near / kernel.lengths
    gap = scaled - (z / kernel.lengths)[:, None]
    K = _correlations(kernel.form, scaled)
    diagonal = np.arange(K.shape[1])
    K[:, diagonal, diagonal] += noise
    k = radial(kernel.form, np.sum(gap**2, axis=-1))
    if valid is not None and not valid.all():
        both = valid[:, :, None] & valid[:, None]
        K = np.where(both, K, np.eye(len(diagonal)))
        k = np.where(valid, k, 0.0)
    w = np.linalg.solve(K, k[:, :, None])[:, :, 0]
    return w, 1.0 - np.sum(w * k, axis=1)


def _correlations(form: str, points: np.ndarray) -> np.ndarray:
    """Correlations (b, k, k) between the points (b, k, p), in units of the lengths."""
    batch, size, _ = points.shape
    i, j = np.triu_indices(size, 1)
    square = sum((v[:, i] - v[:, j]) ** 2 for v in np.moveaxis(points, 2, 0))
    K = np.ones((batch, size, size))
    K[:, i, j] = radial(form, square)
    K[:, j, i] = K[:, i, j]
    return K
