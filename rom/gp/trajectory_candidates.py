"""Regressions of whole trajectories: covariances over parameters and time.

joint : a process of mu for each mode in space and time
product : phi_k(x) (k_mu x C_k)(mu, t), C_k the covariance in time of largest likelihood
time : phi_k(x) (k_mu x k_t)(mu, t), k_t stationary: time as one more input
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rom.gp.coefficients import CoefficientGP
from rom.gp.inputs import check_training, output_scale
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
    compress: Compress, runs: WholeRuns, form: Form, box: Box, priors: Sequence[Prior]
) -> TrajectoryCandidate:
    """Processes of coefficients by likelihood; fewer runs start from their kernels."""
    model = _train_modes(compress, runs, form, box, [(prior, None) for prior in priors])
    like = list(zip(priors, model.processes, strict=True))
    return TrajectoryCandidate(model, lambda fewer: _train_modes(compress, fewer, form, box, like))


def joint(runs: WholeRuns, form: Form, box: Box, priors: Sequence[Prior]) -> TrajectoryCandidate:
    """A process with its own kernel for each mode in space and time."""
    return by_modes(joint_modes, runs, form, box, priors)


def product(runs: WholeRuns, form: Form, box: Box, priors: Sequence[Prior]) -> TrajectoryCandidate:
    """Kronecker processes over mu x t, one for each mode in space."""
    return by_modes(product_modes, runs, form, box, priors)


def mean_of_both(
    runs: WholeRuns, form: Form, box: Box, priors: Sequence[Prior]
) -> TrajectoryCandidate:
    """The mean of `joint` and `product`."""
    return by_modes(averaged_modes, runs, form, box, priors)


def time_input(
    runs: WholeRuns, form: Form, box: Box, priors: Sequence[Prior]
) -> TrajectoryCandidate:
    """Processes over (mu, t), stationary in time, one for each mode in space.

    The p + 2 numbers of each are those of all runs, for fewer runs too.
    """
    grids = _grid_kernels(runs, form, box, priors[0][0])
    model = train_grids(runs, form, box, grids)
    return TrajectoryCandidate(model, lambda fewer: train_grids(fewer, form, box, grids))


JOINT, PRODUCT, TIME = "modes in space and time", "Kronecker over mu x t", "time as an input"
MEAN = "mean of the first two"
CANDIDATES = {JOINT: joint, PRODUCT: product, TIME: time_input, MEAN: mean_of_both}


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
        gp, first = _blank_process(runs.mu, parts, box, prior)
        starts = [sobol_starts(first, 1, 0)[:-1]] * len(gp.kernels)
        if like is not None:
            starts = _starts_of(like, len(gp.kernels))
        processes.append(_search(gp, first, starts))
    return replace(parts.blank, processes=tuple(processes))


def _blank_process(
    mu: np.ndarray, parts: Coefficients, box: Box, prior: Prior
) -> tuple[CoefficientGP, Any]:
    """(process without trained kernels, the kernel at unit lengths)."""
    name, mean = prior
    mu, a, _, _ = check_training(mu, parts.a, box, mean)
    first, count = kernel_of(name, box.p), int(parts.groups.max()) + 1
    gp = CoefficientGP(
        box=box,
        closed=True,
        x=box.to_unit(mu),
        a=a,
        kernels=(first,) * count,
        nuggets=np.ones(count),
        groups=parts.groups,
        mean=mean,
        share="groups",
        reason="whole trajectories",
        stretch=np.ones(count),
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
    axes = [box.to_unit(runs.mu), _unit_times(runs)]
    first = [kernel_of(name, box.p), kernel_of(name, 1)]
    grids = []
    for part in centred_series(runs, form)[:OWN_KERNELS]:
        (k_mu, k_t), nugget = fit_grid(first, axes, part, None)
        grids.append((k_mu, k_t, nugget))
    return grids


def _unit_times(runs: WholeRuns) -> np.ndarray:
    """Times from 0 to 1, (n_t, 1)."""
    return ((runs.times - runs.times[0]) / (runs.times[-1] - runs.times[0]))[:, None]


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
    gp, _ = _blank_process(runs.mu, each, box, ("rbf", CONSTANT))
    gp = replace(gp, kernels=tuple(kernels), nuggets=np.array(nuggets))
    return replace(parts.blank, processes=(stretch_deviations(gp),))
