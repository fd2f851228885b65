"""Arrays whose rows lie on several ranks, brought to the first one block by block.

    rows = rows_of(space, modes)
    for start, block in rows.blocks():     # all ranks; the blocks are empty but on the first
        dataset[start : start + len(block)] = block

No rank ever holds the whole; serial and parallel are the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rom.space import Space

BLOCK = 1 << 20  # numbers of a block


@dataclass(frozen=True, eq=False)
class Rows:
    """An array (K, ...) of rows that ranks compute where they lie.

    lift : this rank's row numbers (j,) or a slice -> values (j, ...)
    shape, dtype : of the whole array; change : of each block, or None
    order : (k,) which of its rows this rank hands out, places : (k,) where they stand, rising;
        both None where they are all the rows in their order
    group : rows that stay together in a block, as the components of a node
    """

    lift: Callable[[Any], np.ndarray]
    shape: tuple[int, ...]
    dtype: np.dtype
    space: Space | None = None
    order: np.ndarray | None = None
    places: np.ndarray | None = None
    group: int = 1

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def root(self) -> bool:
        """Whether the blocks arrive on this rank."""
        return self.space is None or self.space.root

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """(first row, values) block by block, on the first rank; empty on the others."""
        width = max(1, int(np.prod(self.shape[1:], dtype=np.int64)))
        step = max(1, BLOCK // (width * self.group)) * self.group
        for start in range(0, self.shape[0], step):
            yield start, self._block(start, min(start + step, self.shape[0]))

    def _block(self, start: int, stop: int) -> np.ndarray:
        if self.places is None or self.order is None or self.space is None:
            whole = start == 0 and stop == self.shape[0]
            return self.lift(slice(None) if whole else slice(start, stop))
        first, last = np.searchsorted(self.places, [start, stop])
        values = self.lift(as_slice(self.order[first:last]))
        values = np.asarray(values, dtype=self.dtype)
        places = self.space.bring(self.places[first:last] - start)
        parts = self.space.bring(values)
        block = np.empty((stop - start if self.root else 0, *self.shape[1:]), self.dtype)
        for where, part in zip(places, parts, strict=True):
            block[where] = part
        return block

    def whole(self) -> np.ndarray:
        """All rows on the first rank; empty on the others."""
        array = np.empty((self.shape[0] if self.root else 0, *self.shape[1:]), self.dtype)
        for start, block in self.blocks():
            array[start : start + len(block)] = block
        return array

    def send(self) -> None:
        """Hands out this rank's rows, on a rank that writes nothing."""
        for _ in self.blocks():
            pass

    def column(self, k: slice) -> Rows:
        """Some columns of an array (K, columns)."""
        lift = self.lift
        count = len(range(*k.indices(self.shape[1])))
        return replace(self, lift=lambda rows: lift(rows)[:, k], shape=(self.shape[0], count))


def rows_of(space: Space | None, values: Any) -> Rows:
    """The rows of this rank's array (n, ...) in the space, by global number."""
    return lifted_rows(space, lambda rows: values[rows], values.shape, values.dtype)


def lifted_rows(
    space: Space | None,
    lift: Callable[[Any], np.ndarray],
    shape: tuple[int, ...],
    dtype: Any,
    *,
    where: np.ndarray | None = None,
    group: int = 1,
) -> Rows:
    """Rows that `lift` computes; `where` (k,) are their rows in the space, all by default.

    shape : of this rank's share
    """
    if space is None or not space.spread:
        return Rows(lift, tuple(shape), np.dtype(dtype), space, group=group)
    where = np.arange(space.n) if where is None else where
    order, places, numbers = space.places(where)
    whole = (len(numbers), *shape[1:])
    return Rows(lift, whole, np.dtype(dtype), space, order, places, group)


def as_slice(rows: np.ndarray) -> Any:
    """Consecutive rows as a slice, which copies nothing; others as they are."""
    if len(rows) and rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


def send_all(arrays: Mapping[str, Any]) -> None:
    """Hands out this rank's rows of all arrays in their order."""
    for values in arrays.values():
        if isinstance(values, Rows):
            values.send()
