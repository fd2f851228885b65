"""The regression of many outputs over few runs: which outputs share a kernel."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np

from rom.arrays import POINTS, gate
from rom.errors import BadInput
from rom.gp.coefficients import CoefficientGP
from rom.gp.inputs import check_training, output_scale
from rom.gp.kernel_names import kernel_of
from rom.gp.likelihood import CONSTANT
from rom.gp.maximum import Maximum, maximise, sobol_starts
from rom.gp.scores import left_out_size, stretch_deviations
from rom.parameters import Box

AUTO, SHARED, CLUSTERS, INDEPENDENT = "auto", "shared", "clusters", "independent"
SHARES = (AUTO, SHARED, CLUSTERS, INDEPENDENT)
MAX_CLUSTERS = 4
log = logging.getLogger("rom")


@gate(x=POINTS, a=POINTS, box=Box)
def coefficient_gp(
    x: np.ndarray,
    a: np.ndarray,
    box: Box | None = None,
    *,
    kernel: Any = "matern52",
    share: str = AUTO,
    mean: str = CONSTANT,
    noise: float | None = None,
    rng: int | np.random.Generator = 0,
    device: str | None = None,
    starts: int = 8,
    calibrate: bool = True,
    unit: np.ndarray | float | None = None,
) -> CoefficientGP:
    """The regression of a (m, r) on x (m, p) of largest restricted likelihood.

    box : scales the inputs (default: the range of x); beyond a given one predictions are refused
    kernel : matern12, matern32, matern52, rbf, a kernel of this chapter, or a GPyTorch kernel;
        whole models: `gpytorch_model`
    share : "shared" kernel with a variance per output, "clusters" of outputs, "independent"
        kernels, or "auto": whichever has the least sum of squared leave-one-out errors
    unit : in which the errors of outputs are added, (r,) or one for all, as of coefficients of
        orthonormal modes; None is each output's own deviation
    mean : "zero", "constant" or "linear"
    noise : noise variance over process variance if it is known, at least 1e-10; None estimates it
    device : None for numpy, "cpu" or "cuda" for torch
    starts : number of Sobol points screened before the search
    calibrate : stretch standard deviations until 95 % of the runs lie in their leave-one-out
        intervals, the less so the fewer runs
    All is float64 and by Cholesky; repeated runs are allowed.
    Raises BadInput for wrong shapes, NaN, fewer than three distinct runs.
    References: Rasmussen, Williams (2006); Gu, Berger (2016).
    """
    x, a, box, closed = check_training(x, a, box, mean)
    scaled = box.to_unit(x)
    if share not in SHARES:
        raise BadInput(f"no share {share!r}; known: {', '.join(SHARES)}")
    if noise is not None and not (np.isfinite(noise) and noise >= 0):
        raise BadInput(f"noise = {noise} must be None, 0 or a positive ratio of variances")
    first = kernel_of(kernel, box.p)
    groups = np.zeros(a.shape[1], dtype=np.int64)
    blank = CoefficientGP(
        box, closed, scaled, a, (), np.empty(0), groups, mean, SHARED, "asked for", np.ones(1)
    )
    cloud = sobol_starts(first, starts, rng)
    models = _models_by_share(blank, first, cloud, share, noise=noise, device=device)
    if share != AUTO:
        return stretch_deviations(models[-1]) if calibrate else models[-1]
    errors = [left_out_size(gp, unit) for gp in models]
    pairs = zip(models, errors, strict=True)
    texts = ", ".join(f"{gp.share} {error:.4g}" for gp, error in pairs)
    log.info("relative leave-one-out error: %s", texts)
    best = models[int(np.argmin(errors))]
    if calibrate:
        best = stretch_deviations(best)
    return replace(best, reason=f"relative leave-one-out error: {texts}")


def _models_by_share(
    blank: CoefficientGP,
    kernel: Any,
    cloud: np.ndarray,
    share: str,
    *,
    noise: float | None,
    device: str | None,
) -> list[CoefficientGP]:
    """The model of one shared kernel, then those of finer groups, as `share` says.

    Each search starts from the maximum of the coarser groups before, and from the cloud: where
    rough outputs have taken all for noise, no finer group would find its way back.
    """
    scale = output_scale(blank.a)
    scaled = blank.a / scale
    gp, maxima = _fit(blank, scaled, kernel, [cloud], noise=noise, device=device)
    models, before = [gp], blank.groups
    roughness = np.log(gp.variance / scale**2)
    for name, groups in _groupings(roughness):
        if share not in (AUTO, name):
            continue
        nearest = []
        for g in range(groups.max() + 1):
            member = np.flatnonzero(groups == g)[0]
            nearest.append(maxima[before[member]])
        finer = replace(blank, groups=groups, share=name)
        points = [np.vstack([maximum.end, cloud]) for maximum in nearest]
        gp, maxima = _fit(finer, scaled, kernel, points, noise=noise, device=device)
        models.append(gp)
        before = groups
    return models


def _groupings(roughness: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """(name, group of each output) of every way that splits the outputs."""
    r = len(roughness)
    ways = []
    if r > MAX_CLUSTERS - 1:
        ways.append((CLUSTERS, _clusters(roughness)))
    if r > 1:
        order = np.argsort(roughness, kind="stable")
        ways.append((INDEPENDENT, np.argsort(order)))
    return ways


def _fit(
    blank: CoefficientGP,
    scaled: np.ndarray,
    kernel: Any,
    starts: list[np.ndarray],
    *,
    noise: float | None,
    device: str | None,
) -> tuple[CoefficientGP, list[Maximum]]:
    """(model, maximum per group) of searches from `starts` (s, k + 1) of each group.

    scaled : outputs of unit deviation
    """
    parts = [scaled[:, blank.groups == g] for g in range(len(starts))]
    maxima = maximise(kernel, blank.x, parts, starts, mean=blank.mean, noise=noise, device=device)
    kernels = tuple(maximum.kernel for maximum in maxima)
    nuggets = np.array([maximum.nugget for maximum in maxima])
    return replace(blank, kernels=kernels, nuggets=nuggets), maxima


def _clusters(roughness: np.ndarray) -> np.ndarray:
    """Group of each output: up to four alike in roughness, cut at the widest gaps.

    roughness : log a_i^T P a_i / |a_i - mean|^2 under a shared kernel, (r,)
    """
    r = len(roughness)
    order = np.argsort(roughness)
    gaps = np.diff(roughness[order])
    widest = np.argsort(gaps)[::-1]
    cuts = np.sort(widest[: min(MAX_CLUSTERS - 1, r // 2)])
    groups = np.empty(r, dtype=np.int64)
    groups[order] = np.searchsorted(cuts, np.arange(r), side="left")
    return groups
