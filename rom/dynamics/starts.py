"""Fields at the first time, from which a law of dynamics starts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rom.affine import theta_rows
from rom.basis import Basis
from rom.dynamics.forms import Polynomial
from rom.dynamics.runs import Runs
from rom.errors import BadInput
from rom.model import Question
from rom.prediction import Quantity, Warned, rows_by_field, state_quantities
from rom.space import Space

ROUND_OFF = 1e-8  # relative: starts that differ by less are one
FAR = 3.0  # times the projection error of training: a start beyond it is warned of


def start_quantities(space: Space, *, optional: bool) -> tuple[Quantity, ...]:
    """The fields of a state at the first time, as what a model asks."""
    return tuple(replace(quantity, optional=optional) for quantity in state_quantities(space))


def start_states(question: Question, space: Space) -> np.ndarray | None:
    """The states (n, m) that a question starts from, None where it names none.

    Raises BadInput for some fields without the others, and for other lengths.
    """
    if not question.fields:
        return None
    states = np.zeros((space.n, question.m))
    for quantity, rows in rows_by_field(space):
        if quantity.name not in question.fields:
            raise BadInput(f"the start has no field {quantity.name!r}; give all of them, or none")
        values = question.fields[quantity.name]
        columns = values.reshape(-1, values.shape[-1])
        size = len(states[rows])
        if len(columns) != size:
            raise BadInput(
                f"the start of {quantity.name!r} has {len(columns)} values, the field {size}; "
                "give it on the nodes of the training"
            )
        states[rows] = columns
    return states


def check_starts(basis: Basis, states: np.ndarray) -> tuple[Warned, ...]:
    """A warning that names the starts which the modes do not hold.

    They miss more of them than FAR times what they miss of the training.
    """
    space, rest = basis.space, states - basis.lift(basis.coefficients(states))
    missed = space.norm(rest) / np.maximum(space.norm(states), np.finfo(float).tiny)
    limit = FAR * (basis.error if np.isfinite(basis.error) else 0.0) + 1e-8
    far = np.flatnonzero(missed > limit)
    if not far.size:
        return ()
    text = (
        f"the modes miss {missed.max():.2g} of the start, and {basis.error:.2g} of the training: "
        "the answer starts from what they hold of it"
    )
    return (Warned("start", text, tuple(int(k) for k in far)),)


def fit_start(form: Polynomial, runs: Runs, basis: Basis) -> np.ndarray | None:
    """start (Q, r) of a(t_0) = sum_q theta_q(mu) start_q, or None.

    None where that misses more of the first states than the modes miss of the runs.
    """
    theta, first = theta_rows(form.theta, runs.mu), runs.a[:, :, 0]
    start = np.linalg.lstsq(theta, first, rcond=None)[0]
    size = float(np.sqrt(np.mean(np.sum(runs.a**2, axis=1))))
    missed = float(np.linalg.norm(theta @ start - first, axis=1).max())
    limit = max(basis.error if np.isfinite(basis.error) else 0.0, ROUND_OFF) * size
    free = len(runs.mu) > theta.shape[1] or len(runs.mu) == 1
    return start if free and missed <= limit else None
