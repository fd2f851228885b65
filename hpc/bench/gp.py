"""Regression of 16 coefficients over 5 parameters, and of one output.

Ours, GPyTorch (Cholesky forced), scikit-learn, EZyRB; error first.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from hpc.bench._gpytorch import exact_process
from hpc.bench._rows import seconds, show
from rom.gp import coefficient_gp


def fields(mu: np.ndarray, n: int = 200) -> np.ndarray:
    """A travelling bump beside waves, (m, n), five parameters."""
    z = np.linspace(0, 1, n)[None]
    bump = np.exp(-(((z - 0.3 - 0.4 * mu[:, :1]) / (0.05 + 0.1 * mu[:, 1:2])) ** 2)) * (
        1 + mu[:, 2:3]
    )
    return bump + mu[:, 3:4] * np.sin(3 * z * (1 + mu[:, 4:5]))


def data(m: int, r: int = 16, rng: int = 0) -> tuple[np.ndarray, ...]:
    """(mu, a, mu of the test, their a, training fields, V).

    a : the coefficients of r modes V (r, n) of the training fields
    """
    gen = np.random.default_rng(rng)
    mu, fresh = gen.random((m, 5)), gen.random((500, 5))
    u = fields(mu)
    V = np.linalg.svd(u - u.mean(axis=0), full_matrices=False)[2][:r]
    return mu, (u - u.mean(axis=0)) @ V.T, fresh, (fields(fresh) - u.mean(axis=0)) @ V.T, u, V


def gpytorch_independent(
    mu: np.ndarray, a: np.ndarray, fresh: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One Matern-5/2 ARD process per output: the best recipe known.

    float64, Cholesky at every size, fitted by BoTorch's L-BFGS.
    """
    import gpytorch
    import torch
    from botorch.fit import fit_gpytorch_mll
    from botorch.models.gpytorch import GPyTorchModel

    torch.set_num_threads(1)
    x = torch.tensor(mu)

    answers = []
    for column in a.T:
        y = torch.tensor((column - column.mean()) / column.std())
        model, likelihood = exact_process(x, y, more=(GPyTorchModel,))
        with (
            gpytorch.settings.max_cholesky_size(100_000),
            gpytorch.settings.fast_computations(False, False, False),
        ):
            fit_gpytorch_mll(gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model))
            model.eval(), likelihood.eval()
            with torch.no_grad():
                answer = likelihood(model(torch.tensor(fresh)))
        answers.append(
            (
                answer.mean.numpy() * column.std() + column.mean(),
                answer.stddev.numpy() * column.std(),
            )
        )
    return np.stack([mean for mean, _ in answers], axis=1), np.stack(
        [std for _, std in answers], axis=1
    )


def gpytorch_batch(
    mu: np.ndarray, a: np.ndarray, fresh: np.ndarray, steps: int = 75
) -> tuple[np.ndarray, np.ndarray]:
    """Independent Matern-5/2 ARD processes in plain batch mode, its fastest step.

    Adam, float64, Cholesky at every size.
    """
    import gpytorch
    import torch

    torch.set_num_threads(1)
    x, y = torch.tensor(mu), torch.tensor(((a - a.mean(0)) / a.std(0)).T)
    model, likelihood = exact_process(x, y, batch=(len(y),))
    with (
        gpytorch.settings.max_cholesky_size(100_000),
        gpytorch.settings.fast_computations(False, False, False),
    ):
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
            answer = likelihood(model(z.expand(len(y), *z.shape)))
    return answer.mean.numpy().T * a.std(0) + a.mean(0), answer.stddev.numpy().T * a.std(0)


def sklearn_independent(
    mu: np.ndarray, a: np.ndarray, fresh: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One GaussianProcessRegressor per output, one L-BFGS start.

    Matern-5/2 ARD and a white kernel.
    """
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    answers = []
    for column in a.T:
        kernel = ConstantKernel(1.0, (1e-3, 1e6)) * Matern(
            [1.0] * mu.shape[1], (1e-2, 1e2), nu=2.5
        ) + WhiteKernel(1e-6, (1e-10, 1))
        model = GaussianProcessRegressor(kernel, normalize_y=True).fit(mu, column)
        answers.append(model.predict(fresh, return_std=True))
    return np.stack([mean for mean, _ in answers], axis=1), np.stack(
        [std for _, std in answers], axis=1
    )


def ezyrb_pod_gpr(mu: np.ndarray, u: np.ndarray, fresh: np.ndarray, r: int) -> np.ndarray:
    """Fields (m, n) by EZyRB's reduced-order model of POD and GPR.

    With its defaults: one kernel and length for all outputs.
    """
    from ezyrb import GPR, POD, Database, ReducedOrderModel

    made = ReducedOrderModel(Database(mu, u), POD("svd", rank=r), GPR()).fit()
    return np.asarray(made.predict(fresh))


def main(m: int = 400, r: int = 16) -> None:
    """Print the tables; CPU seconds of fit and prediction at 500 points on one thread."""
    warnings.simplefilter("ignore")
    for library in ("gpytorch", "botorch.fit", "sklearn.gaussian_process", "ezyrb"):
        with suppress(ImportError):
            importlib.import_module(library)
    mu, a, fresh, truth, u, V = data(m, r)
    arms: dict[str, Callable[[], Any]] = {
        f"ours, {share}": lambda share=share: coefficient_gp(mu, a, share=share).posterior(
            fresh, noise=True
        )
        for share in ("auto", "shared", "clusters", "independent")
    }
    arms |= {
        "GPyTorch independent, L-BFGS": lambda: gpytorch_independent(mu, a, fresh),
        "GPyTorch batch, Adam, 75 steps": lambda: gpytorch_batch(mu, a, fresh),
        "scikit-learn independent": lambda: sklearn_independent(mu, a, fresh),
        "EZyRB POD + GPR, from fields": lambda: (
            (ezyrb_pod_gpr(mu, u, fresh, r) - u.mean(axis=0)) @ V.T,
            None,
        ),
    }
    rows: list[tuple] = []
    for name, fit in arms.items():
        try:
            took, (mean, std) = seconds(fit, 1)
        except ImportError:
            rows.append((name, "not installed", "", "", ""))
            continue
        error = np.linalg.norm(mean - truth) / np.linalg.norm(truth)
        covered = "" if std is None else float(np.mean(np.abs(mean - truth) < 1.96 * std))
        rows.append((name, error, covered, took, took / rows[0][3] if rows else 1.0))
    title = f"{r} outputs, {m} runs, 5 parameters: fit and prediction"
    show(title, ("method", "relative error", "coverage of 95 %", "CPU s", "x ours, auto"), rows)
    subprocess.run(
        [sys.executable, "-c", "from hpc.bench.gp import million; million()"], check=True
    )


def million(q: int = 1_000_000) -> None:
    """A million points with standard deviation: seconds and peak memory.

    Anonymous memory above the start, in a process of its own.
    """
    from hpc.bench.pod import anonymous_peak

    mu, a = data(400, 4)[:2]
    gp = coefficient_gp(mu, a, share="shared")
    z = np.random.default_rng(1).random((q, 5))
    elapsed, peak = anonymous_peak(lambda: gp.posterior(z))
    print(
        f"{q} points, 4 outputs, 400 runs, with standard deviations: "
        f"{elapsed:.1f} s wall, {peak:.0f} MiB (asked <= 1000)"
    )


if __name__ == "__main__":
    main()
