"""Gaussian processes of many points under Gaussian noise: a sparse inverse Cholesky factor for the function, another for what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from rom.errors import BadInput
from rom.gp.sharing import coefficient_gp
from rom.gp.kernels import Stationary
from rom.gp.sparse_factor import assemble_factor, ordered_factor
from rom.gp.sparse_posterior import (
    SparsePosterior,
    incomplete,
    predict_from_neighbours,
    settled_mean,
)
from rom.parameters import Box

JITTER = 1e-7
TINY = 1e-300


@dataclass(frozen=True, eq=False)
class VecchiaGP:
    """y = mean + f + noise, f ~ GP(0, variance k), noise variance = nugget variance; q(f) = N(m, (V V^T)^{-1}) at x (n, p), scaled by box.

    belief : of f at x, in units of the process's deviation, in the order in which V is triangular
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
        return cKDTree(self.x / self.kernel.lengths)

    def predict(self, x: np.ndarray, noise: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of mean + f at x (q, p), or of new data; f there given its nearest f, integrated over q."""
        z = self.box.to_unit(np.atleast_2d(np.asarray(x, dtype=float)))
        if z.shape[1] != self.x.shape[1] or not np.isfinite(z).all():
            raise BadInput(
                f"x has shape {np.shape(x)}; the model needs finite (q, {self.x.shape[1]})"
            )
        mean, square = predict_from_neighbours(
            self.belief, self.kernel, 1.0, _jitter(self.nugget), self._tree, z
        )
        return self.mean + np.sqrt(self.variance) * mean, np.sqrt(
            self.variance * (square + noise * self.nugget)
        )


def vecchia_gp(
    x: np.ndarray,
    y: np.ndarray,
    kernel: str = "matern32",
    noise: float | None = None,
    neighbours: int = 30,
    most: int = 1000,
    rng: int | np.random.Generator = 0,
) -> VecchiaGP:
    """The regression of y (n,) on x (n, p) for 20,000 to a million points.

    The kernel's lengths and the nugget maximise the exact likelihood of `most` random points; mean and variance that of all points
    under the sparse factor of their covariance. The posterior is that of f, whose neighbours screen it from farther points as noisy
    data would not. Raises BadInput for wrong shapes and NaN. References: Vecchia (1988); Schaefer, Katzfuss, Owhadi (2021).
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.ndim != 2 or y.shape != (len(x),) or not np.isfinite(x).all() or not np.isfinite(y).all():
        raise BadInput(f"inputs {x.shape} and outputs {y.shape}; give finite x (n, p) and y (n,)")
    some = np.random.default_rng(rng).permutation(len(x))[:most]
    names = tuple(f"x{j}" for j in range(x.shape[1]))
    box = Box(
        names, x.min(axis=0), np.where(np.ptp(x, axis=0) > 0, x.max(axis=0), x.min(axis=0) + 1)
    )
    dense = coefficient_gp(
        box.to_unit(x[some]), y[some, None], kernel=kernel, noise=noise, rng=rng, starts=2
    )
    found, inner = dense.kernels[0], dense.box
    scaled = Stationary(found.form, found.lengths * (inner.upper - inner.lower))
    unit, nugget = box.to_unit(x), float(dense.nuggets[0])
    order, belief, mean, variance = fit_posterior(scaled, nugget, unit, y, neighbours)
    return VecchiaGP(box, unit[order], scaled, nugget, mean, variance, belief)


def fit_posterior(
    kernel: Stationary, nugget: float, x: np.ndarray, y: np.ndarray, neighbours: int
) -> tuple[np.ndarray, SparsePosterior, float, float]:
    """(order, belief in that order, mean, variance) of y = mean + sqrt(variance) (f + noise), noise variance = nugget.

    With m(y) = (U U^T + I / nugget)^{-1} y / nugget: y^T (K + nugget I)^{-1} y = y^T U U^T m(y), without cancellation for small nuggets.
    A share of the noise steadies f.
    """
    jitter = _jitter(nugget)
    order, near, U = ordered_factor(kernel, jitter, x, neighbours)
    lam = np.full(len(x), 1.0 / (nugget - jitter))
    V, upper, y = incomplete(near, U, lam), assemble_factor(near, U), y[order]
    known = [settled_mean(near, U, V, lam, part) for part in (y, np.ones_like(y))]
    (h, Y), (m1, m) = (
        (upper.T @ np.column_stack([np.ones_like(y), y])).T,
        (upper.T @ np.column_stack(known[::-1])).T,
    )
    mean = float(h @ m / (h @ m1))
    variance = float((Y - mean * h) @ (m - mean * m1)) / len(y) + TINY
    scale, rest = float(np.sqrt(variance)), known[0] - mean * known[1]
    return (
        order,
        SparsePosterior(
            near, U, V, rest / scale, 0.0, "gaussian", lam[0] ** -0.5, (y - mean) / scale
        ),
        mean,
        variance,
    )


def _jitter(nugget: float) -> float:
    return min(JITTER, 0.1 * nugget)
