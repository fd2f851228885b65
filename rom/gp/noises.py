"""Noise models: log p(y | f), its slope in f, and their means under a Gaussian f.

Each model is a function (y, f, scale) -> (log p, d log p / df), elementwise.
Means over f ~ N(m, v) are Gauss-Hermite sums of QUADRATURE_POINTS terms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from rom.errors import BadInput

FREEDOM = 4.0  # degrees of freedom of Student's noise
QUADRATURE_POINTS = 48
MIN_DEVIATION = 1e-150  # of f, where a slope is divided by it
NODES, _RAW_SHARES = np.polynomial.hermite_e.hermegauss(QUADRATURE_POINTS)
SHARES = _RAW_SHARES / _RAW_SHARES.sum()

Density = Callable[[np.ndarray, np.ndarray, float], tuple[np.ndarray, np.ndarray]]
Response = Callable[[np.ndarray], np.ndarray]
Variance = Callable[[np.ndarray, float], np.ndarray]


def gaussian(y: np.ndarray, f: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """log p and d log p / df of y ~ N(f, scale^2)."""
    r = (y - f) / scale
    half_log_2pi = 0.5 * np.log(2 * np.pi)
    log_density = -0.5 * r**2 - np.log(scale) - half_log_2pi
    return log_density, r / scale


def student(y: np.ndarray, f: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The same of y = f + scale t, t of FREEDOM degrees: outliers hardly count."""
    from scipy.special import gammaln

    v = FREEDOM
    r = (y - f) / scale
    gammas = gammaln((v + 1) / 2) - gammaln(v / 2)
    constant = gammas - 0.5 * np.log(np.pi * v) - np.log(scale)
    log_density = constant - (v + 1) / 2 * np.log1p(r**2 / v)
    slope = (v + 1) * r / (v + r**2) / scale
    return log_density, slope


def poisson(y: np.ndarray, f: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The same of counts y with expectation e^f; the scale is not used."""
    from scipy.special import gammaln

    rate = np.exp(f)
    log_density = y * f - rate - gammaln(y + 1)
    return log_density, y - rate


def bernoulli(y: np.ndarray, f: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The same of y in {0, 1}, 1 with probability 1 / (1 + e^{-f}); no scale."""
    log_density = y * f - np.logaddexp(0.0, f)
    return log_density, y - _logistic(f)


def _logistic(f: np.ndarray) -> np.ndarray:
    """1 / (1 + e^{-f})."""
    from scipy.special import expit

    return np.asarray(expit(f))


def _identity(f: np.ndarray) -> np.ndarray:
    return f


NOISES: dict[str, Density] = {
    "gaussian": gaussian,
    "student": student,
    "poisson": poisson,
    "bernoulli": bernoulli,
}
# noise -> E(y | f)
RESPONSES: dict[str, Response] = {
    "gaussian": _identity,
    "student": _identity,
    "poisson": np.exp,
    "bernoulli": _logistic,
}
# (f, scale) -> variance of y given f
VARIANCES: dict[str, Variance] = {
    "gaussian": lambda f, scale: np.full_like(f, scale**2),
    "student": lambda f, scale: np.full_like(f, scale**2 * FREEDOM / (FREEDOM - 2)),
    "poisson": lambda f, scale: np.exp(f),
    "bernoulli": lambda f, scale: _logistic(f) * _logistic(-f),
}
# noises whose f is a logarithm or a log odds, so that y has no unit and no scale
UNITLESS = ("poisson", "bernoulli")


@dataclass(frozen=True, eq=False)
class Observations:
    """y (n,) ~ p(. | f), independent, under a named noise and its scale."""

    y: np.ndarray
    noise: str
    scale: float

    def rows(self, index: np.ndarray) -> Observations:
        """The observations of some points."""
        return replace(self, y=self.y[index])


def check_outputs(noise: str, y: np.ndarray) -> None:
    """Raises BadInput for counts that are none, and for classes not in {0, 1}."""
    if noise == "poisson" and ((y < 0).any() or (y != np.rint(y)).any()):
        raise BadInput(
            "poisson noise needs counts 0, 1, 2, ...; use student or gaussian for other values"
        )
    if noise == "bernoulli" and not np.isin(y, (0.0, 1.0)).all():
        raise BadInput("bernoulli noise needs y in {0, 1}")


def expected_density(
    data: Observations, m: np.ndarray, v: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(e, de/dm, -2 de/dv) of e = E log p(y | f), f ~ N(m, v); each (n,).

    The derivatives are those of the quadrature itself. -2 de/dv is the precision
    that each observation adds.
    """
    deviation = np.sqrt(v)
    f = m[:, None] + deviation[:, None] * NODES
    log_density, slope = NOISES[data.noise](data.y[:, None], f, data.scale)
    weighted_slope = slope @ (NODES * SHARES)
    precision = -weighted_slope / np.maximum(deviation, MIN_DEVIATION)
    return log_density @ SHARES, slope @ SHARES, precision


def expected_response(noise: str, m: np.ndarray, std: np.ndarray) -> np.ndarray:
    """E y (n,) for f ~ N(m, std^2)."""
    f = m[:, None] + std[:, None] * NODES
    return np.asarray(RESPONSES[noise](f) @ SHARES)


def response_deviations(
    noise: str, scale: float, m: np.ndarray, std: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviations (n,) of E(y | f), and of y, for f ~ N(m, std^2)."""
    f = m[:, None] + std[:, None] * NODES
    response = RESPONSES[noise](f)
    around = response - (response @ SHARES)[:, None]
    of_response = around**2 @ SHARES
    of_noise = VARIANCES[noise](f, scale) @ SHARES
    return np.sqrt(of_response), np.sqrt(of_response + of_noise)
