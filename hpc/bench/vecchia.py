"""Many points: time, memory and error of sparse inverse Cholesky factors.

Against the dense posterior and against a known function.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from hpc.bench._rows import show
from hpc.bench.pod import anonymous_peak
from rom.gp.kernels import Stationary
from rom.gp.sparse_ascent import ascend_bound, bound_derivatives
from rom.gp.variational import VariationalGP, variational_gp
from rom.gp.vecchia import VecchiaGP, fit_posterior, vecchia_gp
from rom.parameters import Box


def function(x: np.ndarray) -> np.ndarray:
    """Waves over the unit square."""
    return np.sin(12 * x[:, 0]) * np.cos(9 * x[:, 1])


def data(n: int, rng: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(x (n, 2), y with noise 0.1, 5000 fresh points)."""
    gen = np.random.default_rng(rng)
    x = gen.random((n, 2))
    return x, function(x) + 0.1 * gen.standard_normal(n), gen.random((5000, 2))


def told(make: Callable[[], Any], n: int, fresh: np.ndarray) -> dict:
    """CPU seconds and MiB of the fit, CPU seconds of the predictions.

    And error and coverage of f there.
    """
    made: list = []
    begin = time.process_time()
    _, peak = anonymous_peak(lambda: made.append(make()))
    fitted = time.process_time()
    mean, std = made[0].posterior(fresh)
    asked = time.process_time()
    gap = np.abs(mean - function(fresh))
    error, covered = float(np.sqrt(np.mean(gap**2))), float(np.mean(gap < 1.96 * std))
    return {
        "n": n,
        "fit": fitted - begin,
        "predict": asked - fitted,
        "MiB": peak,
        "error": error,
        "coverage": covered,
    }


def gaussian(n: int) -> None:
    """One line of JSON: n points with Gaussian noise."""
    x, y, fresh = data(n)
    print(json.dumps(told(lambda: vecchia_gp(x, y), n, fresh)))


def counts(n: int) -> None:
    """One line of JSON: n counts with expectation exp(f).

    Seconds of a step of Newton's method on the bound, and by how much it rises.
    """
    x, _, fresh = data(n)
    y, made = np.random.default_rng(1).poisson(np.exp(function(x))).astype(float), []

    def fit() -> VariationalGP:
        made.append(variational_gp(x, y, "poisson", neighbours=20, max_fit_points=200, steps=0))
        return made[0]

    row, gp = told(fit, n, fresh), made[0]
    walk = cKDTree(gp.x / gp.kernel.lengths).indices
    before, begin = bound_derivatives(gp.belief, walk).value, time.process_time()
    row["bound"] = ascend_bound(gp.belief, 1, walk)[1]
    print(json.dumps({**row, "before": before, "ascent": time.process_time() - begin}))


def dense(n: int = 3000, neighbours: tuple[int, ...] = (10, 20, 30, 60)) -> list[tuple]:
    """Posterior mean and standard deviation for one kernel by neighbours, against dense algebra."""
    x, y, fresh = data(n)
    fresh, kernel, nugget = fresh[:500], Stationary("matern32", [0.3, 0.4]), 1e-2
    K, C = kernel.matrix(x, x) + nugget * np.eye(n), kernel.matrix(fresh, x)
    one = np.linalg.solve(K, np.ones(n))
    level = one @ y / one.sum()
    weights = np.linalg.solve(K, y - level)
    mean, var = (
        level + C @ weights,
        (1 - np.sum(C * np.linalg.solve(K, C.T).T, axis=1)) * ((y - level) @ weights / n),
    )
    rows = []
    for k in neighbours:
        order, belief, centre, variance = fit_posterior(kernel, nugget, x, y, k)
        guess, std = VecchiaGP(
            Box(("a", "b"), [0, 0], [1, 1]), x[order], kernel, nugget, centre, variance, belief
        ).posterior(fresh)
        rows.append(
            (
                k,
                float(np.abs(guess - mean).max() / np.sqrt(var).mean()),
                float(np.abs(std / np.sqrt(var) - 1).max()),
            )
        )
    return rows


def alone(name: str, n: int) -> dict:
    """A row, measured in a process of its own."""
    code = f"from hpc.bench.vecchia import {name}; {name}({n})"
    return json.loads(
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout.splitlines()[-1]
    )


def main(
    sizes: tuple[int, ...] = (20_000, 100_000, 1_000_000), few: tuple[int, ...] = (20_000,)
) -> None:
    """Print the tables; CPU seconds on one thread."""
    title = (
        "3000 points, the same kernel: "
        "largest deviation from dense algebra, in posterior standard deviations"
    )
    show(title, ("neighbours", "of the mean", "of the deviation"), dense())
    head = ("points", "RMS error of f", "coverage of 95 %", "fit s", "5000 predictions s", "MiB")
    keys = ("n", "error", "coverage", "fit", "predict", "MiB")
    rows = [alone("gaussian", n) for n in sizes]
    show(
        "noise 0.1 on waves of size 1, 30 neighbours",
        head,
        [tuple(row[key] for key in keys) for row in rows],
    )
    rows = [alone("counts", n) for n in few]
    title, more = (
        "counts with expectation exp(f), variational, 20 neighbours",
        ("bound", "after a step", "step s"),
    )
    table = [tuple(row[key] for key in (*keys, "before", "bound", "ascent")) for row in rows]
    show(title, (*head, *more), table)


if __name__ == "__main__":
    main()
