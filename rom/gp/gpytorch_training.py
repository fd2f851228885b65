"""The training of one GPyTorch model, and the exact algebra that it is asked in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from rom.errors import BadInput, NotConverged, require

MIN_NOISE = 1e-8  # variance over the output's
START_NOISE = 1e-4
STEP_TOL = 1e-9  # change of the likelihood that ends a search
EVERY_SIZE = 10**9  # runs up to which GPyTorch factors densely

Build = Callable[[Any, Any, Any], Any]  # (x, y, likelihood) -> an ExactGP


def build_exact_gp(build: Build, x: Any, y: Any, noise: float | None) -> Any:
    """build(x, y, likelihood) on the device of x, before its training."""
    require("gpytorch", "torch", "models of GPyTorch")
    import gpytorch

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


def train_exact_gp(model: Any, max_steps: int) -> Any:
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
    with exact_algebra(grad=True):
        end = float(search.step(loss).detach())
    model.eval()
    if not np.isfinite(end):
        raise NotConverged(
            "the likelihood of a GPyTorch model is not finite; "
            "give a larger noise, or other starting values"
        )
    return model


@contextmanager
def exact_algebra(std: bool = True, grad: bool = False) -> Iterator[None]:
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
