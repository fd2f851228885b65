"""Grids: likelihood with gradient on 640,000 points, and missing cells.

The likelihood beside GPyTorch's GridKernel; the cells beside plain iterations and BoTorch.
"""

from __future__ import annotations

import importlib
import warnings

import numpy as np

from hpc.bench._rows import seconds, show
from rom.errors import NotConverged
from rom.gp.kernels import Stationary
from rom.gp.kronecker import kronecker_gp
from rom.gp.kronecker_likelihood import grid_likelihood
from rom.gp.missing import Preconditioner, missing_preconditioner, solve_missing


def surface(n: int, rng: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(points (n, 1), noisy values (n, n))."""
    x = np.linspace(0, 1, n)[:, None]
    return x, np.sin(5 * x) * np.cos(7 * x.T) + 0.05 * np.random.default_rng(rng).standard_normal(
        (n, n)
    )


def gpytorch_grid(
    x: np.ndarray, y: np.ndarray, length: float, nugget: float
) -> tuple[float, np.ndarray]:
    """(-log likelihood, gradient in log length and log nugget) by GridKernel.

    Its exact eigenvalue route, Toeplitz off.
    """
    import gpytorch
    import torch

    torch.set_num_threads(1)
    axis = torch.tensor(x[:, 0])
    base = gpytorch.kernels.MaternKernel(nu=2.5).double()
    base.lengthscale = length
    kernel = gpytorch.kernels.GridKernel(base, [axis, axis]).double()
    noise = torch.tensor([nugget], dtype=torch.float64, requires_grad=True)
    with gpytorch.settings.use_toeplitz(False):
        covariance = kernel(kernel.full_grid).evaluate_kernel().add_diagonal(noise)
        inverse, log_det = covariance.inv_quad_logdet(torch.tensor(y.reshape(-1, 1)), logdet=True)
        value = 0.5 * (inverse + log_det)
        value.backward()
    slope = float(base.raw_lengthscale.grad) / float(
        base.raw_lengthscale_constraint.transform(base.raw_lengthscale).detach()
    )
    return float(value.detach()), np.array([slope, float(noise.grad) * nugget])


def main(sizes: tuple[int, ...] = (200, 400, 800)) -> None:
    """Print the tables; CPU seconds on one thread, the least of three."""
    warnings.simplefilter("ignore")
    rows = []
    for n in sizes:
        x, y = surface(n)
        kernels = [Stationary("matern52", [0.2]), Stationary("matern52", [0.2])]
        mine, _ = seconds(
            lambda kernels=kernels, x=x, y=y: grid_likelihood(kernels, 2.5e-3, [x, x], y)
        )
        try:
            theirs, _ = seconds(lambda x=x, y=y: gpytorch_grid(x, y, 0.2, 2.5e-3))
            rows.append((n * n, mine, theirs, theirs / mine))
        except ImportError:
            rows.append((n * n, mine, "not installed", ""))
    show(
        "likelihood and gradient of a full grid",
        ("cells", "ours CPU s", "GridKernel CPU s", "ratio"),
        rows,
    )
    show(
        "30 % of the cells missing, relative residual 1e-6",
        ("cells", "nugget", "method", "iterations", "CPU s"),
        missing(),
    )
    show(
        "fit and fill 30 % missing cells",
        ("cells", "method", "relative error there", "CPU s"),
        completed(48),
    )


def missing() -> list[tuple]:
    """Iterations with the preconditioner and without, at two noises and two sizes."""
    rows = []
    for n, nugget in ((200, 2.5e-3), (200, 1e-6), (400, 2.5e-3), (400, 1e-6)):
        x, y = surface(n)
        seen = np.random.default_rng(1).random((n, n)) > 0.3
        K = [Stationary("matern52", [0.2]).matrix(x, x)] * 2
        took, (held, steps) = seconds(
            lambda K=K, nugget=nugget, seen=seen, y=y: ours(K, nugget, seen, y), 1
        )
        rows.append((n * n, nugget, f"ours, {held.rank} eigenfunctions", steps, took))
        none = np.empty(0)
        plain = Preconditioner(
            held.K, held.V, (none.astype(int),) * 2, none, np.zeros((0, 0)), nugget, seen
        )
        took, steps = seconds(lambda plain=plain, y=y: counted(plain, y), 1)
        rows.append((n * n, nugget, "plain conjugate gradients", steps, took))
    return rows


def ours(
    K: list[np.ndarray], nugget: float, seen: np.ndarray, y: np.ndarray
) -> tuple[Preconditioner, int]:
    """(preconditioner, iterations)."""
    held = missing_preconditioner(K, nugget, seen)
    return held, solve_missing(held, y, tol=1e-6)[1]


def counted(plain: Preconditioner, y: np.ndarray) -> int | str:
    """Iterations, or that 2000 were not enough."""
    try:
        return solve_missing(plain, y, tol=1e-6)[1]
    except NotConverged:
        return "> 2000"


def latent_kronecker(x: np.ndarray, y: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Mean of 64 samples of BoTorch's LatentKroneckerGP, with its own defaults.

    L-BFGS, conjugate gradients to 1e-2; its `mean` is not rescaled.
    """
    import torch
    from botorch.fit import fit_gpytorch_mll
    from botorch.models.latent_kronecker_gp import LatentKroneckerGP
    from gpytorch.mlls import ExactMarginalLogLikelihood

    torch.set_num_threads(1)
    torch.manual_seed(0)
    points = torch.tensor(x)
    model = LatentKroneckerGP(points, points, torch.tensor(np.where(seen, y, np.nan)))
    with model.use_iterative_methods():
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        with torch.no_grad():
            return (
                model.posterior(points, points)
                .rsample(torch.Size([64]))
                .mean(0)
                .numpy()
                .reshape(y.shape)
            )


def completed(n: int) -> list[tuple]:
    """Kernels and noise fitted and the missing cells filled, ours and BoTorch's.

    With the error there against the noise-free truth.
    """
    x, y = surface(n)
    seen, truth = np.random.default_rng(1).random((n, n)) > 0.3, np.sin(5 * x) * np.cos(7 * x.T)
    arms = {
        "ours": lambda: kronecker_gp([x, x], np.where(seen, y, np.nan), observed=seen).posterior(
            x, x, std=False
        )[0],
        "BoTorch latent Kronecker": lambda: latent_kronecker(x, y, seen),
    }
    rows = []
    for name, arm in arms.items():
        try:
            importlib.import_module("botorch" if name.startswith("BoTorch") else "numpy")
        except ImportError:
            rows.append((n * n, name, "not installed", ""))
            continue
        took, mean = seconds(arm, 1)
        rows.append(
            (
                n * n,
                name,
                float(np.linalg.norm((mean - truth)[~seen]) / np.linalg.norm(truth[~seen])),
                took,
            )
        )
    return rows


if __name__ == "__main__":
    main()
