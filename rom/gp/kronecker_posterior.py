"""The posterior of a process on a grid: weights, cells left out, draws."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from rom.gp.missing import missing_preconditioner, solve_to_deviation
from rom.gp.tensors import GridSpectrum, apply_along, eigen, grid_spectrum

log = logging.getLogger("rom")


def posterior_weights(
    matrices: list[np.ndarray], nugget: float, y: np.ndarray, observed: np.ndarray | None
) -> tuple[float, float, np.ndarray]:
    """(mean, variance, weights (K + nugget I)^{-1} (y - mean)) of y (n_1, ..., n_d).

    The mean is that of generalised least squares. matrices : K_j (n_j, n_j) of each axis
    observed : mask of the known cells, None where all are known
    """
    if observed is not None:
        return _weights_with_gaps(matrices, nugget, y, observed)
    spectrum = grid_spectrum(matrices, nugget)
    P = spectrum.project(y)
    mean = spectrum.mean(P)
    P = P - mean * spectrum.ones()
    variance = float(np.sum(P * P / spectrum.S) / y.size)
    return mean, variance, spectrum.lift(P / spectrum.S)


def _weights_with_gaps(
    matrices: list[np.ndarray], nugget: float, y: np.ndarray, observed: np.ndarray
) -> tuple[float, float, np.ndarray]:
    conditioner = missing_preconditioner(matrices, nugget, observed)
    ones = observed.astype(float)
    values = np.where(observed, y, 0.0)
    of_ones, _ = solve_to_deviation(conditioner, ones)
    of_values, iterations = solve_to_deviation(conditioner, values)
    mean = float(np.sum(of_values) / np.sum(of_ones))
    weights = of_values - mean * of_ones
    count = observed.sum()
    log.info(
        "%d of %d cells known: %d eigenfunctions, %d iterations",
        count,
        y.size,
        conditioner.rank,
        iterations,
    )
    gap = values - mean * ones
    variance = float(np.sum(gap * weights) / count)
    return mean, variance, weights


def leave_cells_out(
    spectrum: GridSpectrum, weights: np.ndarray, variance: float
) -> tuple[np.ndarray, np.ndarray]:
    """(y - E[y | the other cells], its standard deviation), (n_1, ..., n_d) each."""
    precision = apply_along([V**2 for V in spectrum.V], 1.0 / spectrum.S)
    return weights / precision, np.sqrt(variance / precision)


def leave_points_out(
    spectrum: GridSpectrum, weights: np.ndarray, variance: float, axis: int
) -> tuple[np.ndarray, np.ndarray]:
    """(y - E[y | the other points of the axis], its standard deviation).

    With K = V L V^T, the block of (K + nugget I)^{-1} at point i of the axis is
    V' diag(sum_k V_ik^2 / S_k) V'^T, V' the eigenvectors of the other axes.
    """
    rest = list(spectrum.V)
    rest[axis] = np.eye(len(rest[axis]))
    squares = [np.eye(len(V)) for V in spectrum.V]
    squares[axis] = spectrum.V[axis] ** 2
    block = apply_along(squares, 1.0 / spectrum.S)
    projected = apply_along([V.T for V in rest], weights)
    gap = apply_along(rest, projected / block)
    left = apply_along([V**2 for V in rest], 1.0 / block)
    return gap, np.sqrt(variance * left)


def prior_roots(
    kernels: Sequence[Any], x: Sequence[np.ndarray], new: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """R_j with R_j R_j^T = k_j on the points x_j, then the new ones, of each axis."""
    roots = []
    for kernel, old, fresh in zip(kernels, x, new, strict=True):
        points = np.vstack([old, fresh])
        w, V = eigen(kernel.matrix(points, points))
        roots.append(V * np.sqrt(np.maximum(w, 0.0)))
    return roots
