"""Gaussian processes: outputs and fields of parameters, and their deviation.

An output is y(x) = h(x) beta + f(x) + noise, f ~ GP(0, variance k(x, x'; theta)), with theta and
the noise of largest restricted likelihood. Given runs y at X,
    E[f(x)] = k(x, X) (K + nugget I)^{-1} (y - H beta).
Many outputs over few runs, or some thousands: `coefficient_gp`; fields: `field_gp`; whole
trajectories: `trajectory_gp`; values on grids: `kronecker_gp`;
20,000 to a million points: `vecchia_gp`; counts, yes or no, outliers: `variational_gp`; somebody's
own GPyTorch model: `gpytorch_model`; scikit-learn: `from rom.gp.estimator import GPRegressor`.

Notation: x (m, p) inputs, one row per run; a (m, r) outputs; k, K kernel and its matrix; theta its
free logarithms; H, beta trend and its coefficients; nugget = noise variance / variance.

>>> import numpy as np
>>> from rom.gp import coefficient_gp
>>> x = np.linspace(0.0, 1.0, 9)[:, None]
>>> gp = coefficient_gp(x, np.sin(6.0 * x), noise=0.0)
>>> mean, std = gp.posterior(np.array([[0.55], [0.95]]))
>>> error = np.abs(mean - np.sin(6.0 * np.array([[0.55], [0.95]])))
>>> bool(np.all(error < 0.02)), bool(np.all(error < 3.0 * std))
(True, True)
>>> residuals, deviations = gp.leave_one_out()
>>> residuals.shape
(9, 1)

Reference: Rasmussen, Williams (2006).
"""

from rom.gp.averages import ProcessAverage, process_average
from rom.gp.choice import fit_regressor
from rom.gp.coefficients import CoefficientGP
from rom.gp.composed import Product, Selected, Sum
from rom.gp.fields import FieldGP, field_gp
from rom.gp.gpytorch_models import GPyTorchModel, gpytorch_model
from rom.gp.interpolated import RunInterpolation, run_interpolation
from rom.gp.kernels import Stationary
from rom.gp.kronecker import KroneckerGP, kronecker_gp
from rom.gp.positive import PositiveFieldGP, log_snapshots, positive_field_gp
from rom.gp.sharing import coefficient_gp
from rom.gp.sparse_posterior import SparsePosterior
from rom.gp.spectral import Spectral, initial_lines, spectral_mixture
from rom.gp.trajectories import TrajectoryGP
from rom.gp.trajectory_fit import trajectory_gp
from rom.gp.variational import VariationalGP, variational_gp
from rom.gp.vecchia import VecchiaGP, vecchia_gp

NOUNS = (
    "CoefficientGP",
    "FieldGP",
    "KroneckerGP",
    "PositiveFieldGP",
    "ProcessAverage",
    "Product",
    "RunInterpolation",
    "Selected",
    "SparsePosterior",
    "Spectral",
    "Stationary",
    "Sum",
    "TrajectoryGP",
    "VariationalGP",
    "VecchiaGP",
)
__all__ = [
    "NOUNS",
    "CoefficientGP",
    "FieldGP",
    "GPyTorchModel",
    "KroneckerGP",
    "PositiveFieldGP",
    "ProcessAverage",
    "Product",
    "RunInterpolation",
    "Selected",
    "SparsePosterior",
    "Spectral",
    "Stationary",
    "Sum",
    "TrajectoryGP",
    "VariationalGP",
    "VecchiaGP",
    "coefficient_gp",
    "field_gp",
    "fit_regressor",
    "gpytorch_model",
    "initial_lines",
    "kronecker_gp",
    "log_snapshots",
    "positive_field_gp",
    "process_average",
    "run_interpolation",
    "spectral_mixture",
    "trajectory_gp",
    "variational_gp",
    "vecchia_gp",
]
