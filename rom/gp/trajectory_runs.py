"""Whole runs at the same times, as a regression of trajectories takes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rom.arrays import POINTS, VECTOR, array_of, first_bad
from rom.errors import BadInput
from rom.snapshots import Snapshots

MIN_RUNS = 6


@dataclass(frozen=True, eq=False)
class WholeRuns:
    """Whole runs: u (m, n, n_t), mu (m, p), times (n_t,)."""

    u: np.ndarray
    mu: np.ndarray
    times: np.ndarray


def whole_runs(
    snapshots: Snapshots | np.ndarray, mu: np.ndarray | None, times: np.ndarray | None
) -> WholeRuns:
    """Checked runs of columns with times, or of an array."""
    if isinstance(snapshots, Snapshots):
        u, mu, times = _stack_columns(snapshots)
    else:
        u = array_of("(m, n, n_t)")(snapshots, "snapshots")
    if mu is None or times is None or u.ndim != 3:
        raise BadInput("give snapshots with times, or runs (m, n, n_t) with mu (m, p) and times")
    mu, times = POINTS(mu, "mu"), VECTOR(times, "times")
    if mu.ndim != 2 or len(mu) != len(u) or times.shape != u.shape[2:]:
        raise BadInput(
            f"runs {u.shape}, mu {mu.shape}, times {times.shape}; give (m, n, n_t), (m, p), (n_t,)"
        )
    if len(times) < 2 or not np.all(np.diff(times) > 0):
        raise BadInput("times must increase, and be two or more")
    if not np.isfinite(u).all():
        raise BadInput(f"run, dof, time {first_bad(u)} holds NaN or Inf; drop that run")
    distinct = len(np.unique(mu, axis=0))
    if distinct < MIN_RUNS:
        raise BadInput(
            f"{len(mu)} runs with {distinct} distinct parameters; whole trajectories need "
            f"{MIN_RUNS} or more"
        )
    return WholeRuns(u, mu, times)


def _stack_columns(snapshots: Snapshots) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(u (m, n, n_t), mu (m, p), times (n_t,)) of columns with their times."""
    if snapshots.t is None:
        raise BadInput("the snapshots have no times; give them, or use field_gp")
    u, t = np.asarray(snapshots.u[:]), np.asarray(snapshots.t, dtype=float)
    if np.iscomplexobj(u):
        raise BadInput("the snapshots are complex; give real and imaginary parts as dofs")
    points, run = np.unique(snapshots.mu, axis=0, return_inverse=True)
    times = np.unique(t)
    order = np.lexsort((t, run.ravel()))
    shape = (len(points), len(times))
    if len(t) != shape[0] * shape[1] or not np.all(t[order].reshape(shape) == times):
        raise BadInput("the runs are not all at the same times; interpolate them to common ones")
    columns = u[:, order].reshape(len(u), *shape)
    return np.moveaxis(columns, 0, 1).astype(float), points, times
