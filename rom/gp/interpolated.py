"""Coefficients interpolated between runs; their deviation from left-out runs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rom.arrays import POINTS, gate
from rom.errors import BadInput
from rom.gp.inputs import check_training, scale_inputs
from rom.gp.likelihood import CONSTANT
from rom.gp.outputs import OutputsModel, answer_of_posterior
from rom.gp.regressors import open_regressor
from rom.gp.repeats import average_repeats, distinct_runs
from rom.model import Question
from rom.parameters import Box
from rom.prediction import Prediction

FOLDS = 32  # of left-out runs; with as many runs or fewer each is left out alone


@dataclass(frozen=True, eq=False)
class RunInterpolation(OutputsModel):
    """a(mu) = sum_i w_i(mu) a_i over distinct runs, w by the regressor of that name.

    Inputs lie in the unit box; x (m, p), a (m, r) : distinct runs, repeated ones averaged
    box : inputs are scaled to it; closed : whether inputs beyond it are refused
    reason : why this regressor
    """

    box: Box
    closed: bool
    regressor: str
    x: np.ndarray
    a: np.ndarray
    reason: str = "asked for"

    @property
    def r(self) -> int:
        """Number of outputs."""
        return int(self.a.shape[1])

    def answer(self, question: Question) -> Prediction:
        """Outputs a1, ..., ar of a new run, each with its deviation."""
        return answer_of_posterior(self, question, self.x)

    def posterior(
        self, x: np.ndarray, *, noise: bool = True, std: bool = True
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Interpolated outputs and their deviation, both (q, r), or (r,) for x (p,).

        The deviation is the rms error at runs that were left out, everywhere the same.
        """
        z = scale_inputs(np.atleast_2d(x), self.box, self.closed)
        mean = _interpolate(self.regressor, self.x, self.a, z)
        spread = np.broadcast_to(self._deviation, mean.shape) if std else None
        if np.ndim(x) > 1:
            return mean, spread
        return mean[0], None if spread is None else spread[0]

    def leave_one_out(self, hidden: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(a_i - a(mu_i) of the other runs, the rms of each left out alone), both (m, r).

        hidden (m, m) : runs left out with each, itself among them; None for it alone
        """
        residuals = self._left_out
        if hidden is not None:
            residuals = np.empty_like(self.a)
            for i, row in enumerate(hidden):
                answer = _interpolate(self.regressor, self.x[~row], self.a[~row], self.x[[i]])
                residuals[i] = self.a[i] - answer[0]
        return residuals, np.broadcast_to(self._deviation, self.a.shape)

    @cached_property
    def _left_out(self) -> np.ndarray:
        m = len(self.x)
        fold = np.random.default_rng(0).permutation(m) % min(FOLDS, m)
        residuals = np.empty_like(self.a)
        for k in range(fold.max() + 1):
            out = fold == k
            x, a = self.x[~out], self.a[~out]
            residuals[out] = self.a[out] - _interpolate(self.regressor, x, a, self.x[out])
        return residuals

    @cached_property
    def _deviation(self) -> np.ndarray:
        return np.asarray(np.sqrt(np.mean(self._left_out**2, axis=0)))


def _interpolate(name: str, x: np.ndarray, a: np.ndarray, z: np.ndarray) -> np.ndarray:
    interpolate = open_regressor(name).interpolate
    if interpolate is None:
        raise BadInput(f"the regressor {name!r} is no interpolation; it was not written by save")
    return interpolate(x, a, z)


@gate(x=POINTS, a=POINTS, box=Box)
def run_interpolation(
    x: np.ndarray, a: np.ndarray, box: Box | None = None, *, regressor: str
) -> RunInterpolation:
    """The interpolation of a (m, r) between runs at x (m, p).

    box : scales the inputs (default: the range of x); beyond a given one predictions are refused
    Repeated runs are averaged. Raises BadInput for wrong shapes, NaN, and too few distinct runs.
    """
    x, a, box, closed = check_training(x, a, box, CONSTANT)
    scaled = box.to_unit(x)
    first, place = distinct_runs(scaled)
    points, means = scaled[first], average_repeats(a, place)[0]
    m, p = points.shape
    if not open_regressor(regressor).serves(m, p):
        raise BadInput(
            f"the regressor {regressor!r} does not serve {m} distinct runs of {p} parameters; "
            "collect more, or choose another"
        )
    return RunInterpolation(box, closed, regressor, points, means)
