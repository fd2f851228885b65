"""Whole GPyTorch models in place of `coefficient_gp`: any `ExactGP` that somebody wrote, one per output, in float64 and by Cholesky."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.errors import BadInput, MissingExtra, NotConverged
from rom.gp.algebra import to_device, to_numpy
from rom.gp.coefficients import check_training
from rom.parameters import Box

CHUNK = 512


@dataclass(frozen=True, eq=False)
class GPyTorchModel:
    """a_i(x) by models[i], an `ExactGP` of outputs scaled to mean 0 and deviation 1 over inputs scaled to the box.

    It answers as a CoefficientGP does. No archive holds it: its file format would be torch's.
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
        self, x: np.ndarray, noise: bool = False, std: bool = True
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Posterior mean and standard deviation, both (q, r), or (r,) for x (p,), in chunks; noise : of new runs; std=False: (mean, None)."""
        z = self._scaled(np.atleast_2d(x))
        mean, spread = np.empty((len(z), self.r)), np.empty((len(z), self.r))
        for i, model in enumerate(self.models):
            for rows in (slice(s, s + CHUNK) for s in range(0, len(z), CHUNK)):
                with _exact(std):
                    answer = _asked(model, z[rows], noise)
                    mean[rows, i] = to_numpy(answer.mean)
                    if std:
                        spread[rows, i] = np.sqrt(to_numpy(answer.variance))
        mean, spread = self.level + self.size * mean, self.size * spread
        if np.ndim(x) == 1:
            mean, spread = mean[0], spread[0]
        return mean, spread if std else None

    def leave_one_out(self) -> tuple[np.ndarray, np.ndarray]:
        """(a_i - E[a_i | the others], its standard deviation), both (m, r), by Q = (K + noise)^{-1}: (Q (a - mean))_i / Q_ii, 1 / sqrt(Q_ii)."""
        residuals, std = [], []
        for model in self.models:
            model.train()
            with _exact():
                prior = model.likelihood(model(*model.train_inputs))
                Q = np.linalg.inv(to_numpy(prior.covariance_matrix))
                residuals.append(Q @ to_numpy(model.train_targets - prior.mean) / Q.diagonal())
            model.eval()
            std.append(Q.diagonal() ** -0.5)
        return self.size * np.stack(residuals, axis=1), self.size * np.stack(std, axis=1)

    def samples(
        self, x: np.ndarray, count: int, rng: int | np.random.Generator = 0, noise: bool = False
    ) -> np.ndarray:
        """Joint draws of the outputs at x (q, p) from the posterior, (count, q, r); noise: those of new runs."""
        gen, z, draws = np.random.default_rng(rng), self._scaled(np.atleast_2d(x)), []
        for model in self.models:
            with _exact():
                answer = _asked(model, z, noise)
                mean, (values, vectors) = (
                    to_numpy(answer.mean),
                    np.linalg.eigh(to_numpy(answer.covariance_matrix)),
                )
            draws.append(
                mean
                + gen.standard_normal((count, len(z)))
                @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
            )
        return self.level + self.size * np.stack(draws, axis=2)

    def _scaled(self, x: np.ndarray) -> np.ndarray:
        x = np.asarray(x, dtype=float)
        if x.shape[-1] != self.box.p or not np.isfinite(x).all():
            raise BadInput(f"x has shape {x.shape}; the model needs finite (q, {self.box.p})")
        return self.box.to_unit(self.box.check(x) if self.closed else x)


def gpytorch_model(
    build: Callable[[Any, Any, Any], Any],
    x: np.ndarray,
    a: np.ndarray,
    box: Box | None = None,
    noise: float | None = None,
    device: str | None = None,
    steps: int = 200,
) -> GPyTorchModel:
    """The models build(x, y, likelihood) of each output of a (m, r) at x (m, p), fitted by L-BFGS on the exact marginal likelihood.

    build : a subclass of gpytorch.models.ExactGP, or what returns one; box : as in `coefficient_gp`
    noise : its variance over the output's if it is known, at least 1e-8; None fits it
    Raises MissingExtra without gpytorch, BadInput where build makes no ExactGP, NotConverged for a likelihood that is not finite.
    """
    x, a, box, closed = check_training(x, a, box, "constant")
    level, size = a.mean(axis=0), a.std(axis=0)
    size = np.where(size > 1e-14 * np.abs(a).max(axis=0), size, 1.0)
    X = to_device(box.to_unit(x), device or "cpu")
    models = tuple(
        _trained(build, X, to_device(y, device or "cpu"), noise, steps)
        for y in ((a - level) / size).T
    )
    return GPyTorchModel(box, closed, models, level, size)


def _trained(
    build: Callable[[Any, Any, Any], Any], x: Any, y: Any, noise: float | None, steps: int
) -> Any:
    try:
        import gpytorch
        import torch
    except ImportError as error:
        raise MissingExtra(
            "a GPyTorch model needs gpytorch; pip install 'rom-platform[gp]'"
        ) from error
    likelihood = gpytorch.likelihoods.GaussianLikelihood(
        noise_constraint=gpytorch.constraints.GreaterThan(1e-8)
    )
    likelihood.noise = max(1e-4 if noise is None else noise, 2e-8)
    likelihood.raw_noise.requires_grad_(noise is None)
    model = build(x, y, likelihood)
    if not isinstance(model, gpytorch.models.ExactGP):
        raise BadInput(
            f"{build!r} made {type(model).__name__}; give a gpytorch.models.ExactGP of (x, y, likelihood)"
        )
    model = model.to(x)
    objective = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)
    free = [p for p in model.parameters() if p.requires_grad]
    search = torch.optim.LBFGS(
        free, max_iter=steps, line_search_fn="strong_wolfe", tolerance_change=1e-9
    )

    def loss() -> Any:
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
            "the likelihood of a GPyTorch model is not finite; give a larger noise, or other starting values"
        )
    return model


def _asked(model: Any, z: np.ndarray, noise: bool) -> Any:
    answer = model(to_device(z, str(model.train_targets.device)))
    return model.likelihood(answer) if noise else answer


@contextmanager
def _exact(std: bool = True, grad: bool = False) -> Iterator[None]:
    """Cholesky at every size, as nothing else answers noise-free data; without variances where none are asked."""
    import gpytorch
    import torch

    with (
        gpytorch.settings.max_cholesky_size(10**9),
        gpytorch.settings.fast_computations(False, False, False),
        gpytorch.settings.skip_posterior_variances(not std),
        torch.set_grad_enabled(grad),
    ):
        yield
