"""Processes of the coefficients of modes: trend, and how many are of use."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rom.gp.averages import ProcessAverage, average
from rom.gp.coefficients import CoefficientGP
from rom.gp.inputs import bend_inputs, supports_trend
from rom.gp.kernel_names import MATERN
from rom.gp.likelihood import CONSTANT, LINEAR
from rom.gp.priors import FREE
from rom.gp.scores import left_out_size
from rom.gp.sharing import CLUSTERS, coefficient_gp

AVERAGE = "average"
FAMILY = (MATERN, "matern32", "rbf")  # that "average" stands for


def regression(
    z: np.ndarray,
    a: np.ndarray,
    *,
    kernel: str = MATERN,
    rng: int = 0,
    share: str = CLUSTERS,
    calibrate: bool = False,
) -> CoefficientGP | None:
    """a (m, r) over z (m, p): a linear trend, one kernel per cluster; None for r = 0.

    A trend carries on beyond the cloud where a stationary process falls back to its mean; it is
    constant for fewer than 2 (p + 2) runs or inputs that depend on each other. A kernel per output
    would fit more logarithms than the runs can tell, but few outputs unlike each other, as modes of
    mappings are, each have their own noise: share = "independent".
    """
    if not a.shape[1]:
        return None
    mean = LINEAR if supports_trend(z) else CONSTANT
    return coefficient_gp(
        z, a, kernel=kernel, share=share, mean=mean, noise=FREE, rng=rng, calibrate=calibrate
    )


def average_regression(z: np.ndarray, a: np.ndarray, *, rng: int = 0) -> ProcessAverage | None:
    """The average of `regression` over `FAMILY`, by their left-out errors."""
    fits = [regression(z, a, kernel=name, rng=rng) for name in FAMILY]
    processes = [gp for gp in fits if gp is not None]
    errors = [left_out_size(gp, 1.0) for gp in processes]
    return average(processes, errors) if processes else None


def useful_modes(gp: CoefficientGP | ProcessAverage | None) -> int:
    """The number of modes beyond which leaving one out sees noise; 0 for None.

    argmin_r sum_{k <= r} |a_k - its leave-one-out prediction|^2 + sum_{k > r} |a_k - mean|^2,
    at least 1
    """
    if gp is None:
        return 0
    residuals, _ = gp.leave_one_out()
    around_mean = gp.a - gp.a.mean(axis=0)
    gain = np.sum(around_mean**2 - residuals**2, axis=0)
    return int(np.argmax(np.cumsum(gain))) + 1


def condition_on(
    gp: CoefficientGP | ProcessAverage | None, z: np.ndarray, a: np.ndarray
) -> CoefficientGP | ProcessAverage | None:
    """The same kernels for other runs a (m, r) at z (m, p), r at most as before.

    Their k-th output is the process's k-th. None for None or r = 0.
    """
    if gp is None or not a.shape[1]:
        return None
    if isinstance(gp, ProcessAverage):
        return replace(gp, processes=tuple(_condition(each, z, a) for each in gp.processes))
    return _condition(gp, z, a)


def _condition(gp: CoefficientGP, z: np.ndarray, a: np.ndarray) -> CoefficientGP:
    groups = gp.groups[: a.shape[1]]
    x = gp.box.to_unit(z)
    if gp.bends is not None:
        x = bend_inputs(x, gp.bends)
    return replace(gp, x=x, a=a, groups=groups, counts=None, pure=None)
