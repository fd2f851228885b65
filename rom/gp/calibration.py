"""Deviations of fields against the errors at left-out runs: one factor per field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rom.basis import Basis
from rom.gp.field_runs import FieldRuns, fields_of
from rom.gp.left_out_modes import leave_out_modes
from rom.gp.repeats import distinct_runs
from rom.snapshots import Snapshots

COVERAGE, NORMAL_QUANTILE = 0.95, 1.959964  # of |z| under the normal law
BINS, SPAN = 960, 6.0  # of the histogram of log10 |z|, from -SPAN to SPAN
LEAST = 1e-12  # of the largest value of the field: smaller errors are round-off
NUMBERS = 2**15  # of the fields that are lifted at once
SKILL = 0.2  # Q^2 of left-out runs below which a regression has none
MIN_STRETCH, SURE_RUNS = 0.5, 128  # more runs tell deviations that are too large the better
NEW_SHARE = 0.5  # of a new run's nodes that may lie beyond all others', at worst


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Errors of coefficients at left-out runs, of the d distinct ones.

    residuals, std (d, r) : a - its prediction without its run, and the deviation foreseen
    a (m, r) : of all runs; place (m,) : of each run among the distinct ones
    anew : whether kernels were fitted without the run
    errors (m, r), mix (m, m) : with modes that have not seen the run either (`leave_out_modes`);
    None for the modes of all runs
    """

    residuals: np.ndarray
    std: np.ndarray
    a: np.ndarray
    place: np.ndarray
    anew: bool = False
    errors: np.ndarray | None = None
    mix: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Calibration:
    """stretch (f,) of each field's deviations, and its Q^2 (f,) at left-out runs."""

    stretch: np.ndarray
    skill: np.ndarray


