"""Gaussian-process regression of reduced coefficients: fields from parameters without a solver."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg as la
from scipy.optimize import minimize
from scipy.stats import qmc

from rom.basis import Basis
from rom.errors import BadInput
from rom.model import Prediction
from rom.parameters import Box
from rom.snapshots import Snapshots

NUGGET = 1e-10


@dataclass(frozen=True, eq=False)
class FieldGP:
    """a_k(mu) ~ GP(mean_k, variance_k (k(x, x') + nugget)), x = mu in the unit box, one Matern-5/2 kernel with a length per parameter.

    x : (m, p) inputs; lengths : (p,); nugget : relative; mean, variance : (r,); factor : (m, m) Cholesky factor of k + nugget I
    weights : (m, r) = (k + nugget I)^{-1} (a - mean); basis : whose coefficients are predicted; box : inputs beyond it are refused
    """

    basis: Basis
    box: Box
    x: np.ndarray
    lengths: np.ndarray
    nugget: float
    mean: np.ndarray
    variance: np.ndarray
    factor: np.ndarray
    weights: np.ndarray

    def predict(self, mu: np.ndarray) -> Prediction:
        """Posterior mean and standard deviation of each coefficient: (r,) for mu (p,), (r, m) for mu (m, p)."""
        mu = self.box.check(mu)
        cross = _matern(self.box.to_unit(np.atleast_2d(mu)) / self.lengths, self.x / self.lengths)
        a = self.mean + cross @ self.weights
        left = 1.0 + self.nugget - np.sum(la.solve_triangular(self.factor, cross.T, lower=True) ** 2, axis=0)
        std = np.sqrt(np.maximum(left, 0.0)[:, None] * self.variance)
        return Prediction(mu, a[0], std=std[0]) if mu.ndim == 1 else Prediction(mu, a.T, std=std.T)

    def leave_one_out(self) -> np.ndarray:
        """a_i - E[a_i | the others], (m, r), in closed form."""
        inverse = la.cho_solve((self.factor, True), np.eye(len(self.x)))
        return self.weights / np.diag(inverse)[:, None]


def field_gp(snapshots: Snapshots, basis: Basis, box: Box | None = None, rng: int | np.random.Generator = 0) -> FieldGP:
    """The regression of a basis's coefficients over the parameters of the snapshots (stationary: one column per parameter).

    The lengths and the nugget (at least 1e-10) maximise the likelihood with means and variances profiled out, from Sobol starts.
    Raises BadInput for fewer than three or for repeated parameters. Reference: Rasmussen and Williams (2006); Gu and Berger (2016).
    """
    mu = snapshots.mu
    if snapshots.m < 3 or len(np.unique(mu, axis=0)) < snapshots.m:
        raise BadInput(
            f"{snapshots.m} snapshots with {len(np.unique(mu, axis=0))} distinct parameters; a regression needs three or more, all distinct"
        )
    names = tuple(f"mu{j}" for j in range(mu.shape[1]))
    box = box or Box(names, mu.min(axis=0), mu.max(axis=0))
    x, a = box.to_unit(mu), basis.coefficients(np.asarray(snapshots.u[:])).T
    p = x.shape[1]
    starts = np.vstack(
        [np.zeros(p + 1), qmc.scale(qmc.Sobol(p + 1, rng=rng).random(4), [-2.0] * p + [-22.0], [2.0] * p + [-8.0])]
    )
    starts[0, -1] = np.log(NUGGET) + 2
    limits = [(-4.0, 4.0)] * p + [(np.log(NUGGET), 0.0)]
    best = min(
        (minimize(_likelihood, start, (x, a), "L-BFGS-B", jac=False, bounds=limits) for start in starts), key=lambda end: end.fun
    )
    lengths, nugget = np.exp(best.x[:-1]), float(np.exp(best.x[-1]))
    L = la.cholesky(_matern(x / lengths, x / lengths) + nugget * np.eye(len(x)), lower=True)
    mean, weights, variance = _profiled(L, a)
    return FieldGP(basis, box, x, lengths, nugget, mean, variance, L, weights)


def _likelihood(log_theta: np.ndarray, x: np.ndarray, a: np.ndarray) -> float:
    """sum_k (m/2) log variance_k + r log |L|."""
    scaled = x / np.exp(log_theta[:-1])
    try:
        L = la.cholesky(_matern(scaled, scaled) + np.exp(log_theta[-1]) * np.eye(len(x)), lower=True)
    except la.LinAlgError:
        return 1e10
    variance = np.maximum(_profiled(L, a)[2], np.finfo(float).tiny)
    return float(0.5 * len(x) * np.sum(np.log(variance)) + a.shape[1] * np.sum(np.log(np.diag(L))))


def _profiled(L: np.ndarray, a: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Constant means, weights and variances that maximise the likelihood for a given kernel."""
    ones = la.cho_solve((L, True), np.ones(len(a)))
    mean = ones @ a / ones.sum()
    weights = la.cho_solve((L, True), a - mean)
    return mean, weights, np.sum((a - mean) * weights, axis=0) / len(a)


def _matern(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(1 + sqrt5 d + 5 d^2 / 3) exp(-sqrt5 d), d = |x - y|."""
    square = np.sum(x**2, axis=1)[:, None] + np.sum(y**2, axis=1) - 2 * x @ y.T
    d = np.sqrt(5.0 * np.maximum(square, 0.0))
    return (1.0 + d + d**2 / 3.0) * np.exp(-d)
