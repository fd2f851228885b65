"""Gaussian processes of many points under Gaussian noise.

A sparse inverse Cholesky factor U for the process, another, V, for its posterior.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from rom.arrays import POINTS, VECTOR, gate
from rom.errors import BadInput
from rom.gp.kernels import Stationary
from rom.gp.outputs import answer_with_outputs, dimensionless, scalar_output, within_range
from rom.gp.point_cloud import are_finite_points, box_of_points, check_spread, scale_queries
from rom.gp.sharing import coefficient_gp
from rom.gp.sparse_factor import assemble_factor, ordered_factor
from rom.gp.sparse_posterior import SparsePosterior, predict_from_neighbours
from rom.gp.triangles import incomplete_cholesky, posterior_mean
from rom.model import Asks, Model, Question
from rom.parameters import Box
from rom.prediction import Known, Prediction, Quantity

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

JITTER = 1e-7
TINY = 1e-300
FIT_STARTS = 2


@dataclass(frozen=True, eq=False)
class VecchiaGP(Model):
    """y = mean + f + noise, f ~ GP(0, variance k); q(f) = N(m, (V V^T)^{-1}).

    q is of f at x (n, p). The noise variance is nugget variance; x is scaled by box.
    belief : of f at x, in units of the deviation of the process, in the order in which V is
    triangular
    """

    box: Box
    x: np.ndarray
    kernel: Stationary
    nugget: float
    mean: float
    variance: float
    belief: SparsePosterior

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
        """y."""
        return dimensionless(("y",))

    def answer(self, question: Question) -> Prediction:
        """Output y of new data, noise included, with its deviation."""
        mean, std = self.posterior(question.mu, noise=True)
        inside = within_range(self.box.to_unit(question.mu), self.x)
        return answer_with_outputs(question, {"y": scalar_output(mean, std)}, inside)

    def posterior(self, x: np.ndarray, *, noise: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation (q,) of mean + f at x (q, p).

        f there given its nearest f, integrated over q(f); noise=True : of new data.
        Raises BadInput.
        """
        z = scale_queries(self.box, x)
        mean, square = predict_from_neighbours(
            self.belief,
            z,
            self._tree,
            kernel=self.kernel,
            variance=1.0,
            jitter=_jitter(self.nugget),
        )
        deviation = np.sqrt(self.variance)
        std = np.sqrt(self.variance * (square + noise * self.nugget))
        return self.mean + deviation * mean, std


@gate(x=POINTS, y=VECTOR)
def vecchia_gp(
    x: np.ndarray,
    y: np.ndarray,
    *,
    kernel: str = "matern32",
    noise: float | None = None,
    neighbours: int = 30,
    max_fit_points: int = 1000,
    rng: int | np.random.Generator = 0,
) -> VecchiaGP:
    """The regression of y (n,) on x (n, p) for 20,000 to a million points.

    noise : noise variance over process variance if it is known
    max_fit_points : the lengths of the kernel and the nugget maximise the exact likelihood of
    so many random points; mean and variance that of all points under the sparse factor of
    their covariance. The posterior is that of f, whose neighbours screen it from farther
    points as noisy data would not.
    Raises BadInput for wrong shapes and NaN.
    References: Vecchia (1988); Schaefer, Katzfuss, Owhadi (2021).
    """
    if not are_finite_points(x, y):
        raise BadInput(f"inputs {x.shape} and outputs {y.shape}; give finite x (n, p) and y (n,)")
    check_spread(y, "y")
    box = box_of_points(x)
    unit = box.to_unit(x)
    sample = np.random.default_rng(rng).permutation(len(x))[:max_fit_points]
    dense = coefficient_gp(
        unit[sample], y[sample, None], kernel=kernel, noise=noise, rng=rng, starts=FIT_STARTS
    )
    fitted = dense.kernels[0]
    box_width = dense.box.upper - dense.box.lower
    scaled = Stationary(fitted.form, fitted.lengths * box_width)
    nugget = float(dense.nuggets[0])
    order, posterior, mean, variance = fit_posterior(scaled, nugget, unit, y, neighbours)
    return VecchiaGP(box, unit[order], scaled, nugget, mean, variance, posterior)


def fit_posterior(
    kernel: Stationary, nugget: float, x: np.ndarray, y: np.ndarray, neighbours: int
) -> tuple[np.ndarray, SparsePosterior, float, float]:
    """(order, q in that order, mean, variance) of observations y (n,) at x (n, p).

    y = mean + sqrt(variance) (f + noise); the noise variance is the nugget.
    With m(y) = (U U^T + I / nugget)^{-1} y / nugget,
    y^T (K + nugget I)^{-1} y = y^T U U^T m(y), without cancellation for small nuggets.
    A share of the noise steadies f.
    """
    jitter = _jitter(nugget)
    order, near, U = ordered_factor(kernel, jitter, x, neighbours)
    lam = np.full(len(x), 1.0 / (nugget - jitter))
    V = incomplete_cholesky(near, U, lam)
    y = y[order]
    ones = np.ones_like(y)
    m_of_y = posterior_mean(near, U, V, lam, y)
    m_of_ones = posterior_mean(near, U, V, lam, ones)
    upper = assemble_factor(near, U)
    white_ones, white_y = (upper.T @ np.column_stack([ones, y])).T
    white_m_ones, white_m = (upper.T @ np.column_stack([m_of_ones, m_of_y])).T
    mean = float(white_ones @ white_m / (white_ones @ white_m_ones))
    gap = white_y - mean * white_ones
    explained = white_m - mean * white_m_ones
    variance = float(gap @ explained) / len(y) + TINY
    scale = float(np.sqrt(variance))
    m = (m_of_y - mean * m_of_ones) / scale
    residual = (y - mean) / scale
    posterior = SparsePosterior(near, U, V, m, 0.0, "gaussian", lam[0] ** -0.5, residual)
    return order, posterior, mean, variance


def _jitter(nugget: float) -> float:
    """The share of the noise that is added to the covariance of f."""
    return min(JITTER, 0.1 * nugget)
