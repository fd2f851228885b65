"""Grids: likelihood with gradient on 640,000 points beside GPyTorch's GridKernel, and missing cells beside plain conjugate gradients."""

from __future__ import annotations

import numpy as np

from hpc.bench._rows import seconds, show
from rom.errors import NotConverged
from rom.regress.kernels import Stationary
from rom.regress.kronecker import likelihood
from rom.regress.missing import Preconditioner, preconditioner, solved


def surface(n: int, rng: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(points (n, 1), noisy values (n, n))."""
    x = np.linspace(0, 1, n)[:, None]
    return x, np.sin(5 * x) * np.cos(7 * x.T) + 0.05 * np.random.default_rng(rng).standard_normal((n, n))


def gpytorch_grid(x: np.ndarray, y: np.ndarray, length: float, nugget: float) -> tuple[float, np.ndarray]:
    """(-log likelihood, gradient in log length and log nugget) by GridKernel's exact eigenvalue route, Toeplitz off."""
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
    slope = float(base.raw_lengthscale.grad) / float(base.raw_lengthscale_constraint.transform(base.raw_lengthscale).detach())
    return float(value.detach()), np.array([slope, float(noise.grad) * nugget])


def main(sizes: tuple[int, ...] = (200, 400, 800)) -> None:
    """Print both tables; CPU seconds on one thread, medians of three."""
    rows = []
    for n in sizes:
        x, y = surface(n)
        kernels = [Stationary("matern52", [0.2]), Stationary("matern52", [0.2])]
        mine, _ = seconds(lambda kernels=kernels, x=x, y=y: likelihood(kernels, 2.5e-3, [x, x], y))
        try:
            theirs, _ = seconds(lambda x=x, y=y: gpytorch_grid(x, y, 0.2, 2.5e-3))
            rows.append((n * n, mine, theirs, theirs / mine))
        except ImportError:
            rows.append((n * n, mine, "not installed", ""))
    show("likelihood and gradient of a full grid", ("cells", "ours CPU s", "GridKernel CPU s", "ratio"), rows)
    show("30 % of the cells missing, relative residual 1e-6", ("cells", "nugget", "method", "iterations", "CPU s"), missing())
    botorch()


def missing() -> list[tuple]:
    """Iterations with the preconditioner and without, at two noises and two sizes."""
    rows = []
    for n, nugget in ((200, 2.5e-3), (200, 1e-6), (400, 2.5e-3), (400, 1e-6)):
        x, y = surface(n)
        seen = np.random.default_rng(1).random((n, n)) > 0.3
        K = [Stationary("matern52", [0.2]).matrix(x, x)] * 2
        took, (held, steps) = seconds(lambda K=K, nugget=nugget, seen=seen, y=y: ours(K, nugget, seen, y), 1)
        rows.append((n * n, nugget, f"ours, {held.rank} eigenfunctions", steps, took))
        none = np.empty(0)
        plain = Preconditioner(held.K, held.V, (none.astype(int),) * 2, none, np.zeros((0, 0)), nugget, seen)
        took, steps = seconds(lambda plain=plain, y=y: counted(plain, y), 1)
        rows.append((n * n, nugget, "plain conjugate gradients", steps, took))
    return rows


def ours(K: list[np.ndarray], nugget: float, seen: np.ndarray, y: np.ndarray) -> tuple[Preconditioner, int]:
    """(preconditioner, iterations)."""
    held = preconditioner(K, nugget, seen)
    return held, solved(held, y, 1e-6)[1]


def counted(plain: Preconditioner, y: np.ndarray) -> int | str:
    """Iterations, or that 2000 were not enough."""
    try:
        return solved(plain, y, 1e-6)[1]
    except NotConverged:
        return "> 2000"


def botorch() -> None:
    """BoTorch's latent Kronecker GP on a small grid, where it is installed."""
    try:
        import botorch  # noqa: F401
    except ImportError:
        print("BoTorch is not installed: its latent Kronecker GP is not timed")


if __name__ == "__main__":
    main()
