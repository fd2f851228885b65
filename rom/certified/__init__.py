"""Reduced models of affine problems, with bounds of their error.

    A(mu) u = f(mu),  u ~ V a,  V^H A V a = V^H f,  |u - V a|_X <= |f - A V a|_{X'} / alpha(mu)

`reduced_basis` chooses V by a greedy loop over the bound; `pod_greedy` does so in time.
`galerkin_model` and `unsteady_model` take a basis that exists. alpha comes from `MinTheta`, `scm`
or `inf_sup`. An operator that is no affine sum is separated first, by `eim_weights` and
`separate`, and checked by `certify`; of a host that stores no matrix, its products
suffice (`rom.host`). Outputs have bounds of their own (`reduced_outputs`,
`dual_weighted_output`), and `random_dual` estimates an error with a probability.

Notation: A operator, f load, mu parameters (m, p), a coefficients (m, r), V modes (n, r), X product
of the space, X' its dual norm, alpha coercivity (beta inf-sup) constant, theta coefficient
functions of an affine sum.

>>> import numpy as np
>>> from rom.affine import Affine, Monomials
>>> from rom.certified import MinTheta, reduced_basis
>>> from rom.parameters import Box
>>> from rom.problem import Problem
>>> from rom.space import Space
>>> A1, A2 = np.diag([1.0, 2.0, 3.0, 4.0]), np.diag([4.0, 1.0, 1.0, 1.0])
>>> A = Affine(Monomials(np.ones(2), np.eye(2)), [A1, A2])
>>> f = Affine(Monomials(np.ones(1), np.zeros((1, 2))), [np.ones(4)])
>>> space = Space(np.diag(A1 + A2), np.arange(4))
>>> box = Box(("k", "h"), [0.1, 0.1], [1.0, 1.0])
>>> def solve(mu):
...     return np.linalg.solve(A(mu), f(mu))
>>> stability = MinTheta(A.theta, np.ones(2))
>>> problem = Problem(solve, box, space=space, A=A, f=f, stability=stability)
>>> train = box.from_unit(np.random.default_rng(0).random((30, 2)))
>>> model, history = reduced_basis(problem, train, tol=1e-8)
>>> history[-1].stop
'tol reached'
>>> mu = np.array([0.5, 0.2])
>>> answer = model.predict(mu)
>>> error = space.norm(solve(mu) - model.basis.lift(answer.coefficients))
>>> bool(error <= answer.bound < 1e-8)
True

Reference: Rozza, Huynh, Patera (2008).
"""

from rom.certified.certificate import Certificate, certify
from rom.certified.enrichment import GreedyStep, greedy
from rom.certified.forms import (
    FullResidual,
    GramResidual,
    SampledResidual,
    bound_by,
    sampled_residual,
)
from rom.certified.infsup import Consistent, InterpolatedInfSup, consistent_bound, inf_sup
from rom.certified.models import dual_weighted_output, galerkin_model, unsteady_model
from rom.certified.output_bounds import Conjugate, DualWeighted, Outputs, reduced_outputs
from rom.certified.random_duals import RandomDual, random_dual, random_forms
from rom.certified.rational import rational_weights
from rom.certified.residual import ResidualBound, residual_bound
from rom.certified.second_order import (
    Expansion,
    Nested,
    frequency_response,
    response_operator,
)
from rom.certified.separation import eim_weights, kernel_entries, separate, two_stage_weights
from rom.certified.stability import MinTheta, SuccessiveConstraints, scm
from rom.certified.stationary import GalerkinModel, galerkin, truncate_model
from rom.certified.training import pod_greedy, recompress, reduced_basis
from rom.certified.trajectory_bounds import trajectory_bound
from rom.certified.transient import UnsteadyModel, unsteady

NOUNS = (
    "Certificate",
    "Conjugate",
    "Consistent",
    "DualWeighted",
    "Expansion",
    "FullResidual",
    "GalerkinModel",
    "GramResidual",
    "GreedyStep",
    "InterpolatedInfSup",
    "MinTheta",
    "Nested",
    "Outputs",
    "RandomDual",
    "ResidualBound",
    "SampledResidual",
    "SuccessiveConstraints",
    "UnsteadyModel",
)
__all__ = [
    "NOUNS",
    "Certificate",
    "Conjugate",
    "Consistent",
    "DualWeighted",
    "Expansion",
    "FullResidual",
    "GalerkinModel",
    "GramResidual",
    "GreedyStep",
    "InterpolatedInfSup",
    "MinTheta",
    "Nested",
    "Outputs",
    "RandomDual",
    "ResidualBound",
    "SampledResidual",
    "SuccessiveConstraints",
    "UnsteadyModel",
    "bound_by",
    "certify",
    "consistent_bound",
    "dual_weighted_output",
    "eim_weights",
    "frequency_response",
    "galerkin",
    "galerkin_model",
    "greedy",
    "inf_sup",
    "kernel_entries",
    "pod_greedy",
    "random_dual",
    "random_forms",
    "rational_weights",
    "recompress",
    "reduced_basis",
    "reduced_outputs",
    "residual_bound",
    "response_operator",
    "sampled_residual",
    "scm",
    "separate",
    "trajectory_bound",
    "truncate_model",
    "two_stage_weights",
    "unsteady",
    "unsteady_model",
]
