"""Whole GPyTorch models in place of `coefficient_gp`: one `ExactGP` per output.

Any model that somebody wrote is trained and asked in float64 and by Cholesky.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.errors import BadInput, MissingExtra, NotConverged
from rom.gp.algebra import to_device, to_numpy
from rom.gp.inputs import check_training, output_scale, scale_inputs
from rom.gp.likelihood import CONSTANT
from rom.parameters import Box

CHUNK = 512  # points of one chunk of predictions
MIN_NOISE = 1e-8  # variance over the output's
START_NOISE = 1e-4
STEP_TOL = 1e-9  # change of the likelihood that ends a search
EVERY_SIZE = 10**9  # runs up to which GPyTorch factors densely

Build = Callable[[Any, Any, Any], Any]


@dataclass(frozen=True, eq=False)
class GPyTorchModel:
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

    def predict(
        self, x: np.ndarray, *, noise: bool = False, std: bool = True
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Posterior mean and standard deviation, both (q, r), or (r,) for x (p,), in chunks.

        noise : of new runs; std : False gives (mean, None)
        """
        z = scale_inputs(np.atleast_2d(x), self.box, self.closed)
        mean, spread = np.empty((len(z), self.r)), np.empty((len(z), self.r))
        for i, model in enumerate(self.models):
            for start in range(0, len(z), CHUNK):
                rows = slice(start, start + CHUNK)
                with _exact(std):
                    posterior = _posterior(model, z[rows], noise)
                    mean[rows, i] = to_numpy(posterior.mean)
                    if std:
                        spread[rows, i] = np.sqrt(to_numpy(posterior.variance))
        mean, spread = self.level + self.size * mean, self.size * spread
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
            with _exact():
                prior = model.likelihood(model(*model.train_inputs))
                Q = np.linalg.inv(to_numpy(prior.covariance_matrix))
                gap = to_numpy(model.train_targets - prior.mean)
            model.eval()
            residuals.append(Q @ gap / Q.diagonal())
            std.append(Q.diagonal() ** -0.5)
        return self.size * np.stack(residuals, axis=1), self.size * np.stack(std, axis=1)

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
            with _exact():
                posterior = _posterior(model, z, noise)
                mean = to_numpy(posterior.mean)
                values, vectors = np.linalg.eigh(to_numpy(posterior.covariance_matrix))
            root = vectors * np.sqrt(np.maximum(values, 0.0))
            normal = generator.standard_normal((count, len(z)))
            draws.append(mean + normal @ root.T)
        joint: np.ndarray = self.level + self.size * np.stack(draws, axis=2)
        return joint


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
        model = _build_model(build, X, to_device(y, home), noise)
        models.append(_train(model, max_steps))
    return GPyTorchModel(box, closed, tuple(models), level, size)


def _build_model(build: Build, x: Any, y: Any, noise: float | None) -> Any:
    """build(x, y, likelihood) on the device of x, before its training."""
    try:
        import gpytorch
    except ImportError as error:
        raise MissingExtra(
            "a GPyTorch model needs gpytorch; pip install 'rom-platform[gp]'"
        ) from error
    constraint = gpytorch.constraints.GreaterThan(MIN_NOISE)
    likelihood = gpytorch.likelihoods.GaussianLikelihood(noise_constraint=constraint)
    likelihood.noise = max(START_NOISE if noise is None else noise, 2 * MIN_NOISE)
    likelihood.raw_noise.requires_grad_(noise is None)
    model = build(x, y, likelihood)
    if not isinstance(model, gpytorch.models.ExactGP):
        raise BadInput(
            f"{build!r} made {type(model).__name__}; "
            "give a gpytorch.models.ExactGP of (x, y, likelihood)"
        )
    return model.to(x)


def _train(model: Any, max_steps: int) -> Any:
    """The model at the maximum of its likelihood, ready to be asked."""
    import gpytorch
    import torch

    objective = gpytorch.mlls.ExactMarginalLogLikelihood(model.likelihood, model)
    free = [p for p in model.parameters() if p.requires_grad]
    optimiser: Any = torch.optim.LBFGS
    search = optimiser(
        free, max_iter=max_steps, line_search_fn="strong_wolfe", tolerance_change=STEP_TOL
    )

    def loss() -> Any:
        """-log likelihood, with its gradient in the parameters."""
        search.zero_grad()
        value = -objective(model(*model.train_inputs), model.train_targets)
        value.backward()
        return value

    model.train()
    with _exact(grad=True):
        end = float(search.step(loss).detach())
    model.eval()
    if not np.isfinite(end):
        raise NotConverged(
            "the likelihood of a GPyTorch model is not finite; "
            "give a larger noise, or other starting values"
        )
    return model


def _posterior(model: Any, z: np.ndarray, noise: bool) -> Any:
    posterior = model(to_device(z, str(model.train_targets.device)))
    return model.likelihood(posterior) if noise else posterior


@contextmanager
def _exact(std: bool = True, grad: bool = False) -> Iterator[None]:
    """Cholesky at every size, as nothing else answers noise-free data.

    std : False leaves out variances
    """
    import gpytorch
    import torch

    settings = gpytorch.settings
    with (
        settings.max_cholesky_size(EVERY_SIZE),
        settings.fast_computations(False, False, False),
        settings.skip_posterior_variances(not std),
        torch.set_grad_enabled(grad),
    ):
        yield
