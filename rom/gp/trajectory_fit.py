"""The regression of whole trajectories, chosen by leaving runs out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rom.errors import BadInput, first_bad, real
from rom.gp.coefficients import CoefficientGP
from rom.gp.inputs import check_training, output_scale
from rom.gp.kernel_names import kernel_of
from rom.gp.likelihood import CONSTANT, LINEAR
from rom.gp.maximum import maximise, sobol_starts
from rom.gp.scores import stretch_deviations
from rom.gp.trajectories import (
    IDENTITY,
    ROOT,
    TrajectoryGP,
    leave_runs_out,
    transform_field,
    untransform,
)
from rom.parameters import Box
from rom.snapshots import Snapshots

PRIORS = (("rbf", CONSTANT), ("matern52", LINEAR))
MIN_RUNS = 6
NEGATIVE = 1e-2  # of the largest value: below it a field has no root
FOLDS = 8
FLOOR = 0.1  # of the rms held-out error: the least deviation in a band
log = logging.getLogger("rom")


def trajectory_gp(
    snapshots: Snapshots | np.ndarray,
    box: Box | None = None,
    *,
    mu: np.ndarray | None = None,
    times: np.ndarray | None = None,
    tol: float = 2e-3,
    level: float = 0.9,
    transforms: Sequence[str] = (IDENTITY, ROOT),
    priors: Sequence[tuple[str, str]] = PRIORS,
) -> TrajectoryGP:
    """The process of whole trajectories of least leave-one-run-out error.

    snapshots : with times, the same for each run; or runs (m, n, n_t) with mu (m, p) and times
    box : beyond which predictions are refused, by default the range of the parameters
    tol : relative L2 norm, in space and time, of what the modes leave out
    level : of the bands of whole trajectories
    transforms : of the field, "identity" or "root"; the second is tried on nonnegative fields
    priors : (kernel, mean), one process for each and each coefficient, by likelihood; the mean of
        them is the answer
    The transform is that of least left-out error: the relative L2 norm of u in space and time,
    in the mean over runs; kernels stay those of all runs.
    Raises BadInput for other shapes, NaN, and fewer than six runs.
    """
    runs = _whole_runs(snapshots, mu, times)
    if not 0.5 <= level < 1:
        raise BadInput(f"level = {level:g} must lie in [0.5, 1)")
    scale = np.abs(runs.u).max()
    positive = runs.u.min() >= -NEGATIVE * scale
    usable = [name for name in transforms if name == IDENTITY or positive]
    candidates: dict[str, TrajectoryGP] = {}
    for name in usable:
        model, a = _compress(runs, name, tol, level)
        processes = [_fit_modes(runs.mu, a, box, prior) for prior in _usable_priors(priors, runs)]
        candidates[name] = replace(model, processes=tuple(processes))
    errors = {label: _left_out_error(model, runs.u) for label, model in candidates.items()}
    label = min(errors, key=lambda label: errors[label])
    model = _calibrate(replace(candidates[label], errors=errors), runs)
    log.info("trajectories: %s", model.reason)
    return model


@dataclass(frozen=True, eq=False)
class _Runs:
    """Whole runs: u (m, n, n_t), mu (m, p), times (n_t,)."""

    u: np.ndarray
    mu: np.ndarray
    times: np.ndarray


def _whole_runs(
    snapshots: Snapshots | np.ndarray, mu: np.ndarray | None, times: np.ndarray | None
) -> _Runs:
    """Checked runs of columns with times, or of an array."""
    if isinstance(snapshots, Snapshots):
        u, mu, times = _stack_columns(snapshots)
    else:
        u = real(snapshots, "the runs")
    if mu is None or times is None or u.ndim != 3:
        raise BadInput("give snapshots with times, or runs (m, n, n_t) with mu (m, p) and times")
    mu, times = real(mu, "mu"), real(times, "times")
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
    return _Runs(u, mu, times)


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


def _usable_priors(
    priors: Sequence[tuple[str, str]], runs: _Runs
) -> list[tuple[str, str]]:
    """Constant for linear means where runs are fewer than three for each number of a trend."""
    few = len(runs.mu) < 3 * (runs.mu.shape[1] + 1)
    return [(kernel, CONSTANT if few and mean == LINEAR else mean) for kernel, mean in priors]


def _compress(
    runs: _Runs, transform: str, tol: float, level: float
) -> tuple[TrajectoryGP, np.ndarray]:
    """A model without processes, and the coefficients (m, r), by the Gram matrix."""
    m, n, n_t = runs.u.shape
    flat = transform_field(transform, runs.u).reshape(m, -1)
    offset = flat.mean(axis=0)
    centred = flat - offset
    values, vectors = np.linalg.eigh(centred @ centred.T)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    left = np.sqrt(np.append(np.cumsum(values[::-1])[::-1][1:], 0.0) / max(values.sum(), 1e-300))
    r = min(int(np.argmax(left <= tol)) + 1, m - 1)
    singular = np.sqrt(np.maximum(values[:r], 1e-300))
    a = vectors[:, :r] * singular
    modes = centred.T @ (vectors[:, :r] / singular)
    missed = centred - a @ modes.T
    tail = np.sqrt(np.sum(missed**2, axis=0) / max(m - 1 - r, 1))
    shape = (n, n_t)
    model = TrajectoryGP(
        times=runs.times,
        offset=offset.reshape(shape),
        modes=modes.reshape(*shape, r),
        tail=tail.reshape(shape),
        transform=transform,
        processes=(),
        floor=0.0,
        factor=1.0,
        level=level,
        errors={},
    )
    return model, a


def _fit_modes(
    mu: np.ndarray, a: np.ndarray, box: Box | None, prior: tuple[str, str]
) -> CoefficientGP:
    """A process for each coefficient, each with the kernel of largest likelihood."""
    name, mean = prior
    mu, a, box, _ = check_training(mu, a, box, mean)
    first, r = kernel_of(name, box.p), a.shape[1]
    starts = sobol_starts(first, 1, 0)[:-1]
    blank = CoefficientGP(
        box=box,
        closed=True,
        x=box.to_unit(mu),
        a=a,
        kernels=(first,) * r,
        nuggets=np.ones(r),
        groups=np.arange(r),
        mean=mean,
        share="independent",
        reason="whole trajectories",
        stretch=np.ones(r),
    )
    return _search(blank, first, [starts] * r)


def _search(gp: CoefficientGP, first: Any, starts: list[np.ndarray]) -> CoefficientGP:
    """The process with kernels of largest likelihood, searched from `starts`."""
    parts = [column[:, None] for column in (gp.a / output_scale(gp.a)).T]
    ends = maximise(first, gp.x, parts, starts, mean=gp.mean)
    kernels = tuple(end.kernel for end in ends)
    nuggets = np.array([end.nugget for end in ends])
    return stretch_deviations(replace(gp, kernels=kernels, nuggets=nuggets))


def _without(gp: CoefficientGP, out: np.ndarray) -> CoefficientGP:
    """The process trained anew on the runs that are not `out`, from its own kernels."""
    first = gp.kernels[0].at(np.zeros_like(gp.kernels[0].theta))
    starts = []
    for kernel, nugget in zip(gp.kernels, gp.nuggets, strict=True):
        starts.append(np.append(kernel.theta, np.log(nugget))[None])
    rest = replace(gp, x=gp.x[~out], a=gp.a[~out])
    return _search(rest, first, starts)


def _left_out_error(model: TrajectoryGP, u: np.ndarray) -> float:
    """Mean over the runs of their relative leave-one-run-out error."""
    residuals, _ = leave_runs_out(model.processes)
    a = model.processes[0].a - residuals
    errors = []
    for truth, coefficients in zip(u, a, strict=True):
        v = model.offset + model.modes @ coefficients
        median, _ = untransform(model.transform, v, np.zeros_like(v))
        errors.append(np.linalg.norm(truth - median) / max(np.linalg.norm(truth), 1e-300))
    return float(np.mean(errors))


def _calibrate(model: TrajectoryGP, runs: _Runs) -> TrajectoryGP:
    """The model with the floor and factor of its band, conformal over held-out runs.

    Each fold's processes are trained anew: kernels that have seen a run flatter it.
    """
    m = len(runs.u)
    fold = np.random.default_rng(0).permutation(m) % min(FOLDS, m)
    missed, spread = np.empty_like(runs.u), np.empty_like(runs.u)
    for k in range(fold.max() + 1):
        out = fold == k
        processes = tuple(_without(gp, out) for gp in model.processes)
        median, spread[out] = replace(model, processes=processes).field(runs.mu[out])
        missed[out] = runs.u[out] - median
    floor = FLOOR * float(np.sqrt(np.mean(missed**2)))
    floor = max(floor, 1e-12 * float(np.abs(runs.u).max()), 1e-300)
    scores = np.sort(np.max(np.abs(missed) / np.hypot(spread, floor), axis=(1, 2)))
    rank = min(int(np.ceil((m + 1) * model.level)), m)
    return replace(model, floor=floor, factor=float(scores[rank - 1]))
