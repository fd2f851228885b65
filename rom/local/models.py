"""A dictionary of reduced models on local bases, with a classifier in front."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.basis import Basis, LocalBases
from rom.errors import BadInput
from rom.model import Known, Prediction

LIKELY = 0.1  # of the largest probability: clusters above it are asked in doubt


@dataclass(frozen=True, eq=False)
class LocalModel:
    """a_k(mu) of the model of the chosen cluster, as coordinates W_k a_k of the hull.

    models : one per cluster, with predict(question) -> Prediction on its own modes
    sure : below this probability all models with at least a tenth of the largest answer,
        and the least indicated error wins
    indicator : (k, question, Prediction) -> number, or None for the bounds of the models;
        without either the classifier decides
    Raises BadInput without a classifier, or where models and clusters are not as many.
    """

    bases: LocalBases
    models: tuple[Any, ...]
    sure: float = 0.8
    indicator: Callable[[int, Any, Prediction], float] | None = None

    def __post_init__(self) -> None:
        check_dictionary(self.bases, self.models)

    @property
    def basis(self) -> Basis:
        """The hull, in whose coordinates all answers are."""
        return self.bases.hull

    @property
    def known(self) -> Known:
        """Of the error: the bounds of the models, if all have one."""
        every = {getattr(model, "known", Known.NOTHING) for model in self.models}
        return Known.CERTIFIED if every == {Known.CERTIFIED} else Known.NOTHING

    def predict(self, mu: np.ndarray) -> Prediction:
        """Hull coordinates (R,) for mu (p,), (R, m) for mu (m, p), and their bounds."""
        mu = np.asarray(mu, dtype=float)
        answers = [self.answer(one, one)[1] for one in np.atleast_2d(mu)]
        if mu.ndim == 1:
            return answers[0]
        bounds = None
        if all(answer.bound is not None for answer in answers):
            bounds = np.array([answer.bound for answer in answers])
        coefficients = [answer.coefficients for answer in answers]
        return Prediction(mu, np.stack(coefficients, axis=1), bound=bounds)

    def answer(self, x: np.ndarray, question: Any) -> tuple[int, Prediction]:
        """(cluster, Prediction in hull coordinates) for features x (p,) of a question."""
        numbers = self._clusters(x)
        answers = [self.models[k].predict(question) for k in numbers]
        best = 0
        if len(answers) > 1:
            errors = [
                self._error(k, question, answer) for k, answer in zip(numbers, answers, strict=True)
            ]
            best = _least(errors)
        k, answer = numbers[best], answers[best]
        coordinates = self.bases.rotations[k] @ answer.coefficients
        return k, Prediction(answer.mu, coordinates, answer.bound, t=answer.t)

    def _clusters(self, x: np.ndarray) -> list[int]:
        """Clusters that answer, the one of the classifier first."""
        chances = self.bases.classifier(x)[0]
        first = int(self.bases.classifier.choose(x)[0])
        if chances.max() >= self.sure:
            return [first]
        likely = np.flatnonzero(chances >= LIKELY * chances.max()).tolist()
        return [first, *(k for k in likely if k != first)]

    def _error(self, k: int, question: Any, answer: Prediction) -> float | None:
        if self.indicator is not None:
            return float(self.indicator(k, question, answer))
        return None if answer.bound is None else float(np.max(answer.bound))


def check_dictionary(bases: LocalBases, models: Sequence[Any]) -> None:
    """Raises BadInput unless there is a model for each cluster, and a classifier."""
    if len(models) != bases.K or bases.classifier is None:
        raise BadInput(
            f"{len(models)} models for {bases.K} clusters; give one each, "
            "and a classifier to the local bases"
        )


def _least(errors: Sequence[float | None]) -> int:
    """Place of the least error; the first where some are not known."""
    numbers = [error for error in errors if error is not None]
    return int(np.argmin(numbers)) if len(numbers) == len(errors) else 0
