"""Models of dynamics: a few modes with a law of their own, learnt from snapshots.

    u(x, t) ~ sum_j W_j(x) b_j exp(alpha_j (t - t_0)),  alpha_j complex rates [1/s]

Optimised dynamic mode decomposition fits rates and amplitudes to all times at once, by variable
projection; its covariance is in closed form, and so is the deviation of a forecast. The model
answers after the last trained time, with deviations that grow.

    a' = sum_q theta_q(mu) O_q phi(a), u = offset + V a, phi all monomials of some degrees

Polynomial laws are projected from the solver's rate (`project_rate`), which is only called, or
inferred from runs (`operator_inference`), anchored to the former where there is a rate.

    z_{k+1} = O phi(z_k), z the scaled coefficients, phi all monomials up to a degree

Maps from sample to sample (`edmd`), lifted anew at each step, with the spectrum of the whole map
and what each of its eigenvalues misses.

    M a' + A(mu) a + N_r(a; mu) = f(mu), N_r = B N(V a; mu)_I at few rows I

The model of one's own nonlinear equation (`nonlinear_model`): Galerkin's method with DEIM or an
empirical cubature, from rows of the term and their slopes (`Stencil`, `rom.problem.Residual`).

Notation: alpha rates (k,), W modes (n, k), b amplitudes, y = V^H X u coefficients (r, n_t), a the
same of a polynomial law, O (Q, r, d) its operators.

>>> import numpy as np
>>> from rom.compress import pod
>>> from rom.dynamics import dmd
>>> from rom.snapshots import Snapshots
>>> from rom.space import euclidean
>>> x, t = np.linspace(0.0, 1.0, 40), np.linspace(0.0, 4.0, 41)
>>> u = np.exp(-0.1 * t) * np.cos(3.0 * t - 5.0 * x[:, None])
>>> runs = Snapshots(euclidean(40), np.zeros((41, 0)), u, t)
>>> flow = dmd(runs, pod(runs, rank=2)[0])
>>> np.round(flow.rates, 6).tolist()
[(-0.1+3j), (-0.1-3j)]
>>> later = flow.predict((), t=[8.0]).field("u")[:, 0]
>>> bool(np.abs(later - np.exp(-0.8) * np.cos(24.0 - 5.0 * x)).max() < 1e-9)
True

Reference: Askham and Kutz, Variable projection methods for an optimized dynamic mode
decomposition (2018).
"""

from rom.dynamics.estimates import calibrate_estimate
from rom.dynamics.few_rows import nonlinear_model
from rom.dynamics.flow_bands import calibrate_flow
from rom.dynamics.flows import LinearFlow
from rom.dynamics.forced import ForcedFlow, dmdc
from rom.dynamics.forms import Polynomial, parameter_powers
from rom.dynamics.inference import operator_inference
from rom.dynamics.lifted import LiftedMap, Spectrum
from rom.dynamics.lifting import edmd
from rom.dynamics.linear import dmd
from rom.dynamics.nonlinear import NonlinearModel, ReducedTerm, ResidualRows
from rom.dynamics.operators import exact, forward_backward, total
from rom.dynamics.polynomial import PolynomialFlow
from rom.dynamics.rates import project_rate
from rom.dynamics.spectral import SpectralModes, spod
from rom.dynamics.stencils import Stencil, evaluate_term

NOUNS = (
    "ForcedFlow", "LiftedMap", "LinearFlow", "NonlinearModel", "Polynomial", "PolynomialFlow",
    "ReducedTerm", "ResidualRows", "SpectralModes", "Spectrum", "Stencil",
)  # fmt: skip
__all__ = [
    "NOUNS", "ForcedFlow", "LiftedMap", "LinearFlow", "NonlinearModel", "Polynomial",
    "PolynomialFlow", "ReducedTerm", "ResidualRows", "SpectralModes", "Spectrum", "Stencil",
    "calibrate_estimate", "calibrate_flow", "dmd", "dmdc", "edmd", "evaluate_term", "exact",
    "forward_backward", "nonlinear_model", "operator_inference", "parameter_powers",
    "project_rate", "spod", "total",
]  # fmt: skip
