"""Regression of 16 coefficients over 5 parameters, and of one output: ours, GPyTorch (Cholesky forced), scikit-learn, EZyRB; error first."""

from __future__ import annotations

import importlib
import warnings
from contextlib import suppress
from typing import Any

import numpy as np

from hpc.bench._rows import seconds, show
from rom.regress.coefficient_gp import coefficient_gp


def fields(mu: np.ndarray, n: int = 200) -> np.ndarray:
    """A travelling bump beside waves, (m, n), five parameters."""
    z = np.linspace(0, 1, n)[None]
    bump = np.exp(-(((z - 0.3 - 0.4 * mu[:, :1]) / (0.05 + 0.1 * mu[:, 1:2])) ** 2)) * (1 + mu[:, 2:3])
    return bump + mu[:, 3:4] * np.sin(3 * z * (1 + mu[:, 4:5]))


def data(m: int, r: int = 16, rng: int = 0) -> tuple[np.ndarray, ...]:
    """(mu, a, mu of the test, their a) with a the coefficients of r modes of the training fields."""
    gen = np.random.default_rng(rng)
    mu, fresh = gen.random((m, 5)), gen.random((500, 5))
    u = fields(mu)
    V = np.linalg.svd(u - u.mean(axis=0), full_matrices=False)[2][:r]
    return mu, (u - u.mean(axis=0)) @ V.T, fresh, (fields(fresh) - u.mean(axis=0)) @ V.T


def gpytorch_batch(mu: np.ndarray, a: np.ndarray, fresh: np.ndarray, steps: int = 75) -> tuple[np.ndarray, np.ndarray]:
    """Independent Matern-5/2 ARD processes in plain batch mode, the fastest recipe known: Adam, float64, Cholesky at every size."""
    import gpytorch
    import torch

    torch.set_num_threads(1)
    x, y = torch.tensor(mu), torch.tensor(((a - a.mean(0)) / a.std(0)).T)
    batch = torch.Size([y.shape[0]])

    class Exact(gpytorch.models.ExactGP):
        def __init__(self, likelihood: Any) -> None:
            super().__init__(x.expand(*batch, *x.shape), y, likelihood)
            self.mean_module = gpytorch.means.ConstantMean(batch_shape=batch)
            kernel = gpytorch.kernels.MaternKernel(nu=2.5, ard_num_dims=x.shape[1], batch_shape=batch)
            self.covar_module = gpytorch.kernels.ScaleKernel(kernel, batch_shape=batch)

        def forward(self, z: Any) -> Any:
            return gpytorch.distributions.MultivariateNormal(self.mean_module(z), self.covar_module(z))

    constraint = gpytorch.constraints.GreaterThan(1e-8)
    likelihood = gpytorch.likelihoods.GaussianLikelihood(batch_shape=batch, noise_constraint=constraint)
    likelihood.noise = 1e-4
    model = Exact(likelihood).double()
    likelihood.double()
    with gpytorch.settings.max_cholesky_size(100_000), gpytorch.settings.fast_computations(False, False, False):
        model.train(), likelihood.train()
        optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
        objective = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)
        for _ in range(steps):
            optimiser.zero_grad()
            (-objective(model(*model.train_inputs), y).sum()).backward()
            optimiser.step()
        model.eval(), likelihood.eval()
        with torch.no_grad():
            z = torch.tensor(fresh)
            answer = likelihood(model(z.expand(*batch, *z.shape)))
    return answer.mean.numpy().T * a.std(0) + a.mean(0), answer.stddev.numpy().T * a.std(0)


def sklearn_independent(mu: np.ndarray, a: np.ndarray, fresh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One GaussianProcessRegressor per output, Matern-5/2 ARD and a white kernel, one L-BFGS start."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    answers = []
    for column in a.T:
        kernel = ConstantKernel(1.0, (1e-3, 1e6)) * Matern([1.0] * mu.shape[1], (1e-2, 1e2), nu=2.5) + WhiteKernel(
            1e-6, (1e-10, 1)
        )
        model = GaussianProcessRegressor(kernel, normalize_y=True).fit(mu, column)
        answers.append(model.predict(fresh, return_std=True))
    return np.stack([mean for mean, _ in answers], axis=1), np.stack([std for _, std in answers], axis=1)


def ezyrb_gpr(mu: np.ndarray, a: np.ndarray, fresh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """EZyRB's GPR with its defaults: one kernel and length for all outputs."""
    from ezyrb import GPR

    model = GPR()
    model.fit(mu, a)
    mean, variance = model.predict(fresh, return_variance=True)
    return mean, np.sqrt(np.abs(np.asarray(variance))).reshape(len(fresh), -1)


def main(m: int = 400, r: int = 16) -> None:
    """Print the table; CPU seconds of fit and prediction at 500 points on one thread."""
    warnings.simplefilter("ignore")
    mu, a, fresh, truth = data(m, r)
    ours: dict[str, Any] = {
        f"ours, {share}": lambda mu, a, fresh, share=share: coefficient_gp(mu, a, share=share).predict(fresh, noise=True)
        for share in ("shared", "clusters", "independent", "auto")
    }
    peers = {
        "GPyTorch batch, 75 steps": gpytorch_batch,
        "GPyTorch batch, 150 steps": lambda *given: gpytorch_batch(*given, steps=150),
        "scikit-learn independent": sklearn_independent,
        "EZyRB GPR": ezyrb_gpr,
    }
    for library in ("gpytorch", "sklearn.gaussian_process", "ezyrb"):
        with suppress(ImportError):
            importlib.import_module(library)
    rows = []
    for name, fit in {**ours, **peers}.items():
        try:
            took, (mean, std) = seconds(lambda fit=fit: fit(mu, a, fresh), 1)
        except ImportError:
            rows.append((name, "not installed", "", "", ""))
            continue
        error = np.linalg.norm(mean - truth) / np.linalg.norm(truth)
        covered = float(np.mean(np.abs(mean - truth) < 1.96 * std)) if std.shape == truth.shape else float("nan")
        rows.append((name, error, covered, took, took / rows[0][3] if rows else 1.0))
    show(
        f"{r} outputs, {m} runs, 5 parameters", ("method", "relative error", "coverage of 95 %", "CPU s", "x ours, shared"), rows
    )
    million()


def million(q: int = 1_000_000) -> None:
    """A million points with standard deviation: seconds and peak anonymous memory above the start."""
    from hpc.bench.pod import anonymous_peak

    mu, a, _, _ = data(400, 4)
    gp = coefficient_gp(mu, a, share="shared")
    z = np.random.default_rng(1).random((q, 5))
    elapsed, peak = anonymous_peak(lambda: gp.predict(z))
    print(f"{q} points, 4 outputs, 400 runs, with standard deviations: {elapsed:.1f} s wall, {peak:.0f} MiB (asked <= 1000)")


if __name__ == "__main__":
    main()
