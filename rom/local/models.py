"""A dictionary of reduced models on local bases, with a classifier in front."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rom.basis import Basis, LocalBases
from rom.errors import BadInput
from rom.mesh import Mesh
from rom.model import Asks, Model, Question
from rom.prediction import (
    Error,
    Known,
    Prediction,
    Quantity,
    state_parts,
    state_quantities,
)

LIKELY = 0.1  # of the largest probability: clusters above it are asked in doubt


@dataclass(frozen=True, eq=False)
class LocalModel(Model):
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
    mesh: Mesh | None = None

    def __post_init__(self) -> None:
        check_dictionary(self.bases, self.models)

    @property
    def basis(self) -> Basis:
        """The hull, in whose coordinates all answers are."""
        return self.bases.hull

    @property
    def known(self) -> Known:
        """Of the error: the bounds of the models, if all have one; measured if one is."""
        every = {getattr(model, "known", Known.NOTHING) for model in self.models}
        if every <= {Known.CERTIFIED, Known.MEASURED}:
            return Known.MEASURED if Known.MEASURED in every else Known.CERTIFIED
        return Known.NOTHING

    @property
    def asks(self) -> Asks:
        """What the models of the clusters ask."""
        asks: Asks = self.models[0].asks
        return asks

    @property
    def tells(self) -> tuple[Quantity, ...]:
        """The fields of the space."""
        return state_quantities(self.bases.hull.space)

    def answer(self, question: Question) -> Prediction:
        """Hull coordinates of the model of each sample's cluster, and its bound."""
        answers = [self.answer_of_cluster(mu, mu)[1] for mu in question.mu]
        a = np.concatenate([next(iter(one.parts.values())).a for one in answers], axis=1)
        errors: tuple[Error, ...] = ()
        if all(one.errors for one in answers):
            values = np.concatenate([one.errors[0].value for one in answers])
            known = {one.errors[0].known for one in answers} | {self.known}
            weakest = Known.MEASURED if Known.MEASURED in known else answers[0].errors[0].known
            errors = (replace(answers[0].errors[0], value=values, known=weakest),)
        space = self.bases.hull.space
        return Prediction(
            question,
            state_parts(self.bases.hull, a),
            errors=errors,
            t=answers[0].t,
            space=space,
        )

    def answer_of_cluster(self, x: np.ndarray, mu: Any) -> tuple[int, Prediction]:
        """(cluster, Prediction in hull coordinates) for features x (p,) of a question."""
        numbers = self._clusters(x)
        answers = [self.models[k].predict(mu) for k in numbers]
        best = 0
        if len(answers) > 1:
            errors = [self._error(k, mu, one) for k, one in zip(numbers, answers, strict=True)]
            best = _least(errors)
        k, answer = numbers[best], answers[best]
        a = next(iter(answer.parts.values())).a
        coordinates = np.tensordot(self.bases.rotations[k], a, axes=1)
        return k, replace(answer, parts=state_parts(self.bases.hull, coordinates))

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
