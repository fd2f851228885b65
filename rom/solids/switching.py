"""Hyper-reduced solids that change their basis on the way.

The state of the law is handed over by replaying strains at the new points: at a switch from
cluster j to k the coefficients go through the hull, a_k = W_k^T W_j a_j, and the law of k is
run along the strains S_k c(t) of the accepted hull coordinates c(t) since its state was last
known; no system is solved, nothing has the size of the mesh.

References: Amsallem, Zahr and Farhat (2012); Daniel et al. (2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from rom.arrays import VECTOR, gate
from rom.basis import Basis, LocalBases
from rom.errors import BadInput, NotConverged
from rom.history import State
from rom.loading import Loading
from rom.local.classifier import Classifier
from rom.local.models import LIKELY, check_dictionary
from rom.model import Asks, Model, Question
from rom.prediction import Prediction, Quantity, state_parts, state_quantities
from rom.solids.body import Solid
from rom.solids.weighted import (
    WeightedModel,
    advance,
    check_loading,
    positions,
    prescribed_strain,
)
from rom.space import Space


@dataclass(frozen=True, eq=False)
class LocalWeighted(Model):
    """Models of clusters that take over from each other; answers in hull coordinates.

    Each has its own basis, cubature and dual bases.

    bases : with a classifier of (what is known of the loading, t)
    models : models[k] on bases.basis(k); points : (P,) global numbers of the points of all
    strain : (P, 6, R) of the hull there
    sure : below this probability all clusters with at least a tenth of the largest try the
        step; the smallest share of the stresses that the stress basis of the cluster cannot
        explain wins
    Raises BadInput for a missing classifier or shapes that differ.
    """

    bases: LocalBases
    models: tuple[WeightedModel, ...]
    points: np.ndarray
    strain: np.ndarray
    sure: float = 0.8

    def __post_init__(self) -> None:
        check_dictionary(self.bases, self.models)
        shape = (len(self.points), 6, self.bases.hull.r)
        if np.shape(self.strain) != shape:
            raise BadInput(f"strains of the hull have shape {np.shape(self.strain)}, not {shape}")

    @property
    def basis(self) -> Basis:
        """The hull."""
        return self.bases.hull

    def places(self, k: int) -> np.ndarray:
        """Where the points of model k are among all points."""
        return positions(self.points, self.models[k].points)

    def reduce(self, loading: Loading, among: Space, strain: np.ndarray | None = None) -> Loading:
        """A full loading on the hull and at all points, as `Loading.reduce` makes it.

        among : the space of the points of integration
        """
        return loading.reduce(self.basis, self.points, among, strain)

    @property
    def asks(self) -> Asks:
        """Features of the classifier but the time, and a loading as `reduce` makes it."""
        machine = self.bases.classifier
        count = machine.centre.size - 1 if isinstance(machine, Classifier) else None
        return Asks(count, loading=True)

    @property
    def tells(self) -> tuple[Quantity, ...]:
        """The displacement."""
        return state_quantities(self.bases.hull.space)

    def answer(self, question: Question) -> Prediction:
        """Displacements at the times of the loading after its first."""
        loading = check_loading(question)
        steps = follow_switching(self, question.mu[0], loading)
        c = np.stack([step.c for step in steps], axis=1)
        parts = state_parts(self.basis, c[:, None, :])
        return Prediction(question, parts, t=loading.t[1:], space=self.basis.space)


@dataclass(frozen=True, eq=False)
class SwitchingStep:
    """Hull coordinates c (R,) at time t, from cluster k with its state.

    tried : clusters that gave an answer, that of the classifier first
    """

    t: float
    k: int
    c: np.ndarray
    state: State
    tried: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _Memory:
    """The state (points, width) of the law of a cluster after so many steps."""

    steps: int
    state: np.ndarray


def switching(
    bases: LocalBases, models: tuple[WeightedModel, ...], body: Solid, *, sure: float = 0.8
) -> LocalWeighted:
    """The models together, with the strains of the hull at all their points."""
    points = np.unique(np.concatenate([model.points for model in models]))
    strain = body.points.take(body.strain(bases.hull.modes), points)
    return LocalWeighted(bases, models, points, strain, sure)


@gate(model=LocalWeighted, x=VECTOR, loading=Loading)
def follow_switching(
    model: LocalWeighted, x: np.ndarray, loading: Loading, *, tol: float = 1e-10
) -> list[SwitchingStep]:
    """The steps of a run from the virgin state.

    x : (p,) what the classifier sees of the loading beside t
    A step that does not converge in the chosen cluster is tried in the others, likeliest
    first. Raises NotConverged when none does.
    """
    times = loading.t
    inputs = np.tile(np.asarray(x, dtype=float), (len(times) - 1, 1))
    inputs = np.column_stack([inputs, times[1:]])
    chances = model.bases.classifier(inputs)
    choices = model.bases.classifier.choose(inputs)
    clusters = range(model.bases.K)
    loadings = [_restrict_loading(model, k, loading) for k in clusters]
    memories = [_Memory(0, model.models[k].rest().state) for k in clusters]
    steps: list[SwitchingStep] = []
    for i, (t0, t1) in enumerate(pairwise(times.tolist())):
        order, enough = _order_clusters(chances[i], int(choices[i]), model.sure)
        answers: dict[int, State] = {}
        for place, k in enumerate(order):
            if answers and place >= enough:
                break
            memories[k] = _remember(model, k, steps, memories[k], loadings[k])
            start = _hand_over(model, k, steps, memories[k])
            try:
                answers[k], _ = advance(model.models[k], loadings[k], t0, t1, start, tol=tol)
            except NotConverged:
                continue
        if not answers:
            raise NotConverged(f"no cluster converges from {t0:g} to {t1:g} s; halve the load step")
        k = _best_explained(model, answers)
        state = answers[k]
        memories[k] = _Memory(i + 1, state.state)
        c = model.bases.rotations[k] @ state.u
        steps.append(SwitchingStep(t1, k, c, state, tuple(answers)))
    return steps


def _order_clusters(chances: np.ndarray, first: int, sure: float) -> tuple[list[int], int]:
    """Clusters in the order of their trial, and how many of them answer in doubt."""
    others = [k for k in np.argsort(-chances, kind="stable").tolist() if k != first]
    order = [first, *others]
    if chances.max() >= sure:
        return order, 1
    likely = int(np.sum(chances[others] >= LIKELY * chances.max()))
    return order, 1 + likely


def _restrict_loading(model: LocalWeighted, k: int, loading: Loading) -> Loading:
    """The loading on the basis and at the points of cluster k."""
    places, moves = model.places(k), loading.moves
    if moves is not None:
        own = moves.reshape(len(model.points), 6, -1)[places]
        moves = own.reshape(6 * len(places), -1)
    forces = model.bases.rotations[k].T @ loading.forces
    temperatures = loading.temperatures[places]
    return replace(loading, forces=forces, temperatures=temperatures, moves=moves)


def _hand_over(
    model: LocalWeighted, k: int, steps: Sequence[SwitchingStep], memory: _Memory
) -> State:
    """The last answer as a start in cluster k."""
    c = steps[-1].c if steps else np.zeros(model.basis.r)
    stress = np.zeros((len(model.models[k].points), 6))
    return State(model.bases.rotations[k].T @ c, stress, memory.state)


def _remember(
    model: LocalWeighted,
    k: int,
    steps: Sequence[SwitchingStep],
    memory: _Memory,
    loading: Loading,
) -> _Memory:
    """The state in cluster k after all steps, by its law along the strains."""
    if memory.steps == len(steps):
        return memory
    law, strain = model.models[k].own, model.strain[model.places(k)]
    before = steps[memory.steps - 1].t if memory.steps else float(loading.t[0])
    state = memory.state
    for step in steps[memory.steps :]:
        total = strain @ step.c + prescribed_strain(loading, step.t)
        _, _, state = law(total, loading.temperature(step.t), state, step.t - before)
        before = step.t
    return _Memory(len(steps), state)


def _best_explained(model: LocalWeighted, answers: dict[int, State]) -> int:
    """The cluster whose stress basis explains its own stresses best."""
    if len(answers) == 1:
        return next(iter(answers))
    return min(answers, key=lambda k: _unexplained_share(model.models[k], answers[k]))


def _unexplained_share(model: WeightedModel, state: State) -> float:
    """|B z - sigma| / |sigma| at the points; 0 without a stress basis."""
    if "stress" not in model.duals:
        return 0.0
    stress = state.stress.ravel()
    norm = float(np.linalg.norm(stress))
    return model.duals["stress"].misfit(stress) / max(norm, 1e-300)
