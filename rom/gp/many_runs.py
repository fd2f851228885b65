"""Exact processes of thousands of runs: kernels from some, values from all.

The search of a kernel costs m^3 at each of some hundred steps, conditioning costs it once; and a
few hundred runs tell kernel, trend and noise as well as all do.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rom.errors import Singular
from rom.gp.coefficients import CoefficientGP
from rom.gp.groups import CLUSTERS, SHARED, pool_repeats, refit
from rom.gp.priors import FREE_NOISE
from rom.gp.scores import left_out_size

MANY_RUNS = 1000  # above, kernels are searched on a sample
CHOICE_RUNS = 500  # on which kernel, trend and noise are chosen
SEARCH_RUNS = 1500  # on which the lengths of the chosen kernel are searched
MAX_GROUPED_RUNS = 10_000  # above, all outputs share one kernel: each group costs a factor
SMALL = 1e-6  # nuggets below may stand for what the kernel cannot follow in few runs
NUGGETS = (1e-12, 1e-10, 1e-8)  # of data without noise
LEVEL = 1.1  # ratio of left-out errors that does not tell nuggets apart: the more runs, the smaller


def sample_runs(m: int, count: int) -> np.ndarray:
    """Numbers of `count` of m runs at random, always the same ones."""
    return np.random.default_rng(0).permutation(m)[:count]


def share_of_many(m: int, share: str, auto: str) -> str:
    """How m runs share kernels where `share` leaves the choice."""
    if share != auto:
        return share
    return CLUSTERS if m <= MAX_GROUPED_RUNS else SHARED


def condition_on_many(
    start: CoefficientGP, x: np.ndarray, a: np.ndarray, unit: np.ndarray | float | None
) -> CoefficientGP:
    """The process of all runs a (m, r) at x (m, p) of the unit box.

    start : of a sample of them, whose lengths are searched on from where they are
    A small nugget only steadies the algebra: the least is taken of those that left-out runs do not
    tell apart, for its bias counts the more, the more runs there are.
    """
    whole = replace(start, x=x, a=a, counts=None, pure=None)
    rows = sample_runs(len(x), SEARCH_RUNS)
    part = refit(whole, rows, a[rows])
    if start.reason.endswith(FREE_NOISE) and part.nuggets.max() <= SMALL:
        part = _lower_nuggets(part, unit)
    return pool_repeats(replace(part, x=x, a=a))


def _lower_nuggets(gp: CoefficientGP, unit: np.ndarray | float | None) -> CoefficientGP:
    """The process with the least nugget of about the least left-out error."""
    models, errors = [], []
    for nugget in (*NUGGETS, SMALL):
        model = replace(gp, nuggets=np.minimum(gp.nuggets, nugget))
        try:
            errors.append(left_out_size(model, unit))
        except Singular:
            continue
        models.append(model)
    level = LEVEL * min(errors)
    return next(model for model, error in zip(models, errors, strict=True) if error <= level)
