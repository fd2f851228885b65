"""Arrays whose rows lie on several ranks, brought to the first one block by block.

    rows = rows_of(space, modes)
    for start, block in rows.blocks():     # on all ranks; the blocks are empty but on the first
        dataset[start : start + len(block)] = block

No rank ever holds the whole; serial and parallel are the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from rom.space import Space

BLOCK = 1 << 20  # numbers of a block
Change = Callable[[np.ndarray, int], np.ndarray]  # (block, its first row) -> block


@dataclass(frozen=True, eq=False)
class Rows:
    """An array (K, ...) of rows that ranks compute where they lie.

    lift : this rank's row numbers (j,), or a slice of them -> values (j, ...)
    extent, numbers : shape and dtype of the whole, as lifted
    order : (k,) which of its rows this rank hands out, places : (k,) where they stand, rising;
        slices where they are consecutive; both None where this rank has all rows in their order
    group : rows that one row of `shape` is made of, as the components of a node
    changes : of each block, on its way; fill : where no rank has a row
    """

    lift: Callable[[Any], np.ndarray]
    extent: tuple[int, ...]
    numbers: np.dtype[Any]
    space: Space | None = None
    order: Any = None
    places: Any = None
    group: int = 1
    changes: tuple[Change, ...] = ()
    fill: float = 0.0

    @property
    def root(self) -> bool:
        """Whether the blocks arrive on this rank."""
        return self.space is None or self.space.root

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole, after its changes."""
        return (self.extent[0] // self.group, *self._nothing.shape[1:])

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the whole, after its changes."""
        return self._nothing.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def change(self, act: Change) -> Rows:
        """The same rows, each block changed by act(block, its first row)."""
        return replace(self, changes=(*self.changes, act))

    def by_component(self, c: int) -> Rows:
        """Rows (n c, ...) as (n, c, ...), or as they are where c = 1."""
        if c == 1:
            return self

        def split(block: np.ndarray, start: int) -> np.ndarray:
            """(n c, ...) -> (n, c, ...)."""
            return block.reshape(len(block) // c, c, *block.shape[1:])

        return replace(self.change(split), group=c)

    def put_at(self, rows: np.ndarray, size: int, fill: float, space: Space) -> Rows:
        """The rows as `rows` (k,) of an array of so many that is `fill` elsewhere.

        k : of this rank, in the order that `lift` knows
        """
        own = np.arange(len(rows)) if self.order is None else np.arange(len(rows))[self.order]
        order = own[np.argsort(rows[own], kind="stable")]
        return replace(
            self, extent=(size, *self.extent[1:]), space=space, order=as_slice(order),
            places=as_slice(rows[order]), fill=fill,
        )  # fmt: skip

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """(first row, values) block by block, on the first rank; empty on the others."""
        width = max(1, int(np.prod(self.extent[1:], dtype=np.int64)))
        step = max(1, BLOCK // (width * self.group)) * self.group
        for start in range(0, self.extent[0], step):
            block = self._bring(start, min(start + step, self.extent[0]))
            yield start // self.group, self._changed(block, start // self.group)

    def whole(self) -> np.ndarray:
        """All rows on the first rank; empty on the others."""
        array = np.empty((len(self) if self.root else 0, *self.shape[1:]), self.dtype)
        for start, block in self.blocks():
            array[start : start + len(block)] = block
        return array

    @cached_property
    def _nothing(self) -> np.ndarray:
        return self._changed(np.empty((0, *self.extent[1:]), self.numbers), 0)

    def _changed(self, block: np.ndarray, start: int) -> np.ndarray:
        for act in self.changes:
            block = act(block, start)
        return block

    def _bring(self, start: int, stop: int) -> np.ndarray:
        """Rows start .. stop as lifted, on the first rank."""
        if self.space is None or self.order is None or self.places is None:
            return self.lift(slice(start, stop))
        places, rows = _between(self.places, self.order, start, stop)
        values = np.asarray(self.lift(rows), dtype=self.numbers)
        everywhere = self.space.bring(places - start)
        parts = self.space.bring(values)
        size = stop - start if self.root else 0
        block = np.full((size, *self.extent[1:]), self.fill, self.numbers)
        for where, part in zip(everywhere, parts, strict=True):
            block[where] = part
        return block


def _between(places: Any, order: Any, start: int, stop: int) -> tuple[np.ndarray, Any]:
    """The places in start .. stop, and the rows that stand there."""
    if isinstance(places, slice):
        first, last = np.clip([start, stop], places.start, places.stop)
        inside = np.arange(first, last)
        first, last = first - places.start, last - places.start
    else:
        first, last = np.searchsorted(places, [start, stop])
        inside = places[first:last]
    if isinstance(order, slice):
        return inside, slice(order.start + int(first), order.start + int(last))
    return inside, as_slice(order[first:last])


def lifted_rows(
    space: Space | None,
    lift: Callable[[Any], np.ndarray],
    count: int,
    where: np.ndarray | None = None,
) -> Rows:
    """Rows that `lift` computes.

    count : of this rank; where : (count,) their rows in the space, all of it by default
    """
    nothing = lift(np.zeros(0, dtype=np.int64))
    trail, dtype = nothing.shape[1:], nothing.dtype
    if space is None or not space.spread:
        return Rows(lift, (count, *trail), dtype, space)
    order, places, marks = space.places(np.arange(count) if where is None else where)
    size = int(np.count_nonzero(marks))
    return Rows(lift, (size, *trail), dtype, space, as_slice(order), as_slice(places))


def rows_of(space: Space | None, values: np.ndarray) -> Rows:
    """The rows of this rank's array (n, ...) of a space, by global number."""
    return lifted_rows(space, lambda rows: values[rows], len(values))


def as_slice(rows: Any) -> Any:
    """Consecutive rows as a slice, which copies nothing; others as they are."""
    if isinstance(rows, slice) or not len(rows):
        return rows
    if rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


def row_blocks(values: Any) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, values) of an array at once, of Rows block by block."""
    if isinstance(values, Rows):
        yield from values.blocks()
    else:
        yield 0, np.asarray(values)


def whole_array(values: Any) -> np.ndarray:
    """An array as it is; of Rows all, on the first rank."""
    return values.whole() if isinstance(values, Rows) else np.asarray(values)


def send_all(arrays: Iterable[Any]) -> None:
    """Hands out the rows of all arrays in their order; another rank writes."""
    for values in arrays:
        for _ in row_blocks(values):
            pass
