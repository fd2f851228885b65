"""The regression of many outputs over few runs: kernel, trend, noise and groups."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rom.arrays import POINTS, gate
from rom.errors import BadInput
from rom.gp.coefficients import CoefficientGP
from rom.gp.groups import AUTO, CLUSTERS, INDEPENDENT, SHARED, SHARES, SearchPlan, fit_shares
from rom.gp.inputs import check_training
from rom.gp.likelihood import CONSTANT, FLOOR
from rom.gp.many_runs import CHOICE_RUNS, MANY_RUNS, condition_on_many, sample_runs, share_of_many
from rom.gp.maximum import MAX_NUGGET
from rom.gp.priors import (
    COMPOSED,
    FREE,
    NO_NOISE,
    PERCEPTIBLE,
    ProcessPrior,
    candidate_priors,
    check_mean,
    named_kernels,
)
from rom.gp.repeats import average_repeats, distinct_runs, is_repeatable
from rom.gp.scores import left_out_size, stretch_deviations
from rom.parameters import Box

__all__ = ["AUTO", "CLUSTERS", "INDEPENDENT", "SHARED", "coefficient_gp", "fit_candidates"]
LEADING, LEADING_SHARE = 3, 0.99  # outputs that kernels are screened on, and their energy
SCREEN_RUNS, SCREEN_STARTS = 200, 2
MAX_KERNELS, SLACK_RUNS = 2, 16.0  # errors of m runs within 1 + 16 / m are not told apart
COMPOSED_PRICE = 1.2  # on left-out errors: products and sums are slower, and have more lengths
NOISE_PRICE = 1.1  # on left-out errors of noise that is not known
log = logging.getLogger("rom")


@gate(x=POINTS, a=POINTS, box=Box)
def coefficient_gp(
    x: np.ndarray,
    a: np.ndarray,
    box: Box | None = None,
    *,
    kernel: Any = AUTO,
    share: str = AUTO,
    mean: str = AUTO,
    noise: float | str | None = None,
    rng: int | np.random.Generator = 0,
    device: str | None = None,
    starts: int = 4,
    calibrate: bool = True,
    unit: np.ndarray | float | None = None,
) -> CoefficientGP:
    """The regression of a (m, r) on x (m, p) of largest restricted likelihood.

    box : scales the inputs (default: the range of x); beyond a given one predictions are refused
    kernel : matern12, matern32, matern52, rbf, product or sum (of matern52 of one column each), a
        kernel of this chapter, or a GPyTorch kernel; whole models: `gpytorch_model`
    share : "shared" kernel with a variance per output, "clusters" of outputs, "independent"
        kernels
    mean : "zero", "constant" or "linear"
    noise : noise variance over process variance if it is known, at least 1e-10; None estimates it,
        for each output or one for all, or finds that there is none; "free" always for each group
    "auto" of kernel, share and mean, and the noise, are those of least leave-one-out error
    unit : in which the errors of outputs are added, (r,) or one for all, as of coefficients of
        orthonormal modes; None is each output's own deviation
    device : None for numpy, "cpu" or "cuda" for torch
    starts : number of Sobol points screened before the search
    calibrate : stretch standard deviations until 95 % of the runs lie in their leave-one-out
        intervals, the less so the fewer runs
    All is float64 and by Cholesky. Of more than 1,000 runs 500 choose, 1,500 give the lengths, and
    all condition the process: m^3 once, and 16 m^2 bytes. Repeated runs are averaged and left out
    together; what differs between them is noise, and copies count once.
    Raises BadInput for wrong shapes, NaN, fewer than three distinct runs.
    References: Rasmussen, Williams (2006); Gu, Berger (2016); Stone (1974).
    """
    candidates = fit_candidates(
        x, a, box, kernel=kernel, share=share, mean=mean, noise=noise, unit=unit,
        search=SearchPlan(starts, rng, device),
    )  # fmt: skip
    ranking = sorted(candidates, key=lambda pair: pair[1])
    best = ranking[0][0]
    if len(ranking) > 1:
        texts = ", ".join(f"{gp.reason} {error:.4g}" for gp, error in ranking)
        log.info("relative leave-one-out error: %s", texts)
        best = replace(best, reason=f"relative leave-one-out error: {texts}")
    return stretch_deviations(best) if calibrate else best


def fit_candidates(
    x: np.ndarray,
    a: np.ndarray,
    box: Box | None,
    *,
    kernel: Any,
    share: str,
    mean: str,
    noise: float | str | None,
    unit: np.ndarray | float | None,
    search: SearchPlan,
) -> list[tuple[CoefficientGP, float]]:
    """The models to choose from, and their relative left-out errors.

    Solvers have no noise but what left-out runs insist on: errors of models with noise of their
    own count 1.1 times.
    """
    check_mean(mean)
    x, a, box, closed = check_training(x, a, box, CONSTANT if mean == AUTO else mean)
    if share not in SHARES:
        raise BadInput(f"no share {share!r}; known: {', '.join(SHARES)}")
    _check_noise(noise)
    some = sample_runs(len(x), CHOICE_RUNS)
    points, outputs = x[some], a[some]
    x, a = _without_copies(np.ascontiguousarray(box.to_unit(x)), np.ascontiguousarray(a))
    if len(x) > MANY_RUNS:
        share = share_of_many(len(x), share, AUTO)
        pairs = fit_candidates(
            points, outputs, box, kernel=kernel, share=share, mean=mean, unit=unit, search=search,
            noise=FREE if noise is None else noise,
        )  # fmt: skip
        best = min(pairs, key=lambda pair: pair[1])[0]
        return [(replace(condition_on_many(best, x, a, unit), closed=closed), 0.0)]
    groups = np.zeros(a.shape[1], dtype=np.int64)
    blank = CoefficientGP(
        box, closed, x, a, (), np.empty(0), groups, CONSTANT, SHARED, "",
        np.ones(1),
    )  # fmt: skip
    kernels = _screen(blank, named_kernels(kernel, *blank.x.shape), unit, search)
    priors = candidate_priors(kernels, mean, blank.x, noise, noisy=_has_repeats(blank.x))
    first = fit_shares(blank, priors[0], share, search)
    if share == AUTO:
        share = min(first, key=lambda gp: left_out_size(gp, unit)).share
    models = [gp for gp in first if gp.share == share] or first[-1:]
    for prior in priors[1:]:
        models.append(fit_shares(blank, prior, share, search)[-1])
    free = [gp for gp, prior in zip(models, priors, strict=True) if prior.noise is None]
    if noise is None:
        models += _with_common_noise(blank, free, priors, share, search)
    return _priced(models, unit)


def _check_noise(noise: float | str | None) -> None:
    """Raises BadInput for what is no ratio of variances, "free" or None."""
    if noise is None or (isinstance(noise, str) and noise == FREE):
        return
    if isinstance(noise, str) or not (np.isfinite(noise) and noise >= 0):
        raise BadInput(f"noise = {noise} must be None, 0 or a positive ratio of variances")


def _priced(
    models: Sequence[CoefficientGP], unit: np.ndarray | float | None
) -> list[tuple[CoefficientGP, float]]:
    """The models and their left-out errors, those of estimated noise times 1.1."""
    pairs = []
    for gp in models:
        noisy = len(models) > 1 and not gp.reason.endswith(NO_NOISE)
        price = NOISE_PRICE if noisy else 1.0
        named = replace(gp, reason=f"{gp.share}, {gp.reason}")
        error = left_out_size(gp, unit) if len(models) > 1 else 0.0
        pairs.append((named, price * error))
    return pairs


def _without_copies(x: np.ndarray, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The runs x (m, p), a (m, r), once each where all repeats agree."""
    first, place = distinct_runs(x)
    if len(first) == len(x):
        return x, a
    pure = average_repeats(a, place)[2]
    same = is_repeatable(a, pure, len(x) - len(first)).all()
    return (x[first], a[first]) if same else (x, a)


