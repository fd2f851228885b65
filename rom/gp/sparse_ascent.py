"""Newton's method on the evidence lower bound of a sparse Gaussian posterior.

V <- V (I + X) on the pattern with X_kk = (M_kk - 1) / 2, X_jk = M_jk,
M = S diag(1, -2 dE/dv) S^T, S = V^{-1} [U, I], which is the identity at the maximum;
m <- m + (U U^T + diag(-2 dE/dv))^{-1} dELBO/dm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rom.gp.noises import expected_density
from rom.gp.sparse_factor import assemble_factor, pattern_rows
from rom.gp.sparse_posterior import WIDE, SparsePosterior
from rom.gp.triangles import posterior_mean

MIN_PRECISION = 1e-8  # that an observation is taken to add
MIN_RISE = 1e-6  # of the bound, below which the ascent ends


@dataclass(frozen=True, eq=False)
class BoundDerivatives:
    """At one posterior: its ELBO `value`, and what Newton's method needs of it.

    slope, precision (n,) : dE/dm and -2 dE/dv of the expected log densities
    M (n, 1 + k) : M of the module on the pattern
    """

    value: float
    slope: np.ndarray
    precision: np.ndarray
    M: np.ndarray


def bound_derivatives(posterior: SparsePosterior, walk: np.ndarray) -> BoundDerivatives:
    """One pass over all points, in the order of `walk` (n,).

    Neighbours together have few ancestors: a walk in space is fast.
    """
    value = 0.0
    slope = np.zeros_like(posterior.m)
    precision = np.zeros_like(posterior.m)
    M = np.zeros_like(posterior.V)
    for part in posterior.parts(walk):
        S = part.solve()
        v = part.variance(S)
        expected, batch_slope, batch_precision = expected_density(part.data, part.m, v)
        slope[part.batch] = batch_slope
        precision[part.batch] = batch_precision
        value += float(np.sum(part.elbo_terms(expected, S)))
        weights = np.concatenate([np.ones(len(part.batch)), batch_precision])
        _add_products(M, S, S * weights, part.members, part.posterior.near)
    M[:, 1:][posterior.near < 0] = 0.0
    return BoundDerivatives(value, slope, precision, M)


def _add_products(
    M: np.ndarray, S: np.ndarray, weighted: np.ndarray, members: np.ndarray, near: np.ndarray
) -> None:
    """Add (S weighted^T) on the pattern to the members' rows of M, in place."""
    rows, _ = pattern_rows(near)
    for start in range(0, len(members), WIDE):
        block = slice(start, start + WIDE)
        products = np.einsum("nkb,nb->nk", S[rows[block]], weighted[block])
        M[members[block]] += products


def newton_direction(
    posterior: SparsePosterior, at: BoundDerivatives
) -> tuple[np.ndarray, np.ndarray]:
    """The full Newton step in m (n,) and in V (n, 1 + k)."""
    near, U, V = posterior.near, posterior.U, posterior.V
    upper = assemble_factor(near, U)
    precision = np.maximum(at.precision, MIN_PRECISION)
    pull_of_prior = upper @ (upper.T @ (posterior.m - posterior.mean))
    uphill = at.slope - pull_of_prior
    to_m = posterior_mean(near, U, V, precision, uphill / precision)
    diagonal = np.maximum((at.M[:, :1] - 1.0) / 2.0, -0.5)
    X = np.column_stack([diagonal, at.M[:, 1:]])
    product = assemble_factor(near, V) @ assemble_factor(near, X)
    rows, exist = pattern_rows(near)
    columns, _ = np.nonzero(exist)
    to_V = np.zeros_like(V)
    on_pattern = product.tocsr()[rows[exist], columns]
    to_V[exist] = np.asarray(on_pattern).ravel()
    return to_m, to_V


def ascend_bound(
    posterior: SparsePosterior, steps: int, walk: np.ndarray | None = None
) -> tuple[SparsePosterior, float]:
    """(posterior, its ELBO) after steps of Newton's method, halved until it rises.

    A step, also a halved one, costs a solve per point. walk : see `bound_derivatives`
    """
    if walk is None:
        walk = np.arange(len(posterior.m))
    at = bound_derivatives(posterior, walk)
    while steps > 0:
        before = at.value
        posterior, at, trials = _rising_step(posterior, at, walk, steps)
        steps -= trials
        if at.value - before < MIN_RISE:
            break
    return posterior, at.value


def _rising_step(
    posterior: SparsePosterior, at: BoundDerivatives, walk: np.ndarray, max_trials: int
) -> tuple[SparsePosterior, BoundDerivatives, int]:
    """The first of the step, its half, its quarter, ... that rises, and the trials.

    Nothing moves where none of max_trials rises.
    """
    to_m, to_V = newton_direction(posterior, at)
    rate = 1.0
    for trial in range(1, max_trials + 1):
        m = posterior.m + rate * to_m
        V = posterior.V + rate * to_V
        further = replace(posterior, m=m, V=V)
        there = bound_derivatives(further, walk)
        if there.value > at.value:
            return further, there, trial
        rate *= 0.5
    return posterior, at, max_trials
