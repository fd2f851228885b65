"""Lengths of the input's axes by descent of the left-out error.

Axes share a length in octaves of half their number, so that there are few.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rom.gp.kernels import radial_profile
from rom.operators.coordinates import ranks_at_gaps
from rom.operators.regression import Images, OperatorKernel, left_out_slopes

EVALUATIONS, FEW_ROWS = 12, 500  # of the left-out error and its slopes, of more rows than these
LEAST_NUGGET = -21.0  # logarithm, over the mean diagonal: below, weights are of round-off
RANGE = 5.0  # of the other logarithms, on either side of their start


def octaves(s: np.ndarray, rank: int, grouped: bool) -> np.ndarray:
    """The number of the octave of each axis (rank,).

    Octaves end after axes 1, 2, 3, 4, 6, 8, 11, 16, ...
    s : deviations of the axes; grouped : ends lie between distinct ones
    """
    wishes = np.unique(np.round(2.0 ** np.arange(0.0, np.log2(max(rank, 2)), 0.5))).astype(int)
    ends = ranks_at_gaps(s, [int(q) for q in wishes if q < rank], grouped)
    return np.searchsorted(ends, np.arange(rank), side="right")


def tune_lengths(
    kernel: OperatorKernel, images: Images, octave: np.ndarray
) -> tuple[OperatorKernel, np.ndarray]:
    """The kernel and factors (k,) of the axes of less left-out error.

    images : on scaled axes; octave (k,) : of each axis. Reference: Byrd, Lu, Nocedal, Zhu (1995).
    """
    from scipy.optimize import minimize

    unit = images.z / kernel.length
    slope = kernel.linear / kernel.scale * kernel.length**2
    ratio = kernel.nugget / (1.0 + kernel.linear)
    start = np.concatenate([np.log([ratio, slope]), np.zeros(octave.max() + 1)])
    bounds = [(min(LEAST_NUGGET, start[0]), None)]
    bounds += [(value - RANGE, value + RANGE) for value in start[1:]]

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        return left_out_loss(theta, kernel.form, replace(images, z=unit), images.outputs, octave)

    rows = images.widest * images.m
    options = {"maxfun": EVALUATIONS * max(1, round(FEW_ROWS / rows))}
    theta = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    factors = np.exp(theta[2:])[octave]
    return _kernel(theta, kernel.form, unit[0] * factors), factors / kernel.length


def _kernel(theta: np.ndarray, form: str, z: np.ndarray) -> OperatorKernel:
    """Of the logs of nugget over diagonal and of the slope, for runs z (m, k)."""
    mean_square = float(np.mean(np.sum(z**2, axis=1)))
    ratio, slope = np.exp(theta[:2])
    linear = float(slope * mean_square)
    return OperatorKernel(form, 1.0, float(ratio) * (1.0 + linear), linear, mean_square)


def left_out_loss(
    theta: np.ndarray, form: str, images: Images, outputs: list[np.ndarray], octave: np.ndarray
) -> tuple[float, np.ndarray]:
    """log of the left-out squares, and its slope in theta.

    theta : logs of nugget over diagonal, of the linear part's slope, of the octaves' factors
    """
    scaled = replace(images, z=images.z * np.exp(theta[2:])[octave])
    scaled.__dict__["outputs"] = outputs
    z, squares = scaled.z[0], scaled.squares
    kernel = _kernel(theta, form, z)
    ratio, slope = np.exp(theta[:2])
    total, slopes, by_nugget = left_out_slopes(kernel, scaled)
    by_slope = ratio * by_nugget * kernel.scale
    by_axis = 2.0 * ratio * by_nugget * slope * np.mean(z**2, axis=0)
    for G, products, image in zip(slopes, scaled.products, scaled.z, strict=True):
        gaps = np.maximum(squares[:, None] + squares - 2.0 * products, 0.0)
        M = G * radial_profile(form, gaps)[1]
        mixed = np.einsum("ij,ij->j", z, (2.0 * M + 2.0 * slope * G) @ image)
        by_axis += mixed - M.sum(axis=1) @ z**2 - M.sum(axis=0) @ image**2
        by_slope += float(np.sum(G * products))
    by_octave = np.bincount(octave, by_axis, minlength=len(theta) - 2)
    gradient = np.concatenate([[kernel.nugget * by_nugget, slope * by_slope], by_octave])
    return float(np.log(total)), gradient / total
