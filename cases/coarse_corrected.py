"""A coarse Darcy solve and the kernel of its difference from a fine one: few runs are enough.

The five-point solve on the 29 x 29 input is the base; what it misses of the solve on 113 x 113 is
learnt from 50 to 500 runs. The difference is mostly that of interfaces between nodes, which the
input does not carry, so the gain is a fifth at best; the band of the corrected answer is what a
user gets beside. The coarse solve alone, the kernel without it, the mean, the nearest run and a
linear map stand beside.
"""

from __future__ import annotations

from typing import Any

from cases.darcy_operator import TESTS, compare, draw_runs, nodes, relative_errors
from rom.cli.launch import run
from rom.operators import point_symmetry
from solvers.darcy import pressures

SIZES = (50, 100, 250, 500)


def main(seed: int = 0, most: int = 500) -> dict[str, float]:
    """Errors and bands at 200 test runs, from 50 to `most` runs."""
    a, u = draw_runs(most + TESTS, seed)
    test = a[:, most:], u[:, most:]
    figures = {"coarse_solve_error": float(relative_errors(pressures(test[0]), test[1]).mean())}
    variants: dict[str, dict[str, Any]] = {
        "plain": {},
        "corrected": {"base": pressures},
        "corrected_square": {
            "base": pressures,
            "symmetry": point_symmetry(nodes(), "square"),
        },
    }
    for m in (size for size in SIZES if size <= most):
        figures |= compare((a[:, :m], u[:, :m]), test, variants, rng=seed)
    return figures


if __name__ == "__main__":
    run(main)
