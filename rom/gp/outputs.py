"""Posteriors of outputs as answers: named outputs with their standard deviations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rom.gp.inputs import bend_inputs
from rom.model import Asks, Model, Question
from rom.parameters import Box
from rom.prediction import Error, Known, Output, Prediction, Quantity, Warned

SLACK = 1e-9  # of the width of the training range


class OutputsModel(Model):
    """A regression of outputs a1, ..., ar over parameters, with a deviation of each.

    box : of the parameters; closed : whether others are refused
    """

    box: Box
    closed: bool

    @property
    def r(self) -> int:
        """Number of outputs."""
        raise NotImplementedError

    @property
    def known(self) -> Known:
        """Of the error: the standard deviation."""
        return Known.STATISTICAL

    @property
    def asks(self) -> Asks:
        """Parameters, in the box where one was given."""
        return Asks(self.box.p, self.box if self.closed else None)

    @property
    def tells_outputs(self) -> tuple[Quantity, ...]:
        """a1, ..., ar."""
        return dimensionless(output_names(self.r))


def output_names(r: int) -> tuple[str, ...]:
    """("a1", ..., "ar")."""
    return tuple(f"a{i}" for i in range(1, r + 1))


def dimensionless(names: Sequence[str]) -> tuple[Quantity, ...]:
    """The quantities of outputs whose units a regression does not know."""
    return tuple(Quantity(name) for name in names)


def within_range(z: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Whether each point z (q, p) lies within the range of the points x (m, p), (q,)."""
    low, high = x.min(axis=0), x.max(axis=0)
    width = SLACK * (high - low)
    inside: np.ndarray = np.all((z >= low - width) & (z <= high + width), axis=1)
    return inside


def scalar_output(value: np.ndarray, std: np.ndarray) -> Output:
    """An output (m,) and the standard deviation (m,) of its error."""
    return Output(value, error=Error(std, Known.STATISTICAL, "absolute value"))


def answer_with_outputs(
    question: Question, outputs: dict[str, Output], inside: np.ndarray
) -> Prediction:
    """The answer of a regression, with a warning where it extrapolates."""
    warnings: tuple[Warned, ...] = ()
    if not inside.all():
        beyond = tuple(int(k) for k in np.flatnonzero(~inside))
        text = f"{len(beyond)} of {len(inside)} samples lie beyond the training range"
        warnings = (Warned("range", text, beyond),)
    return Prediction(question, outputs=outputs, inside=inside, warnings=warnings)


def answer_of_posterior(
    model: Any, question: Question, x: np.ndarray, bends: np.ndarray | None = None
) -> Prediction:
    """Outputs a1 .. ar of a new run by `model.posterior`, noise included.

    x (m, p) : scaled inputs of the runs, beyond whose range the answer warns; bends : of them
    """
    mean, std = model.posterior(question.mu, noise=True)
    std = np.asarray(std)
    inside = within_range(bend_inputs(model.box.to_unit(question.mu), bends), x)
    names = output_names(mean.shape[1])
    columns = zip(names, mean.T, std.T, strict=True)
    outputs = {name: scalar_output(value, spread) for name, value, spread in columns}
    return answer_with_outputs(question, outputs, inside)
