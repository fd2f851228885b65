"""Hyper-reduced solids with internal state: sum_i w_i sigma(eps(x_i), y_i):eps_k(x_i) = V_k.f(t), eps = sum_j a_j eps_j,
plus the strain of displacements that are prescribed.

State lives at the chosen points only; the cost does not depend on the mesh. Reference: Casenave & Akkari (2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from rom.basis import Basis
from rom.errors import BadInput
from rom.history import History, State, history
from rom.loading import Loading
from rom.model import Prediction
from rom.points.nonlinear import cut, newton
from rom.problem import Law, Solid
from rom.rule import Interpolation


@dataclass(frozen=True, eq=False)
class WeightedModel:
    """points (k,) global numbers; strain (k, 6, r) of the modes there; weights (k,), zero at points of dual fields alone.

    duals : name -> (Interpolation of the field on the whole mesh, places of its values among the points)
    law : of the chosen points; a frozen dataclass of the solver's, whose class `load` asks for by name
    """

    basis: Basis
    points: np.ndarray
    strain: np.ndarray
    weights: np.ndarray
    law: Law | None = None
    duals: dict[str, Interpolation] = field(default_factory=dict)

    def rest(self) -> State:
        """The virgin state."""
        return State(
            np.zeros(self.basis.r),
            np.zeros((len(self.points), 6)),
            np.zeros((len(self.points), self.own.width)),
        )

    @property
    def own(self) -> Law:
        """The law; BadInput where the model was given none."""
        if self.law is None:
            raise BadInput(
                "this model is without its law; say replace(model, law=law.restrict(model.points))"
            )
        return self.law

    def predict(self, loading: Loading) -> Prediction:
        """a (r, m) at the times of a loading after its first; without an error bound, which the indicator estimates."""
        return Prediction(loading.t[1:], reduced_march(self, loading, loading.t).u, t=loading.t[1:])

    def dual(self, name: str, values: np.ndarray) -> np.ndarray:
        """A field on all points of integration from its values (k, m) at the chosen ones."""
        if name not in self.duals:
            raise BadInput(f"no dual field {name!r}; there are: {', '.join(self.duals) or 'none'}")
        return self.duals[name](values)


def weighted_model(
    basis: Basis, strain: np.ndarray, body: Solid, points: np.ndarray, weights: np.ndarray
) -> WeightedModel:
    """The model on chosen points, global numbers, from strain (g, 6, r) of the modes at this rank's; weights of the first of them."""
    padded = np.concatenate([weights, np.zeros(len(points) - len(weights))])
    return WeightedModel(
        basis, np.asarray(points), body.points.take(strain, points), padded, body.at(points)
    )


def advance(
    model: WeightedModel,
    loading: Loading,
    t0: float,
    t1: float,
    start: State,
    tol: float = 1e-10,
    cuts: int = 6,
) -> tuple[State, int]:
    """One load step of the reduced Newton method, cut where it fails; loading : as `Loading.reduced` makes it. Raises NotConverged."""
    use = np.flatnonzero(model.weights)
    law, rest = model.own.restrict(use), np.flatnonzero(model.weights == 0)
    B, w = model.strain[use], model.weights[use]
    flat = (w[:, None, None] * B).reshape(-1, model.basis.r)
    size = np.abs(flat)

    def one(a: float, e: float, old: State) -> tuple[State, int]:
        T, f = loading.temperature(e), loading.force(e)
        T_use, y_use = T[use], old.state[use]
        shift = np.broadcast_to(
            np.reshape(loading.prescribed(e), (-1, 6) if loading.moves is not None else ()),
            old.stress.shape,
        )

        def evaluate(x: np.ndarray) -> tuple[np.ndarray, float, Any, Any]:
            stress, C, new = law(B @ x + shift[use], T_use, y_use, e - a)
            internal = flat.T @ stress.ravel()
            # at the end of a cycle f and the internal forces vanish, the stresses do not
            scale = max(
                float(np.linalg.norm(f)),
                float(np.linalg.norm(size.T @ np.abs(stress.ravel()))),
                1e-300,
            )
            return internal - f, scale, (C, stress, new), (stress, new)

        def solve(K: Any, r: np.ndarray, left: float) -> np.ndarray:
            return np.linalg.solve(flat.T @ (K[0] @ B).reshape(-1, model.basis.r), r)

        found = newton(evaluate, solve, old.u, tol)
        stress, state = np.empty((len(model.points), 6)), np.empty_like(old.state)
        stress[use], state[use] = found.carried
        if rest.size:
            stress[rest], _, state[rest] = model.own.restrict(rest)(
                model.strain[rest] @ found.x + shift[rest], T[rest], old.state[rest], e - a
            )
        return State(found.x, stress, state), len(found.residuals) - 1

    return cut(one, t0, t1, start, cuts)


def reduced_march(
    model: WeightedModel,
    loading: Loading,
    times: Sequence[float] | np.ndarray,
    start: State | None = None,
    tol: float = 1e-10,
) -> History:
    """Answers at times[1:] from `start` (virgin by default) at times[0]; cycles are times, a restart is a start."""
    now, states, counts = start or model.rest(), [], []
    for t0, t1 in pairwise(times):
        now, count = advance(model, loading, float(t0), float(t1), now, tol)
        states.append(now)
        counts.append(count)
    return history(np.asarray(times[1:]), states, counts)


def with_duals(model: WeightedModel, duals: dict[str, Interpolation]) -> WeightedModel:
    """The model with rules that reconstruct dual fields from its points."""
    return replace(model, duals={**model.duals, **duals})
