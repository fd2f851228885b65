"""The sparse inverse Cholesky factor of a covariance that is closest in Kullback-Leibler divergence for its pattern (Vecchia)."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree

from rom.errors import BadInput
from rom.gp.kernels import Stationary
from rom.gp.profiles import radial

BATCH = 512


def factor(kernel: Stationary, nugget: float, x: np.ndarray, neighbours: int) -> sp.csc_array:
    """U (n, n) sparse with U U^T ~ (K + nugget I)^{-1}: column i holds U_{S,i} = M^{-1} e / sqrt(e^T M^{-1} e), M = (K + nugget I)_{SS},

    S = point i and its nearest earlier ones in maximin order: the minimiser of the Kullback-Leibler divergence for that pattern.
    log |K + nugget I| ~ -2 sum log U_ii.
    """
    order, near, columns = ordered_factor(kernel, nugget, x, neighbours)
    U = assemble_factor(near, columns).tocoo()
    return sp.csc_array(sp.coo_array((U.data, (order[U.row], order[U.col])), shape=U.shape))


def ordered_factor(
    kernel: Stationary, nugget: float, x: np.ndarray, neighbours: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(maximin order (n,), near (n, k), columns (n, 1 + k)): U of the points in that order, upper triangular.

    Row i of `columns` holds U_ii, then U at the rows near[i] < i, -1 where there are fewer than k.
    """
    if not isinstance(kernel, Stationary):
        raise BadInput("the sparse factor needs a stationary kernel")
    order = maximin(x / kernel.lengths)
    x = x[order]
    near = earlier(x / kernel.lengths, neighbours)
    columns = np.empty((len(x), 1 + near.shape[1]))
    for block in (slice(s, s + BATCH) for s in range(0, len(x), BATCH)):
        w, d = conditional_weights(kernel, nugget, x[block], x[near[block]], near[block] >= 0)
        columns[block] = (
            np.hstack([np.ones((len(d), 1)), -w]) / np.sqrt(np.maximum(d + nugget, 1e-14))[:, None]
        )
    return order, near, columns


def assemble_factor(near: np.ndarray, columns: np.ndarray) -> sp.csc_array:
    """The upper triangular matrix of `ordered_factor`."""
    held = np.hstack([np.ones((len(near), 1), dtype=bool), near >= 0])
    rows = np.hstack([np.arange(len(near))[:, None], near])
    ends = np.concatenate([[0], np.cumsum(held.sum(axis=1))])
    return sp.csc_array((columns[held], rows[held], ends), shape=(len(near), len(near)))


def conditional_weights(
    kernel: Stationary,
    noise: float | np.ndarray,
    z: np.ndarray,
    near: np.ndarray,
    known: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (b, k) and variance (b,) of f at z (b, p) given its own neighbours near (b, k, p) with noise () or (b, k); unknown ones weigh nothing."""
    s = near / kernel.lengths
    (b, size, _), (i, j) = s.shape, np.triu_indices(s.shape[1], 1)
    K = np.ones((b, size, size))
    K[:, i, j] = radial(kernel.form, sum((v[:, i] - v[:, j]) ** 2 for v in np.moveaxis(s, 2, 0)))
    K[:, j, i] = K[:, i, j]
    K[:, np.arange(size), np.arange(size)] += noise
    k = radial(kernel.form, np.sum((s - (z / kernel.lengths)[:, None]) ** 2, axis=-1))
    if known is not None and not known.all():
        K = np.where(known[:, :, None] & known[:, None], K, np.eye(size))
        k = np.where(known, k, 0.0)
    w = np.linalg.solve(K, k[:, :, None])[:, :, 0]
    return w, 1.0 - np.sum(w * k, axis=1)


def maximin(x: np.ndarray) -> np.ndarray:
    """An order in which early points are far apart, (n,): from each cell of ever finer grids one point that is not yet taken.

    Within a factor of the exact maximin order's distances, in O(n log n) for each of its O(log n) levels.
    """
    low, size = x.min(axis=0), float(np.ptp(x, axis=0).max()) or 1.0
    order, left = [], np.arange(len(x))
    taken = np.empty(0, dtype=np.int64)
    while left.size:
        if size < 1e-12:
            order.append(left)
            break
        cells = np.floor((x - low) / size).astype(np.int64)
        label = np.unique(cells, axis=0, return_inverse=True)[1].ravel()
        free = left[~np.isin(label[left], label[taken])]
        new = free[np.unique(label[free], return_index=True)[1]]
        order.append(new)
        taken, left = np.concatenate([taken, new]), np.setdiff1d(left, new, assume_unique=True)
        size /= 2
    return np.concatenate(order)


def earlier(x: np.ndarray, k: int) -> np.ndarray:
    """The k nearest earlier points of each point of an ordered set, (n, k); -1 where there are fewer."""
    n = len(x)
    near = np.full((n, k), -1, dtype=np.int64)
    start = min(n, max(2 * k, 64))
    for i in range(1, start):
        d = np.sum((x[:i] - x[i]) ** 2, axis=1)
        chosen = np.argsort(d, kind="stable")[:k]
        near[i, : chosen.size] = chosen
    while start < n:
        stop = min(2 * start, n)
        block = np.arange(start, stop)
        every, before = cKDTree(x[:stop]), cKDTree(x[:start])
        found = every.query(x[block], min(3 * k, stop))[1]
        ranked = np.argsort(found >= block[:, None], axis=1, kind="stable")[:, :k]
        found = np.take_along_axis(found, ranked, axis=1)
        short = (found >= block[:, None]).any(axis=1)
        if short.any():
            found[short] = before.query(x[block[short]], k)[1].reshape(-1, k)
        near[block] = found
        start = stop
    return near
