"""The exact likelihood of a grid by one eigendecomposition per axis, its maximum, and the weights of the posterior."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from rom.gp.descent import descend, start_descent
from rom.gp.composed import Product, Selected
from rom.gp.likelihood import FLOOR
from rom.gp.maximum import maximise, sobol_starts
from rom.gp.missing import missing_preconditioner, solve_missing
from rom.gp.tensors import apply_along, eigen, outer

log = logging.getLogger("rom")


def likelihood(
    kernels: Sequence[Any], nugget: float, x: Sequence[np.ndarray], y: np.ndarray
) -> tuple[float, np.ndarray]:
    """-log p(y | theta, nugget) up to a constant, mean and variance profiled out; gradient in (theta_1, ..., theta_d, log nugget).

    K_j = V_j L_j V_j^T, S = L_1 x ... x L_d + nugget, P = V^T (y - mean), A = P / S, variance = <P, A> / N:
    F = 1/2 (N log variance + sum log S), dF/dK_j = 1/2 V_j (diag c_j - A_(j) L_others A_(j)^T / variance) V_j^T, c_j = sum L_others / S.
    """
    matrices, pulls = zip(*(k.pullback(z) for k, z in zip(kernels, x, strict=True)), strict=True)
    pairs = [eigen(matrix) for matrix in matrices]
    lam = outer([w for w, _ in pairs])
    S = lam + nugget
    one, P = outer([V.sum(axis=0) for _, V in pairs]), apply_along([V.T for _, V in pairs], y)
    P = P - one * (np.sum(one * P / S) / np.sum(one * one / S))
    A = P / S
    variance = np.vdot(P, A) / y.size
    value = 0.5 * (y.size * np.log(variance) + float(np.log(S).sum()))
    slope = []
    for j, ((_, V), pull) in enumerate(zip(pairs, pulls, strict=True)):
        ones = [np.ones_like(w) if i == j else w for i, (w, _) in enumerate(pairs)]
        others = outer(ones)
        rows = np.moveaxis(A, j, 0).reshape(len(V), -1)
        rows = rows * np.sqrt(
            np.moveaxis(np.broadcast_to(others, S.shape), j, 0).reshape(len(V), -1) / variance
        )
        M = -(rows @ rows.T)
        M[np.diag_indices_from(M)] += np.sum(
            np.moveaxis(others / S, j, 0).reshape(len(V), -1), axis=1
        )
        slope.append(0.5 * pull(V @ M @ V.T))
    by_nugget = 0.5 * nugget * (np.sum(1.0 / S) - np.vdot(A, A) / variance)
    return value, np.append(np.concatenate(slope), by_nugget)


def fit_grid(
    kernels: list[Any], x: list[np.ndarray], y: np.ndarray, noise: float | None
) -> tuple[list[Any], float]:
    """Kernels and nugget of largest exact likelihood, from starts at three scales."""
    cuts = np.cumsum([len(k.theta) for k in kernels])

    def made(free: np.ndarray) -> list[Any]:
        return [
            k.at(part)
            for k, part in zip(kernels, np.split(free[: cuts[-1]], cuts[:-1]), strict=True)
        ]

    def objective(free: np.ndarray) -> tuple[float, np.ndarray]:
        nugget = max(noise, FLOOR) if noise is not None else float(np.exp(free[-1]))
        value, slope = likelihood(made(free), nugget, x, y)
        return value / y.size, (slope if noise is None else slope[:-1]) / y.size

    theta = np.concatenate([k.theta for k in kernels])
    limits = np.vstack([*(k.limits for k in kernels), (np.log(FLOOR), np.log(10.0))])
    starts = [np.append(np.clip(theta + s, *limits[:-1].T), np.log(1e-4)) for s in (-1.0, 0.0, 1.0)]
    if noise is not None:
        starts, limits = [s[:-1] for s in starts], limits[:-1]
    start = min((start_descent(objective, s, limits) for s in starts), key=lambda s: s.value)
    end = descend(objective, start, limits)
    return made(end.x), max(noise, FLOOR) if noise is not None else float(np.exp(end.x[-1]))


def fit_on_subset(
    kernels: list[Any],
    x: list[np.ndarray],
    y: np.ndarray,
    seen: np.ndarray,
    noise: float | None,
    most: int,
    rng: Any,
) -> tuple[list[Any], float]:
    """Kernels and nugget of largest likelihood of some known cells, dense and exact."""
    cells = np.argwhere(seen)
    cells = cells[np.sort(np.random.default_rng(rng).permutation(len(cells))[:most])]
    stops = np.cumsum([0, *(z.shape[1] for z in x)])
    product = Product(
        tuple(Selected(k, tuple(range(stops[j], stops[j + 1]))) for j, k in enumerate(kernels))
    )
    table = np.hstack([z[cells[:, j]] for j, z in enumerate(x)])
    values = y[tuple(cells.T)][:, None]
    parts, starts = [values / (values.std() or 1.0)], [sobol_starts(product, 4, rng)]
    found = maximise(product, table, parts, starts, mean="constant", noise=noise, restarts=1)[0]
    return [part.kernel for part in found.kernel.kernels], found.nugget


def settled_weights(
    kernels: list[Any], nugget: float, x: list[np.ndarray], y: np.ndarray, seen: np.ndarray | None
) -> tuple[float, float, np.ndarray]:
    """Mean by generalised least squares, variance, weights."""
    K = [k.matrix(z, z) for k, z in zip(kernels, x, strict=True)]
    if seen is None:
        pairs = [eigen(matrix) for matrix in K]
        S = outer([w for w, _ in pairs]) + nugget
        one, P = outer([V.sum(axis=0) for _, V in pairs]), apply_along([V.T for _, V in pairs], y)
        mean = float(np.sum(one * P / S) / np.sum(one * one / S))
        P = P - mean * one
        return mean, float(np.sum(P * P / S) / y.size), apply_along([V for _, V in pairs], P / S)
    conditioner = missing_preconditioner(K, nugget, seen)
    ones, values = seen.astype(float), np.where(seen, y, 0.0)
    first, _ = solve_missing(conditioner, ones)
    second, steps = solve_missing(conditioner, values)
    mean = float(np.sum(second) / np.sum(first))
    weights = second - mean * first
    log.info(
        "%d of %d cells known: %d eigenfunctions, %d iterations",
        seen.sum(),
        y.size,
        conditioner.rank,
        steps,
    )
    return mean, float(np.sum((values - mean * ones) * weights) / seen.sum()), weights
