"""Groups of outputs that share a kernel: one of all, a few clusters, one each."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rom.gp.coefficients import CoefficientGP
from rom.gp.inputs import output_scale
from rom.gp.kernels import Stationary
from rom.gp.maximum import Maximum, maximise, sobol_starts
from rom.gp.priors import FREE_NOISE, ProcessPrior
from rom.gp.repeats import average_repeats, distinct_runs, is_repeatable

AUTO, SHARED, CLUSTERS, INDEPENDENT = "auto", "shared", "clusters", "independent"
SHARES = (AUTO, SHARED, CLUSTERS, INDEPENDENT)
MAX_CLUSTERS = 4
FEW = 128  # runs whose small matrices are factored as one stack


@dataclass(frozen=True, eq=False)
class SearchPlan:
    """How likelihoods are searched: Sobol starts, their generator, a device of torch.

    With one start finer groups are searched from the coarser ones' maxima alone.
    """

    starts: int = 4
    rng: int | np.random.Generator = 0
    device: str | None = None


def fit_shares(
    blank: CoefficientGP, prior: ProcessPrior, share: str, search: SearchPlan
) -> list[CoefficientGP]:
    """The model of one shared kernel, then those of finer groups, as `share` says.

    Repeated runs of the blank model are averaged in the answers; their likelihood is that of all.
    blank : without kernels; share : one of SHARES, "auto" gives all of them

    Each search starts from the maximum of the coarser groups before, and from the cloud: where
    rough outputs have taken all for noise, no finer group would find its way back.
    """
    scale = output_scale(blank.a)
    cloud = sobol_starts(prior.kernel, search.starts, search.rng)
    blank = replace(blank, mean=prior.mean, reason=prior.label)
    gp, maxima = _fit(blank, prior, [cloud], search.device)
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
        more = cloud if search.starts > 1 else cloud[:0]
        points = [np.vstack([maximum.end, more]) for maximum in nearest]
        gp, maxima = _fit(finer, prior, points, search.device)
        models.append(gp)
        before = groups
    return [pool_repeats(gp) for gp in models]


def refit(gp: CoefficientGP, rows: np.ndarray, a: np.ndarray) -> CoefficientGP:
    """The model of other outputs a (k, r), r at most as before, at some runs.

    Kernels are searched from where those of the same outputs are. Noise that was free is free
    again; what was set stays.
    """
    used, groups = np.unique(gp.groups[: a.shape[1]], return_inverse=True)
    starts = [np.append(gp.kernels[g].theta, np.log(gp.nuggets[g]))[None] for g in used]
    noise = None if gp.reason.endswith(FREE_NOISE) else gp.nuggets[used][groups]
    counts = None if gp.counts is None else gp.counts[rows]
    part = replace(gp, x=gp.x[rows], a=a, groups=groups, counts=counts, pure=None)
    unit = gp.kernels[0].at(np.zeros(len(gp.kernels[0].theta)))
    return _fit(part, ProcessPrior("", unit, gp.mean, noise, gp.reason), starts, None)[0]


def pool_repeats(gp: CoefficientGP) -> CoefficientGP:
    """The model of averages of repeated runs; the same model where there are none."""
    first, place = distinct_runs(gp.x)
    if len(first) == len(gp.x):
        return gp
    means, counts, pure = average_repeats(gp.a, place)
    pure[is_repeatable(gp.a, pure, len(gp.x) - len(first))] = 0.0
    return replace(gp, x=gp.x[first], a=means, counts=counts, pure=pure)


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
    blank: CoefficientGP, prior: ProcessPrior, starts: list[np.ndarray], device: str | None
) -> tuple[CoefficientGP, list[Maximum]]:
    """(model, maximum per group) of searches from `starts` (s, k + 1) of each group."""
    scaled = blank.a / output_scale(blank.a)
    members = [blank.groups == g for g in range(len(starts))]
    noise = prior.noise
    if noise is not None and np.ndim(noise):
        noise = np.array([np.mean(np.asarray(noise)[mine]) for mine in members])
    maxima = maximise(
        prior.kernel,
        blank.x,
        [scaled[:, mine] for mine in members],
        starts,
        mean=blank.mean,
        noise=noise,
        device=device,
        few=isinstance(prior.kernel, Stationary) and len(blank.x) <= FEW and device is None,
    )
    kernels = tuple(maximum.kernel for maximum in maxima)
    nuggets = np.array([maximum.nugget for maximum in maxima])
    gp = replace(blank, kernels=kernels, nuggets=nuggets, stretch=np.ones(len(kernels)))
    return gp, maxima


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
