"""What is observed of a function: log p(y | f), its slope, and both under a Gaussian belief about f."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, gammaln

FREEDOM = 4.0
NODES, SHARES = np.polynomial.hermite_e.hermegauss(48)
SHARES = SHARES / SHARES.sum()


def gaussian(y: np.ndarray, f: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """log p and d log p / df of y ~ N(f, scale^2)."""
    r = (y - f) / scale
    return -0.5 * r**2 - np.log(scale) - 0.5 * np.log(2 * np.pi), r / scale


def student(y: np.ndarray, f: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The same of y ~ f + scale t, t of FREEDOM degrees: outliers hardly count."""
    r, v = (y - f) / scale, FREEDOM
    constant = gammaln((v + 1) / 2) - gammaln(v / 2) - 0.5 * np.log(np.pi * v) - np.log(scale)
    return constant - (v + 1) / 2 * np.log1p(r**2 / v), (v + 1) * r / (v + r**2) / scale


def poisson(y: np.ndarray, f: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The same of counts y with expectation e^f."""
    rate = np.exp(f)
    return y * f - rate - gammaln(y + 1), y - rate


def bernoulli(y: np.ndarray, f: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The same of y in {0, 1}, 1 with probability 1 / (1 + e^{-f})."""
    return y * f - np.logaddexp(0.0, f), y - expit(f)


NOISES = {"gaussian": gaussian, "student": student, "poisson": poisson, "bernoulli": bernoulli}
EXPECTED = {"gaussian": lambda f: f, "student": lambda f: f, "poisson": np.exp, "bernoulli": expit}


def expected_density(
    noise: str, scale: float, y: np.ndarray, m: np.ndarray, v: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(e, de/dm, -2 de/dv) of e = E log p(y | f), f ~ N(m, v), by Gauss-Hermite quadrature: derivatives of the quadrature itself."""
    root = np.sqrt(v)[:, None]
    value, slope = NOISES[noise](y[:, None], m[:, None] + root * NODES, scale)
    return (
        value @ SHARES,
        slope @ SHARES,
        -(slope @ (NODES * SHARES)) / np.maximum(root[:, 0], 1e-150),
    )
