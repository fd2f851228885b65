"""The answer of a hyper-reduced solid to a loading, from its model alone.

Nothing of the body is asked: the model knows the spaces of its fields, its law at the chosen
points, and the strains of the prescribed displacements that it was trained with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from rom.errors import BadInput
from rom.history import State
from rom.loading import Loading
from rom.model import Question
from rom.prediction import Error, Known, Part, Prediction
from rom.solids.weighted import check_loading

if TYPE_CHECKING:
    from rom.solids.model import RunState, SolidModel

SPAN_TOL = 1e-9  # relative: what of prescribed displacements the model need not know
NORMS = {
    "u": "the norm of the space over its largest of the run",
    "p": "L2 over the body over its largest of the run",
    "stress": "L2 over the body over its largest of the run",
}


def answer_solid(model: SolidModel, question: Question) -> Prediction:
    """u, p and stress at the times after the first, by reduced steps alone.

    Raises BadInput for a loading that does not fit, NotConverged where a step fails.
    """
    loading = check_loading(question)
    states = _reduced_run(model, loading)
    parts = _parts(model, loading, states)
    return Prediction(question, parts, t=loading.t[1:], space=model.basis.space, mesh=model.mesh)


def start_alone(model: SolidModel, loading: Loading) -> RunState:
    """A virgin run at the first time of a loading, as `start_run`, without a body.

    Raises BadInput for a loading that does not fit the model, or needs strains that the model
    does not know.
    """
    from rom.solids.model import RunState

    n, g, width = model.basis.space.n, model.p.space.n, model.model.own.width
    loading = _check_loading_rows(loading, n, g)
    whole = State(np.zeros(n), np.zeros((g, 6)), np.zeros((g, width)))
    strain = None if loading.moves is None else _strain_of_moves(model, loading.moves)
    t = float(loading.t[0])
    rest = model.model.rest()
    now = replace(rest, u=model.basis.coefficients(whole.u - loading.prescribed(t)))
    reduced = loading.reduce(model.basis, model.model.points, model.p.space, strain)
    if len(model.tests) != n:
        raise BadInput("an enrichment left this model behind; ask the last model of the run")
    tested = model.basis.space.pair(model.tests, loading.forces)
    return RunState(model, loading, reduced, tested, now, whole, t)


def span_of_moves(loadings: Sequence[Loading] | None) -> np.ndarray | None:
    """Orthonormal columns (n, L) that span the prescribed displacements; None without."""
    moves = [loading.moves for loading in loadings or () if loading.moves is not None]
    if not moves:
        return None
    U, s, _ = np.linalg.svd(np.hstack(moves), full_matrices=False)
    return np.asarray(U[:, s > SPAN_TOL * s[0]])


def _check_loading_rows(loading: Loading, n: int, g: int) -> Loading:
    """Raises BadInput naming the fields of a loading that do not fit the model."""
    if not loading.forces.shape[1]:
        loading = replace(loading, forces=np.zeros((n, 0)))
    needs = [("force", loading.forces, n, "dofs of the displacement")]
    needs += [("temperature", loading.temperatures, g, "points of integration")]
    if loading.moves is not None:
        needs += [("motion", loading.moves, n, "dofs of the displacement")]
    for name, field, rows, what in needs:
        if len(field) != rows:
            raise BadInput(f"the {name} fields have {len(field)} rows; the model has {rows} {what}")
    return loading


def _strain_of_moves(model: SolidModel, moves: np.ndarray) -> np.ndarray:
    """Strains (g, 6, L) of prescribed displacements out of those of the training."""
    if model.moves is None or model.moves_strain is None:
        raise BadInput(
            "the model does not know the strains of prescribed displacements; train it with "
            "loadings=..., or give the body: follow(model, body, loading)"
        )
    shares = model.moves.T @ moves
    left = np.linalg.norm(moves - model.moves @ shares, axis=0)
    foreign = np.flatnonzero(left > SPAN_TOL * np.linalg.norm(moves, axis=0))
    if len(foreign):
        raise BadInput(
            f"prescribed displacement {foreign[0]} is none of those that the model was trained "
            "with, nor a sum of them; give the body: follow(model, body, loading)"
        )
    return np.asarray(model.moves_strain @ shares)


def _reduced_run(model: SolidModel, loading: Loading) -> list[RunState]:
    """The states at loading.t[1:], watched where the model has indicators."""
    from rom.solids.steps import reduced_step, with_expected_sizes

    run = start_alone(model, loading)
    if model.indicators:
        if model.seen is None:
            raise BadInput("the model lacks the strains of its second cubature; train it anew")
        run = with_expected_sizes(run)
    states = []
    for t0, t1 in pairwise(loading.t.tolist()):
        run = reduced_step(replace(run, since=()), t0, t1)
        states.append(run)
    return states


def _parts(model: SolidModel, loading: Loading, states: Sequence[RunState]) -> dict[str, Part]:
    """u on its basis plus what is prescribed; p and stress on theirs, by gappy POD."""
    duals = model.model.duals
    p = np.stack([duals["p"].coefficients(state.now.p) for state in states], axis=1)
    values = [duals["stress"].coefficients(state.now.stress.ravel()) for state in states]
    stress = np.stack(values, axis=1)
    u = np.stack([state.now.u for state in states], axis=1)
    shift: np.ndarray | float = 0.0
    if loading.moves is not None:
        prescribed = [np.asarray(loading.prescribed(t)) for t in loading.t[1:].tolist()]
        shift = np.stack(prescribed, axis=1)[:, None, :]
    errors = _errors(model, states)
    of_u, of_p, of_stress = model.tells
    return {
        "u": Part(of_u, u[:, None], model.basis, shift=shift, errors=errors.get("u", ())),
        "p": Part(of_p, p[:, None], model.p, errors=errors.get("p", ())),
        "stress": Part(of_stress, stress[:, None], model.stress, errors=errors.get("stress", ())),
    }


def _errors(model: SolidModel, states: Sequence[RunState]) -> dict[str, tuple[Error, ...]]:
    """Upper quantiles (1, n_t) of the relative errors, of every indicator stored."""
    if not model.indicators:
        return {}
    features = np.array([state.features for state in states])
    errors: dict[str, tuple[Error, ...]] = {}
    for name, indicator in model.indicators.items():
        value = indicator.upper(features)[None]
        error = Error(
            value, Known.CONFORMAL, NORMS[name], level=indicator.level, whole=indicator.whole
        )
        errors[name] = (error,)
    return errors