def calibrate_fields(
    runs: FieldRuns,
    basis: Basis,
    p: int,
    left: LeftOut,
    others: Sequence[LeftOut] = (),
) -> Calibration:
    """What stretches each field's deviations to hold 95 % of its nodal values.

    runs : of p parameters, u ~ offset + V a + e, e of deviation `tail`
    left : runs left out alone, of the modes too, which tell the skill; others : what must hold too,
        as runs left out with their neighbours, or in folds without which all was fitted anew
    The factor is the largest quantile of |error| / deviation over nodes and left-out runs. Where
    these have chosen the kernel it is the one that a new run, half of it beyond, exceeds at 5 % of
    the nodes, times Student's quantile over the normal's for as many runs. Where the regression has
    no skill, it reaches at least the deviation of the runs from their mean.
    References: Dubrule (1983); Angelopoulos et al., Conformal risk control (2024).
    """
    fields = fields_of(basis.space)
    stretch, skill = np.ones(len(fields)), np.ones(len(fields))
    for k, part in enumerate(fields):
        places = np.flatnonzero(np.isin(runs.rows, np.asarray(part.rows)))
        sums = _Sums.of(runs, basis, left, places)
        stretch[k], skill[k] = sums.factor(p)
        for other in others:
            stretch[k] = max(stretch[k], _Sums.of(runs, basis, other, places).quantile(p))
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
    anew: bool

    @classmethod
    def of(cls, runs: FieldRuns, basis: Basis, left: LeftOut, places: np.ndarray) -> _Sums:
        """The sums over some of the rows of `runs`, then over the ranks."""
        space, d = basis.space, len(left.residuals)
        offset = np.broadcast_to(np.asarray(basis.offset), (space.n,))
        counts, scalars = np.zeros((d, BINS)), np.zeros(3)
        step = max(1, NUMBERS // runs.values.shape[1])
        for start in range(0, len(places), step):
            block = places[start : start + step]
            rows = runs.rows[block]
            lift = (basis.modes[rows], offset[rows], runs.tail[rows])
            error, spread, away = _block(runs.values[block], lift, left)
            size = np.abs(error)
            tiny = LEAST * (size.max(initial=0.0) + np.abs(away).max(initial=0.0))
            z = np.maximum(size, tiny) / np.maximum(spread, tiny + 1e-300)
            bins = (np.log10(np.maximum(z, 1e-300)) + SPAN) * BINS / (2 * SPAN)
            place = np.clip(np.ceil(bins).astype(int), 0, BINS - 1)
            np.add.at(counts, (np.broadcast_to(left.place, place.shape), place), 1.0)
            scalars += [np.sum(part**2) for part in (size, np.abs(away), spread)]
        counts, scalars = space.sum(counts), space.sum(scalars)
        errors, variations, variances = (float(value) for value in scalars)
        return cls(counts, errors, variations, variances, left.anew)

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
        allowed, few = 1 - COVERAGE, 1.0
        if not self.anew:
            allowed = max((m + 1) * allowed - NEW_SHARE, 0.5 * NEW_SHARE) / m
            few = student.ppf(0.5 * (1 + COVERAGE), max(m - p - 2, 1)) / NORMAL_QUANTILE
        place = int(np.argmax(below >= (1 - allowed) * below[-1]))
        quantile = 10.0 ** (place * 2 * SPAN / BINS - SPAN)
        least = MIN_STRETCH * min(1.0, SURE_RUNS / m)
        return float(max(quantile / NORMAL_QUANTILE * few, least))


def _block(
    u: np.ndarray, lift: tuple[np.ndarray, np.ndarray, np.ndarray], left: LeftOut
) -> Sequence[np.ndarray]:
    """Error without the run, its deviation, u - mean of others; some rows u (k, m).

    lift : modes (k, r), offset and tail (k,) of these rows
    """
    modes, offset, tail = lift
    missed = u - offset[:, None] - modes @ left.a.T
    if left.errors is None or left.mix is None:
        error = modes @ left.residuals[left.place].T + missed
    else:
        error = modes @ left.errors.T + missed @ left.mix
    variance = np.abs(modes) ** 2 @ (left.std[left.place] ** 2).T
    spread = np.sqrt(variance + tail[:, None] ** 2)
    m = u.shape[1]
    away = (u - u.mean(axis=1, keepdims=True)) * (m / max(m - 1, 1))
    return error, spread, away


def left_out_fields(snapshots: Snapshots, basis: Basis, left: LeftOut) -> np.ndarray:
    """u - its prediction without its run, (n, m), by modes of all runs."""
    offset = np.broadcast_to(np.asarray(basis.offset), (basis.space.n,))
    lift = (basis.modes, offset, np.zeros(basis.space.n))
    return np.asarray(_block(np.asarray(snapshots.u[:]), lift, left)[0])


def left_out_runs(
    mu: np.ndarray,
    a: np.ndarray,
    errors: tuple[np.ndarray, np.ndarray],
    r: int,
    *,
    anew: bool = False,
) -> LeftOut:
    """Left-out errors of a regression of a (m, r), complex for 2 r outputs.

    mu (m, p) : all runs; those of the regression may be their distinct ones
    errors : residuals and standard deviations, both (d, r), of those
    anew : whether kernels were fitted without the runs
    """
    residuals, std = errors
    if a.shape[1] != r:
        a = a[:, :r] + 1j * a[:, r:]
        residuals = residuals[:, :r] + 1j * residuals[:, r:]
        std = np.sqrt(std[:, :r] ** 2 + std[:, r:] ** 2)
    place = np.arange(len(mu))
    if len(residuals) != len(mu):
        place = distinct_runs(mu)[1]
    return LeftOut(residuals, std, a, place, anew)


def leave_out_runs(
    snapshots: Snapshots, basis: Basis, left: LeftOut, hidden: np.ndarray | None = None
) -> LeftOut:
    """The same errors with modes that have not seen the runs that are hidden.

    hidden (d, d) : in row i, the runs left out with run i, itself among them; itself by default
    """
    place = left.place
    if hidden is None:
        hidden = np.eye(len(left.residuals), dtype=bool)
    remain = ~hidden[place][:, place]
    unseen = leave_out_modes(snapshots, basis, left.a, left.residuals[place], remain)
    return left if unseen is None else replace(left, errors=unseen[0], mix=unseen[1])
