"""Deviations of fields against the errors at left-out runs: one factor per field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.basis import Basis
from rom.gp.repeats import distinct_runs
from rom.snapshots import Snapshots
from rom.space import Field

COVERAGE, NORMAL_QUANTILE = 0.95, 1.959964  # of |z| under the normal law
BINS, SPAN = 960, 6.0  # of the histogram of log10 |z|, from -SPAN to SPAN
LEAST = 1e-12  # of the largest value of the field: smaller errors are round-off
ROWS = 4096  # of the fields that are lifted at once
SKILL = 0.2  # Q^2 of left-out runs below which a regression has none
MIN_STRETCH = 0.5
NEW_SHARE = 0.5  # of a new run's nodes that may lie beyond all others', at worst


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Errors of coefficients at left-out runs, of the d distinct ones.

    residuals, std (d, r) : a - its prediction without its run, and the deviation foreseen
    a (m, r) : of all runs; place (m,) : of each run among the distinct ones
    """

    residuals: np.ndarray
    std: np.ndarray
    a: np.ndarray
    place: np.ndarray


@dataclass(frozen=True, eq=False)
class Calibration:
    """stretch (f,) of each field's deviations, and its Q^2 (f,) at left-out runs."""

    stretch: np.ndarray
    skill: np.ndarray


def calibrate_fields(
    snapshots: Snapshots,
    lift: tuple[np.ndarray, np.ndarray, np.ndarray],
    left: LeftOut,
    far: LeftOut | None = None,
) -> Calibration:
    """What stretches each field's deviations to hold 95 % of its nodal values.

    lift : modes (n, r), offset and tail (n,), u ~ offset + V a + e, e of deviation `tail`
    left : runs left out alone, which tell the skill; far : with their neighbours
    (`hide_neighbours`), where they have nearer ones than new points have, else None
    The factor is the quantile of |error| / deviation over nodes and left-out runs that a new run,
    half of it beyond, exceeds at 5 % of the nodes; times Student's quantile over the normal's for
    as many runs, which have chosen the kernel; and where the regression has no skill, at least
    what reaches the deviation of the runs from their mean.
    References: Dubrule (1983); Angelopoulos et al., Conformal risk control (2024).
    """
    space = snapshots.space
    fields = space.fields or (Field("u", "1", np.arange(space.n)),)
    stretch, skill = np.ones(len(fields)), np.ones(len(fields))
    for k, part in enumerate(fields):
        rows = np.asarray(part.rows)
        sums = _Sums.of(snapshots, lift, left, rows)
        stretch[k], skill[k] = sums.factor(snapshots.mu.shape[1])
        if far is not None:
            wider = _Sums.of(snapshots, lift, far, rows).quantile(snapshots.mu.shape[1])
            stretch[k] = max(stretch[k], wider)
    return Calibration(stretch, skill)


