"""Reduced models on local bases: a dictionary of models with a classifier in front, and bases that change with time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from rom.basis import Basis, LocalBases
from rom.errors import BadInput
from rom.model import Prediction
from rom.points.nonlinear import newton

Equation = Callable[
    [np.ndarray, np.ndarray, np.ndarray, float, float], tuple[np.ndarray, np.ndarray]
]


@dataclass(frozen=True, eq=False)
class LocalModel:
    """a_k(mu) of the model of the cluster that the classifier chooses, as coordinates W_k a_k of the hull.

    models : one per cluster, with predict(question) -> Prediction on its own modes: other cubature points and dual bases each
    sure : below this probability all models with at least a tenth of the largest answer, and the least indicated error wins
    indicator : (k, question, Prediction) -> number, or None for the bounds of the models; without either the classifier decides
    """

    bases: LocalBases
    models: tuple[Any, ...]
    sure: float = 0.8
    indicator: Callable[[int, Any, Prediction], float] | None = None

    def __post_init__(self) -> None:
        if len(self.models) != self.bases.K or self.bases.classifier is None:
            raise BadInput(
                f"{len(self.models)} models for {self.bases.K} clusters; give one each, and a classifier to the local bases"
            )

    @property
    def basis(self) -> Basis:
        """The hull, in whose coordinates all answers are."""
        return self.bases.hull

    def predict(self, mu: np.ndarray) -> Prediction:
        """Hull coordinates (R,) for mu (p,), (R, m) for mu (m, p), with the bounds of the local models where they have them."""
        mu = np.asarray(mu, dtype=float)
        answers = [self.answer(x, x)[1] for x in np.atleast_2d(mu)]
        if mu.ndim == 1:
            return answers[0]
        bounds = (
            None if any(a.bound is None for a in answers) else np.array([a.bound for a in answers])
        )
        return Prediction(mu, np.stack([a.coefficients for a in answers], axis=1), bound=bounds)

    def answer(self, x: np.ndarray, question: Any) -> tuple[int, Prediction]:
        """(cluster, Prediction in hull coordinates) for features x (p,) of a question that the models understand."""
        chances = self.bases.classifier(x)[0]
        tried = [int(self.bases.classifier.choose(x)[0])]
        if chances.max() < self.sure:
            tried += [
                k for k in np.flatnonzero(chances >= 0.1 * chances.max()).tolist() if k != tried[0]
            ]
        found = [(k, self.models[k].predict(question)) for k in tried]
        errors = [self._error(k, question, a) for k, a in found] if len(found) > 1 else [0.0]
        k, a = found[int(np.argmin(errors))] if None not in errors else found[0]  # type: ignore[arg-type]
        return k, Prediction(a.mu, self.bases.rotations[k] @ a.coefficients, a.bound, t=a.t)

    def _error(self, k: int, question: Any, a: Prediction) -> float | None:
        if self.indicator is not None:
            return float(self.indicator(k, question, a))
        return None if a.bound is None else float(np.max(a.bound))


def switch_bases(
    bases: LocalBases,
    equation: Equation,
    mu: np.ndarray,
    times: np.ndarray,
    start: np.ndarray,
    tol: float = 1e-10,
) -> tuple[Prediction, np.ndarray]:
    """W_k^H R(W_k a; W_j a_old) = 0 at every step, k the cluster that the classifier gives (mu, t), a <- W_k^H W_j a at a change.

    equation : (c, c_old, mu, t_0, t_1) -> (R (R,), dR/dc (R, R)) projected on the hull once; start : (R,) hull coordinates at times[0]
    Returns hull coordinates (R, n_t) and the cluster of every step. Newton to |W^H R| <= tol (|W^H R| at c_old, or |c_old|).
    Without a classifier the nearest centre decides. Raises NotConverged. Reference: Amsallem, Zahr & Farhat (2012).
    """
    mu, times = np.asarray(mu, dtype=float), np.asarray(times, dtype=float)
    if (
        times.ndim != 1
        or times.size < 2
        or not (np.diff(times) > 0).all()
        or np.shape(start) != (bases.hull.r,)
    ):
        raise BadInput(
            f"give increasing times and a start of {bases.hull.r} hull coordinates, not {np.shape(start)}"
        )
    if bases.classifier is not None:
        plan = bases.classifier.choose(
            np.column_stack([np.tile(mu, (times.size - 1, 1)), times[1:]])
        )
    c, path, used = np.asarray(start), [np.asarray(start)], []
    for i, (t0, t1) in enumerate(pairwise(times)):
        k = int(plan[i]) if bases.classifier is not None else int(bases.nearest(c[:, None])[0])
        c = _step(bases.rotations[k], equation, c, mu, float(t0), float(t1), tol)
        path.append(c)
        used.append(k)
    return Prediction(mu, np.stack(path, axis=1), t=times), np.array(used)


def _step(
    W: np.ndarray,
    equation: Equation,
    old: np.ndarray,
    mu: np.ndarray,
    t0: float,
    t1: float,
    tol: float,
) -> np.ndarray:
    a = W.conj().T @ old
    inside = W @ a

    def evaluate(a: np.ndarray) -> tuple[np.ndarray, float, Any, Any]:
        R, J = equation(W @ a, inside, mu, t0, t1)
        return W.conj().T @ R, scale, W.conj().T @ J @ W, None

    first = W.conj().T @ equation(inside, inside, mu, t0, t1)[0]
    scale = max(float(np.linalg.norm(first)), 1e-12 * float(np.linalg.norm(a)), 1e-300)
    return W @ newton(evaluate, lambda J, r, left: np.linalg.solve(J, r), a, tol).x
