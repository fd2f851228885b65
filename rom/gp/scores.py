"""What leaving one run out says of a process: its error, and its deviations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from rom.gp.coefficients import CoefficientGP
from rom.gp.inputs import output_scale

COVERAGE, NORMAL_QUANTILE = 0.95, 1.959964  # of |z| under the normal law
STRETCH_RUNS = 20.0  # the weight of "no stretch", in runs
LEAST_DEVIATION = 1e-9  # relative; below, a leave-one-out score is round-off


def left_out_size(gp: Any, unit: np.ndarray | float | None = None) -> float:
    """sqrt(sum |(a - a without its run) / unit|^2 / sum |(a - mean) / unit|^2).

    unit : (r,) or one for all; None is each output's own deviation
    """
    scale = output_scale(gp.a) if unit is None else np.asarray(unit, dtype=float)
    residuals, _ = gp.leave_one_out()
    size = float(np.linalg.norm((gp.a - gp.a.mean(axis=0)) / scale))
    return float(np.linalg.norm(residuals / scale)) / max(size, 1e-300)


def stretch_deviations(gp: CoefficientGP) -> CoefficientGP:
    """The model with each group's deviations stretched by its leave-one-out scores.

    Their 95 % quantile over the normal's, weighted m against 20 for 1.
    """
    m = len(gp.a)
    stretch = np.ones(len(gp.kernels))
    residuals, std = gp.leave_one_out()
    scores = np.abs(residuals) / std
    sound = std > LEAST_DEVIATION * output_scale(gp.a)
    for g in range(len(stretch)):
        mine = gp.groups == g
        of_group = scores[:, mine][sound[:, mine]]
        if of_group.size:
            quantile = np.quantile(of_group, COVERAGE, method="higher")
            weighted = m * quantile / NORMAL_QUANTILE + STRETCH_RUNS
            stretch[g] = weighted / (m + STRETCH_RUNS)
    return replace(gp, stretch=stretch)
