"""Snapshots in blocks of rows under a memory budget, and products with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from rom.errors import BadInput
from rom.snapshots import Snapshots
from rom.space import Space

COPIES = 3  # blocks in memory at a time
LOG_LARGEST = float(np.log(np.finfo(float).max))
SMALL, LARGE = 1e-100, 1e100  # between them squares neither vanish nor overflow
COLUMNS = 8  # snapshots at a time where the product is sparse
BLOCK_BYTES = 2**27  # memory of the blocks where no budget is given


@dataclass(frozen=True, eq=False)
class RowBlocks:
    """Snapshots U (n, m), read in blocks of rows, without their mean if `center`.

    space, m : of the snapshots, and their number; dtype : of products, double precision at least
    budget : bytes for the blocks; strict : it holds for modes and matrices too
    scale : a power of two that multiplies U, such that its squares neither vanish nor overflow
    """

    snapshots: Snapshots
    center: bool
    budget: float
    strict: bool
    scale: float = 1.0
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
        return self.reserve(n * rank * self.dtype.itemsize, f"{rank} modes of {n} rows")

    def reserve(self, size: float, what: str) -> RowBlocks:
        """The same data with `size` bytes less for its blocks. Raises BadInput."""
        if not self.strict:
            return self
        left = self.budget - size
        row = COPIES * 8 * self.m
        if left < row:
            raise BadInput(
                f"{what} do not fit memory_budget = {self.budget:.3g} bytes; "
                "allow more, or ask for fewer"
            )
        return replace(self, budget=left)

    def in_range(self) -> RowBlocks:
        """The same data scaled where squares of its numbers would vanish or overflow.

        One block tells, mostly; all are read where it holds nothing between 1e-100 and 1e100.
        """
        step = self._rows_of(COPIES, self.dtype.itemsize)
        peak = self._peak(range(0, 1), step)
        if not SMALL < peak < LARGE:
            peak = self._peak(range(0, self.snapshots.u.shape[0], step), step)
        if peak == 0.0 or SMALL < peak < LARGE:
            return self
        if np.log(peak) + 0.5 * np.log(self.space.size * self.m) > LOG_LARGEST:
            raise BadInput(
                f"the snapshots reach {peak:g} and their norms overflow; scale the fields to "
                "other units"
            )
        return replace(self, scale=float(2.0 ** -np.floor(np.log2(peak))))

    def _peak(self, starts: range, step: int) -> float:
        """The largest magnitude of blocks of rows, summed over the ranks."""
        peak = 0.0
        for start in starts:
            block = np.asarray(self.snapshots.u[start : start + step])
            peak = max(peak, float(np.abs(block).max(initial=0.0)))
        if self.space.comm is None:
            return peak
        return float(self.space.sum(np.array([peak]))[0])

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """(rows, U[rows]), such that three blocks fit the budget.

        Raises BadInput, naming the snapshot, for NaN on disk.
        """
        u = self.snapshots.u
        n = u.shape[0]
        on_disk = self.lazy or isinstance(u, np.memmap)
        copies = COPIES if u.dtype == self.dtype else COPIES + 1
        step = self._rows_of(copies, self.dtype.itemsize)
        for start in range(0, n, step):
            rows = slice(start, min(start + step, n))
            block = np.asarray(u[rows])
            if on_disk:
                self.snapshots.check_finite(block, start)
            block = block.astype(self.dtype, copy=False)
            if self.center:
                block = block - block.mean(axis=1, keepdims=True)
            yield rows, block if self.scale == 1.0 else block * self.scale

    def column_block(self, columns: slice) -> np.ndarray:
        """U[:, columns] of this rank's rows, in double precision, for any X."""
        U = np.asarray(self.snapshots.u[:, columns]).astype(self.dtype, copy=False)
        self.snapshots.check_finite(U, 0, columns.start)
        if self.center:
            U = U - self.offset()[:, None]
        return U if self.scale == 1.0 else U * self.scale

    def offset(self) -> Any:
        """The mean of the snapshots (n,), or 0.0 where they are not centred."""
        return self._mean if self.center else 0.0

    @cached_property
    def _mean(self) -> np.ndarray:
        u = self.snapshots.u
        step = self._rows_of(2, 8)
        means = [np.zeros(0, self.dtype)]
        for start in range(0, u.shape[0], step):
            rows = u[start : start + step]
            means.append(np.mean(rows, axis=1, dtype=self.dtype))
        return np.concatenate(means)

    def times(self, W: np.ndarray) -> np.ndarray:
        """U W, (n, k)."""
        shape = (self.snapshots.u.shape[0], W.shape[1])
        dtype = np.result_type(self.dtype, W)
        product = np.empty(shape, dtype=dtype)
        for rows, block in self.blocks():
            np.matmul(block, W, out=product[rows])
        return product

    def pair(self, F: np.ndarray) -> np.ndarray:
        """F^H U summed over all ranks, (k, m)."""
        shape = (F.shape[1], self.m)
        dtype = np.result_type(F, self.dtype)
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
        total = 0.0
        for start in range(0, self.m, COLUMNS):
            columns = self.column_block(slice(start, start + COLUMNS))
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

    budget : bytes; by default what the snapshots on disk were given
    One snapshot at least. Every rank has as many blocks: what is done with each may be collective.
    """
    for _, u in numbered_blocks(snapshots, budget):
        yield u


def numbered_blocks(
    snapshots: Snapshots, budget: float | None = None
) -> Iterator[tuple[slice, np.ndarray]]:
    """(columns, U[:, columns]) as `column_blocks` gives them."""
    u, m = snapshots.u, int(snapshots.u.shape[1])
    column_bytes = 4 * max(8, np.dtype(u.dtype).itemsize) * max(1, snapshots.space.size)
    step = max(1, int((budget or budget_of(snapshots)) / column_bytes))
    for start in range(0, m, step):
        columns = slice(start, min(start + step, m))
        yield columns, np.asarray(u[:, columns])


def blocks_of_rows(
    snapshots: Snapshots, budget: float | None = None
) -> Iterator[tuple[slice, np.ndarray]]:
    """(rows, U[rows]) of this rank, such that four of them fit the budget."""
    u = snapshots.u
    row_bytes = 4 * max(8, np.dtype(u.dtype).itemsize) * max(1, int(u.shape[1]))
    step = max(1, int((budget or budget_of(snapshots)) / row_bytes))
    for start in range(0, int(u.shape[0]), step):
        rows = slice(start, min(start + step, int(u.shape[0])))
        yield rows, np.asarray(u[rows])


def coefficients(snapshots: Snapshots, basis: Any, budget: float | None = None) -> np.ndarray:
    """a = V^H X (U - offset), (r, m), in one pass."""
    return np.hstack([basis.coefficients(u) for u in column_blocks(snapshots, budget)])


def norms(snapshots: Snapshots) -> np.ndarray:
    """|u_i|_X of all snapshots, (m,)."""
    return np.concatenate([snapshots.space.norm(u) for u in column_blocks(snapshots)])


def budget_of(snapshots: Snapshots) -> float:
    """Bytes that blocks may take: what snapshots on disk were given, or 128 MiB."""
    return getattr(snapshots.u, "budget", None) or BLOCK_BYTES
