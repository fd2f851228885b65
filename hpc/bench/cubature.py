"""Empirical cubature against scipy's nonnegative least squares.

Error and points first, then CPU seconds in one run.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy.optimize import nnls

from hpc.bench._rows import seconds, show
from rom.points import matching_pursuit

NONE = np.zeros(0, dtype=np.int64)


def waves(rows: int, points: int, rng: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows of U^T F (rows, points) and their integrals, F plane waves in a cube.

    At random points, as compressed contributions are.
    """
    gen = np.random.default_rng(rng)
    x, w = gen.random((points, 3)), gen.uniform(0.5, 1.5, points) / points
    F = np.cos(np.pi * x @ gen.normal(0, 2.5, (3, rows)) + gen.uniform(0, 2 * np.pi, rows)).T
    F[-1] = 1.0
    U = np.linalg.svd(F * np.sqrt(w), full_matrices=False)[0]
    G = U.T @ F
    return G, G @ w


def noise(rows: int, points: int, rng: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Independent normal rows and one of ones, which no rule finds easy; and their integrals."""
    gen = np.random.default_rng(rng)
    G = gen.standard_normal((rows, points))
    G[-1] = 1.0
    return G, G @ gen.uniform(0.5, 1.5, points) / points


def table(
    sizes: tuple[tuple[int, int], ...] = ((60, 5_000), (60, 20_000), (200, 20_000)),
    rng: int = 0,
    repeats: int = 3,
) -> list[tuple]:
    """One row for each size and method.

    (data, size, method, relative error, points, CPU s, times ours at the error of nnls, sweeps over
    G that take as long).
    """
    found: list[tuple] = []
    for name, made in (("waves", waves), ("noise", noise)):
        for rows, points in sizes:
            G, b = made(rows, points, rng)
            sweep = seconds(lambda b=b, G=G: b @ G, 10)[0]
            size = f"{name} {rows} x {points}"
            runs = [
                (f"rom, tol {tol:g}", *seconds(partial(matching_pursuit, G, b, tol, NONE), repeats))
                for tol in (1e-12, 1e-4, 1e-2)
            ]
            ours = runs[0][1]
            for label, time, (chosen, _, error) in runs:
                found.append((size, label, error, len(chosen), time, time / ours, time / sweep))
            time, (w, left) = seconds(partial(nnls, G, b), repeats)
            error = float(left / np.linalg.norm(b))
            found.append(
                (size, "scipy nnls", error, int((w > 0).sum()), time, time / ours, time / sweep)
            )
    return found


def main() -> None:
    """Print the table."""
    show(
        "nonnegative rules for G w = b",
        ("G", "method", "relative error", "points", "CPU s", "x ours", "in sweeps of G"),
        table(),
    )


if __name__ == "__main__":
    main()