@dataclass(frozen=True, eq=False)
class _Sums:
    """Of one field, over all ranks: a histogram and sums of squares.

    counts (d, BINS) : of |z|; errors, variances : squares of errors and deviations
    runs : squares of the deviation from the mean without the run
    """

    counts: np.ndarray
    errors: float
    runs: float
    variances: float

    @classmethod
    def of(
        cls,
        snapshots: Snapshots,
        lift: tuple[np.ndarray, np.ndarray, np.ndarray],
        left: LeftOut,
        rows: np.ndarray,
    ) -> _Sums:
        """The sums over the rows of a field that this rank owns, then over the ranks."""
        space, d = snapshots.space, len(left.residuals)
        rows = rows[np.asarray(space.owned)[rows]]
        counts, scalars = np.zeros((d, BINS)), np.zeros(3)
        for start in range(0, len(rows), ROWS):
            block = rows[start : start + ROWS]
            error, spread, away = _block(snapshots, lift, left, block)
            size = np.abs(error)
            tiny = LEAST * (size.max(initial=0.0) + np.abs(away).max(initial=0.0))
            z = np.maximum(size, tiny) / np.maximum(spread, tiny + 1e-300)
            bins = (np.log10(np.maximum(z, 1e-300)) + SPAN) * BINS / (2 * SPAN)
            place = np.clip(np.ceil(bins).astype(int), 0, BINS - 1)
            np.add.at(counts, (np.broadcast_to(left.place, place.shape), place), 1.0)
            scalars += [np.sum(part**2) for part in (size, np.abs(away), spread)]
        counts, scalars = space.sum(counts), space.sum(scalars)
        return cls(counts, *(float(value) for value in scalars))

    def factor(self, p: int) -> tuple[float, float]:
        """(stretch, Q^2) for p parameters."""
        stretch = self.quantile(p)
        skill = 1.0 - self.errors / max(self.runs, 1e-300)
        if skill < SKILL:
            stretch = max(stretch, float(np.sqrt(self.runs / max(self.variances, 1e-300))))
        return stretch, skill

    def quantile(self, p: int) -> float:
        """The stretch that holds left-out runs, for p parameters."""
        from scipy.stats import t as student

        total = self.counts.sum(axis=1, keepdims=True)
        shares = self.counts / np.maximum(total, 1.0)
        below = np.cumsum(shares.mean(axis=0))
        m = len(self.counts)
        allowed = max((m + 1) * (1 - COVERAGE) - NEW_SHARE, 0.5 * NEW_SHARE) / m
        place = int(np.argmax(below >= (1 - allowed) * below[-1]))
        quantile = 10.0 ** (place * 2 * SPAN / BINS - SPAN)
        few = student.ppf(0.5 * (1 + COVERAGE), max(m - p - 2, 1))
        return float(max(quantile * few / NORMAL_QUANTILE**2, MIN_STRETCH))


def _block(
    snapshots: Snapshots,
    lift: tuple[np.ndarray, np.ndarray, np.ndarray],
    left: LeftOut,
    rows: np.ndarray,
) -> Sequence[np.ndarray]:
    """Error without the run, its deviation, u - mean of others; some rows."""
    modes, offset, tail = (part[rows] for part in lift)
    u = np.asarray(snapshots.u[rows])
    missed = u - offset[:, None] - modes @ left.a.T
    error = modes @ left.residuals[left.place].T + missed
    variance = np.abs(modes) ** 2 @ (left.std[left.place] ** 2).T
    spread = np.sqrt(variance + tail[:, None] ** 2)
    m = u.shape[1]
    away = (u - u.mean(axis=1, keepdims=True)) * (m / max(m - 1, 1))
    return error, spread, away


def left_out_fields(snapshots: Snapshots, basis: Basis, left: LeftOut) -> np.ndarray:
    """u - its prediction without its run, (n, m), by modes of all runs."""
    offset = np.broadcast_to(np.asarray(basis.offset), (basis.space.n,))
    lift = (basis.modes, offset, np.zeros(basis.space.n))
    return np.asarray(_block(snapshots, lift, left, np.arange(basis.space.n))[0])


def left_out_runs(
    mu: np.ndarray, a: np.ndarray, gp: Any, r: int, hidden: np.ndarray | None = None
) -> LeftOut:
    """Left-out errors of a regression of a (m, r), complex for 2 r outputs.

    mu (m, p) : all runs; those of the regression may be their distinct ones
    hidden (d, d) : of the distinct runs, left out with each
    """
    residuals, std = gp.leave_one_out() if hidden is None else gp.leave_one_out(hidden)
    if a.shape[1] != r:
        a = a[:, :r] + 1j * a[:, r:]
        residuals = residuals[:, :r] + 1j * residuals[:, r:]
        std = np.sqrt(std[:, :r] ** 2 + std[:, r:] ** 2)
    place = np.arange(len(mu))
    if len(residuals) != len(mu):
        place = distinct_runs(mu)[1]
    return LeftOut(residuals, std, a, place)
