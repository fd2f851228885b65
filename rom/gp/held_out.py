"""Errors at runs held out in folds, everything fitted anew without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rom.gp.averages import ProcessAverage
from rom.gp.coefficients import CoefficientGP
from rom.gp.groups import refit
from rom.gp.interpolated import RunInterpolation
from rom.gp.outputs import within_range
from rom.gp.regressors import open_regressor

FOLDS = 8
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
    m = len(x)
    fold = np.random.default_rng(0).permutation(m) % min(FOLDS, m)
    missed, inside = np.zeros_like(a), np.zeros(m, dtype=bool)
    for k in range(fold.max() + 1):
        out = fold == k
        inside[out] = within_range(x[out], x[~out])
        missed[out] = a[out] - _predict(model, ~out, x[out], np.ndim(unit) == 0) / unit
    if inside.sum() < MIN_INSIDE:
        inside[:] = True
    size = float(np.linalg.norm((a - a.mean(axis=0))[inside]))
    return float(np.linalg.norm(missed[inside])) / max(size, 1e-300)


def _predict(model: Fit, rows: np.ndarray, z: np.ndarray, modal: bool) -> np.ndarray:
    """Outputs at z (q, p) of the unit box by a model fitted to some rows only."""
    a = model.a[rows]
    if isinstance(model, RunInterpolation):
        interpolate = open_regressor(model.regressor).interpolate
        assert interpolate is not None
        return interpolate(model.x[rows], a, z)
    processes, weights = _heaviest(model)
    rotation = np.eye(a.shape[1])
    if modal:
        rotation = np.linalg.svd(a, full_matrices=False)[2]
    points = model.box.from_unit(z)
    means = []
    for gp in processes:
        fit = replace(refit(gp, rows, a @ rotation.T), closed=False)
        means.append(fit.posterior(points, std=False)[0] @ rotation)
    return np.asarray(np.tensordot(weights, np.stack(means), 1))


def _heaviest(model: CoefficientGP | ProcessAverage) -> tuple[Sequence[CoefficientGP], np.ndarray]:
    """The processes that count most, and weights that sum to one."""
    if isinstance(model, CoefficientGP):
        return (model,), np.ones(1)
    weights = model.weights[:HEAVIEST]
    return model.processes[:HEAVIEST], weights / weights.sum()
