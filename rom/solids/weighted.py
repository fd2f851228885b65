"""Hyper-reduced solids with internal state, at few points.

sum_i w_i sigma(eps(x_i), y_i):eps_k(x_i) = V_k.f(t),  eps = sum_j a_j eps_j + eps(u_D)

State lives at the chosen points only; the cost does not depend on the mesh.
Reference: Casenave and Akkari (2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from rom.arrays import TENSORS, VECTOR, gate, integers
from rom.basis import Basis
from rom.errors import BadInput, NotConverged
from rom.history import History, State, history
from rom.loading import Loading
from rom.model import Asks, Model, Question
from rom.points.nonlinear import cut
from rom.prediction import Prediction, Quantity, state_parts, state_quantities
from rom.rule import Interpolation
from rom.solids.body import Law, Solid

MAX_ITERATIONS = 25
DIVERGED = 1e6  # growth of the residual after which Newton's method is given up
TINY = 1e-300


@dataclass(frozen=True, eq=False)
class WeightedModel(Model):
    """A basis, and the strains of its modes at few points with weights.

    points : (k,) global numbers; strain : (k, 6, r) of the modes there
    weights : (k,), zero at points of dual fields alone
    law : of the chosen points; a frozen dataclass of the solver's, whose class `load` asks
        for by name
    duals : name -> Interpolation of the field on the whole mesh from its values at the points
    """

    basis: Basis
    points: np.ndarray
    strain: np.ndarray
    weights: np.ndarray
    law: Law | None = None
    duals: dict[str, Interpolation] = field(default_factory=dict)

    def rest(self) -> State:
        """The virgin state."""
        k = len(self.points)
        return State(np.zeros(self.basis.r), np.zeros((k, 6)), np.zeros((k, self.own.width)))

    @property
    def own(self) -> Law:
        """The law. Raises BadInput where the model was given none."""
        if self.law is None:
            raise BadInput(
                "this model is without its law; say replace(model, law=law.restrict(model.points))"
            )
        return self.law

    @property
    def asks(self) -> Asks:
        """A loading as `Loading.reduce` makes it."""
        return Asks(loading=True)

    @property
    def tells(self) -> tuple[Quantity, ...]:
        """The displacement."""
        return state_quantities(self.basis.space)

    def answer(self, question: Question) -> Prediction:
        """Displacements at the times of the loading after its first.

        There is no bound; indicators estimate errors.
        """
        loading = check_loading(question)
        history = reduced_march(self, loading, loading.t)
        parts = state_parts(self.basis, history.u[:, None, :])
        return Prediction(question, parts, t=loading.t[1:], space=self.basis.space)

    def dual(self, name: str, values: np.ndarray) -> np.ndarray:
        """A field on all points of integration from its values (k, m) at the chosen ones.

        Raises BadInput for a field without a rule.
        """
        if name not in self.duals:
            raise BadInput(f"no dual field {name!r}; there are: {', '.join(self.duals) or 'none'}")
        return self.duals[name](values)


def check_loading(question: Question) -> Loading:
    """The loading of a question. Raises BadInput where there is none."""
    if question.loading is None:
        raise BadInput("the model asks for a loading; none was given")
    return question.loading


@gate(basis=Basis, strain=TENSORS, points=integers, weights=VECTOR)
def weighted_model(
    basis: Basis, strain: np.ndarray, body: Solid, points: np.ndarray, weights: np.ndarray
) -> WeightedModel:
    """The model at chosen points.

    strain : (g, 6, r) of the modes at this rank's points; points : (k,) global numbers
    weights : of the first of the points, the others have none
    """
    expected = (len(body.points.numbers), 6, basis.r)
    inside = points.size > 0 and 0 <= points.min() <= points.max() < body.points.size
    if strain.shape != expected or not inside or not len(weights) <= len(points):
        raise BadInput(
            f"strain {strain.shape}, {len(points)} points, {len(weights)} weights; give "
            f"{expected}, numbers in 0..{body.points.size - 1}, and a weight for the first of them"
        )
    padded = np.concatenate([weights, np.zeros(len(points) - len(weights))])
    return WeightedModel(basis, points, body.points.take(strain, points), padded, body.at(points))


def with_duals(model: WeightedModel, duals: dict[str, Interpolation]) -> WeightedModel:
    """The model with rules that reconstruct dual fields from its points."""
    return replace(model, duals={**model.duals, **duals})


def positions(points: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Where the numbers (q,) are among the points (k,), which need not be sorted."""
    order = np.argsort(points)
    return np.asarray(order[np.searchsorted(np.sort(points), numbers)])


