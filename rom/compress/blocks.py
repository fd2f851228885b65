"""Snapshots in blocks of rows under a memory budget, and products with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from rom.errors import BadInput
from rom.snapshots import Snapshots
from rom.space import Space

COPIES = 3  # blocks in memory at a time
COLUMNS = 8  # snapshots at a time where the product is sparse
BLOCK_BYTES = 2**27  # memory of the blocks where no budget is given


@dataclass(frozen=True, eq=False)
class RowBlocks:
    """Snapshots U (n, m), read in blocks of rows, without their mean if `center`.

    space, m : of the snapshots, and their number; dtype : of products, double precision at least
    budget : bytes for the blocks; strict : it holds for the modes too
    """

    snapshots: Snapshots
    center: bool
    budget: float
    strict: bool
    space: Space = field(init=False, repr=False)
    m: int = field(init=False)
    dtype: np.dtype[Any] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "space", self.snapshots.space)
        object.__setattr__(self, "m", int(self.snapshots.u.shape[1]))
        object.__setattr__(self, "dtype", np.result_type(self.snapshots.u.dtype, float))

    @property
    def lazy(self) -> bool:
        """Whether the snapshots lie on disk."""
        return not isinstance(self.snapshots.u, np.ndarray)

    def beside(self, rank: int) -> RowBlocks:
        """The same data with the budget that `rank` modes leave.

        Raises BadInput where nothing is left.
        """
        if not self.strict:
            return self
        n = self.space.n
        itemsize = np.dtype(self.snapshots.u.dtype).itemsize
        left = self.budget - n * rank * itemsize
        row = COPIES * 8 * self.m
        if left < row:
            raise BadInput(
                f"{rank} modes of {n} rows do not fit memory_budget = {self.budget:.3g} bytes; "
                "allow more, or ask for fewer"
            )
        return replace(self, budget=left)

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """(rows, U[rows]), such that three blocks fit the budget.

        Raises BadInput, naming the snapshot, for NaN on disk.
        """
        u = self.snapshots.u
        n = u.shape[0]
        on_disk = self.lazy or isinstance(u, np.memmap)
        step = self._rows_of(COPIES, np.dtype(u.dtype).itemsize)
        for start in range(0, n, step):
            rows = slice(start, min(start + step, n))
            block = np.asarray(u[rows])
            if on_disk:
                self.snapshots.check_finite(block, start)
            if self.center:
                block = block - block.mean(axis=1, keepdims=True)
            yield rows, block

    def offset(self) -> Any:
        """The mean of the snapshots (n,), or 0.0 where they are not centred."""
        if not self.center:
            return 0.0
        u = self.snapshots.u
        step = self._rows_of(2, 8)
        means = [np.zeros(0, u.dtype)]
        for start in range(0, u.shape[0], step):
            rows = u[start : start + step]
            means.append(np.mean(rows, axis=1))
        return np.concatenate(means)

    def times(self, W: np.ndarray) -> np.ndarray:
        """U W, (n, k)."""
        shape = (self.snapshots.u.shape[0], W.shape[1])
        dtype = np.result_type(self.snapshots.u.dtype, W)
        product = np.empty(shape, dtype=dtype)
        for rows, block in self.blocks():
            np.matmul(block, W, out=product[rows])
        return product

    def pair(self, F: np.ndarray) -> np.ndarray:
        """F^H U summed over all ranks, (k, m)."""
        shape = (F.shape[1], self.m)
        dtype = np.result_type(F, self.snapshots.u.dtype)
        total = np.zeros(shape, dtype=dtype)
        for rows, block in self.blocks():
            total += F[rows].conj().T @ block
        return self.space.sum(total)

    def energy(self) -> float:
        """|U|_X^2, summed over all ranks."""
        share = self._sparse_share() if sp.issparse(self.space.product) else self._diagonal_share()
        total = self.space.sum(np.array([share]))
        return float(total[0])

    def _sparse_share(self) -> float:
        """This rank's part of |U|_X^2 for a sparse X."""
        u, offset = self.snapshots.u, self.offset()
        total = 0.0
        for start in range(0, self.m, COLUMNS):
            columns = np.asarray(u[:, start : start + COLUMNS])
            if self.center:
                columns = columns - offset[:, None]
            squares = columns.conj() * self.space.apply(columns)
            total += np.sum(squares.real)
        return float(total)

    def _diagonal_share(self) -> float:
        """This rank's part of |U|_X^2 for a diagonal X."""
        product = self.space.product
        total = 0.0
        for rows, block in self.blocks():
            squares = np.abs(block) ** 2
            total += np.sum(squares * product[rows, None])
        return float(total)

    def _rows_of(self, copies: int, itemsize: int) -> int:
        """Rows of a block such that `copies` of it fit the budget, at least one."""
        row_bytes = self.snapshots.u.shape[1] * itemsize
        return max(1, int(self.budget / (copies * row_bytes)))


def column_blocks(snapshots: Snapshots, budget: float | None = None) -> Iterator[np.ndarray]:
    """U[:, columns] one after the other, such that four of them fit the budget.

    One snapshot at least. Every rank has as many blocks: what is done with each may be collective.
    """
    u, m = snapshots.u, int(snapshots.u.shape[1])
    column_bytes = 4 * max(8, np.dtype(u.dtype).itemsize) * max(1, snapshots.space.size)
    step = max(1, int((budget or BLOCK_BYTES) / column_bytes))
    for start in range(0, m, step):
        yield np.asarray(u[:, start : start + step])
