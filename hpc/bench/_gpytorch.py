"""GPyTorch's exact processes of a Matern 5/2 kernel, as the benches fit them."""

from __future__ import annotations

from typing import Any


def exact_process(
    x: Any, y: Any, *, batch: tuple[int, ...] = (), more: tuple[type, ...] = ()
) -> tuple[Any, Any]:
    """(model, likelihood) of y (*batch, m) at x (m, p): a length per parameter, float64.

    more : further bases of the model's class
    """
    import gpytorch
    import torch

    size = torch.Size(batch)

    class Exact(gpytorch.models.ExactGP, *more):  # type: ignore[misc]
        def __init__(self, likelihood: Any) -> None:
            super().__init__(x.expand(*size, *x.shape), y, likelihood)
            self.mean_module = gpytorch.means.ConstantMean(batch_shape=size)
            matern = gpytorch.kernels.MaternKernel(
                nu=2.5, ard_num_dims=x.shape[1], batch_shape=size
            )
            self.covar_module = gpytorch.kernels.ScaleKernel(matern, batch_shape=size)

        def forward(self, points: Any) -> Any:
            return gpytorch.distributions.MultivariateNormal(
                self.mean_module(points), self.covar_module(points)
            )

    likelihood = gpytorch.likelihoods.GaussianLikelihood(
        batch_shape=size, noise_constraint=gpytorch.constraints.GreaterThan(1e-8)
    )
    likelihood.noise = 1e-4
    return Exact(likelihood).double(), likelihood.double()
