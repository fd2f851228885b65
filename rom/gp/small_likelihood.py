"""Restricted likelihoods of few runs, as one stack of small matrices.

numpy's calls cost more than the algebra of a 32 x 32 matrix; a stack pays for them once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from rom.gp.kernels import SCALES, Queries, Stationary
from rom.gp.likelihood import (
    INFEASIBLE,
    NUGGET_POWER,
    PRIOR_VARIANCE,
    TINY,
    Evaluate,
    GroupLikelihoods,
)

Answers = list[tuple[float, np.ndarray]]


class SmallLikelihoods(GroupLikelihoods):
    """`GroupLikelihoods` of a stationary kernel, all queries at once in numpy."""

    def objective(self, owners: Sequence[int]) -> Evaluate:
        """(search, free logarithms) -> values and slopes, as one stack of matrices."""
        return partial(self._of_stack, owners)

    def _of_stack(self, owners: Sequence[int], queries: Queries) -> Answers:
        """Values and slopes, one by one where a matrix is not definite."""
        points = np.stack([free for _, free in queries])
        if self.nugget is not None:
            nuggets = np.log(self.nugget[[owners[k] for k, _ in queries]])
            points = np.column_stack([points, nuggets])
        parts = [self.parts[owners[k]] for k, _ in queries]
        try:
            values, slopes = small_likelihoods(self.kernel, self.x, self.H, points, parts)
        except np.linalg.LinAlgError:
            if len(queries) == 1:
                return [(INFEASIBLE, np.zeros(len(queries[0][1])))]
            return [answer for query in queries for answer in self._of_stack(owners, [query])]
        away = (points[:, :-1] - self.theta) / PRIOR_VARIANCE
        values += 0.5 * PRIOR_VARIANCE * np.sum(away**2, axis=1) - NUGGET_POWER * points[:, -1]
        slopes[:, :-1] += away
        slopes[:, -1] -= NUGGET_POWER
        size = len(queries[0][1])
        return [(float(v), slope[:size]) for v, slope in zip(values, slopes, strict=True)]


def small_likelihoods(
    kernel: Stationary,
    x: np.ndarray,
    H: np.ndarray,
    points: np.ndarray,
    parts: Sequence[np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """(F (g,), gradients (g, k + 1)) of `restricted_likelihood`.

    points (g, k + 1) : logarithms; parts : outputs (n, r_g) of each point. Raises LinAlgError.
    """
    count = np.array([part.shape[1] for part in parts])
    a = np.zeros((len(parts), len(x), count.max()))
    for g, part in enumerate(parts):
        a[g, :, : count[g]] = part
    real = np.arange(a.shape[2]) < count[:, None]
    gaps = (x.T[:, :, None] - x.T[:, None, :]) ** 2
    steep = np.exp(-2.0 * points[:, :-1])
    nugget = np.exp(points[:, -1])
    K, h = _profiles(kernel.form, np.tensordot(steep, gaps, 1))
    h = h if h is not K else K.copy()
    K[:, np.arange(len(x)), np.arange(len(x))] += nugget[:, None]
    root, log_det = _projection_root(K, H)
    half = root @ a
    alpha = root.transpose(0, 2, 1) @ half
    P = root.transpose(0, 2, 1) @ root
    free = len(x) - H.shape[1]
    variance = (np.sum(half**2, axis=1) + TINY) / free
    log_variances = np.sum(np.log(variance) * real, axis=1)
    values = 0.5 * (free * log_variances + count * log_det)
    W = count[:, None, None] * P - (alpha / variance[:, None]) @ alpha.transpose(0, 2, 1)
    by_nugget = 0.5 * nugget * np.einsum("gii->g", W)
    W *= h
    by_theta = 0.5 * steep * np.tensordot(W, gaps, ([1, 2], [1, 2]))
    return values, np.column_stack([by_theta, by_nugget])


def _profiles(form: str, square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(g(d), h) of a stack of d^2, as `radial_profile`, with one exponential in place."""
    if form == "rbf":
        g = np.exp(-0.5 * square)
        return g, g
    d = np.sqrt(SCALES[form] * square)
    decay = np.exp(-d)
    if form == "matern12":
        return decay, np.divide(decay, d, out=np.zeros_like(d), where=d > 0)
    straight = (1 + d) * decay
    if form == "matern32":
        return straight, 3 * decay
    return straight + (5 / 3) * square * decay, (5 / 3) * straight


def _projection_root(K: np.ndarray, H: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(R, log |K| + log |H^T K^{-1} H|), R^T R = P as in `restricted_likelihood`.

    R = (I - Q Q^T) L^{-1}, Q an orthonormal basis of L^{-1} H.
    """
    L = np.linalg.cholesky(K)
    half = np.linalg.inv(L)
    log_det = 2.0 * np.log(np.einsum("gii->gi", L)).sum(1)
    if not H.shape[1]:
        return half, log_det
    Q, R = np.linalg.qr(half @ H)
    log_det += 2.0 * np.log(np.abs(np.einsum("gii->gi", R))).sum(1)
    return half - Q @ (Q.transpose(0, 2, 1) @ half), log_det
