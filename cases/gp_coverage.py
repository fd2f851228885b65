"""Do 95 % intervals hold 95 %?

Fifty random functions, smooth and rough, noise-free and noisy, in one to four dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import qmc

from rom.cli.launch import run
from rom.gp import coefficient_gp

KINDS = ("smooth", "rough", "smooth noisy", "rough noisy")


def function(kind: str, p: int, rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """A random function on the unit box.

    Waves of random directions if smooth, folds of random slopes beside waves if rough.
    """
    omega, phase = rng.normal(0, 4.0 / np.sqrt(p), (12, p)), rng.uniform(0, 2 * np.pi, 12)
    size = rng.normal(size=12)
    planes, cuts, folds = rng.normal(size=(6, p)), rng.uniform(0, 1, (6, p)), rng.normal(size=6)

    def value(x: np.ndarray) -> np.ndarray:
        waves = np.sin(x @ omega.T + phase) @ size
        if kind.startswith("smooth"):
            return waves
        return 0.3 * waves + np.abs(np.einsum("nkp,kp->nk", x[:, None] - cuts, planes)) @ (
            2 * folds
        )

    return value


def problem(k: int, rng: int = 0, points: int = 400) -> dict[str, Any]:
    """Coverage of the k-th problem, at fresh points, by new runs.

    (m runs, p inputs) of kind k mod 4.
    """
    gen = np.random.default_rng([rng, k])
    kind, p = KINDS[k % 4], 1 + (k // 4) % 4
    m = 25 * p
    f, level = function(kind, p, gen), 0.1 if kind.endswith("noisy") else 0.0
    x, z = qmc.Sobol(p, rng=gen).random(2 ** int(np.ceil(np.log2(m))))[:m], gen.random((points, p))
    clean, truth = f(x), f(z)
    noise = level * clean.std()
    y, new = clean + noise * gen.standard_normal(m), truth + noise * gen.standard_normal(points)
    gp = coefficient_gp(x, y[:, None])
    mean, std = (part[:, 0] for part in gp.posterior(z, noise=True))  # type: ignore[index]
    return {
        "kind": kind,
        "inputs": p,
        "coverage": float(np.mean(np.abs(new - mean) <= 1.959964 * std)),
        "error": float(np.linalg.norm(mean - truth) / np.linalg.norm(truth - truth.mean())),
    }


def main(problems: int = 50, seed: int = 0) -> dict[str, Any]:
    """Mean coverage over all problems and over each kind."""
    rows = [problem(k, seed) for k in range(problems)]
    kinds = {kind: [row for row in rows if row["kind"] == kind] for kind in KINDS}
    return {
        "problems": problems,
        "coverage": float(np.mean([row["coverage"] for row in rows])),
        "coverage_by_kind": {
            kind: float(np.mean([row["coverage"] for row in part]))
            for kind, part in kinds.items()
            if part
        },
        "error_by_kind": {
            kind: float(np.mean([row["error"] for row in part]))
            for kind, part in kinds.items()
            if part
        },
        "rows": rows,
    }


if __name__ == "__main__":
    run(main)