def _has_repeats(x: np.ndarray) -> bool:
    return len(distinct_runs(x)[0]) < len(x)


def _screen(
    blank: CoefficientGP,
    kernels: dict[str, Any],
    unit: np.ndarray | float | None,
    search: SearchPlan,
) -> dict[str, Any]:
    """The kernels of least left-out error of the leading outputs of some runs."""
    if len(kernels) == 1:
        return kernels
    leading = _leading(blank.a, unit)[:LEADING]
    rows = slice(None, SCREEN_RUNS)
    groups = np.zeros(len(leading), dtype=np.int64)
    part = replace(blank, x=blank.x[rows], a=blank.a[rows][:, leading], groups=groups)
    scale = unit if unit is None or np.ndim(unit) == 0 else np.asarray(unit)[leading]
    quick = replace(search, starts=SCREEN_STARTS)
    errors = {}
    for name, kernel in kernels.items():
        prior = ProcessPrior(name, kernel, CONSTANT, None, name)
        gp = fit_shares(part, prior, INDEPENDENT, quick)[-1]
        errors[name] = left_out_size(gp, scale) * (COMPOSED_PRICE if name in COMPOSED else 1.0)
    ranking = sorted(errors, key=lambda name: errors[name])
    log.info("left-out errors of kernels: %s", errors)
    limit = (1.0 + SLACK_RUNS / len(blank.x)) * errors[ranking[0]]
    return {name: kernels[name] for name in ranking[:MAX_KERNELS] if errors[name] <= limit}


def _leading(a: np.ndarray, unit: np.ndarray | float | None) -> np.ndarray:
    """The outputs that hold most of the variance, largest first."""
    energy = np.ones(a.shape[1]) if unit is None else a.var(axis=0) / np.square(unit)
    order = np.argsort(-energy, kind="stable")
    summed = np.cumsum(energy[order])
    count = int(np.searchsorted(summed, LEADING_SHARE * summed[-1])) + 1
    return order[:count]


def _with_common_noise(
    blank: CoefficientGP,
    free: Sequence[CoefficientGP],
    priors: Sequence[ProcessPrior],
    share: str,
    search: SearchPlan,
) -> list[CoefficientGP]:
    """Models in which all outputs have the same noise, the least of the leading ones.

    What an output's kernel cannot follow looks like noise, so the least bounds that of the field.
    None where outputs share their noise anyway, or where the least one is imperceptible.
    """
    if share != INDEPENDENT or not free:
        return []
    variance = blank.a.var(axis=0)
    models = []
    estimated = [prior for prior in priors if prior.noise is None]
    for gp, prior in zip(free, estimated, strict=True):
        level = float(np.min(gp.noise[_leading(blank.a, 1.0)] ** 2))
        if level <= PERCEPTIBLE * variance.max():
            continue
        ratio = np.clip(level / np.maximum(variance, 1e-300), FLOOR, MAX_NUGGET)
        label = f"{prior.name}, {prior.mean} mean, common noise"
        common = ProcessPrior(prior.name, prior.kernel, prior.mean, ratio, label)
        models.append(fit_shares(blank, common, share, search)[-1])
    return models
