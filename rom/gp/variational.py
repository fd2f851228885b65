"""Gaussian processes of many points under noise that is not Gaussian.

Prior and posterior have sparse inverse Cholesky factors U and V (double Kullback-Leibler
approximation). V starts as the incomplete factor of U U^T + diag(lam), lam from a local
fixed point of the bound, and ascends the bound. What `rom.gp.dense_bound` does exactly for
few points is here done for many.
References: Opper, Archambeau (2009); Cao, Kang, Jimenez, Sang, Schaefer, Katzfuss (2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from rom.arrays import POINTS, VECTOR, gate
from rom.errors import BadInput
from rom.gp.dense_bound import NUGGET
from rom.gp.dense_fit import fit_dense
from rom.gp.kernels import Stationary
from rom.gp.noises import (
    NOISES,
    Observations,
    check_outputs,
    expected_response,
    response_deviations,
)
from rom.gp.outputs import answer_with_outputs, dimensionless, scalar_output, within_range
from rom.gp.point_cloud import are_finite_points, box_of_points, scale_queries
from rom.gp.sparse_ascent import ascend_bound
from rom.gp.sparse_posterior import SparsePosterior, predict_from_neighbours
from rom.gp.sparse_start import variational_posterior
from rom.model import Asks, Model, Question
from rom.parameters import Box
from rom.prediction import Known, Prediction, Quantity

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

ELBO_POINTS = 4096  # on which the bound is estimated
MIN_POINTS = 3
MEAN_RESPONSE = "mean response"


@dataclass(frozen=True, eq=False)
class VariationalGP(Model):
    """q(f) = N(m, (V V^T)^{-1}) at x (n, p), scaled by box and ordered as V is.

    belief : q, with the noise under which y ~ p(. | f) was observed
    elbo : evidence lower bound; elbo_error : its standard error where it was estimated
    from few points, otherwise 0
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
        from scipy.spatial import cKDTree

        return cKDTree(self.x / self.kernel.lengths)

    @property
    def known(self) -> Known:
        """Of the error: the standard deviation."""
        return Known.STATISTICAL

    @property
    def asks(self) -> Asks:
        """A point (p,); beyond the training range an answer says so."""
        return Asks(self.box.p)

    @property
    def tells_outputs(self) -> tuple[Quantity, ...]:
        """y and its mean response."""
        return dimensionless(("y", MEAN_RESPONSE))

    def answer(self, question: Question) -> Prediction:
        """E y twice: as new data, noise included, and as the mean response to the noise.

        Their deviations are those of y and of E(y | f).
        """
        mean, std = self.posterior(question.mu)
        response = expected_response(self.belief.noise, mean, std)
        of_response, of_y = response_deviations(self.belief.noise, self.belief.scale, mean, std)
        outputs = {
            "y": scalar_output(response, of_y),
            MEAN_RESPONSE: scalar_output(response, of_response),
        }
        inside = within_range(self.box.to_unit(question.mu), self.x)
        return answer_with_outputs(question, outputs, inside)

    def posterior(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation (q,) of f at x (q, p).

        The prior given the nearest f, integrated over q(f). Raises BadInput.
        """
        z = scale_queries(self.box, x)
        mean, square = predict_from_neighbours(
            self.belief,
            z,
            self._tree,
            kernel=self.kernel,
            variance=self.variance,
            jitter=NUGGET,
        )
        return mean, np.sqrt(square)

    def mean_response(self, x: np.ndarray) -> np.ndarray:
        """E y (q,) at x (q, p): the rate of counts, the probability of a one."""
        mean, std = self.posterior(x)
        return expected_response(self.belief.noise, mean, std)


@gate(x=POINTS, y=VECTOR)
def variational_gp(
    x: np.ndarray,
    y: np.ndarray,
    noise: str,
    *,
    kernel: str = "matern32",
    neighbours: int = 30,
    max_fit_points: int = 300,
    steps: int = 2,
    rng: int | np.random.Generator = 0,
) -> VariationalGP:
    """The posterior of f given y (n,) at x (n, p) under a named noise.

    noise : "student" (outliers), "poisson" (counts), "bernoulli" (yes or no) or "gaussian"
    max_fit_points : lengths, variance, mean and the scale of the noise maximise the exact
    bound of so many random points; the posterior is that of all points
    steps : of Newton's method on the bound, each of which costs a sparse solve per point (two
    minutes for 100,000); with 0 the bound is estimated from a few thousand points
    Raises BadInput for wrong shapes, NaN, an unknown noise, counts or classes that are none.
    """
    _check_points(x, y, noise)
    box = box_of_points(x)
    unit = box.to_unit(x)
    gen = np.random.default_rng(rng)
    sample = gen.permutation(len(x))[:max_fit_points]
    start = Stationary(kernel, np.ones(x.shape[1]))
    prior, scale = fit_dense(start, unit[sample], y[sample], noise)
    data = Observations(y, noise, scale)
    order, posterior = variational_posterior(prior, unit, data, neighbours)
    if steps:
        from scipy.spatial import cKDTree

        walk = cKDTree(unit[order] / prior.kernel.lengths).indices
        posterior, elbo = ascend_bound(posterior, steps, walk)
        error = 0.0
    else:
        elbo, error = _estimate_elbo(posterior, gen)
    return VariationalGP(box, unit[order], prior.kernel, prior.variance, posterior, elbo, error)


def _check_points(x: np.ndarray, y: np.ndarray, noise: str) -> None:
    if noise not in NOISES:
        raise BadInput(f"no noise {noise!r}; known: {', '.join(NOISES)}")
    if not are_finite_points(x, y) or len(x) < MIN_POINTS:
        raise BadInput(
            f"inputs {x.shape} and outputs {y.shape}; "
            "give finite x (n, p) and y (n,), three or more"
        )
    check_outputs(noise, y)


def _estimate_elbo(posterior: SparsePosterior, gen: np.random.Generator) -> tuple[float, float]:
    """(ELBO, its standard error) from ELBO_POINTS random points; exact where all are."""
    n = len(posterior.m)
    points = gen.choice(n, min(ELBO_POINTS, n), replace=False)
    terms = posterior.elbo_terms(points)
    elbo = n * float(terms.mean())
    if len(terms) == n:
        return elbo, 0.0
    error = n * float(terms.std())
    return elbo, error / float(np.sqrt(len(terms)))
