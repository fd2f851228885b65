"""Processes of the coefficients of modes: which trend, how many modes are worth keeping, the same kernels given other runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rom.gp.coefficients import CoefficientGP, coefficient_gp


def regression(
    z: np.ndarray, a: np.ndarray, rng: int = 0, share: str = "clusters", calibrate: bool = False
) -> CoefficientGP | None:
    """a (m, r) over z (m, p): a linear trend and one kernel per cluster of outputs; None for r = 0.

    A trend carries on beyond the cloud where a stationary process falls back to its mean; it is constant for fewer than 2 (p + 2) runs
    or inputs that depend on each other. A kernel per output would fit more logarithms than the runs can tell, but few outputs unlike
    each other, as modes of mappings are, each have their own noise: share = "independent".
    """
    m, p = z.shape
    if not a.shape[1]:
        return None
    spread = z.std(axis=0)
    inputs = np.column_stack([np.ones(m), (z - z.mean(axis=0)) / np.where(spread > 0, spread, 1.0)])
    trend = m >= 2 * (p + 2) and np.linalg.matrix_rank(inputs, tol=1e-6 * np.sqrt(m)) == p + 1
    return coefficient_gp(
        z, a, share=share, mean="linear" if trend else "constant", rng=rng, calibrate=calibrate
    )


def useful_modes(gp: CoefficientGP | None) -> int:
    """argmin_r sum_{k <= r} |a_k - its leave-one-out prediction|^2 + sum_{k > r} |a_k - mean|^2, at least 1: modes beyond are noise."""
    if gp is None:
        return 0
    gain = np.sum((gp.a - gp.a.mean(axis=0)) ** 2 - gp.leave_one_out()[0] ** 2, axis=0)
    return int(np.argmax(np.cumsum(gain))) + 1


def condition_on(gp: CoefficientGP | None, z: np.ndarray, a: np.ndarray) -> CoefficientGP | None:
    """The same kernels given other runs a (m, r) at z (m, p), r at most as before; their k-th output is the process's k-th."""
    if gp is None or not a.shape[1]:
        return None
    return replace(gp, x=gp.box.to_unit(z), a=a, groups=gp.groups[: a.shape[1]])
