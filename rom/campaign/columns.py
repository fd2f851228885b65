"""Snapshots that stay on disk: blocks of rows and columns straight from the sample files."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from rom.archive.layout import Extent
from rom.errors import BadInput, DamagedFile


@dataclass(frozen=True, eq=False)
class Part:
    """What one file holds of a sample: `steps` (k, rows), and which dofs these rows are (a name in `Columns.picks`)."""

    path: Path
    steps: Extent
    rows: str

    def read(self, raw: Any, step: int, first: int, last: int) -> np.ndarray:
        """Rows first..last-1 at one step."""
        item = self.steps.dtype.itemsize
        raw.seek(self.steps.offset + (step * self.steps.shape[1] + first) * item)
        values = np.fromfile(raw, self.steps.dtype, last - first)
        if values.size != last - first:
            raise DamagedFile(
                f"{self.path} was cut short while it was read; delete it and collect again"
            )
        return values


@dataclass(frozen=True, eq=False)
class Columns:
    """U (n, m) on disk: `U[rows]` and `U[rows, columns]` are arrays read at once, one file after the other.

    samples : the parts of each sample; where (m, 2): sample and step of each column
    picks : name -> (mine, theirs): local row mine[i], increasing, is row theirs[i] of a part of that name
    """

    n: int
    samples: tuple[tuple[Part, ...], ...]
    where: np.ndarray
    picks: dict[str, tuple[np.ndarray, np.ndarray]]

    ndim = 2

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""
        return self.n, len(self.where)

    @property
    def dtype(self) -> np.dtype:
        """The type that holds every sample."""
        return np.result_type(
            *(part.steps.dtype.newbyteorder("=") for parts in self.samples for part in parts)
        )

    @property
    def nbytes(self) -> int:
        """Bytes of the whole array in memory."""
        return self.n * len(self.where) * self.dtype.itemsize

    def __getitem__(self, key: Any) -> np.ndarray:
        rows, columns = key if isinstance(key, tuple) else (key, slice(None))
        i, j = np.arange(self.n)[rows], np.arange(len(self.where))[columns]
        U = np.empty((i.size, j.size), self.dtype, order="F")
        if U.size:
            self._fill(U, i.ravel(), j.ravel())
        return U.reshape(i.shape + j.shape, order="F")

    def _fill(self, U: np.ndarray, i: np.ndarray, j: np.ndarray) -> None:
        first, last = int(i.min()), int(i.max()) + 1
        straight = i.size == last - first and bool((np.diff(i) == 1).all())
        spans = {
            name: _span(mine, theirs, first, last) for name, (mine, theirs) in self.picks.items()
        }
        for sample, group in groupby(range(j.size), key=lambda c: self.where[j[c], 0]):
            block = list(group)
            held = (
                U[:, block[0] : block[-1] + 1]
                if straight
                else np.empty((last - first, len(block)), self.dtype)
            )
            for part in self.samples[sample]:
                span = spans[part.rows]
                if span is None:
                    continue
                to, low, high, of = span
                with open(part.path, "rb", buffering=0) as raw:
                    for k, c in enumerate(block):
                        held[to, k] = part.read(raw, int(self.where[j[c], 1]), low, high)[of]
            if not straight:
                U[:, block[0] : block[-1] + 1] = held[i - first]


def _span(
    mine: np.ndarray, theirs: np.ndarray, first: int, last: int
) -> tuple[Any, int, int, Any] | None:
    """Where rows first..last-1 go, which rows of the part to read for them, and which of these they are."""
    a, b = np.searchsorted(mine, [first, last])
    if a == b:
        return None
    to, of = mine[a:b] - first, theirs[a:b]
    low, high = int(of.min()), int(of.max()) + 1
    return _tight(to), low, high, _tight(of - low)


def _tight(index: np.ndarray) -> Any:
    return slice(int(index[0]), int(index[-1]) + 1) if bool((np.diff(index) == 1).all()) else index


def nbytes(budget: float | str) -> float:
    """Bytes from a number or "256MiB". Raises BadInput for anything else."""
    units = (
        {"": 1, "B": 1}
        | {f"{p}B": 1000**k for k, p in enumerate("kMGT", 1)}
        | {f"{p}iB": 1024**k for k, p in enumerate("KMGT", 1)}
    )
    text = str(budget).strip()
    number = text.rstrip("BikKMGT ")
    try:
        value = float(number) * units[text[len(number) :].strip()]
    except (KeyError, ValueError):
        value = np.nan
    if not value > 0:
        raise BadInput(
            f"memory_budget = {budget!r} is not a size; give bytes, or a text such as '256MiB'"
        )
    return value
