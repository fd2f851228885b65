"""Solutions as columns, with the parameters and times they answer."""

from __future__ import annotations

from dataclasses import dataclass
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
