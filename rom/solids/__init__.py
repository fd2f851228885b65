"""Hyper-reduced solids: the law is asked at few points, and errors are watched.

    sum_i w_i sigma(eps(x_i), y_i):eps_k(x_i) = V_k.f(t),  eps = sum_j a_j eps_j + eps(u_D)

Bases of u, p and stress by POD, points and weights by empirical cubature, fields on the whole
mesh by gappy POD. Residuals that cost nothing of the size of the mesh estimate the errors;
where an estimate passes its tolerance, one full step is taken and the model learns from it.

Notation: sigma stress and eps strain (Mandel), y internal state, p cumulated plastic strain,
w weights, eps_k strain of mode k, u_D prescribed displacements, g points of integration.

>>> from cases.viscoplastic_cube import cube, ten_steps
>>> from rom.solids import Tolerances, follow, train_solid
>>> from solvers.solid import march
>>> body = cube(2)
>>> loading = ten_steps(body)
>>> history = march(body, loading, loading.t)
>>> model = train_solid(body, [history], Tolerances(u=1e-5, p=1e-5, cubature=1e-5))
>>> run = follow(model, body, loading)
>>> answer = model.predict(loading=loading)  # the same from the model alone
>>> bool(abs(answer.part("u").lift(0, -1) - run.states[-1].u()).max() < 1e-12)
True
>>> error = body.space.norm(run.states[-1].u() - history.u[:, -1])
>>> bool(error < 1e-3 * body.space.norm(history.u[:, -1]))
True

Reference: Casenave and Akkari (2019).
"""

from rom.solids.body import Law, Solid
from rom.solids.calibration import (
    calibrate_solid,
    follow_with_and_without,
    step_errors,
    with_indicators,
)
from rom.solids.local_gain import expected_solid_gains
from rom.solids.local_training import Budget, local_solids
from rom.solids.model import RunState, SolidModel, Tolerances
from rom.solids.runs import FollowedRun, RunStep, Watch, continue_run, follow
from rom.solids.switching import LocalWeighted, follow_switching
from rom.solids.training import train_solid
from rom.solids.weighted import WeightedModel, reduced_march, weighted_model

NOUNS = ("LocalWeighted", "RunState", "RunStep", "SolidModel", "Tolerances", "WeightedModel")
__all__ = [
    "NOUNS",
    "Budget",
    "FollowedRun",
    "Law",
    "LocalWeighted",
    "RunState",
    "RunStep",
    "Solid",
    "SolidModel",
    "Tolerances",
    "Watch",
    "WeightedModel",
    "calibrate_solid",
    "continue_run",
    "expected_solid_gains",
    "follow",
    "follow_switching",
    "follow_with_and_without",
    "local_solids",
    "reduced_march",
    "step_errors",
    "train_solid",
    "weighted_model",
    "with_indicators",
]
