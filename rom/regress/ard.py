"""One Gaussian process per coefficient, a length per input, gradients in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg as la
from scipy.optimize import minimize

from rom.errors import BadInput


@dataclass(frozen=True, eq=False)
class ArdGP:
    """a_k(x) ~ GP(mean_k, variance_k (k_k(x, x') + nugget_k delta)), Matern-5/2, independent over k.

    x : (m, p), inputs over `scale` (p,) about `centre` (p,); lengths : (r, p); nugget, mean, variance : (r,)
    weights : (r, m); factor : (r, m, m) Cholesky factors; noise is part of the standard deviation
    """

    x: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    lengths: np.ndarray
    nugget: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    weights: np.ndarray
    factor: np.ndarray

    def predict(self, x: np.ndarray, noise: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Mean (q, r) and standard deviation (q, r) at x (q, p)."""
        q = (np.atleast_2d(x) - self.centre) / self.scale
        mean, std = np.empty((len(q), len(self.mean))), np.empty((len(q), len(self.mean)))
        for k, lengths in enumerate(self.lengths):
            cross = _matern(np.sum(((q[:, None] - self.x) / lengths) ** 2, axis=2))[0]
            mean[:, k] = self.mean[k] + cross @ self.weights[k]
            left = 1.0 + noise * self.nugget[k] - np.sum(la.solve_triangular(self.factor[k], cross.T, lower=True) ** 2, axis=0)
            std[:, k] = np.sqrt(np.maximum(left, 0.0) * self.variance[k])
        return mean, std

    def leave_one_out(self) -> tuple[np.ndarray, np.ndarray]:
        """a_i - E[a_i | the others] and its standard deviation, (m, r) each, in closed form."""
        diagonal = np.array([np.diag(la.cho_solve((L, True), np.eye(len(L)))) for L in self.factor]).reshape(self.weights.shape)
        return (self.weights / diagonal).T, np.sqrt(self.variance[:, None] / diagonal).T


def ard_gp(x: np.ndarray, a: np.ndarray, rng: int | np.random.Generator = 0, starts: int = 1) -> ArdGP:
    """The regression of coefficients a (m, r) over inputs x (m, p): maximum a posteriori, weak log-normal priors on lengths and nugget.

    Raises BadInput for fewer than three samples. Reference: Rasmussen and Williams (2006).
    """
    x, a = np.asarray(x, dtype=float), np.asarray(a, dtype=float)
    if x.ndim != 2 or a.ndim != 2 or len(x) != len(a) or len(x) < 3:
        raise BadInput(f"x {x.shape} and a {a.shape} must be (m, p) and (m, r) with m >= 3")
    centre, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 1e-12 * np.abs(x).max(initial=1.0), scale, 1.0)
    q, p = (x - centre) / scale, x.shape[1]
    rng = np.random.default_rng(rng)
    first = np.append(np.full(p, np.log(3.0)), np.log(1e-2))
    draws = [np.append(rng.uniform(-0.5, 2.5, p), rng.uniform(-9, -2)) for _ in range(starts - 1)]
    limits = [(-2.5, 6.0)] * p + [(np.log(1e-8), 1.0)]
    square = (q[:, None] - q) ** 2
    m = len(x)
    if not a.shape[1]:
        return ArdGP(q, centre, scale, np.zeros((0, p)), *(np.zeros(0),) * 3, np.zeros((0, m)), np.zeros((0, m, m)))
    rows: list[Any] = []
    for column in a.T:
        spread = column.std() or 1.0
        y = (column - column.mean()) / spread
        ends = [
            minimize(_objective, t, (square, y), "L-BFGS-B", jac=True, bounds=limits, options={"maxiter": 150})
            for t in [first, *draws]
        ]
        t = min(ends, key=lambda end: end.fun).x
        lengths, nugget = np.exp(t[:-1]), float(np.exp(t[-1]))
        L = la.cholesky(_matern(square @ lengths**-2)[0] + nugget * np.eye(len(y)), lower=True)
        mean, w, variance = _profiled(L, y)
        rows.append((lengths, nugget, column.mean() + spread * mean, spread**2 * variance, spread * w, L))
    return ArdGP(q, centre, scale, *(np.array(part) for part in zip(*rows, strict=True)))


def _objective(t: np.ndarray, square: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """-log likelihood with mean and variance profiled out, -log prior, and the derivative in the logarithms of lengths and nugget."""
    m, inverse = len(y), np.exp(-2 * t[:-1])
    K, slope = _matern(square @ inverse)
    try:
        L = la.cholesky(K + np.exp(t[-1]) * np.eye(m), lower=True)
    except la.LinAlgError:
        return 1e10, np.zeros_like(t)
    _, w, variance = _profiled(L, y)
    variance = max(variance, 1e-300)
    W = 0.5 * (np.outer(w, w) / variance - la.cho_solve((L, True), np.eye(m)))
    z = np.append((t[:-1] - np.log(4.0)) / 1.5, (t[-1] - np.log(1e-3)) / 4.0)
    value = 0.5 * m * np.log(variance) + np.log(np.diag(L)).sum() + 0.5 * np.sum(z**2)
    gradient = np.append(np.tensordot(W * slope, square, 2) * inverse, np.trace(W) * np.exp(t[-1]))
    return float(value), z / np.append(np.full(len(t) - 1, 1.5), 4.0) - gradient


def _profiled(L: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray, float]:
    ones = la.cho_solve((L, True), np.ones(len(y)))
    mean = float(ones @ y / ones.sum())
    w = la.cho_solve((L, True), y - mean)
    return mean, w, float((y - mean) @ w / len(y))


def _matern(square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """k = (1 + d + d^2/3) exp(-d), d = sqrt(5 square), and -2 dk/dsquare = (5/3)(1 + d) exp(-d)."""
    d = np.sqrt(5.0 * square)
    e = np.exp(-d)
    return (1.0 + d + d**2 / 3.0) * e, (5.0 / 3.0) * (1.0 + d) * e
