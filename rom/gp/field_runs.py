"""What one pass over snapshots tells a regression of fields; no more is held."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rom.basis import Basis
from rom.compress.blocks import budget_of, numbered_blocks
from rom.compress.gram import hash_numbers
from rom.snapshots import Snapshots
from rom.space import Field, Space

ENTRIES = 2**21  # nodal values at most that calibrate deviations; more are drawn from
LEAST_ROWS = 512  # of a field that are drawn
KEPT = 0.25  # of a budget, that they may take


@dataclass(frozen=True, eq=False)
class FieldRuns:
    """Of u (n, m): coefficients, what the modes miss, and some rows of all runs.

    a (r, m) : V^H X (u - offset); tail (n,) : rms of u - offset - V a, times m / (m - r)
    rows (k,) : this rank's rows, increasing, that calibrate; values (k, m) : u[rows]
    """

    a: np.ndarray
    tail: np.ndarray
    rows: np.ndarray
    values: np.ndarray


def read_field_runs(snapshots: Snapshots, basis: Basis) -> FieldRuns:
    """The runs on a basis, from one pass over the snapshots in blocks of columns."""
    space, m = snapshots.space, snapshots.m
    offset = np.broadcast_to(np.asarray(basis.offset), (space.n,))[:, None]
    budget = budget_of(snapshots)
    rows = calibration_rows(space, m, min(ENTRIES, int(KEPT * budget / 8)))
    values = np.empty((len(rows), m), np.asarray(snapshots.u[:0]).dtype)
    sums, parts = np.zeros(space.n), []
    for columns, u in numbered_blocks(snapshots, (1 - 2 * KEPT) * budget):
        a = basis.coefficients(u)
        values[:, columns] = u[rows]
        missed = (u - offset).astype(np.result_type(u, float, a), copy=False)
        missed -= basis.modes @ a
        sums += np.einsum("ij,ij->i", missed, missed.conj()).real
        parts.append(a)
    tail = np.sqrt(sums / max(m - basis.r, 1))
    return FieldRuns(np.hstack(parts), tail, rows, values)


def calibration_rows(space: Space, m: int, entries: int = ENTRIES) -> np.ndarray:
    """Rows that this rank owns, of which m runs are looked at: all, or a fixed draw.

    entries : nodal values at most
    A row is drawn by its global number: the same on any partition.
    """
    fields = fields_of(space)
    owned = np.asarray(space.owned)
    counts = space.sum(np.array([float(owned[np.asarray(f.rows)].sum()) for f in fields]))
    aim = max(entries / (m * len(fields)), LEAST_ROWS)
    drawn = [np.zeros(0, dtype=int)]
    for part, count in zip(fields, counts, strict=True):
        rows = np.asarray(part.rows)
        rows = rows[owned[rows]]
        if count > aim:
            keys = hash_numbers(space.numbers[rows], np.uint64(0))
            rows = rows[keys < np.uint64(aim / count * 2.0**64)]
        drawn.append(rows)
    return np.unique(np.concatenate(drawn))


def fields_of(space: Space) -> tuple[Field, ...]:
    """The fields of a space, or one of all rows."""
    return space.fields or (Field("u", "1", np.arange(space.n)),)
