"""Kernel and noise of few points by the largest evidence lower bound."""

from __future__ import annotations

import numpy as np

from rom.errors import NotConverged, Singular
from rom.gp.dense_bound import Prior, negative_elbo
from rom.gp.descent import descend, start_descent
from rom.gp.kernels import Stationary
from rom.gp.noises import UNITLESS, Observations

NOT_DEFINITE = 1e100  # the objective where the bound has no maximum
PRIOR_WIDTH = 3.0  # standard deviation of a logarithm under its prior
MEAN_WIDTH = 5.0  # the same of the mean, in sizes of y
QUARTILES_PER_DEVIATION = 1.35  # distance of the quartiles of N(0, 1)


def fit_dense(kernel: Stationary, x: np.ndarray, y: np.ndarray, noise: str) -> tuple[Prior, float]:
    """(prior, scale of the noise) of the largest bound at x (n, p), y (n,).

    Logarithms and mean have wide normal priors around the kernel's own and the size of y.
    Raises NotConverged where the bound has no maximum at the start.
    """
    p = len(kernel.theta)
    size = _size(noise, y)
    log_variance = 2 * np.log(size)
    log_scale = np.log(0.3 * size)
    centre = np.append(kernel.theta - 1.0, [log_variance, _level(noise, y), log_scale])
    width = np.full(len(centre), PRIOR_WIDTH)
    width[p + 1] = MEAN_WIDTH * size

    def objective(free: np.ndarray) -> tuple[float, np.ndarray]:
        """-ELBO - log prior, and its gradient."""
        prior, scale = _split(kernel, free)
        try:
            value, slope = negative_elbo(prior, x, Observations(y, noise, scale))
        except (NotConverged, Singular):
            return NOT_DEFINITE, np.zeros_like(free)
        away = (free - centre) / width
        return value + 0.5 * float(away @ away), slope + away / width

    limits = np.stack([centre - 4 * width, centre + 4 * width], axis=1)
    limits[:p] = kernel.limits
    start = start_descent(objective, centre, limits)
    end = descend(objective, start, limits, tol=1e-3, max_steps=40)
    if not end.value < 0.1 * NOT_DEFINITE:
        raise NotConverged(
            "the search for the kernel did not start: the bound has no maximum there; "
            "rescale y, or name another noise"
        )
    return _split(kernel, end.x)


def _split(kernel: Stationary, free: np.ndarray) -> tuple[Prior, float]:
    """Prior and scale of (log lengths, log variance, mean, log scale)."""
    *theta, log_variance, mean, log_scale = free
    variance = float(np.exp(log_variance))
    prior = Prior(kernel.at(np.array(theta)), variance, float(mean))
    return prior, float(np.exp(log_scale))


def _level(noise: str, y: np.ndarray) -> float:
    """A first guess of the mean of f."""
    if noise == "poisson":
        return float(np.log(y.mean() + 0.1))
    return 0.0 if noise in UNITLESS else float(np.median(y))


def _size(noise: str, y: np.ndarray) -> float:
    """A robust guess of the standard deviation of f."""
    if noise in UNITLESS:
        return 1.0
    low, high = np.percentile(y, [25, 75])
    return (float(high - low) or 1.0) / QUARTILES_PER_DEVIATION