def prescribed_strain(loading: Loading, t: float) -> np.ndarray | float:
    """Strains (k, 6) of prescribed displacements in a reduced loading, or 0.0."""
    if loading.moves is None:
        return 0.0
    return np.reshape(loading.prescribed(t), (-1, 6))


@dataclass(frozen=True, eq=False)
class _Increment:
    """The reduced equations over one increment, at the points that have weights.

    strain : B (k, 6, r); weighted : (6 k, r), rows of B times their weights
    """

    law: Law
    strain: np.ndarray
    weighted: np.ndarray
    shift: np.ndarray
    force: np.ndarray
    temperature: np.ndarray
    state: np.ndarray
    dt: float

    def solve(self, a: np.ndarray, tol: float) -> tuple[State, int]:
        """Newton's method from a (r,), in one loop without calls back.

        Raises NotConverged.
        """
        B, weighted = self.strain, self.weighted
        size = np.abs(weighted).T
        force_norm = float(np.linalg.norm(self.force))
        ratio, first = np.inf, np.inf
        for iteration in range(MAX_ITERATIONS + 1):
            stress, tangent, state = self.law(
                B @ a + self.shift, self.temperature, self.state, self.dt
            )
            flat = stress.ravel()
            residual = weighted.T @ flat - self.force
            # at the end of a cycle f and the internal forces vanish, the stresses do not
            scale = max(force_norm, float(np.linalg.norm(size @ np.abs(flat))), TINY)
            ratio = float(np.linalg.norm(residual)) / scale
            if iteration == 0:
                first = ratio
            if ratio <= tol:
                return State(a, stress, state), iteration
            if not np.isfinite(ratio) or ratio > DIVERGED * max(first, 1.0):
                break
            matrix = weighted.T @ (tangent @ B).reshape(-1, len(a))
            a = a + np.linalg.solve(matrix, -residual)
        raise NotConverged(
            f"|R| = {ratio:.1e} of the load after {iteration} iterations; halve the load step"
        )


def advance(
    model: WeightedModel,
    loading: Loading,
    t0: float,
    t1: float,
    start: State,
    *,
    tol: float = 1e-10,
    max_cuts: int = 6,
) -> tuple[State, int]:
    """One load step of the reduced Newton method, cut in halves where it fails.

    loading : as `Loading.reduce` makes it; tol : relative, of the forces or the stresses
    Returns the state at t1 and the iterations. Raises NotConverged.
    """
    counts = np.flatnonzero(model.weights)
    rest = np.flatnonzero(model.weights == 0)
    law, law_of_rest = model.own.restrict(counts), model.own.restrict(rest)
    B = model.strain[counts]
    weighted = (model.weights[counts][:, None, None] * B).reshape(-1, model.basis.r)

    def increment(begin: float, end: float, old: State) -> tuple[State, int]:
        """The step without cuts."""
        T = loading.temperature(end)
        shift = np.broadcast_to(prescribed_strain(loading, end), old.stress.shape)
        dt = end - begin
        equations = _Increment(
            law=law,
            strain=B,
            weighted=weighted,
            shift=shift[counts],
            force=loading.force(end),
            temperature=T[counts],
            state=old.state[counts],
            dt=dt,
        )
        answer, iterations = equations.solve(old.u, tol)
        stress, state = np.empty((len(model.points), 6)), np.empty_like(old.state)
        stress[counts], state[counts] = answer.stress, answer.state
        if rest.size:
            strain = model.strain[rest] @ answer.u + shift[rest]
            stress[rest], _, state[rest] = law_of_rest(strain, T[rest], old.state[rest], dt)
        return State(answer.u, stress, state), iterations

    return cut(increment, t0, t1, start, max_cuts)


@gate(model=WeightedModel, loading=Loading, times=VECTOR)
def reduced_march(
    model: WeightedModel,
    loading: Loading,
    times: Sequence[float] | np.ndarray,
    *,
    start: State | None = None,
    tol: float = 1e-10,
) -> History:
    """Answers at times[1:] from `start` at times[0], virgin by default.

    Cycles are times, a restart is a start. Raises NotConverged.
    """
    if len(times) < 2 or not (np.diff(times) > 0).all():
        raise BadInput("times must increase, and there must be two or more")
    now = start or model.rest()
    states, counts = [], []
    for t0, t1 in pairwise(times):
        now, count = advance(model, loading, float(t0), float(t1), now, tol=tol)
        states.append(now)
        counts.append(count)
    return history(np.asarray(times[1:]), states, counts)
