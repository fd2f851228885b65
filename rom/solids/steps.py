"""Steps of a run: reduced ones, full ones, and the residuals that estimate errors."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

import numpy as np

from rom.errors import BadInput, NotConverged
from rom.history import State
from rom.loading import Loading
from rom.solids.body import Solid
from rom.solids.enrichment import extend_model
from rom.solids.model import SIZE_OF_P, RunState, SolidModel
from rom.solids.weighted import advance, positions

CHUNK = 20_000  # points whose law is replayed at once


def start_run(model: SolidModel, body: Solid, loading: Loading) -> RunState:
    """A run at the first time of a loading, virgin."""
    g = body.points.n
    rest = State(np.zeros(body.space.n), np.zeros((g, 6)), np.zeros((g, body.law.width)))
    return _restart(model, body, loading, rest, float(loading.t[0]))


def _restart(model: SolidModel, body: Solid, loading: Loading, whole: State, t: float) -> RunState:
    """A run that starts from a full state at t."""
    points = model.model.points
    now = State(
        model.basis.coefficients(whole.u - loading.prescribed(t)),
        body.points.take(whole.stress, points),
        body.points.take(whole.state, points),
    )
    strain = None if loading.moves is None else body.strain(loading.moves)
    reduced = loading.reduce(model.basis, points, body.points, strain)
    tested = body.space.pair(model.tests, loading.forces)
    return RunState(model, loading, reduced, tested, now, whole, t)


def reduced_step(run: RunState, t0: float, t1: float) -> RunState:
    """One reduced step, with the residuals of its answer where the run is watched.

    Raises NotConverged.
    """
    now, _ = advance(run.trained.model, run.reduced, t0, t1, run.now)
    run = replace(run, now=now, since=(*run.since, (t1, now.u)))
    if run.sizes is None:
        return run
    p = now.p
    residuals = _residuals(run, p, t1)
    return replace(
        run,
        residuals=residuals,
        largest=np.maximum(run.largest, residuals),
        sizes=np.maximum(run.sizes, _sizes(run, p)),
    )


def with_expected_sizes(run: RunState) -> RunState:
    """The run with the sizes that errors are relative to.

    The largest |p| and |stress| that its model, as it is, answers to the loading, as far as
    it converges; what its own answers exceed them by is added on the way.
    """
    ahead, sizes = run, np.zeros(2)
    with suppress(NotConverged):
        for t0, t1 in pairwise(run.loading.t.tolist()):
            ahead = reduced_step(replace(ahead, since=()), t0, t1)
            sizes = np.maximum(sizes, _sizes(ahead, ahead.now.p))
    return replace(run, sizes=sizes)


def _sizes(run: RunState, p: np.ndarray) -> np.ndarray:
    """|p| and |stress| (2,) of the gappy fits in L2: their bases are orthonormal."""
    duals = run.trained.model.duals
    of_p = duals["p"].coefficients(p)
    of_stress = duals["stress"].coefficients(run.now.stress.ravel())
    return np.array([np.linalg.norm(of_p), np.linalg.norm(of_stress)])


def _residuals(run: RunState, p: np.ndarray, t: float) -> np.ndarray:
    """Gappy residuals of p and of stress, and the equilibrium residual (3,).

    |B z - p| in the mean over the points times the volume, the same of stress, and
    (sum_j (sum_i w_i sigma_i:eps_j(x_i) - f_j)^2)^(1/2) at the second cubature, eps_j of unit
    norm and beyond the basis.
    """
    trained, model, stress = run.trained, run.trained.model, run.now.stress
    second = trained.second
    mean = np.sqrt(float(np.sum(second.weights)) / len(p))
    of_p = mean * model.duals["p"].misfit(p)
    of_stress = mean * model.duals["stress"].misfit(stress.ravel())
    local = stress[positions(model.points, second.elements)]
    internal = np.einsum("i,ic,icq->q", second.weights, local, trained.seen)
    external = run.tested @ run.reduced.amplitude(t)
    return np.array([of_p, of_stress, np.linalg.norm(internal - external)])


def replay(run: RunState, body: Solid) -> list[State]:
    """Full states at the accepted times since the last one, by the law alone.

    sigma and y from eps(V a(t) + u_D(t)); no system is solved.
    Raises BadInput for a run that an enrichment left behind.
    """
    strain_of_modes, loading = run.trained.strain, run.loading
    if len(strain_of_modes) != len(run.whole.stress):
        raise BadInput("this run was left behind by an enrichment; go on from the last of the runs")
    states, old, t_old = [], run.whole, run.t_whole
    for t, a in run.since:
        prescribed = np.broadcast_to(loading.prescribed(t), old.u.shape)
        shift = None if loading.moves is None else body.strain(prescribed)
        T = loading.temperature(t)
        stress, state = np.empty_like(old.stress), np.empty_like(old.state)
        for i in range(0, len(stress), CHUNK):
            part = slice(i, i + CHUNK)
            law = body.law.restrict(part)
            strain = strain_of_modes[part] @ a + (0.0 if shift is None else shift[part])
            stress[part], _, state[part] = law(strain, T[part], old.state[part], t - t_old)
        old, t_old = State(run.trained.basis.lift(a) + prescribed, stress, state), t
        states.append(old)
    return states


def full_step(run: RunState, body: Solid, t0: float, t1: float) -> RunState:
    """One full step from the replayed state at t0; the model learns from it."""
    path = replay(run, body)
    start = path[-1] if path else run.whole
    whole, _ = body.step(run.loading, t0, t1, start)
    model = extend_model(
        run.trained,
        body,
        [whole.u - run.loading.prescribed(t1)],
        [*path, whole],
        size_of_p=0.0 if run.sizes is None else float(run.sizes[SIZE_OF_P]),
    )
    restarted = _restart(model, body, run.loading, whole, t1)
    return replace(restarted, sizes=run.sizes, largest=run.largest)
