"""Sparse Gaussian posteriors from a local fixed point of the bound."""

from __future__ import annotations

import numpy as np
import scipy.sparse.linalg as spla

from rom.errors import NotConverged
from rom.gp.dense_bound import NUGGET, Prior
from rom.gp.noises import Observations, expected_density
from rom.gp.sparse_ascent import MIN_PRECISION
from rom.gp.sparse_factor import BATCH, conditional_weights, ordered_factor
from rom.gp.sparse_posterior import SparsePosterior, nearest_neighbours
from rom.gp.triangles import (
    CG_MAX_ITERATIONS,
    CG_TOL,
    incomplete_cholesky,
    triangular_solver,
)

MAX_STEPS = 200
FIXED_POINT_TOL = 1e-6  # in prior standard deviations of f
MIN_VARIANCE = 1e-12  # over the process variance
MIN_DAMPING = 0.1


def variational_posterior(
    prior: Prior, x: np.ndarray, data: Observations, neighbours: int
) -> tuple[np.ndarray, SparsePosterior]:
    """(order (n,), q in that order) of y at x (n, p): the fixed point, then V.

    lam is the precision that each observation adds, kept positive. Means come from conjugate
    gradients whitened by U, marginal variances from the nearest points, and V from an
    incomplete Cholesky factor. Raises NotConverged.
    """
    order, near, unit_factor = ordered_factor(prior.kernel, NUGGET, x, neighbours)
    U = unit_factor / np.sqrt(prior.variance)
    ordered = data.rows(order)
    lam, m = _fixed_point(prior, x[order], ordered, near, U)
    V = incomplete_cholesky(near, U, lam)
    posterior = SparsePosterior(near, U, V, m, prior.mean, ordered.noise, ordered.scale, ordered.y)
    return order, posterior


def _fixed_point(
    prior: Prior, x: np.ndarray, data: Observations, near: np.ndarray, U: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(lam, m) by damped steps, shorter after each step that moves f more."""
    n = len(x)
    solver = triangular_solver(near, U)
    scaled = x / prior.kernel.lengths
    from scipy.spatial import cKDTree

    nearest = nearest_neighbours(cKDTree(scaled), scaled, near.shape[1])
    m = np.full(n, prior.mean)
    v = np.full(n, prior.variance)
    lam = np.zeros(n)
    before, damping = np.inf, 1.0
    for _ in range(MAX_STEPS):
        _, slope, precision = expected_density(data, m, v)
        target = np.maximum(precision, MIN_PRECISION)
        if lam.any():
            target = lam ** (1 - damping) * target**damping
        lam = target
        goal = _mean_of_pseudo_data(solver, prior.mean, lam, m + slope / lam)
        new_v = local_variances(prior, lam, x, nearest)
        of_mean = np.abs(goal - m).max()
        of_deviation = np.abs(np.sqrt(new_v) - np.sqrt(v)).max()
        change = max(of_mean, of_deviation) / np.sqrt(prior.variance)
        damping = _next_damping(damping, grows=change > before)
        m = m + damping * (goal - m)
        v, before = new_v, change
        if change < FIXED_POINT_TOL:
            return lam, m
    raise NotConverged(
        f"the bound still moves f by {change:.1e} standard deviations after {MAX_STEPS} steps; "
        "look for outliers, or rescale y"
    )


def _next_damping(damping: float, *, grows: bool) -> float:
    """Halved where the steps grow, down to MIN_DAMPING; otherwise 1.2 of it, up to 1."""
    if grows:
        return max(MIN_DAMPING, 0.5 * damping)
    return min(1.0, 1.2 * damping)


def _mean_of_pseudo_data(
    solver: spla.SuperLU, mean: float, lam: np.ndarray, target: np.ndarray
) -> np.ndarray:
    """(U U^T + diag lam)^{-1} lam (target - mean) + mean, with solves of U."""

    def precision(w: np.ndarray) -> np.ndarray:
        """(I + U^{-1} diag lam U^{-T}) w."""
        return np.asarray(w + solver.solve(lam * solver.solve(w, "T")))

    shape = (len(lam), len(lam))
    A = spla.LinearOperator(shape, matvec=precision, dtype=float)
    right = solver.solve(lam * (target - mean))
    w, info = spla.cg(A, right, rtol=CG_TOL, maxiter=CG_MAX_ITERATIONS)
    if info:
        raise NotConverged(
            "the posterior mean needs more than 2000 iterations; "
            "give fewer neighbours or longer lengths"
        )
    return np.asarray(mean + solver.solve(w, "T"))


def local_variances(
    prior: Prior, lam: np.ndarray, x: np.ndarray, nearest: np.ndarray
) -> np.ndarray:
    """Posterior variances (n,) of f given pseudo-data at the nearest points.

    x (n, p); lam (n,) : precisions of the pseudo-data; nearest (n, k)
    """
    left = np.empty(len(x))
    for start in range(0, len(x), BATCH):
        rows = slice(start, start + BATCH)
        near = nearest[rows]
        noise = NUGGET + 1.0 / (prior.variance * lam[near])
        _, variance = conditional_weights(prior.kernel, noise, x[rows], x[near])
        left[rows] = variance - NUGGET
    return np.asarray(prior.variance * np.maximum(left, MIN_VARIANCE))
