"""From coefficients on the reference back to a mesh: mean and standard deviation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.basis import Basis
from rom.gp.averages import ProcessAverage
from rom.gp.coefficients import CoefficientGP
from rom.shapes.location import Locator

LEVEL = 0.9  # share of the errors that bands hold
NORMAL_90 = 1.6448536  # half width of 90 % of the normal distribution


@dataclass(frozen=True, eq=False)
class FieldModel:
    """u = b + |b| (offset + V a) o psi^{-1}, a(z) a Gaussian process, b the baseline.

    Without a baseline u = (offset + V a) o psi^{-1}.
    floor : variance at each node of what modes and transfers leave out (N c,)
    factor : what cross-validation makes of the standard deviation of each component (c,)
    error : relative L2 error in cross-validation; mean_error : that of the mean field
    unit : of u
    """

    name: str
    components: int
    basis: Basis
    gp: CoefficientGP | ProcessAverage | None
    floor: np.ndarray
    factor: np.ndarray
    error: float
    unit: str = "1"
    mean_error: float = np.nan

    @property
    def skill(self) -> float:
        """1 - (error / mean_error)^2, at most 0 where the mean field does as well."""
        return 1.0 - (self.error / self.mean_error) ** 2 if self.mean_error > 0 else np.nan

    @property
    def calibrated(self) -> bool:
        """Whether cross-validation gave the factor, so that 90 % bands hold 90 %."""
        return bool(np.any(self.factor != 1.0))


@dataclass(frozen=True, eq=False)
class BackTransfer:
    """From the reference back to one mesh through a mapping.

    matrix : (n, N) interpolates; moved : where the mapping puts the reference's nodes
    spread : (N, d, k) modes of the mapping times their standard deviations
    """

    matrix: Any
    moved: Locator
    spread: np.ndarray

    def lift(self, part: FieldModel, a: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation (n, c) on the mesh of one field.

        a, s : coefficients (r,) and their standard deviations (r,)
        Var u = factor^2 (V^2 s^2 + floor + sum_k (grad u . phi_k)^2 t_k^2), t_k the deviations of
        the mapping's coefficients.
        """
        v = part.basis.lift(a).reshape(-1, part.components)
        field_variance = part.basis.spread(s) ** 2 + part.floor
        variance = field_variance.reshape(v.shape)
        if self.spread.shape[2]:
            slope = self.moved.nodal_gradient(v)
            change = np.einsum("ncd,ndk->nck", slope, self.spread)
            variance = variance + np.sum(change**2, axis=2)
        mean = self.matrix @ v
        std = part.factor * np.sqrt(self.matrix @ variance)
        return mean, std


def predict_coefficients(
    gp: CoefficientGP | ProcessAverage | None, z: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of new runs, (q, r) each; r = 0 without a process."""
    if gp is None:
        return np.zeros((len(z), 0)), np.zeros((len(z), 0))
    mean, std = gp.posterior(z, noise=True)
    return mean, np.asarray(std)
