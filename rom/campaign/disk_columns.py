"""Snapshots that stay on disk: blocks of rows and columns, read from the samples."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from rom.archive.layout import Extent
from rom.errors import BadInput, DamagedFile
from rom.rows import as_slice

Picks = dict[str, tuple[np.ndarray, np.ndarray]]
UNITS = {
    **{"": 1, "B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4},
    **{"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4},
}


@dataclass(frozen=True, eq=False)
class FilePart:
    """What one file holds of a sample: `steps` (k, rows), and the name of its rows.

    rows : a name in `Columns.picks`
    """

    path: str
    steps: Extent
    rows: str

    def read(self, raw: Any, step: int, first: int, last: int) -> np.ndarray:
        """Rows first..last-1 at one step. Raises DamagedFile for a file that was cut."""
        dtype = self.steps.dtype
        entry = step * self.steps.shape[1] + first
        raw.seek(self.steps.offset + entry * dtype.itemsize)
        values = np.fromfile(raw, dtype, last - first)
        if values.size != last - first:
            raise DamagedFile(
                f"{self.path} was cut short while it was read; delete it and collect again"
            )
        return values


@dataclass(frozen=True, eq=False)
class Columns:
    """U (n, m) on disk: `U[rows]` and `U[rows, columns]` are arrays, read at once.

    samples : the parts of each sample; where (m, 2): sample and step of each column
    picks : name -> (mine, theirs): local row mine[i], increasing, is row theirs[i] of a part
        of that name
    budget : bytes within which blocks are to be read, where that is said
    """

    n: int
    samples: tuple[tuple[FilePart, ...], ...]
    where: np.ndarray
    picks: Picks
    budget: float | None = None

    ndim = 2

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""
        return self.n, len(self.where)

    @property
    def dtype(self) -> np.dtype:
        """The type that holds every sample."""
        types = set()
        for parts in self.samples:
            types |= {part.steps.dtype.newbyteorder("=") for part in parts}
        return np.result_type(*types)

    @property
    def nbytes(self) -> int:
        """Bytes of the whole array in memory."""
        return self.n * len(self.where) * self.dtype.itemsize

    def __getitem__(self, key: Any) -> np.ndarray:
        rows, columns = key if isinstance(key, tuple) else (key, slice(None))
        i = np.arange(self.n)[rows]
        j = np.arange(len(self.where))[columns]
        U = np.empty((i.size, j.size), self.dtype, order="F")
        if U.size:
            self._fill(U, i.ravel(), j.ravel())
        return U.reshape(i.shape + j.shape, order="F")

    def _fill(self, U: np.ndarray, i: np.ndarray, j: np.ndarray) -> None:
        """Reads rows i at columns j into U, one sample after the other."""
        first, last = int(i.min()), int(i.max()) + 1
        is_block = i.size == last - first and _is_consecutive(i)
        spans = {}
        for name, (mine, theirs) in self.picks.items():
            spans[name] = _span(mine, theirs, first, last)
        sample_of = self.where[j, 0]
        for sample, group in groupby(range(j.size), key=lambda c: sample_of[c]):
            places = list(group)
            target = U[:, places[0] : places[-1] + 1]
            steps = self.where[j[places], 1]
            if is_block:
                self._read(target, sample, steps, spans)
                continue
            block = np.empty((last - first, len(places)), self.dtype)
            self._read(block, sample, steps, spans)
            target[:] = block[i - first]

    def _read(
        self, block: np.ndarray, sample: int, steps: np.ndarray, spans: dict[str, _Span | None]
    ) -> None:
        """Reads consecutive rows of one sample at some steps into a block."""
        for part in self.samples[sample]:
            span = spans[part.rows]
            if span is None:
                continue
            with open(part.path, "rb", buffering=0) as raw:
                for k, step in enumerate(steps):
                    values = part.read(raw, int(step), span.low, span.high)
                    block[span.target, k] = values[span.chosen]


class _Span(NamedTuple):
    """Rows low..high-1 of a part are read; the chosen of them go to the target rows."""

    target: Any
    low: int
    high: int
    chosen: Any


def _span(mine: np.ndarray, theirs: np.ndarray, first: int, last: int) -> _Span | None:
    """What of a part to read for local rows first..last-1; None where it holds none."""
    a, b = np.searchsorted(mine, [first, last])
    if a == b:
        return None
    rows = theirs[a:b]
    low, high = int(rows.min()), int(rows.max()) + 1
    return _Span(as_slice(mine[a:b] - first), low, high, as_slice(rows - low))


def _is_consecutive(index: np.ndarray) -> bool:
    return bool((np.diff(index) == 1).all())


def nbytes(budget: float | str) -> float:
    """Bytes from a number or "256MiB". Raises BadInput for anything else."""
    text = str(budget).strip()
    number = text.rstrip("BikKMGT ")
    unit = text[len(number) :].strip()
    try:
        value = float(number) * UNITS[unit]
    except (KeyError, ValueError):
        value = np.nan
    if not value > 0:
        raise BadInput(
            f"memory_budget = {budget!r} is not a size; give bytes, or a text such as '256MiB'"
        )
    return value
