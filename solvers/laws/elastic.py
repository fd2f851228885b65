"""Thermoelasticity: sigma = kappa tr(eps - eps_th) I + 2 mu dev eps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.errors import BadInput
from solvers.mandel import DEV, ONE, SPHERE, check_coefficient, coefficient

Answer = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Elastic:
    """sigma = kappa tr(eps - eps_th) I + 2 mu dev eps, eps_th = alpha (T - T_ref) I.

    E, nu, alpha : numbers or tables in T; rho : density
    Raises BadInput for coefficients out of their range.
    """

    E: Any
    nu: Any
    alpha: Any = 0.0
    T_ref: float = 20.0
    rho: float = 0.0
    width: int = 1

    def __post_init__(self) -> None:
        check_coefficient("E", self.E, 1e-300)
        check_coefficient("nu", self.nu, -0.999)
        check_coefficient("alpha", self.alpha)
        if np.max(np.atleast_2d(np.asarray(self.nu, dtype=float))[-1]) >= 0.5:
            raise BadInput("nu must stay below 0.5")

    def moduli(self, T: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """kappa, mu and 3 alpha (T - T_ref), each (g,)."""
        E, nu = coefficient(self.E, T), coefficient(self.nu, T)
        swell = 3 * coefficient(self.alpha, T) * (T - self.T_ref)
        return E / (3 * (1 - 2 * nu)), E / (2 * (1 + nu)), swell

    def __call__(self, strain: np.ndarray, T: np.ndarray, state: np.ndarray, dt: float) -> Answer:
        """Stress (g, 6), tangent (g, 6, 6) and new state; see `solvers.laws`."""
        kappa, mu, swell = self.moduli(T)
        tangent = kappa[:, None, None] * SPHERE + 2 * mu[:, None, None] * DEV
        pressure = kappa * (strain[:, :3].sum(axis=1) - swell)
        return pressure[:, None] * ONE + 2 * mu[:, None] * (strain @ DEV), tangent, state
