"""Which regression of coefficients: by the errors at runs that were left out."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np

from rom.arrays import POINTS, gate
from rom.gp.averages import ProcessAverage
from rom.gp.coefficients import CoefficientGP
from rom.gp.held_out import Fit, held_out_size
from rom.gp.inputs import output_scale
from rom.gp.interpolated import RunInterpolation, run_interpolation
from rom.gp.many_runs import CHOICE_RUNS, MANY_RUNS, sample_runs
from rom.gp.regressors import AUTO, open_regressor, regressor_names
from rom.gp.scores import left_out_size
from rom.parameters import Box

FEW_RUNS = 2  # beyond the number of parameters
GAIN = 0.95  # of the error of the mean of the runs, that another regressor must reach
NEAR = 0.5  # times parameters per run: by how much less another's error than that of processes
# may be without being clearly less
FLATTERY = 3.0  # how much smaller closed forms may make the left-out errors of a process
log = logging.getLogger("rom")


@gate(x=POINTS, a=POINTS, box=Box)
def fit_regressor(
    x: np.ndarray,
    a: np.ndarray,
    box: Box | None = None,
    *,
    regressor: str = AUTO,
    rng: int | np.random.Generator = 0,
    unit: np.ndarray | float | None = None,
    **options: Any,
) -> CoefficientGP | ProcessAverage | RunInterpolation:
    """The regression of a (m, r) on x (m, p) by the regressor of that name.

    regressor : a file of rom/gp/regressors, or "auto": of those that serve, the one with the
        least sum of squared errors at left-out runs; `reason` holds all of them. Of p + 2 runs
        none can be left out: they get thin-plate splines, which carry planes exactly. Of more than
        1,000 runs 500 choose
    unit : in which the errors of outputs are added; None is each output's own deviation
    options : of `process_average`, for the processes
    Raises BadInput for wrong shapes, NaN, and too few distinct runs.
    Reference: Stone (1974).
    """
    options["unit"] = unit
    if regressor != AUTO:
        return _fit(regressor, x, a, box, rng=rng, options=options)
    m, p = np.unique(np.asarray(x, dtype=float), axis=0).shape
    names = [name for name in regressor_names() if open_regressor(name).serves(m, p)]
    if m == p + FEW_RUNS and "rbf" in names:
        reason = f"{m} runs are too few to leave any out"
        return replace(_fit("rbf", x, a, box, rng=rng, options=options), reason=reason)
    rows = np.arange(len(x))
    if m > MANY_RUNS:
        names = [name for name in names if open_regressor(name).many]
        rows = sample_runs(len(x), CHOICE_RUNS)
    models = {
        name: _fit(name, x[rows], a[rows], box, rng=rng, options=options)
        for name in names or ["gp"]
    }
    best, reason = _rank(models, a[rows], unit)
    log.info("regressor %s: %s", best, reason)
    model = models[best]
    if len(rows) < len(x):
        model = _fit(best, x, a, box, rng=rng, options=options)
    before = f"{model.reason}; " if not isinstance(model, RunInterpolation) else ""
    return replace(model, reason=before + reason)


def _rank(
    models: dict[str, Fit], a: np.ndarray, unit: np.ndarray | float | None
) -> tuple[str, str]:
    """The name of the best of the models, and the errors of all in words.

    Processes are taken unless another regressor is clearly better at runs held out: few runs per
    parameter do not tell near ties apart.
    """
    errors = {name: left_out_size(model, unit) for name, model in models.items()}
    ranking = sorted(errors, key=lambda name: errors[name])
    where, rival = "left-out runs", next((name for name in ranking if name != "gp"), "gp")
    if "gp" in models and errors[rival] < FLATTERY * errors["gp"]:
        scale = output_scale(a) if unit is None else np.asarray(unit, dtype=float)
        errors = {name: held_out_size(model, scale) for name, model in models.items()}
        ranking, where = sorted(errors, key=lambda name: errors[name]), "runs held out in folds"
    texts = ", ".join(f"{name} {errors[name]:.3g}" for name in ranking)
    reason = f"relative error at {where}: {texts}"
    best = ranking[0]
    x = models[best].x
    if errors[best] > (1.0 - NEAR * x.shape[1] / len(x)) * errors.get("gp", np.inf):
        best = "gp"
    if errors[best] > GAIN * errors.get("mean", np.inf):
        best = "mean"
    return best, reason


def _fit(
    name: str,
    x: np.ndarray,
    a: np.ndarray,
    box: Box | None,
    *,
    rng: int | np.random.Generator,
    options: dict[str, Any],
) -> CoefficientGP | ProcessAverage | RunInterpolation:
    regressor = open_regressor(name)
    if regressor.fit is None:
        return run_interpolation(x, a, box, regressor=name)
    process: CoefficientGP | ProcessAverage = regressor.fit(x, a, box, rng=rng, **options)
    return process
