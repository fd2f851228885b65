"""Gaussian processes under other noise than Gaussian, for many points: a variational posterior over a sparse inverse Cholesky prior.

ELBO = sum_i E_q log p(y_i | f_i) - KL(q | N(mean, K)), K^{-1} ~ U U^T the sparse factor closest in Kullback-Leibler divergence. Its maximum
over Gaussians q has precision U U^T + diag(lam), lam_i = -E_q d^2 log p, and mean m with K^{-1} (m - mean) = E_q d log p.
References: Opper, Archambeau (2009); Cao, Kang, Jimenez, Sang, Schaefer, Katzfuss (2023).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse.linalg as spla
from scipy.spatial import cKDTree
from scipy.special import expit, gammaln

from rom.errors import BadInput, NotConverged, Singular
from rom.parameters import Box
from rom.regress.algebra import both_solve, cholesky, inverse, log_det
from rom.regress.descent import begun, descended
from rom.regress.kernels import Stationary
from rom.regress.vecchia import BATCH, conditioned, factor, maximin

FREEDOM = 4.0
NUGGET = 1e-6
LEAST = 1e-8
NODES, SHARES = np.polynomial.hermite_e.hermegauss(24)
SHARES = SHARES / SHARES.sum()


def gaussian(y: np.ndarray, f: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """log p, d log p / df, -d^2 log p / df^2 of y ~ N(f, scale^2)."""
    r = (y - f) / scale
    return -0.5 * r**2 - np.log(scale) - 0.5 * np.log(2 * np.pi), r / scale, np.full_like(r, scale**-2)


def student(y: np.ndarray, f: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same of y ~ f + scale t, t of FREEDOM degrees: outliers hardly count."""
    r, v = (y - f) / scale, FREEDOM
    constant = gammaln((v + 1) / 2) - gammaln(v / 2) - 0.5 * np.log(np.pi * v) - np.log(scale)
    heavy = v + r**2
    return constant - (v + 1) / 2 * np.log1p(r**2 / v), (v + 1) * r / heavy / scale, (v + 1) * (v - r**2) / heavy**2 / scale**2


def poisson(y: np.ndarray, f: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same of counts y with expectation e^f."""
    rate = np.exp(f)
    return y * f - rate - gammaln(y + 1), y - rate, rate


def bernoulli(y: np.ndarray, f: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same of y in {0, 1}, 1 with probability 1 / (1 + e^{-f})."""
    p = expit(f)
    return y * f - np.logaddexp(0.0, f), y - p, p * (1 - p)


NOISES = {"gaussian": gaussian, "student": student, "poisson": poisson, "bernoulli": bernoulli}
EXPECTED = {"gaussian": lambda f: f, "student": lambda f: f, "poisson": np.exp, "bernoulli": expit}


@dataclass(frozen=True, eq=False)
class VariationalGP:
    """q(f) = N(m, (U U^T / variance + diag(lam))^{-1}) at x (n, p) scaled by box; y ~ p(. | f) of the named noise and its scale."""

    box: Box
    x: np.ndarray
    noise: str
    scale: float
    kernel: Stationary
    mean: float
    variance: float
    m: np.ndarray
    lam: np.ndarray
    neighbours: int

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.x / self.kernel.lengths)

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of f at x (q, p), from the nearest points."""
        z = self.box.to_unit(np.atleast_2d(np.asarray(x, dtype=float)))
        if z.shape[1] != self.x.shape[1] or not np.isfinite(z).all():
            raise BadInput(f"x has shape {np.shape(x)}; the model needs finite (q, {self.x.shape[1]})")
        near = nearest(self._tree, z / self.kernel.lengths, self.neighbours)
        mean = np.empty(len(z))
        for rows in (slice(s, s + BATCH) for s in range(0, len(z), BATCH)):
            w, _ = conditioned(self.kernel, NUGGET, z[rows], self.x[near[rows]])
            mean[rows] = self.mean + np.sum(w * (self.m[near[rows]] - self.mean), axis=1)
        return mean, np.sqrt(local(self.kernel, self.variance, self.lam, self.x, z, near))

    def expected(self, x: np.ndarray) -> np.ndarray:
        """E y at x (q, p): the rate of counts, the probability of a one."""
        mean, std = self.predict(x)
        return EXPECTED[self.noise](mean[:, None] + std[:, None] * NODES) @ SHARES


def variational_gp(
    x: np.ndarray,
    y: np.ndarray,
    noise: str,
    kernel: str = "matern32",
    neighbours: int = 30,
    most: int = 300,
    rng: int | np.random.Generator = 0,
) -> VariationalGP:
    """The posterior of f given y (n,) at x (n, p); noise: "student" (outliers), "poisson" (counts), "bernoulli" (yes or no), "gaussian".

    Lengths, variance, mean and the noise's scale maximise the exact bound of `most` random points; the posterior is that of all points.
    Raises BadInput for wrong shapes, NaN, counts or classes that are none.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if noise not in NOISES:
        raise BadInput(f"no noise {noise!r}; known: {', '.join(NOISES)}")
    if x.ndim != 2 or len(x) < 3 or y.shape != (len(x),) or not np.isfinite(x).all() or not np.isfinite(y).all():
        raise BadInput(f"inputs {x.shape} and outputs {y.shape}; give finite x (n, p) and y (n,), three or more")
    if noise == "poisson" and ((y < 0).any() or (y != np.rint(y)).any()):
        raise BadInput("poisson noise needs counts 0, 1, 2, ...; use student or gaussian for other values")
    if noise == "bernoulli" and not np.isin(y, (0.0, 1.0)).all():
        raise BadInput("bernoulli noise needs y in {0, 1}")
    names = tuple(f"x{j}" for j in range(x.shape[1]))
    box = Box(names, x.min(axis=0), np.where(np.ptp(x, axis=0) > 0, x.max(axis=0), x.min(axis=0) + 1))
    unit, some = box.to_unit(x), np.random.default_rng(rng).permutation(len(x))[:most]
    found, variance, mean, scale = fitted(Stationary(kernel, np.ones(x.shape[1])), noise, unit[some], y[some])
    m, lam = posterior(found, variance, mean, noise, scale, unit, y, neighbours)
    return VariationalGP(box, unit, noise, scale, found, mean, variance, m, lam, neighbours)


