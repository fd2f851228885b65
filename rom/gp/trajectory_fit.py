"""The regression of whole trajectories, chosen by leaving runs out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations

import numpy as np

from rom.arrays import gate
from rom.errors import BadInput
from rom.gp.inputs import check_training
from rom.gp.likelihood import CONSTANT, LINEAR
from rom.gp.point_cloud import check_spread
from rom.gp.trajectories import IDENTITY, ROOT, TrajectoryGP, left_out_error
from rom.gp.trajectory_bends import choose_inputs
from rom.gp.trajectory_candidates import JOINT, MODES, TIME, Train, by_modes, time_input
from rom.gp.trajectory_modes import Form, run_sizes
from rom.gp.trajectory_runs import WholeRuns, whole_runs
from rom.parameters import Box
from rom.snapshots import Snapshots
from rom.space import Space

KERNELS = ("rbf", "matern52")
NEGATIVE = 1e-2  # of the largest value: below it a field has no root
SMALLEST = 1e-3  # of the largest size of a run: below it sizes are no scale
FOLDS, CHOOSING_FOLDS = 8, 4
FLOOR = 0.1  # of the rms held-out error: the least deviation in a band
log = logging.getLogger("rom")


@gate()
def trajectory_gp(
    snapshots: Snapshots | np.ndarray,
    box: Box | None = None,
    *,
    mu: np.ndarray | None = None,
    times: np.ndarray | None = None,
    tol: float = 2e-3,
    level: float = 0.9,
    transforms: Sequence[str] = (IDENTITY, ROOT),
    kernels: Sequence[str] = KERNELS,
) -> TrajectoryGP:
    """The process of whole trajectories of least leave-one-run-out error.

    snapshots : with times, the same for each run; or runs (m, n, n_t) with mu (m, p) and times
    box : beyond which predictions are refused, by default the range of the parameters
    tol : relative L2 norm, in space and time, of what the modes leave out
    level : of the bands of whole trajectories
    transforms : of the field, "identity" or "root"; the second is tried on nonnegative fields
    kernels : one is chosen; the answer is the mean of its processes with a linear and with a
        constant trend, of largest likelihood
    Runs are taken as they are or over their size, its logarithm a process of its own. That, the
    transform, the kernel and a bend of each input (`bend_inputs`) are those of least
    leave-one-run-out error in closed form, by modes in space and time. Then the covariance over
    parameters and time is chosen: processes of modes in space and time, Kronecker processes over
    mu x t, modes of windows in time, means of two or three of these, or time as an input, by the
    error of runs held out with everything trained anew. Both errors are the relative L2 norm of u
    in space and time, in the mean over runs.
    Raises BadInput for other shapes, NaN, and fewer than six runs.
    """
    runs = whole_runs(snapshots, mu, times)
    check_spread(runs.u.ravel(), "the field of the runs")
    space = snapshots.space if isinstance(snapshots, Snapshots) else None
    scales = _field_scales(space, runs)
    if scales is not None:
        runs = replace(runs, u=runs.u / scales[:, None])
    if not 0.5 <= level < 1:
        raise BadInput(f"level = {level:g} must lie in [0.5, 1)")
    mu, _, box, _ = check_training(runs.mu, runs.mu, box, CONSTANT)
    runs = replace(runs, mu=mu)
    means = _usable_means(runs)
    forms = _forms(runs, transforms, tol, level)
    form, _ = _choose_form(runs, box, (kernels[0], means[0]), forms)
    kernel, bends = choose_inputs(runs, form, box, [(kernel, means[0]) for kernel in kernels])
    usable = [(kernel, mean) for mean in means]
    forms = [replace(each, bends=bends) for each in forms]
    form, errors = _choose_form(runs, box, usable[0], forms)
    trials = {name: partial(by_modes, (name,)) for name in MODES} | {TIME: time_input}
    medians = {}
    for name, candidate in trials.items():
        first = candidate(runs, form, box, usable[:1])
        medians[name] = hold_out(first.train, runs, CHOOSING_FOLDS)[0]
    for count in (2, 3):
        for names in combinations(MODES, count):
            name = f"mean of {', '.join(names)}"
            trials[name] = partial(by_modes, names)
            medians[name] = np.mean([medians[part] for part in names], axis=0)
    held_out = {name: mean_error(median, runs.u) for name, median in medians.items()}
    name = min(held_out, key=lambda name: held_out[name])
    chosen = trials[name](runs, form, box, usable)
    errors |= held_out
    model = _calibrate(chosen.model, hold_out(chosen.train, runs), runs)
    model = replace(model, kind=name, errors=errors)
    log.info("trajectories: %s", model.reason)
    return replace(model, space=space, scales=scales)


def _forms(runs: WholeRuns, transforms: Sequence[str], tol: float, level: float) -> list[Form]:
    """Transforms that the fields have, each with and without sizes of runs."""
    positive = runs.u.min() >= -NEGATIVE * np.abs(runs.u).max()
    forms = []
    for name in transforms:
        if name != IDENTITY and not positive:
            continue
        forms.append(Form(name, False, tol, level))
        size = run_sizes(runs, name)
        if 0 < size.min() >= SMALLEST * size.max():
            forms.append(Form(name, True, tol, level))
    return forms


def _choose_form(
    runs: WholeRuns, box: Box, prior: tuple[str, str], forms: Sequence[Form]
) -> tuple[Form, dict[str, float]]:
    """The form of least leave-one-run-out error, and the errors of all."""
    errors = [
        left_out_error(by_modes((JOINT,), runs, form, box, [prior]).model, runs.u) for form in forms
    ]
    labels = [f"{form.label} (closed form)" for form in forms]
    return forms[int(np.argmin(errors))], dict(zip(labels, errors, strict=True))


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


def _usable_means(runs: WholeRuns) -> list[str]:
    """Trends that have at least three runs for each of their numbers."""
    few = len(runs.mu) < 3 * (runs.mu.shape[1] + 1)
    return [CONSTANT] if few else [LINEAR, CONSTANT]


def hold_out(train: Train, runs: WholeRuns, folds: int = FOLDS) -> tuple[np.ndarray, np.ndarray]:
    """Median and deviation (m, n, n_t) of runs, from models without their fold.

    Modes, sizes and kernels are trained anew: those that have seen a run flatter it.
    """
    m = len(runs.u)
    fold = np.random.default_rng(0).permutation(m) % min(folds, m)
    median, spread = np.empty_like(runs.u), np.empty_like(runs.u)
    for k in range(fold.max() + 1):
        out = fold == k
        rest = replace(runs, u=runs.u[~out], mu=runs.mu[~out])
        median[out], spread[out] = train(rest).field(runs.mu[out])
    return median, spread


def mean_error(answers: np.ndarray, u: np.ndarray) -> float:
    """Mean over the runs of their relative L2 error in space and time."""
    missed = np.linalg.norm((answers - u).reshape(len(u), -1), axis=1)
    size = np.linalg.norm(u.reshape(len(u), -1), axis=1)
    return float(np.mean(missed / np.maximum(size, 1e-300)))


def _calibrate(
    model: TrajectoryGP, left_out: tuple[np.ndarray, np.ndarray], runs: WholeRuns
) -> TrajectoryGP:
    """The model with its band, conformal over held-out runs."""
    median, spread = left_out
    missed, m = runs.u - median, len(runs.u)
    floor = FLOOR * float(np.sqrt(np.mean(missed**2)))
    floor = max(floor, 1e-12 * float(np.abs(runs.u).max()), 1e-300)
    scores = np.sort(np.max(np.abs(missed) / np.hypot(spread, floor), axis=(1, 2)))
    rank = min(int(np.ceil((m + 1) * model.level)), m)
    return replace(model, floor=floor, factor=float(scores[rank - 1]))
