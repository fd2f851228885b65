"""Regressions of whole trajectories: covariances over parameters and time.

joint : a process of mu for each mode in space and time; in windows of time too
product : phi_k(x) (k_mu x C_k)(mu, t), C_k the covariance in time of largest likelihood
time : phi_k(x) (k_mu x k_t)(mu, t), k_t stationary: time as one more input
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from rom.gp.coefficients import CoefficientGP
from rom.gp.inputs import bend_inputs, check_training, output_scale
from rom.gp.kernel_names import kernel_of
from rom.gp.kronecker_likelihood import fit_grid
from rom.gp.likelihood import CONSTANT, FLOOR
from rom.gp.maximum import maximise, sobol_starts
from rom.gp.scores import stretch_deviations
from rom.gp.trajectories import TrajectoryGP
from rom.gp.trajectory_modes import (
    Coefficients,
    Form,
    averaged_modes,
    centred_series,
    joint_modes,
    product_modes,
    window_modes,
)
from rom.gp.trajectory_runs import WholeRuns
from rom.parameters import Box

FEW = 128  # runs whose searches share a stack of matrices
OWN_KERNELS = 8  # leading modes in space with a grid likelihood each; the others take the last
LEAST = 1e-10  # share of a mode in time of the largest; below it is round-off
Train = Callable[[WholeRuns], TrajectoryGP]
Compress = Callable[[WholeRuns, Form], Coefficients]
Prior = tuple[str, str]


@dataclass(frozen=True, eq=False)
class TrajectoryCandidate:
    """A model of all runs, and the training of its like on fewer of them."""

    model: TrajectoryGP
    train: Train


def by_modes(
    names: Sequence[str], runs: WholeRuns, form: Form, box: Box, priors: Sequence[Prior]
) -> TrajectoryCandidate:
    """The mean over kinds of modes, each coefficient a process of largest likelihood.

    Fewer runs start from the kernels of all.
    """
    compress = partial(averaged_modes, [MODES[name] for name in names])
    model = _train_modes(compress, runs, form, box, [(prior, None) for prior in priors])
    like = list(zip(priors, model.processes, strict=True))
    return TrajectoryCandidate(model, lambda fewer: _train_modes(compress, fewer, form, box, like))


def time_input(
    runs: WholeRuns, form: Form, box: Box, priors: Sequence[Prior]
) -> TrajectoryCandidate:
    """Processes over (mu, t), stationary in time, one for each mode in space.

    The p + 2 numbers of each are those of all runs, for fewer runs too.
    """
    grids = _grid_kernels(runs, form, box, priors[0][0])
    model = train_grids(runs, form, box, grids)
    return TrajectoryCandidate(model, lambda fewer: train_grids(fewer, form, box, grids))


JOINT, PRODUCT, WINDOWS = "modes in space and time", "Kronecker over mu x t", "windows in time"
TIME = "time as an input"
MODES = {JOINT: joint_modes, PRODUCT: product_modes, WINDOWS: window_modes}


def _train_modes(
    compress: Compress,
    runs: WholeRuns,
    form: Form,
    box: Box,
    priors: Sequence[tuple[Prior, CoefficientGP | None]],
) -> TrajectoryGP:
    """The model with a process for each prior, searched from a like one if given."""
    parts = compress(runs, form)
    processes = []
    for prior, like in priors:
        processes.append(train_process(runs.mu, parts, box, prior, form.bends, like=like))
    return replace(parts.blank, processes=tuple(processes))


def train_process(
    mu: np.ndarray,
    parts: Coefficients,
    box: Box,
    prior: Prior,
    bends: tuple[float, ...],
    *,
    like: CoefficientGP | None = None,
) -> CoefficientGP:
    """The process of largest likelihood, searched from a like one if given."""
    gp, first = _blank_process(mu, parts, box, prior, bends)
    starts = [sobol_starts(first, 1, 0)[:-1]] * len(gp.kernels)
    if like is not None:
        starts = _starts_of(like, len(gp.kernels))
    return _search(gp, first, starts)


def _blank_process(
    mu: np.ndarray, parts: Coefficients, box: Box, prior: Prior, bends: tuple[float, ...]
) -> tuple[CoefficientGP, Any]:
    """(process without trained kernels, the kernel at unit lengths)."""
    name, mean = prior
    mu, a, _, _ = check_training(mu, parts.a, box, mean)
    first, count = kernel_of(name, box.p), int(parts.groups.max()) + 1
    curved = np.array(bends) if any(bends) else None
    gp = CoefficientGP(
        box=box,
        closed=True,
        x=bend_inputs(box.to_unit(mu), curved),
        a=a,
        kernels=(first,) * count,
        nuggets=np.ones(count),
        groups=parts.groups,
        mean=mean,
        share="groups",
        reason="whole trajectories",
        stretch=np.ones(count),
        bends=curved,
    )
    return gp, first


def _starts_of(gp: CoefficientGP, count: int) -> list[np.ndarray]:
    """A start (1, p + 1) for each of `count` groups, the last repeated."""
    ends = [
        np.append(kernel.theta, np.log(nugget))[None]
        for kernel, nugget in zip(gp.kernels, gp.nuggets, strict=True)
    ]
    return [ends[min(g, len(ends) - 1)] for g in range(count)]


def _search(gp: CoefficientGP, first: Any, starts: list[np.ndarray]) -> CoefficientGP:
    """The process with kernels of largest likelihood, searched from `starts`."""
    scaled = gp.a / output_scale(gp.a)
    parts = [scaled[:, gp.groups == g] for g in range(len(gp.kernels))]
    ends = maximise(first, gp.x, parts, starts, mean=gp.mean, few=len(gp.x) <= FEW)
    kernels = tuple(end.kernel for end in ends)
    nuggets = np.array([end.nugget for end in ends])
    return stretch_deviations(replace(gp, kernels=kernels, nuggets=nuggets))


def _grid_kernels(runs: WholeRuns, form: Form, box: Box, name: str) -> list[tuple[Any, Any, float]]:
    """(k_mu, k_t, nugget) of each mode in space, by the likelihood of the grid."""
    z = box.to_unit(runs.mu)
    axes = [bend_inputs(z, np.array(form.bends)) if form.bends else z, _unit_times(runs)]
    first = [kernel_of(name, box.p), kernel_of(name, 1)]
    grids = []
    for part in centred_series(runs, form)[:OWN_KERNELS]:
        (k_mu, k_t), nugget = fit_grid(first, axes, part, None)
        grids.append((k_mu, k_t, nugget))
    return grids


def _unit_times(runs: WholeRuns) -> np.ndarray:
    """Times from 0 to 1, (n_t, 1)."""
    first, last = runs.times[0], runs.times[-1]
    return np.asarray((runs.times - first) / (last - first))[:, None]


def train_grids(
    runs: WholeRuns, form: Form, box: Box, grids: list[tuple[Any, Any, float]]
) -> TrajectoryGP:
    """Modes in time are the eigenvectors of k_t = V diag(s) V^T.

    Their coefficients are processes with k_mu and nugget / s_j: the same mean as on the grid.
    """
    t = _unit_times(runs)
    in_time, spectra = [], []
    for _, k_t, _ in grids:
        s, V = np.linalg.eigh(k_t.matrix(t, t))
        usable = s[::-1] > LEAST * s[-1]
        spectra.append(s[::-1][usable])
        in_time.append(V[:, ::-1][:, usable])
    parts = product_modes(runs, form, in_time)
    kernels, nuggets = [], []
    where = np.empty((0, 2), dtype=int) if parts.where is None else parts.where
    for k, j in where:
        mine = min(k, len(grids) - 1)
        kernels.append(grids[mine][0])
        nuggets.append(max(grids[mine][2] / spectra[mine][j], FLOOR))
    if form.sized:
        kernels, nuggets = [kernels[0], *kernels], [nuggets[0], *nuggets]
    each = replace(parts, groups=np.arange(parts.a.shape[1]))
    gp, _ = _blank_process(runs.mu, each, box, ("rbf", CONSTANT), form.bends)
    gp = replace(gp, kernels=tuple(kernels), nuggets=np.array(nuggets))
    return replace(parts.blank, processes=(stretch_deviations(gp),))
