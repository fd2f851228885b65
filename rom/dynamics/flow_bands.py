"""Bands of whole trajectories of a law, by runs that it has not seen.

    E_i(t) <= q s(t) at all trained times t, with probability `level` of a new run

E the rms error over a field, s its mean over the runs of the training at each time, q the quantile
of max_t E_i(t) / s(t) over the calibration runs. It holds for runs that are exchangeable with those
of the calibration, and ends where they end: later there is no band.

Reference: Lei, G'Sell, Rinaldo, Tibshirani and Wasserman (2018).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np

from rom.arrays import gate
from rom.compress.blocks import numbered_blocks
from rom.dynamics.laws import ReducedLaw
from rom.dynamics.runs import runs_on_basis
from rom.errors import BadInput, NotConverged
from rom.prediction import rows_by_field
from rom.snapshots import Snapshots

Law = TypeVar("Law", bound=ReducedLaw)
LEAST = 1e-3  # of the largest of a profile: a smaller error at some time is no scale


@gate(flow=ReducedLaw, snapshots=Snapshots)
def calibrate_flow(flow: Law, snapshots: Snapshots, *, level: float = 0.9) -> Law:
    """The law with a band that holds whole trajectories with probability `level`.

    snapshots : runs that neither trained nor chose the law nor its basis, at the same times
    Raises BadInput for other times, a level outside (0, 1), and runs too few for it: level 0.9
    needs 9; NotConverged where too many trajectories are lost.
    """
    errors = run_errors(flow, snapshots)
    m = errors.shape[1]
    place = quantile_place(m, level)
    profile = flow.profile if flow.profile is not None else errors.mean(axis=1)
    profile = np.maximum(profile, LEAST * profile.max(axis=1, keepdims=True))
    profile = np.where(profile > 0, profile, 1.0)
    scores = np.sort((errors / profile[:, None]).max(axis=2), axis=1)
    if not np.isfinite(scores[:, place - 1]).all():
        raise NotConverged(
            f"more than {1 - level:.2g} of {m} runs were lost on the way: no band holds the rest; "
            "take fewer modes, a dissipative law, or anchor it"
        )
    return replace(flow, width=scores[:, place - 1, None] * profile, level=level)


def quantile_place(m: int, level: float) -> int:
    """ceil((m + 1) level): which of m sorted scores bounds a new one at `level`.

    Raises BadInput for a level outside (0, 1), and m too small for it.
    """
    if not 0 < level < 1:
        raise BadInput(f"level = {level:g} must lie in (0, 1)")
    place = int(np.ceil((m + 1) * level - 1e-12))
    if place > m:
        least = int(np.ceil(level / (1 - level) - 1e-9))
        raise BadInput(
            f"{m} runs carry no band of level {level:g}; give {least} "
            f"runs, or a level up to {m / (m + 1):.3g}"
        )
    return place


def run_errors(flow: ReducedLaw, snapshots: Snapshots) -> np.ndarray:
    """Rms error of each field of each run at each time, (fields, m, n_t).

    Infinite where a trajectory is lost.
    Each run starts from its own first state where the law asks for a start. Raises BadInput.
    """
    runs = runs_on_basis(snapshots, flow.basis)
    if len(runs.t) != len(flow.times) or not np.allclose(runs.t, flow.times):
        raise BadInput("the runs are at other times than the law; give them at the same")
    a0 = runs.a[:, :, 0] if flow.start is None else flow.start_at(runs.mu)
    a, _ = flow.follow(runs.mu, a0, runs.t)
    n_t = len(runs.t)
    errors = np.empty((len(flow.tells), len(a) * n_t))
    columns_of_a = a.transpose(1, 0, 2).reshape(a.shape[1], -1)
    for columns, u in numbered_blocks(snapshots):
        miss = flow.basis.lift(columns_of_a[:, columns])
        miss -= u
        np.square(miss, out=miss)
        for f, (_, rows) in enumerate(rows_by_field(flow.basis.space)):
            errors[f, columns] = np.sqrt(np.mean(miss[rows], axis=0))
    return np.nan_to_num(errors.reshape(len(flow.tells), len(a), n_t), nan=np.inf)


def with_profile(flow: Law, snapshots: Snapshots) -> Law:
    """The law with the mean error of its training runs over time, by field.

    Runs that were lost are left out; no profile where all are.
    """
    errors = run_errors(flow, snapshots)
    whole = np.isfinite(errors).all(axis=(0, 2))
    return replace(flow, profile=errors[:, whole].mean(axis=1)) if whole.any() else flow
