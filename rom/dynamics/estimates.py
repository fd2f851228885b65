"""Bands by the residual at sampled rows.

    E_i(t) <= q p(t) eta_i(t) at all times t, with probability `level` of a new run
    eta(t) = |u_0 - V a_0| + int_0^t |rho| dt, |rho| estimated at few rows

E the rms error over a field, p the mean of E / eta over the training runs, q the quantile of
max_t E_i / (p eta_i) over runs that neither trained the model nor its basis. It holds for runs
exchangeable with those.

Reference: Lei, G'Sell, Rinaldo, Tibshirani and Wasserman (2018).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rom.arrays import gate
from rom.dynamics.flow_bands import LEAST, quantile_place
from rom.dynamics.nonlinear import NonlinearModel
from rom.dynamics.runs import runs_on_basis
from rom.errors import BadInput, NotConverged
from rom.model import Question
from rom.prediction import rows_by_field
from rom.snapshots import Snapshots

TINY = 1e-14  # of the largest estimate: smaller ones are no scale


@gate(model=NonlinearModel, snapshots=Snapshots)
def calibrate_estimate(
    model: NonlinearModel, snapshots: Snapshots, *, level: float = 0.9
) -> NonlinearModel:
    """The model with bands that hold whole trajectories with probability `level`.

    snapshots : runs that trained neither the model nor its basis, at the same times
    Raises BadInput for other times, and runs too few for the level: 0.9 needs 9; NotConverged
    where too many have no answer.
    """
    errors, estimate = errors_and_estimates(model, snapshots)
    place = quantile_place(errors.shape[1], level)
    profile = model.profile
    if profile is None:
        profile = _ratio(errors, estimate)
    scores = np.sort((errors / (profile[:, None] * estimate)).max(axis=2), axis=1)
    if not np.isfinite(scores[:, place - 1]).all():
        raise NotConverged(
            f"more than {1 - level:.2g} of {errors.shape[1]} runs have no answer: no band holds "
            "the rest; take more rows or other modes"
        )
    return replace(model, profile=profile, factor=scores[:, place - 1], level=level)


def with_ratio(model: NonlinearModel, snapshots: Snapshots) -> NonlinearModel:
    """The model with the mean of error / estimate of its training runs, by field."""
    errors, estimate = errors_and_estimates(model, snapshots)
    whole = np.isfinite(errors).all(axis=(0, 2))
    if not whole.any():
        raise NotConverged(
            "the model follows none of its training runs: Newton's method fails; take more rows "
            "(a smaller tol), or more steps"
        )
    return replace(model, profile=_ratio(errors[:, whole], estimate[whole]))


def _ratio(errors: np.ndarray, estimate: np.ndarray) -> np.ndarray:
    """Mean over runs of error / estimate, (fields, n_t), never zero."""
    ratio = (errors / estimate).mean(axis=1)
    ratio = np.maximum(ratio, LEAST * ratio.max(axis=1, keepdims=True))
    return np.where(ratio > 0, ratio, 1.0)


def errors_and_estimates(
    model: NonlinearModel, snapshots: Snapshots
) -> tuple[np.ndarray, np.ndarray]:
    """Rms errors of each field (fields, m, n_t), and estimates (m, n_t).

    Errors are infinite where an answer is lost. Each run starts from its own first state where the
    model asks for a start.
    """
    question, n_t = _question(model, snapshots)
    a, estimate, _ = model.solve_all(question)
    u = np.asarray(snapshots.u[:])
    errors = np.empty((len(model.tells), len(a), n_t))
    for k in range(len(a)):
        miss = u[:, k * n_t : (k + 1) * n_t] - model.basis.lift(a[k])
        for f, (_, rows) in enumerate(rows_by_field(model.basis.space)):
            errors[f, k] = np.sqrt(np.mean(miss[rows] ** 2, axis=0))
    size = float(np.sqrt(np.mean(u**2)))
    estimate = np.maximum(estimate, TINY * max(size, np.finfo(float).tiny))
    return np.nan_to_num(errors, nan=np.inf), np.where(np.isnan(estimate), 1.0, estimate)


def _question(model: NonlinearModel, snapshots: Snapshots) -> tuple[Question, int]:
    """What the runs ask, and the number of their times."""
    if model.times is None:
        if snapshots.t is not None:
            raise BadInput("the runs have times, the model is steady; give steady solutions")
        return Question(np.asarray(snapshots.mu)), 1
    runs = runs_on_basis(snapshots, model.basis)
    if len(runs.t) != len(model.times) or not np.allclose(runs.t, model.times):
        raise BadInput("the runs are at other times than the model; give them at the same")
    fields = {}
    if model.starts is None:
        first = np.asarray(snapshots.u[:, :: len(runs.t)])
        for quantity, rows in rows_by_field(model.basis.space):
            fields[quantity.name] = first[rows].reshape(-1, quantity.components, len(runs.a))
    return Question(runs.mu, runs.t, fields=fields), len(runs.t)
