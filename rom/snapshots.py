"""Solutions as columns, with the parameters and times they answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from rom.arrays import (
    NUMBER,
    VECTOR,
    check_members,
    check_noun,
    first_bad,
    number_array,
    real,
)
from rom.brief import brief, brief_html
from rom.errors import BadInput
from rom.space import Space


@dataclass(frozen=True, eq=False)
class Snapshots:
    """m solutions of one space.

    u  : (n, m), this rank's rows; an array, or anything with `shape`, `dtype` and row slicing
        that reads from disk
    mu : (m, p) parameters; t : (m,) times [s] or None
    Raises BadInput on wrong shapes, an empty set, NaN or Inf (the snapshot and dof are named).
    """

    __repr__ = brief
    _repr_html_ = brief_html

    space: Space
    mu: np.ndarray
    u: Any
    t: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.space, Space):
            check_noun(self.space, "space", Space)
        mu = _points(self.mu)
        if not _reads_from_disk(self.u):
            object.__setattr__(self, "u", _floats(self.u))
        if len(self.u.shape) != 2:
            raise BadInput(
                f"u has shape {self.u.shape}; give snapshots as columns: (n_dof, n_snapshot)"
            )
        if self.u.shape[0] != self.space.n:
            hint = ", transposed" if self.u.shape[1] == self.space.n else ""
            raise BadInput(
                f"u has {self.u.shape[0]} rows, the space {self.space.n}; "
                f"give snapshots as columns{hint}"
            )
        if self.u.shape[1] == 0:
            raise BadInput("no snapshots: the set is empty; collect at least one solution")
        if mu.ndim != 2 or mu.shape[0] != self.u.shape[1]:
            raise BadInput(
                f"mu has shape {mu.shape}; "
                f"give one row for each column of u: ({self.u.shape[1]}, p)"
            )
        if not np.isfinite(mu).all():
            raise BadInput(f"mu holds NaN or Inf at {first_bad(mu)}; drop this snapshot")
        if self.t is not None:
            check_members(self, t=VECTOR)
        if self.t is not None and np.shape(self.t) != (self.u.shape[1],):
            raise BadInput(
                f"t has shape {np.shape(self.t)}; "
                f"give one time for each column of u: ({self.u.shape[1]},)"
            )
        if isinstance(self.u, np.ndarray) and not isinstance(self.u, np.memmap):
            self.check_finite(self.u, 0)
        object.__setattr__(self, "mu", mu)

    def check_finite(self, block: np.ndarray, first_row: int, first_column: int = 0) -> None:
        """Raises BadInput for the first NaN or Inf of a block that starts there."""
        flat = block.ravel(order="K")
        if not np.isfinite(np.vdot(flat, flat).real) and not np.isfinite(block).all():
            i, j = np.argwhere(~np.isfinite(block))[0]
            j += first_column
            dof = int(self.space.numbers[first_row + i])
            raise BadInput(
                f"snapshot {j} (mu = {np.asarray(self.mu)[j]}) holds NaN or Inf at dof {dof}; "
                "drop it or solve it again"
            )

    @property
    def m(self) -> int:
        """Number of snapshots."""
        return int(self.u.shape[1])

    @property
    def lazy(self) -> bool:
        """Whether the snapshots lie on disk."""
        return not isinstance(self.u, np.ndarray) or isinstance(self.u, np.memmap)

    def take(self, columns: np.ndarray) -> Snapshots:
        """Some of the snapshots, (k,) numbers; what lies on disk stays there."""
        t = None if self.t is None else self.t[columns]
        u = LazyColumns(self.u, columns) if self.lazy else self.u[:, columns]
        return replace(self, mu=self.mu[columns], u=u, t=t)

    def transform(self, act: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Snapshots:
        """act(U[rows, columns], columns) in place of U; what lies on disk stays there.

        act : (block (k, l), column numbers (l,)) -> block, one entry from one
        """
        every = np.arange(self.m)
        u = LazyColumns(self.u, every, act) if self.lazy else act(self.u, every)
        return replace(self, u=u)


@dataclass(frozen=True, eq=False)
class LazyColumns:
    """act(U[:, which]) of U (n, m) on disk, read by rows and columns.

    which (k,) : column numbers; act : (block, numbers) -> block, the identity by default
    """

    u: Any
    which: np.ndarray
    act: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None

    ndim = 2

    @property
    def shape(self) -> tuple[int, int]:
        """(n, k)."""
        return int(self.u.shape[0]), len(self.which)

    @property
    def dtype(self) -> np.dtype:
        """That of U, double precision at least where numbers are computed."""
        own = np.dtype(self.u.dtype)
        return own if self.act is None else np.result_type(own, float)

    @property
    def budget(self) -> float | None:
        """Bytes that blocks may take, less what computes them, where that is said."""
        budget = getattr(self.u, "budget", None)
        return budget if budget is None or self.act is None else 0.4 * budget

    def __getitem__(self, key: Any) -> np.ndarray:
        rows, columns = key if isinstance(key, tuple) else (key, slice(None))
        which = self.which[columns]
        block = np.asarray(self.u[rows][:, which] if _both(rows, which) else self.u[rows, which])
        return block if self.act is None else self.act(block, which)


def _both(rows: Any, which: Any) -> bool:
    """Whether both are lists of numbers, which numpy would pair."""
    return isinstance(rows, np.ndarray) and isinstance(which, np.ndarray)


def _reads_from_disk(u: Any) -> bool:
    """Whether u is read by rows from disk: it has a shape, a dtype, and is no array."""
    if isinstance(u, np.memmap):
        return u.dtype.isnative and u.dtype.kind in "fc"
    foreign = hasattr(u, "shape") and not isinstance(u, np.ndarray) and not sp.issparse(u)
    return foreign and isinstance(getattr(u, "dtype", None), np.dtype) and hasattr(u, "__getitem__")


def _points(mu: Any) -> np.ndarray:
    """mu in float64, as it is where it is so already."""
    if type(mu) is np.ndarray and mu.dtype == float:
        return mu
    return np.asarray(real(mu, "mu"))


def _floats(u: Any) -> np.ndarray:
    """u (n, m) as floating-point or complex numbers; single precision stays."""
    if type(u) is np.ndarray and u.dtype == float:
        return u
    array = number_array(u, "u", NUMBER)
    return array if array.dtype.kind in "fc" else array.astype(float)
