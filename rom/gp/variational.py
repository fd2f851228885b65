"""Gaussian processes under other noise than Gaussian, for many points: prior and posterior of sparse inverse Cholesky form (double KL).

The prior's factor U is the closest in Kullback-Leibler divergence for its pattern; the posterior's V starts as the incomplete factor
of U U^T + diag(lam), lam from a local fixed point of the bound, and ascends the bound. What `rom.gp.dense_bound` does exactly
for few points is here done for many. References: Opper, Archambeau (2009); Cao, Kang, Jimenez, Sang, Schaefer, Katzfuss (2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse.linalg as spla
from scipy.spatial import cKDTree

from rom.errors import BadInput, NotConverged
from rom.gp.dense_bound import NUGGET, fit_dense
from rom.gp.kernels import Stationary
from rom.gp.noises import EXPECTED, NODES, NOISES, SHARES, expected_density
from rom.gp.sparse_factor import BATCH, conditional_weights, ordered_factor
from rom.gp.sparse_posterior import (
    LEAST,
    SparsePosterior,
    incomplete,
    nearest_neighbours,
    predict_from_neighbours,
    triangle,
)
from rom.parameters import Box

JUDGES = 4096


@dataclass(frozen=True, eq=False)
class VariationalGP:
    """q(f) = N(m, (V V^T)^{-1}) at x (n, p) scaled by box and ordered as V is; y ~ p(. | f) of the belief's noise.

    elbo : evidence lower bound; elbo_error : its standard error where it was estimated from few points, otherwise 0
    """

    box: Box
    x: np.ndarray
    kernel: Stationary
    variance: float
    belief: SparsePosterior
    elbo: float
    elbo_error: float

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.x / self.kernel.lengths)

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of f at x (q, p): the prior given the nearest f, integrated over q."""
        z = self.box.to_unit(np.atleast_2d(np.asarray(x, dtype=float)))
        if z.shape[1] != self.x.shape[1] or not np.isfinite(z).all():
            raise BadInput(
                f"x has shape {np.shape(x)}; the model needs finite (q, {self.x.shape[1]})"
            )
        mean, square = predict_from_neighbours(
            self.belief, self.kernel, self.variance, NUGGET, self._tree, z
        )
        return mean, np.sqrt(square)

    def mean_response(self, x: np.ndarray) -> np.ndarray:
        """E y at x (q, p): the rate of counts, the probability of a one."""
        mean, std = self.predict(x)
        return EXPECTED[self.belief.noise](mean[:, None] + std[:, None] * NODES) @ SHARES


