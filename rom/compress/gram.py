"""Gram matrices and sketches of snapshots that are read in blocks of rows."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
import scipy.sparse as sp

from rom.compress.blocks import COPIES, RowBlocks
from rom.compress.orthonormal import row_weights
from rom.space import Space

ENTRIES = 4  # of a column of the sketch


def gram_matrix(data: RowBlocks, transform: np.ndarray | None = None) -> np.ndarray:
    """(U T)^H X (U T), (k, k); one allreduce of k (k + 1) / 2 numbers.

    transform : T (m, k), the identity by default
    """
    if sp.issparse(data.space.product):
        return _sparse_gram(data, transform)
    return _diagonal_gram(data, transform)


def _diagonal_gram(data: RowBlocks, transform: np.ndarray | None) -> np.ndarray:
    """The Gram matrix for a diagonal X, in one pass."""
    k = _width(data, transform)
    total = np.zeros((k, k), dtype=data.dtype)
    weight = row_weights(data.space)
    for rows, block in data.blocks():
        columns = _transform(block, transform)
        if weight is not None:
            columns = columns * weight[rows, None]
        total += columns.conj().T @ columns
    return data.space.hermitian(total)


def _sparse_gram(data: RowBlocks, transform: np.ndarray | None) -> np.ndarray:
    """The Gram matrix for a sparse X: columns in memory or in a scratch file."""
    raw = transform is None and not data.center and data.scale == 1.0
    with tempfile.TemporaryFile() as scratch:
        if raw and not data.lazy:
            columns = data.snapshots.u
        else:
            columns = _write_columns(data, transform, scratch)
        upper = _column_products(data, columns)
    lower = np.triu(upper, 1).conj().T
    return data.space.hermitian(np.triu(upper) + lower)


def _write_columns(data: RowBlocks, transform: np.ndarray | None, scratch: Any) -> np.ndarray:
    """U T (n, k) by columns in a scratch file."""
    shape = (data.space.n, _width(data, transform))
    if data.space.n == 0:
        return np.empty(shape, dtype=data.dtype)
    columns = np.memmap(scratch, dtype=data.dtype, mode="w+", shape=shape, order="F")
    for rows, block in data.blocks():
        columns[rows] = _transform(block, transform)
    return columns


def _column_products(data: RowBlocks, V: Any) -> np.ndarray:
    """V^H X V by pairs of column blocks; right in its upper triangle only."""
    n, k = V.shape
    total = np.zeros((k, k), dtype=data.dtype)
    if n == 0:
        return total
    step = max(1, int(data.budget / (COPIES * n * total.itemsize)))
    for j in range(0, k, step):
        right = slice(j, j + step)
        image = data.space.product @ np.asarray(V[:, right], dtype=data.dtype)
        for i in range(0, j + step, step):
            left = slice(i, i + step)
            total[left, right] = np.asarray(V[:, left], dtype=data.dtype).conj().T @ image
    return total


def _width(data: RowBlocks, transform: np.ndarray | None) -> int:
    """Number of columns of U T."""
    return data.m if transform is None else transform.shape[1]


def _transform(block: np.ndarray, transform: np.ndarray | None) -> np.ndarray:
    """U[rows] T."""
    return block if transform is None else block @ transform


def sketch(data: RowBlocks, rng: np.random.Generator) -> np.ndarray:
    """S D U, (4 m + 8, m): S a sparse sign matrix, D = sqrt(diag X).

    S = I where there are fewer dofs than that.
    S is fixed by global numbers of dofs: the same for any partition of the rows.
    """
    size = 4 * data.m + 8
    few = data.space.size <= size
    seeds = rng.integers(2**63, size=ENTRIES, dtype=np.uint64)
    weight = _owned_weights(data.space)
    total = np.zeros((data.space.size if few else size, data.m), dtype=data.dtype)
    for rows, block in data.blocks():
        numbers = data.space.numbers[rows]
        if few:
            total[numbers] = weight[rows, None] * block
        else:
            total += _sign_matrix(numbers, weight[rows], seeds, size) @ block
    return data.space.sum(total)


def _owned_weights(space: Space) -> np.ndarray:
    """sqrt(diag X) at the dofs that this rank owns, zero at others, (n,)."""
    product = space.product
    share = product.diagonal() if sp.issparse(product) else product
    diagonal = space.assemble(share)[space.numbers]
    weight = np.sqrt(np.maximum(diagonal, 0.0))
    return np.asarray(weight * space.owned)


def _sign_matrix(
    numbers: np.ndarray, weight: np.ndarray, seeds: np.ndarray, size: int
) -> sp.csc_array:
    """S D (size, n): ENTRIES entries of random sign in each column.

    Each lies in its own share of the rows.
    With few entries the rows of a few snapshots of few dofs cancel or coincide too often.
    Reference: Nelson and Nguyen (2013).
    """
    hashes = [hash_numbers(numbers, seed) for seed in seeds]
    bits = np.stack(hashes, axis=1)
    signs = np.where(bits >> np.uint64(63), 1.0, -1.0)
    entries = signs * weight[:, None]
    share = size // len(seeds)
    first = share * np.arange(len(seeds), dtype=np.int32)
    buckets = (bits % np.uint64(share)).astype(np.int32) + first
    starts = np.arange(0, entries.size + 1, len(seeds))
    parts = (entries.ravel(), buckets.ravel(), starts)
    return sp.csc_array(parts, shape=(size, len(numbers)))


def hash_numbers(numbers: np.ndarray, seed: np.uint64) -> np.ndarray:
    """splitmix64 of the numbers of dofs."""
    with np.errstate(over="ignore"):
        z = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + seed
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
