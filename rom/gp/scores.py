"""What leaving one run out says of a process: its density, and its deviations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rom.gp.coefficients import CoefficientGP
from rom.gp.inputs import output_scale

COVERAGE, NORMAL_QUANTILE = 0.95, 1.959964  # of |z| under the normal law
STRETCH_RUNS = 20.0  # the weight of "no stretch", in runs
LEAST_DEVIATION = 1e-9  # relative; below, a leave-one-out score is round-off


def log_density(gp: CoefficientGP) -> float:
    """Mean log density of each value under the other runs, outputs of unit variance."""
    scale = output_scale(gp.a)
    residuals, std = (part / scale for part in gp.leave_one_out())
    of_width = -0.5 * np.log(2 * np.pi * std**2)
    return float(np.mean(of_width - 0.5 * (residuals / std) ** 2))


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
