"""Bounds of any coefficients over time, whoever found them.

    |u^K - V a^K|_M^2 <= |u^0 - V a^0|_M^2 + sum_k dt_k/2 |r^{k+theta}|_{X'}^2 / alpha(mu)
    r^{k+theta} = f(mu) - A(mu) V a^{k+theta} - M V (a^{k+1} - a^k) / dt_k

u is the theta-scheme of M u' + A(mu) u = f(mu) at the same times, theta >= 1/2. Nothing is asked
of a: it may come from Galerkin's method, from operators inferred from runs, or from wrong ones.

Reference: Grepl and Patera (2005).
"""

from __future__ import annotations

import numpy as np

from rom.arrays import POINTS, VECTOR, array_of, gate
from rom.certified.residual import EPS, ResidualBound, divide, stability_at
from rom.errors import BadInput


@gate(bound=ResidualBound, mu=POINTS, a=array_of("(r, m, n_t)"), times=VECTOR)
def trajectory_bound(
    bound: ResidualBound,
    mu: np.ndarray,
    a: np.ndarray,
    times: np.ndarray,
    *,
    theta: float = 1.0,
    initial_error: float | np.ndarray = 0.0,
) -> np.ndarray:
    """Bounds (m, n_t) of |u - V a|_M for coefficients a (r, m, n_t) at mu (m, p).

    bound : of `residual_bound` with M; times (n_t,) [s]; theta : of the scheme that u obeys
    initial_error : |u^0 - V a^0|_M, one or (m,)
    What differences of a lose to round-off is added.
    Raises BadInput for a bound without M or of other modes, other shapes, and a theta below 1/2.
    """
    r, m, n_t = a.shape
    _check_shapes(bound, mu, (r, m, n_t), times, theta)
    states, steps = np.moveaxis(a, 2, 0).swapaxes(1, 2), np.diff(times)
    rates = np.diff(states, axis=0) / steps[:, None, None]
    between = theta * states[1:] + (1 - theta) * states[:-1]
    residual = bound.along(mu, between, rates, np.ones(n_t - 1))
    ends = (np.abs(states[1:]) + np.abs(states[:-1])) @ bound.sizes[-r:]
    residual = residual + EPS * ends / steps[:, None]
    parts = np.empty((n_t, m))
    parts[0] = initial_error
    alpha = stability_at(bound.stability, mu)
    parts[1:] = divide(
        np.sqrt(0.5 * steps)[:, None] * residual, np.sqrt(np.maximum(alpha, 0.0))[None]
    )
    size = parts.max(initial=0.0)
    size = size if 0.0 < size < np.inf else 1.0  # so that squares keep their digits
    return np.asarray(size * np.sqrt(np.cumsum((parts / size) ** 2, axis=0))).T


def _check_shapes(
    bound: ResidualBound,
    mu: np.ndarray,
    shape: tuple[int, ...],
    times: np.ndarray,
    theta: float,
) -> None:
    """Raises BadInput for what does not fit together."""
    r, m, n_t = shape
    if len(mu) != m or times.shape != (n_t,) or n_t < 2 or not (np.diff(times) > 0).all():
        raise BadInput(
            f"mu has shape {mu.shape}, times {times.shape}, a {shape}; give (m, p), increasing "
            "(n_t,) with n_t > 1, and (r, m, n_t)"
        )
    if not 0.5 <= theta <= 1.0:
        raise BadInput(f"theta = {theta} must lie in [0.5, 1]")
    Q_A = np.size(bound.theta_A(mu[0]))
    Q_f = np.size(bound.theta_f(mu[0]))
    if bound.T.shape[1] != Q_f + (Q_A + 1) * r:
        raise BadInput(
            f"the bound holds {bound.T.shape[1]} images, {r} modes with M have "
            f"{Q_f + (Q_A + 1) * r}; build it as residual_bound(A, f, basis, stability, M)"
        )
