"""Errors at runs held out in folds, everything fitted anew without them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from rom.gp.averages import ProcessAverage, mix_normal
from rom.gp.coefficients import CoefficientGP
from rom.gp.groups import refit
from rom.gp.interpolated import RunInterpolation
from rom.gp.outputs import within_range
from rom.gp.regressors import open_regressor

FOLDS = 8
MIN_RUNS, MAX_RUNS = 6, 128  # whose deviations folds calibrate; many choose kernels well
HEAVIEST = 2  # processes of an average that are fitted anew
MIN_INSIDE = 3  # runs inside the range of the others; with fewer all count

Fit = CoefficientGP | ProcessAverage | RunInterpolation


def held_out_size(model: Fit, unit: np.ndarray | float) -> float:
    """|a - a without its fold| / |a - mean| over runs inside the range of the others.

    Closed forms leave out runs that have chosen the kernels and, of fields, the modes, which
    flatters many modes of few runs. Here kernels are searched again from where they were.
    unit (r,) : of the outputs; one number where they are coefficients of modes, which are then
        those of the other runs
    """
    x, a = model.x, model.a / unit
    missed = fold_errors(model, modal=np.ndim(unit) == 0)[0] / unit
    inside = np.zeros(len(x), dtype=bool)
    for out in _folds(len(x)):
        inside[out] = within_range(x[out], x[~out])
    if inside.sum() < MIN_INSIDE:
        inside[:] = True
    size = float(np.linalg.norm((a - a.mean(axis=0))[inside]))
    return float(np.linalg.norm(missed[inside])) / max(size, 1e-300)


def fold_errors(model: Fit, *, modal: bool) -> tuple[np.ndarray, np.ndarray]:
    """(a_i - E[a_i | other folds], its standard deviation), both (m, r).

    Kernels are searched again from where they were.
    modal : whether outputs are coefficients of modes, which are then those of the other folds
    """
    x, a = model.x, model.a
    residuals, std = np.empty_like(a), np.empty_like(a)
    for out in _folds(len(x)):
        mean, std[out] = _predict(model, ~out, x[out], modal)
        residuals[out] = a[out] - mean
    return residuals, std


def _folds(m: int) -> Iterator[np.ndarray]:
    """Which of m runs are in each fold, (m,)."""
    fold = np.random.default_rng(0).permutation(m) % min(FOLDS, m)
    return (fold == k for k in range(fold.max() + 1))


def _predict(
    model: Fit, rows: np.ndarray, z: np.ndarray, modal: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs and their deviation at z (q, p) of the unit box, fitted to rows."""
    a = model.a[rows]
    if isinstance(model, RunInterpolation):
        interpolate = open_regressor(model.regressor).interpolate
        assert interpolate is not None
        mean = interpolate(model.x[rows], a, z)
        return mean, np.broadcast_to(model.leave_one_out()[1][0], mean.shape)
    processes, weights = _heaviest(model)
    rotation = np.eye(a.shape[1])
    if modal:
        rotation = np.linalg.svd(a, full_matrices=False)[2]
    points = model.box.from_unit(z)
    means, variances = [], []
    for gp in processes:
        fit = replace(refit(gp, rows, a @ rotation.T), closed=False)
        mean, spread = fit.posterior(points, noise=True)
        means.append(mean @ rotation)
        variances.append(np.asarray(spread) ** 2 @ rotation**2)
    return mix_normal(weights, np.stack(means), np.stack(variances))


def _heaviest(model: CoefficientGP | ProcessAverage) -> tuple[Sequence[CoefficientGP], np.ndarray]:
    """The processes that count most, and weights that sum to one."""
    if isinstance(model, CoefficientGP):
        return (model,), np.ones(1)
    weights = model.weights[:HEAVIEST]
    return model.processes[:HEAVIEST], weights / weights.sum()
