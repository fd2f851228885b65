"""The regression of whole trajectories, chosen by leaving runs out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from rom.errors import BadInput
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
    left_out_error,
    transform_field,
)
from rom.gp.trajectory_runs import WholeRuns, whole_runs
from rom.parameters import Box
from rom.snapshots import Snapshots
from rom.space import Space

PRIORS = (("rbf", CONSTANT), ("matern52", LINEAR))
NEGATIVE = 1e-2  # of the largest value: below it a field has no root
SMALLEST = 1e-3  # of the largest size of a run: below it sizes are no scale
FOLDS = 8
FEW = 128  # runs whose searches share a stack of matrices
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
    Runs are taken as they are or over their size, its logarithm a process of its own. That and
    the transform are those of least left-out error by the first prior: the relative L2 norm of u
    in space and time, in the mean over runs; kernels stay those of all runs.
    Raises BadInput for other shapes, NaN, and fewer than six runs.
    """
    runs = whole_runs(snapshots, mu, times)
    space = snapshots.space if isinstance(snapshots, Snapshots) else None
    scales = _field_scales(space, runs)
    if scales is not None:
        runs = replace(runs, u=runs.u / scales[:, None])
    if not 0.5 <= level < 1:
        raise BadInput(f"level = {level:g} must lie in [0.5, 1)")
    scale = np.abs(runs.u).max()
    positive = runs.u.min() >= -NEGATIVE * scale
    usable = [name for name in transforms if name == IDENTITY or positive]
    usable_priors = _usable_priors(priors, runs)
    candidates: dict[str, TrajectoryGP] = {}
    for name, sized in product(usable, (False, True)):
        size = _run_sizes(runs, name) if sized else None
        if size is not None and size.min() < SMALLEST * size.max():
            continue
        blank, a = _compress(runs, size, name, tol, level)
        gp = _fit_modes(runs.mu, a, box, usable_priors[0])
        label = f"{name}, sized" if sized else name
        candidates[label] = replace(blank, processes=(gp,))
    errors = {label: left_out_error(model, runs.u) for label, model in candidates.items()}
    model = candidates[min(errors, key=lambda label: errors[label])]
    a = model.processes[0].a
    others = [_fit_modes(runs.mu, a, box, prior) for prior in usable_priors[1:]]
    processes = (*model.processes, *others)
    model = _calibrate(replace(model, processes=processes, errors=errors), runs)
    log.info("trajectories: %s", model.reason)
    return replace(model, space=space, scales=scales)


def _run_sizes(runs: WholeRuns, transform: str) -> np.ndarray:
    """(m,) rms of each run."""
    return np.sqrt(np.mean(transform_field(transform, runs.u) ** 2, axis=(1, 2)))


def _field_scales(space: Space | None, runs: WholeRuns) -> np.ndarray | None:
    """(n,) rms of the deviation of each field from its mean; None for one field."""
    if space is None or len(space.fields) < 2:
        return None
    scales = np.ones(space.n)
    deviation = runs.u - runs.u.mean(axis=0)
    for part in space.fields:
        size = float(np.sqrt(np.mean(deviation[:, part.rows] ** 2)))
        if size > 0.0:
            scales[part.rows] = size
    return scales


def _usable_priors(priors: Sequence[tuple[str, str]], runs: WholeRuns) -> list[tuple[str, str]]:
    """Priors whose trend has at least three runs for each of its numbers."""
    few = len(runs.mu) < 3 * (runs.mu.shape[1] + 1)
    return [(kernel, CONSTANT if few and mean == LINEAR else mean) for kernel, mean in priors]


def _compress(
    runs: WholeRuns, size: np.ndarray | None, transform: str, tol: float, level: float
) -> tuple[TrajectoryGP, np.ndarray]:
    """A model without processes, and the coefficients (m, r), by the Gram matrix.

    size (m,) : by which runs are divided; its logarithm is then the first coefficient
    """
    m, n, n_t = runs.u.shape
    flat = transform_field(transform, runs.u).reshape(m, -1)
    if size is not None:
        flat = flat / size[:, None]
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
        sized=size is not None,
        processes=(),
        floor=0.0,
        factor=1.0,
        level=level,
        errors={},
    )
    return model, a if size is None else np.column_stack([np.log(size), a])


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
    ends = maximise(first, gp.x, parts, starts, mean=gp.mean, few=len(gp.x) <= FEW)
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


def _calibrate(model: TrajectoryGP, runs: WholeRuns) -> TrajectoryGP:
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
