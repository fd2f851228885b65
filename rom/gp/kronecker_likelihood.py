"""The exact likelihood of a grid, and its maximum.

It costs one eigendecomposition per axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rom.gp.composed import Product, Selected
from rom.gp.descent import descend, start_descent
from rom.gp.kernel_names import kernel_of
from rom.gp.likelihood import FLOOR
from rom.gp.maximum import maximise, sobol_starts
from rom.gp.tensors import GridSpectrum, grid_spectrum, outer, unfold

START_SHIFTS = (-1.0, 0.0, 1.0)  # of the log lengths
START_NUGGET = 1e-4
MAX_NUGGET = 10.0
TINY = 1e-300  # keeps the variance of a constant y positive
SUBSET_STARTS = 4


def grid_likelihood(
    kernels: Sequence[Any], nugget: float, x: Sequence[np.ndarray], y: np.ndarray
) -> tuple[float, np.ndarray]:
    """(F, dF), F = -log p(y | theta, nugget) up to a constant.

    Mean and variance are profiled out. With K_j = V_j L_j V_j^T, S = L_1 x ... x L_d + nugget,
    P = V^T (y - mean), A = P / S and variance = <P, A> / N:
    F = 1/2 (N log variance + sum log S).
    x : points (n_j, p_j) of each axis; y (n_1, ..., n_d)
    dF (k + 1,) : in (theta_1, ..., theta_d, log nugget)
    """
    matrices, pulls = [], []
    for kernel, points in zip(kernels, x, strict=True):
        K, pull = kernel.pullback(points)
        matrices.append(K)
        pulls.append(pull)
    spectrum = grid_spectrum(matrices, nugget)
    P = spectrum.project(y)
    P = P - spectrum.ones() * spectrum.mean(P)
    A = P / spectrum.S
    variance = float(np.vdot(P, A) / y.size) + TINY
    log_det = float(np.log(spectrum.S).sum())
    value = 0.5 * (y.size * np.log(variance) + log_det)
    slope = [_slope_along(spectrum, A, variance, j, pull) for j, pull in enumerate(pulls)]
    trace = np.sum(1.0 / spectrum.S) - np.vdot(A, A) / variance
    by_nugget = 0.5 * nugget * trace
    return float(value), np.append(np.concatenate(slope), by_nugget)


def _slope_along(
    spectrum: GridSpectrum, A: np.ndarray, variance: float, j: int, pull: Any
) -> np.ndarray:
    """dF in theta_j, by the pullback of dF/dK_j = 1/2 V_j M V_j^T, where

    M = diag c_j - A_(j) L_others A_(j)^T / variance, c_j = sum L_others / S > 0: a difference
    of two products of a matrix with its own transpose.
    """
    factors = list(spectrum.w)
    factors[j] = np.ones_like(factors[j])
    others = outer(factors)
    V = spectrum.V[j]
    rows = V @ (unfold(A, j) * np.sqrt(unfold(others, j) / variance))
    own = V * np.sqrt(np.sum(unfold(others / spectrum.S, j), axis=1))
    return np.asarray(0.5 * pull(own @ own.T - rows @ rows.T))


def kernel_per_axis(kernels: Sequence[Any] | str, units: list[np.ndarray]) -> list[Any]:
    """The kernel of each axis; one name or kernel is that of all."""
    if not isinstance(kernels, (list, tuple)):
        kernels = [kernels] * len(units)
    return [kernel_of(k, x.shape[1]) for k, x in zip(kernels, units, strict=True)]


def fit_grid(
    kernels: list[Any], x: list[np.ndarray], y: np.ndarray, noise: float | None
) -> tuple[list[Any], float]:
    """Kernels and nugget of largest exact likelihood, from starts at three scales.

    noise : the nugget if it is known, at least FLOOR
    """
    fixed = None if noise is None else max(noise, FLOOR)
    thetas = [k.theta for k in kernels]
    cuts = np.cumsum([len(theta) for theta in thetas])

    def split(free: np.ndarray) -> tuple[list[Any], float]:
        """Kernels and nugget of the free logarithms."""
        parts = np.split(free[: cuts[-1]], cuts[:-1])
        here = [k.at(part) for k, part in zip(kernels, parts, strict=True)]
        return here, float(np.exp(free[-1])) if fixed is None else fixed

    def objective(free: np.ndarray) -> tuple[float, np.ndarray]:
        """F / N and its slope in the free logarithms."""
        value, slope = grid_likelihood(*split(free), x, y)
        return value / y.size, slope[: len(free)] / y.size

    theta = np.concatenate(thetas)
    limits = np.vstack([k.limits for k in kernels])
    starts = [np.clip(theta + shift, *limits.T) for shift in START_SHIFTS]
    if fixed is None:
        starts = [np.append(start, np.log(START_NUGGET)) for start in starts]
        limits = np.vstack([limits, (np.log(FLOOR), np.log(MAX_NUGGET))])
    screened = [start_descent(objective, start, limits) for start in starts]
    best = min(screened, key=lambda start: start.value)
    end = descend(objective, best, limits)
    return split(end.x)


def fit_on_subset(
    kernels: list[Any],
    x: list[np.ndarray],
    y: np.ndarray,
    observed: np.ndarray,
    *,
    noise: float | None,
    max_cells: int,
    rng: int | np.random.Generator,
) -> tuple[list[Any], float]:
    """Kernels and nugget of largest likelihood of at most max_cells observed cells.

    The likelihood of these cells is dense and exact.
    """
    cells = np.argwhere(observed)
    order = np.random.default_rng(rng).permutation(len(cells))
    cells = cells[np.sort(order[:max_cells])]
    points = np.hstack([z[cells[:, j]] for j, z in enumerate(x)])
    values = y[tuple(cells.T)][:, None]
    scaled = values / (values.std() or 1.0)
    product = _product(kernels, [z.shape[1] for z in x])
    starts = sobol_starts(product, SUBSET_STARTS, rng)
    maxima = maximise(product, points, [scaled], [starts], mean="constant", noise=noise, restarts=1)
    best = maxima[0]
    return [part.kernel for part in best.kernel.kernels], best.nugget


def _product(kernels: list[Any], widths: list[int]) -> Product:
    """The product of the kernels of all axes, on tables of all their columns."""
    stops = np.cumsum([0, *widths])
    factors = []
    for j, kernel in enumerate(kernels):
        columns = tuple(range(stops[j], stops[j + 1]))
        factors.append(Selected(kernel, columns))
    return Product(tuple(factors))