def variational_gp(
    x: np.ndarray,
    y: np.ndarray,
    noise: str,
    kernel: str = "matern32",
    neighbours: int = 30,
    most: int = 300,
    steps: int = 2,
    rng: int | np.random.Generator = 0,
) -> VariationalGP:
    """The posterior of f given y (n,) at x (n, p); noise: "student" (outliers), "poisson" (counts), "bernoulli" (yes or no), "gaussian".

    Lengths, variance, mean and the noise's scale maximise the exact bound of `most` random points; the posterior is that of all points,
    after `steps` of Newton's method on its bound, each of which costs a sparse solve per point (two minutes for 100,000); with steps=0
    the bound is estimated from a few thousand points. Raises BadInput for wrong shapes, NaN, counts or classes that are none.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if noise not in NOISES:
        raise BadInput(f"no noise {noise!r}; known: {', '.join(NOISES)}")
    if (
        x.ndim != 2
        or len(x) < 3
        or y.shape != (len(x),)
        or not np.isfinite(x).all()
        or not np.isfinite(y).all()
    ):
        raise BadInput(
            f"inputs {x.shape} and outputs {y.shape}; give finite x (n, p) and y (n,), three or more"
        )
    if noise == "poisson" and ((y < 0).any() or (y != np.rint(y)).any()):
        raise BadInput(
            "poisson noise needs counts 0, 1, 2, ...; use student or gaussian for other values"
        )
    if noise == "bernoulli" and not np.isin(y, (0.0, 1.0)).all():
        raise BadInput("bernoulli noise needs y in {0, 1}")
    names = tuple(f"x{j}" for j in range(x.shape[1]))
    box = Box(
        names, x.min(axis=0), np.where(np.ptp(x, axis=0) > 0, x.max(axis=0), x.min(axis=0) + 1)
    )
    gen, unit = np.random.default_rng(rng), box.to_unit(x)
    some = gen.permutation(len(x))[:most]
    found, variance, mean, scale = fit_dense(
        Stationary(kernel, np.ones(x.shape[1])), noise, unit[some], y[some]
    )
    order, belief = variational_posterior(found, variance, mean, noise, scale, unit, y, neighbours)
    if steps:
        belief, elbo = belief.ascend(steps, cKDTree(unit[order] / found.lengths).indices)
        return VariationalGP(box, unit[order], found, variance, belief, elbo, 0.0)
    terms = belief.elbo_terms(gen.choice(len(x), min(JUDGES, len(x)), replace=False))
    error = len(x) * float(terms.std()) / np.sqrt(len(terms)) * (len(terms) < len(x))
    return VariationalGP(
        box, unit[order], found, variance, belief, len(x) * float(terms.mean()), error
    )


def variational_posterior(
    kernel: Stationary,
    variance: float,
    mean: float,
    noise: str,
    scale: float,
    x: np.ndarray,
    y: np.ndarray,
    neighbours: int,
) -> tuple[np.ndarray, SparsePosterior]:
    """(order, belief in that order): the local fixed point of the bound for lam and m, then V by an incomplete factor.

    Means by conjugate gradients whitened by U, marginal variances from the nearest points, lam kept positive.
    """
    order, near, U = ordered_factor(kernel, NUGGET, x, neighbours)
    x, y, U = x[order], y[order], U / np.sqrt(variance)
    solver = triangle(near, U)
    close = nearest_neighbours(cKDTree(x / kernel.lengths), x / kernel.lengths, neighbours)

    def centred(lam: np.ndarray, target: np.ndarray) -> np.ndarray:
        """(U U^T + diag lam)^{-1} lam (target - mean) + mean."""
        A = spla.LinearOperator(
            (len(x), len(x)),
            matvec=lambda w: w + solver.solve(lam * solver.solve(w, "T")),
            dtype=float,
        )
        w, info = spla.cg(A, solver.solve(lam * (target - mean)), rtol=1e-9, maxiter=2000)
        if info:
            raise NotConverged(
                "the posterior mean needs more than 2000 iterations; give fewer neighbours or longer lengths"
            )
        return mean + solver.solve(w, "T")

    m, v, lam, before, damp = (
        np.full(len(y), mean),
        np.full(len(y), variance),
        np.zeros(len(y)),
        np.inf,
        1.0,
    )
    for _ in range(200):
        _, slope, bend = expected_density(noise, scale, y, m, v)
        target = np.maximum(bend, LEAST)
        lam = target if not lam.any() else lam ** (1 - damp) * target**damp
        goal, v_ = centred(lam, m + slope / lam), local_weights(kernel, variance, lam, x, x, close)
        change = max(np.abs(goal - m).max(), np.abs(np.sqrt(v_) - np.sqrt(v)).max()) / np.sqrt(
            variance
        )
        damp = max(0.1, 0.5 * damp) if change > before else min(1.0, 1.2 * damp)
        m, v, before = m + damp * (goal - m), v_, change
        if change < 1e-6:
            return order, SparsePosterior(
                near, U, incomplete(near, U, lam), m, mean, noise, scale, y
            )
    raise NotConverged(
        f"the bound still moves f by {change:.1e} standard deviations after 200 steps; look for outliers, or rescale y"
    )


def local_weights(
    kernel: Stationary,
    variance: float,
    lam: np.ndarray,
    x: np.ndarray,
    z: np.ndarray,
    near: np.ndarray,
) -> np.ndarray:
    """Posterior variance of f at z given pseudo-data of precision lam at the nearest points, (q,)."""
    left = np.empty(len(z))
    for rows in (slice(s, s + BATCH) for s in range(0, len(z), BATCH)):
        noise = NUGGET + 1.0 / (variance * lam[near[rows]])
        left[rows] = conditional_weights(kernel, noise, z[rows], x[near[rows]])[1] - NUGGET
    return variance * np.maximum(left, 1e-12)
