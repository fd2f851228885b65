"""Whole GPyTorch models in place of `coefficient_gp`: one `ExactGP` per output.

Any model that somebody wrote is trained and asked in float64 and by Cholesky.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.arrays import POINTS, function, gate
from rom.gp.algebra import to_device, to_numpy
from rom.gp.gpytorch_training import Build, build_exact_gp, exact_algebra, train_exact_gp
from rom.gp.inputs import check_training, output_scale, scale_inputs
from rom.gp.likelihood import CONSTANT
from rom.gp.outputs import OutputsModel, answer_of_posterior
from rom.model import Question
from rom.parameters import Box
from rom.prediction import Prediction

CHUNK = 512  # points of one chunk of predictions


@dataclass(frozen=True, eq=False)
class GPyTorchModel(OutputsModel):
    """a_i(x) by models[i], an `ExactGP` of outputs scaled to mean 0 and deviation 1.

    Inputs are scaled to the box. It answers as a CoefficientGP does. No archive holds it: its file
    format would be torch's.
    """

    box: Box
    closed: bool
    models: tuple[Any, ...]
    level: np.ndarray
    size: np.ndarray

    @property
    def r(self) -> int:
        """Number of outputs."""
        return len(self.models)

    def answer(self, question: Question) -> Prediction:
        """Outputs a1, ..., ar of a new run, noise included, each with its deviation."""
        return answer_of_posterior(self, question, to_numpy(self.models[0].train_inputs[0]))

    def posterior(
        self, x: np.ndarray, *, noise: bool = False, std: bool = True
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Posterior mean and standard deviation, both (q, r), or (r,) for x (p,).

        noise : of new runs; std : False gives (mean, None)
        """
        z = scale_inputs(np.atleast_2d(x), self.box, self.closed)
        mean = np.empty((len(z), self.r))
        spread = np.empty_like(mean)
        for i, model in enumerate(self.models):
            for start in range(0, len(z), CHUNK):
                rows = slice(start, start + CHUNK)
                with exact_algebra(std):
                    posterior = _posterior(model, z[rows], noise)
                    mean[rows, i] = to_numpy(posterior.mean)
                    if std:
                        spread[rows, i] = np.sqrt(to_numpy(posterior.variance))
        mean = self.level + self.size * mean
        spread = self.size * spread
        if np.ndim(x) == 1:
            mean, spread = mean[0], spread[0]
        return mean, spread if std else None

    def leave_one_out(self) -> tuple[np.ndarray, np.ndarray]:
        """(a_i - E[a_i | the others], its standard deviation), both (m, r).

        With Q = (K + noise)^{-1}: (Q (a - mean))_i / Q_ii and 1 / sqrt(Q_ii).
        """
        residuals, std = [], []
        for model in self.models:
            model.train()
            with exact_algebra():
                prior = model.likelihood(model(*model.train_inputs))
                Q = np.linalg.inv(to_numpy(prior.covariance_matrix))
                gap = to_numpy(model.train_targets - prior.mean)
            model.eval()
            residuals.append(Q @ gap / Q.diagonal())
            std.append(Q.diagonal() ** -0.5)
        errors = np.stack(residuals, axis=1)
        deviations = np.stack(std, axis=1)
        return self.size * errors, self.size * deviations

    def samples(
        self, x: np.ndarray, count: int, *, rng: int | np.random.Generator = 0, noise: bool = False
    ) -> np.ndarray:
        """Joint draws of the outputs at x (q, p) from the posterior, (count, q, r).

        noise : draws of new runs
        """
        generator = np.random.default_rng(rng)
        z = scale_inputs(np.atleast_2d(x), self.box, self.closed)
        draws = []
        for model in self.models:
            with exact_algebra():
                posterior = _posterior(model, z, noise)
                mean = to_numpy(posterior.mean)
                values, vectors = np.linalg.eigh(to_numpy(posterior.covariance_matrix))
            root = vectors * np.sqrt(np.maximum(values, 0.0))
            normal = generator.standard_normal((count, len(z)))
            draws.append(mean + normal @ root.T)
        joint: np.ndarray = self.level + self.size * np.stack(draws, axis=2)
        return joint


@gate(build=function, x=POINTS, a=POINTS, box=Box)
def gpytorch_model(
    build: Build,
    x: np.ndarray,
    a: np.ndarray,
    box: Box | None = None,
    *,
    noise: float | None = None,
    device: str | None = None,
    max_steps: int = 200,
) -> GPyTorchModel:
    """The models build(x, y, likelihood) of each output of a (m, r) at x (m, p).

    They are fitted by L-BFGS on the exact marginal likelihood.
    build : a subclass of gpytorch.models.ExactGP, or what returns one
    box : as in `coefficient_gp`
    noise : its variance over the output's if it is known, at least 1e-8; None fits it
    Raises MissingExtra without gpytorch, BadInput where build makes no ExactGP, NotConverged for a
    likelihood that is not finite.
    """
    x, a, box, closed = check_training(x, a, box, CONSTANT)
    level, size = a.mean(axis=0), output_scale(a)
    home = device or "cpu"
    X = to_device(box.to_unit(x), home)
    models = []
    for y in ((a - level) / size).T:
        model = build_exact_gp(build, X, to_device(y, home), noise)
        models.append(train_exact_gp(model, max_steps))
    return GPyTorchModel(box, closed, tuple(models), level, size)


def _posterior(model: Any, z: np.ndarray, noise: bool) -> Any:
    posterior = model(to_device(z, str(model.train_targets.device)))
    return model.likelihood(posterior) if noise else posterior
