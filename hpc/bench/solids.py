"""Cost of the cooled blade against its size, each in a process of its own.

A full step, a reduced step, memory. python -m hpc.bench.solids [DOFS ...]: the steps of one history
that rise to full load, a model of them, the same steps followed by the model. Trilinear hexahedra
resolve the section of the blade from about 12,500 unknowns on.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import numpy as np

from hpc.bench._rows import seconds, show

SIZES = (13_000, 20_000, 38_000)
STEPS = 4
TARGET = 5_000_000
NAMES = ("full step [s CPU]", "reduced step [ms CPU]", "memory [MB]")
# exponents below which no cost is extrapolated: full steps and memory grow with the mesh at least
LEAST = (1.0, 0.0, 1.0)


def main(sizes: tuple[int, ...] = SIZES) -> None:
    """Print a row a size and, from two sizes on, what 5 million unknowns would cost.

    By the power laws of the rows.
    """
    rows = []
    for size in sizes:
        done = subprocess.run(
            [sys.executable, "-m", "hpc.bench.solids", "--one", str(size)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    show(
        "The blade on one rank, memory above that of the imports",
        ("", "unknowns", *NAMES, "points"),
        table(rows),
    )


def table(rows: list[list[float]]) -> list[tuple]:
    """Measured rows, exponents of their power laws, and the largest one extrapolated.

    To 5 million unknowns with these exponents, or LEAST.
    """
    made = [("measured", int(row[0]), *row[1:4], f"{int(row[4])} of {int(row[5])}") for row in rows]
    n, costs = np.array([row[0] for row in rows]), np.array([row[1:4] for row in rows])
    if len(np.unique(n)) > 1:
        fitted = np.polyfit(np.log(n), np.log(costs), 1)[0]
        carried = costs[np.argmax(n)] * (TARGET / n.max()) ** np.maximum(fitted, LEAST)
        made.append(("exponent, fitted", "", *map(float, fitted), ""))
        made.append(
            (
                f"modelled, exponents at least {', '.join(f'{x:g}' for x in LEAST)}",
                TARGET,
                *map(float, carried),
                "",
            )
        )
    return made


def one(dofs: int) -> tuple[float, ...]:
    """(unknowns, CPU s a full step, CPU ms a reduced one, MB, chosen points, points).

    MB of full steps and training.
    """
    from cases.turbine_blade import blade, cycle_loading, temperature
    from rom.solids.training import train_solid
    from rom.solids.weighted import reduced_march
    from solvers.solid import march

    start = peak()
    b = blade(dofs // 3)
    loading = cycle_loading(b, temperature(b.mesh.points, np.random.default_rng(0)))
    times = loading.t[: STEPS + 1]
    full, history = seconds(lambda: march(b, loading, times, tol=1e-7), 1)
    model = train_solid(b, [history])
    memory = peak() - start
    near = loading.reduce(model.basis, model.model.points, b.points)
    reduced, _ = seconds(lambda: reduced_march(model.model, near, times), 3)
    return (
        b.space.size,
        full / STEPS,
        1e3 * reduced / STEPS,
        memory,
        len(model.model.points),
        b.points.n,
    )


def peak() -> float:
    """Largest resident memory of this process so far [MB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(one(int(sys.argv[2]))))
    else:
        main(tuple(int(size) for size in sys.argv[1:]) or SIZES)
