"""A small solid with a reduced model, for the rows of the gate that need one."""

from __future__ import annotations

from functools import cache

import numpy as np

from cases.viscoplastic_cube import HOT, cube, hot_spot, two_cycles
from rom.solids import Tolerances, train_solid, weighted_model
from solvers.solid import march


@cache
def parts():
    """(body, loading, history, model, arguments of a weighted model)."""
    body = cube(2, HOT)
    loading = two_cycles(body, hot_spot(body, np.random.default_rng([1, 0])))
    history = march(body, loading, loading.t[:7])
    tol = Tolerances(u=1e-3, p=1e-3, stress=1e-3, cubature=1e-3)
    return body, loading, history, train_solid(body, [history], tol)


def weighted(strain, points, weights):
    """The weights of a model built from strain modes, points and weights."""
    body, _, _, model = parts()
    return weighted_model(model.basis, strain, body, points, weights).weights
