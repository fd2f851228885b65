"""Hyper-reduced solids that change their basis on the way: the state of the law is handed over by replaying strains at the new points.

At a switch from cluster j to k the coefficients go through the hull, a_k = W_k^T W_j a_j, and the law of k is run along the strains
S_k c(t) of the accepted hull coordinates c(t) since its state was last known; no system is solved, nothing has the size of the mesh.
References: Amsallem, Zahr & Farhat (2012); Daniel et al. (2022).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from rom.basis import Basis, LocalBases
from rom.errors import BadInput, NotConverged
from rom.history import State
from rom.loading import Loading
from rom.model import Prediction
from rom.problem import Solid
from rom.solids.weighted import WeightedModel, advance
from rom.space import Space


@dataclass(frozen=True, eq=False)
class LocalWeighted:
    """Models of clusters, each with its basis, cubature and dual bases, that take over from each other; answers in hull coordinates.

    bases : with a classifier of (what is known of the loading, t); models : models[k] on bases.basis(k)
    points (P,) global numbers of the points of all models; strain (P, 6, R) of the hull there
    sure : below this probability all clusters with at least a tenth of the largest try the step; the smallest share of the stresses that
        the stress basis of the cluster cannot explain wins
    """

    bases: LocalBases
    models: tuple[WeightedModel, ...]
    points: np.ndarray
    strain: np.ndarray
    sure: float = 0.8

    def __post_init__(self) -> None:
        if len(self.models) != self.bases.K or self.bases.classifier is None:
            raise BadInput(
                f"{len(self.models)} models for {self.bases.K} clusters; give one each, and a classifier to the local bases"
            )
        if np.shape(self.strain) != (len(self.points), 6, self.bases.hull.r):
            raise BadInput(
                f"strains of the hull have shape {np.shape(self.strain)}, not {(len(self.points), 6, self.bases.hull.r)}"
            )

    @property
    def basis(self) -> Basis:
        """The hull."""
        return self.bases.hull

    def places(self, k: int) -> np.ndarray:
        """Where the points of model k are among all points."""
        return np.argsort(self.points)[np.searchsorted(np.sort(self.points), self.models[k].points)]

    def reduce(self, loading: Loading, among: Space, strain: np.ndarray | None = None) -> Loading:
        """A full loading on the hull and at all points, as Loading.reduced makes it; `among` is the space of the points of integration."""
        return loading.reduce(self.basis, self.points, among, strain)

    def predict(self, question: tuple[np.ndarray, Loading]) -> Prediction:
        """c (R, m) at the times after the first for (features, loading as `reduced` makes it)."""
        x, loading = question
        steps = follow_switching(self, x, loading)
        return Prediction(loading.t[1:], np.stack([s.c for s in steps], axis=1), t=loading.t[1:])


@dataclass(frozen=True, eq=False)
class SwitchingStep:
    """Hull coordinates c (R,) at time t, from cluster k with its state; `tried` clusters gave an answer, the first by the classifier."""

    t: float
    k: int
    c: np.ndarray
    state: State
    tried: tuple[int, ...]


def switching(
    bases: LocalBases, models: tuple[WeightedModel, ...], body: Solid, sure: float = 0.8
) -> LocalWeighted:
    """The models together, with the strains of the hull at all their points."""
    points = np.unique(np.concatenate([m.points for m in models]))
    return LocalWeighted(
        bases, models, points, body.points.take(body.strain(bases.hull.modes), points), sure
    )


def follow_switching(
    model: LocalWeighted, x: np.ndarray, loading: Loading, tol: float = 1e-10
) -> list[SwitchingStep]:
    """The steps of a run from the virgin state; x (p,) : what the classifier is told of the loading beside t.

    A step that does not converge in the chosen cluster is tried in the others, likeliest first; raises NotConverged when none does.
    """
    times = loading.t
    x = np.tile(np.asarray(x, dtype=float), (len(times) - 1, 1))
    asked = np.column_stack([x, times[1:]])
    chances, chosen = model.bases.classifier(asked), model.bases.classifier.choose(asked)
    local = [_local(model, k, loading) for k in range(model.bases.K)]
    known = {
        k: (0, m.rest().state) for k, m in enumerate(model.models)
    }  # k : (steps its state has seen, that state)
    steps: list[SwitchingStep] = []
    for i, (t0, t1) in enumerate(pairwise(times)):
        first, unsure = int(chosen[i]), chances[i].max() < model.sure
        order = [first, *(int(k) for k in np.argsort(-chances[i], kind="stable") if k != first)]
        likely = sum(chances[i, k] >= 0.1 * chances[i].max() for k in order[1:])
        found: list[tuple[float, int, State]] = []
        for place, k in enumerate(order):
            if found and not (unsure and place <= likely):
                break
            known[k] = _replayed(model, k, steps, known[k], local[k])
            try:
                state = _moved(model, k, steps, known[k][1], local[k], float(t0), float(t1), tol)
            except NotConverged:
                continue
            found.append((_unexplained(model.models[k], state), k, state))
        if not found:
            raise NotConverged(f"no cluster converges from {t0:g} to {t1:g} s; halve the load step")
        _, k, state = min(found, key=lambda one: one[0]) if len(found) > 1 else found[0]
        known[k] = i + 1, state.state
        steps.append(
            SwitchingStep(
                float(t1),
                k,
                model.bases.rotations[k] @ state.u,
                state,
                tuple(one[1] for one in found),
            )
        )
    return steps


def _local(model: LocalWeighted, k: int, loading: Loading) -> Loading:
    """The loading on the basis and at the points of cluster k."""
    at, moves = model.places(k), loading.moves
    if moves is not None:
        moves = moves.reshape(len(model.points), 6, -1)[at].reshape(6 * len(at), -1)
    forces = model.bases.rotations[k].T @ loading.forces
    return replace(loading, forces=forces, temperatures=loading.temperatures[at], moves=moves)


def _moved(
    model: LocalWeighted,
    k: int,
    steps: list[SwitchingStep],
    state: np.ndarray,
    loading: Loading,
    t0: float,
    t1: float,
    tol: float,
) -> State:
    one = model.models[k]
    c = steps[-1].c if steps else np.zeros(model.basis.r)
    start = State(model.bases.rotations[k].T @ c, np.zeros((len(one.points), 6)), state)
    return advance(one, loading, t0, t1, start, tol)[0]


def _replayed(
    model: LocalWeighted,
    k: int,
    steps: list[SwitchingStep],
    known: tuple[int, np.ndarray],
    loading: Loading,
) -> tuple[int, np.ndarray]:
    """The state at the points of cluster k after all steps, by its law along the strains since its state was known."""
    seen, state = known
    if seen == len(steps):
        return known
    law, S = model.models[k].own, model.strain[model.places(k)]
    before = steps[seen - 1].t if seen else float(loading.t[0])
    for step in steps[seen:]:
        shift = (
            np.reshape(loading.prescribed(step.t), (-1, 6)) if loading.moves is not None else 0.0
        )
        _, _, state = law(S @ step.c + shift, loading.temperature(step.t), state, step.t - before)
        before = step.t
    return len(steps), state


def _unexplained(model: WeightedModel, state: State) -> float:
    """|B z - sigma| / |sigma| at the points: what the stress basis of the cluster cannot explain; 0 without one."""
    if "stress" not in model.duals:
        return 0.0
    s = state.stress.ravel()
    return model.duals["stress"].misfit(s) / max(float(np.linalg.norm(s)), 1e-300)