def posterior(
    kernel: Stationary, variance: float, mean: float, noise: str, scale: float, x: np.ndarray, y: np.ndarray, neighbours: int
) -> tuple[np.ndarray, np.ndarray]:
    """(m, lam) of all points: the mean by conjugate gradients whitened by U, marginal variances from the nearest points."""
    order = maximin(x / kernel.lengths)
    U = factor(kernel, NUGGET, x, neighbours)[order][:, order].tocsc()
    triangle = spla.splu(U, permc_spec="NATURAL", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    near = nearest(cKDTree(x / kernel.lengths), x / kernel.lengths, neighbours)

    def centred(lam: np.ndarray, target: np.ndarray) -> np.ndarray:
        """(U U^T / variance + diag lam)^{-1} (lam (target - mean)) + mean."""
        lam_, b = lam[order], (lam * (target - mean))[order]
        A = spla.LinearOperator(
            U.shape, matvec=lambda w: w + variance * triangle.solve(lam_ * triangle.solve(w, "T")), dtype=float
        )
        w, info = spla.cg(A, variance * triangle.solve(b), rtol=1e-9, maxiter=2000)
        if info:
            raise NotConverged("the posterior mean needs more than 2000 iterations; give fewer neighbours or longer lengths")
        m = np.empty_like(b)
        m[order] = triangle.solve(w, "T")
        return m + mean

    return settled(noise, scale, y, mean, variance, centred, lambda lam: local(kernel, variance, lam, x, x, near))


def settled(
    noise: str,
    scale: float,
    y: np.ndarray,
    mean: float,
    variance: float,
    centred: Callable[[np.ndarray, np.ndarray], np.ndarray],
    marginal: Callable[[np.ndarray], np.ndarray],
    most: int = 200,
) -> tuple[np.ndarray, np.ndarray]:
    """(m, lam) at the maximum of the bound: Newton's steps, damped by a half where they grow. Raises NotConverged."""
    m, v, lam, before, damp = np.full(len(y), mean), np.full(len(y), variance), np.zeros(len(y)), np.inf, 1.0
    for _ in range(most):
        _, slope, bend = smoothed(noise, scale, y, m, v)
        target = np.maximum(bend, LEAST)
        fresh = target if not lam.any() else lam ** (1 - damp) * target**damp
        goal = centred(fresh, m + slope / fresh)
        v_ = marginal(fresh)
        change = max(np.abs(goal - m).max(), np.abs(np.sqrt(v_) - np.sqrt(v)).max()) / np.sqrt(variance)
        damp = max(0.1, 0.5 * damp) if change > before else min(1.0, 1.2 * damp)
        m, v, lam, before = m + damp * (goal - m), v_, fresh, change
        if change < 1e-8:
            return m, lam
    raise NotConverged(
        f"the bound still moves f by {change:.1e} standard deviations after {most} steps; look for outliers, or rescale y"
    )


def smoothed(noise: str, scale: float, y: np.ndarray, m: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """E_q of log p, its slope and its negative curvature, by Gauss-Hermite quadrature."""
    f = m[:, None] + np.sqrt(v)[:, None] * NODES
    return tuple(part @ SHARES for part in NOISES[noise](y[:, None], f, scale))  # type: ignore[return-value]


def nearest(tree: cKDTree, z: np.ndarray, k: int) -> np.ndarray:
    """(q, k) indices of the nearest points."""
    k = min(k, tree.n)
    return tree.query(z, k)[1].reshape(-1, k)


def local(kernel: Stationary, variance: float, lam: np.ndarray, x: np.ndarray, z: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Posterior variance of f at z given pseudo-data of precision lam at the nearest points, (q,)."""
    left = np.empty(len(z))
    for rows in (slice(s, s + BATCH) for s in range(0, len(z), BATCH)):
        noise = NUGGET + 1.0 / (variance * lam[near[rows]])
        left[rows] = conditioned(kernel, noise, z[rows], x[near[rows]])[1] - NUGGET
    return variance * np.maximum(left, 1e-12)


def bound(
    kernel: Stationary, variance: float, mean: float, noise: str, scale: float, x: np.ndarray, y: np.ndarray
) -> tuple[float, np.ndarray]:
    """(-ELBO, gradient in log lengths, log variance, mean, log scale) at its exact maximum over q; dense, n^3 per step.

    With C = (K + diag(1/lam))^{-1} and a = K^{-1} (m - mean) = E_q d log p the gradient in the kernel is 1/2 <C - a a^T, dK>.
    """
    k, pull = kernel.traced(x)
    K = variance * (k + NUGGET * np.eye(len(x)))

    def settled_factor(lam: np.ndarray) -> Any:
        return cholesky(K + np.diag(1.0 / lam))[0]

    def centred(lam: np.ndarray, target: np.ndarray) -> np.ndarray:
        return mean + K @ both_solve(settled_factor(lam), target - mean)

    def marginal(lam: np.ndarray) -> np.ndarray:
        return np.maximum(np.diag(K) - np.sum(K * both_solve(settled_factor(lam), K), axis=0), 1e-12 * variance)

    m, lam = settled(noise, scale, y, mean, variance, centred, marginal)
    L, v = settled_factor(lam), marginal(lam)
    log_p, a, _ = smoothed(noise, scale, y, m, v)
    log_K = log_det(L) + float(np.log(lam).sum())
    C = inverse(L)
    value = 0.5 * (float((m - mean) @ a) - float(np.sum(C * K)) + log_K) - float(log_p.sum())
    W = C - np.outer(a, a)
    h = 1e-4
    up, down = (float(smoothed(noise, scale * np.exp(s), y, m, v)[0].sum()) for s in (h, -h))
    slope = [*(0.5 * variance * pull(W)), 0.5 * float(np.sum(W * K)), -float(a.sum()), -(up - down) / (2 * h)]
    return value, np.array(slope)


def fitted(kernel: Stationary, noise: str, x: np.ndarray, y: np.ndarray) -> tuple[Stationary, float, float, float]:
    """Kernel, variance, mean and scale of the largest bound, with wide priors on the logarithms."""
    level = {"poisson": np.log(y.mean() + 0.1), "bernoulli": 0.0}.get(noise, float(np.median(y)))
    size = 1.0 if noise in ("poisson", "bernoulli") else (float(np.subtract(*np.percentile(y, [75, 25]))) or 1.0) / 1.35
    p, centre = len(kernel.theta), np.append(kernel.theta - 1.0, [2 * np.log(size), level, np.log(0.3 * size)])
    width = np.append(np.full(p + 1, 3.0), [5.0 * size, 3.0])

    def objective(free: np.ndarray) -> tuple[float, np.ndarray]:
        try:
            value, slope = bound(
                kernel.at(free[:p]), float(np.exp(free[p])), free[p + 1], noise, float(np.exp(free[p + 2])), x, y
            )
        except (NotConverged, Singular):
            return 1e100, np.zeros_like(free)
        away = (free - centre) / width
        return value + 0.5 * float(away @ away), slope + away / width

    limits = np.stack([centre - 4 * width, centre + 4 * width], axis=1)
    limits[:p] = kernel.limits
    found = descended(objective, begun(objective, centre, limits), limits, tol=1e-3, most=40)
    if not found.value < 1e99:
        raise NotConverged(
            "the search for the kernel did not start: the bound has no maximum there; rescale y, or name another noise"
        )
    end = found.x
    return kernel.at(end[:p]), float(np.exp(end[p])), float(end[p + 1]), float(np.exp(end[p + 2]))
