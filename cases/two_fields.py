"""Two fields of different units, each to the tolerance on its own scale.

T(a) = 300 + 10 a sin(pi x) [K] and u(b) = 1e-3 (b x^2 + sin 3 b x) [m] on a line; on a plate T
falls to its sides and U has two components. 32 runs each through the commands: collect, reduce,
predict, study. One tolerance for both together would be reached by T alone, which is 3e5 times
as large; here each field has a training error and an error at fresh parameters, and beside it
stand those of the mean run, the nearest run and linear interpolation.

Training errors are relative Frobenius norms over the runs, the others the largest over fresh
parameters of the root mean square over the values of a field.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from rom.cli.app import app
from rom.cli.launch import run
from rom.errors import SolveFailed
from rom.mesh import Mesh
from rom.parameters import Box
from rom.problem import Problem
from rom.space import Field, euclidean

BOX = Box(("a", "b"), np.array([0.0, 1.0]), np.array([1.0, 2.0]))
UNITS = {"T": "K", "u": "m", "U": "m"}
DOMAINS = {"line": ("T", "u"), "plate": ("T", "U")}
TRIVIAL = {"mean": "mean of training", "nearest": "nearest run", "linear": "linear interpolation"}


def line(n: int) -> Mesh:
    """n nodes on [0, 1]."""
    nodes = np.arange(n)
    return Mesh(
        np.linspace(0.0, 1.0, n)[:, None], {"line": np.column_stack([nodes[:-1], nodes[1:]])}
    )


def plate(n: int) -> Mesh:
    """n x n nodes on the unit square, quadrangles between them."""
    x = np.linspace(0.0, 1.0, n)
    points = np.stack(np.meshgrid(x, x, indexing="ij"), axis=-1).reshape(-1, 2)
    corner = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).ravel()
    return Mesh(points, {"quad": np.column_stack([corner, corner + n, corner + n + 1, corner + 1])})


def problem(domain: str = "line", n: int = 0) -> Problem:
    """T and u on a line of n nodes (200), or T and U on a plate of n x n (30)."""
    mesh = plate(n or 30) if domain == "plate" else line(n or 200)
    count, components = mesh.points.shape
    name = DOMAINS[domain][1]
    fields = (
        Field("T", "K", np.arange(count)),
        Field(name, "m", np.arange(count, count * (1 + components)), components),
    )
    space = euclidean(count * (1 + components), fields=fields)
    return Problem(partial(solve, mesh.points), BOX, space, mesh)


def solve(points: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """The state (n,): T at the points, then the displacement point by point."""
    (a, b), (x, *y) = mu, points.T
    bend = 1e-3 * (b * x**2 + np.sin(3 * b * x))
    if not y:
        return np.concatenate([300 + 10 * a * np.sin(np.pi * x), bend])
    T = 300 + 10 * a * np.sin(np.pi * x) * np.sin(np.pi * y[0])
    return np.concatenate([T, np.column_stack([bend, 0.3 * y[0] * np.cos(b * x) * bend]).ravel()])


def command(*words: object) -> dict[str, Any]:
    """What `rom WORDS --json` says on its last line. Raises SolveFailed."""
    text = [str(word) for word in words]
    with redirect_stdout(StringIO()) as output:
        code = app([*text, "--json"], standalone_mode=False)
    if code:
        raise SolveFailed(f"rom {' '.join(text)} ended with {code}; run it alone to see why")
    numbers: dict[str, Any] = json.loads(output.getvalue().strip().splitlines()[-1])
    return numbers


def one_domain(domain: str, folder: Path, runs: int, fresh: int, tol: float) -> dict[str, float]:
    """Figures of one domain, from commands and files alone."""
    store, model, answers = folder / "runs", folder / "model.h5", folder / "answers.npz"
    case = ("cases.two_fields", "--set", f"domain={domain}")
    command("collect", *case, "--n", runs, "--out", store)
    trained = command("reduce", *case, "--store", store, "--tol", tol, "--out", model)
    mus = BOX.from_unit(np.random.default_rng(7).random((fresh, 2)))
    table = folder / "fresh.csv"
    np.savetxt(table, mus, fmt="%.17g", delimiter=",", header="a,b", comments="")
    command("predict", model, "--csv", table, "--out", answers)
    kept = ("--store", store, "--truth", folder / "truth")
    studied = command("study", model, *case, "--csv", table, *kept)
    numbers: dict[str, float] = {f"{domain}_modes": trained["r"]}
    for name in DOMAINS[domain]:
        key = f"{domain}_{name}"
        numbers[f"{key}_training_error"] = trained[f"training_error {name}"]
        numbers[f"{key}_test_error"] = studied[f"max_rel_error {name}"]
        numbers[f"{key}_test_rms"] = studied[f"max_error {name}"]
        numbers[f"{key}_file_rms"] = file_error(answers, domain, name, mus)
        for short, row in TRIVIAL.items():
            numbers[f"{key}_{short}_error"] = studied[f"max_rel_error of {row}, {name}"]
    return numbers


def file_error(path: Path, domain: str, name: str, mus: np.ndarray) -> float:
    """Largest root mean square error of a field in a file of answers."""
    own = problem(domain)
    assert own.space is not None
    rows = next(field.rows for field in own.space.fields if field.name == name)
    truth = np.column_stack([own.solve(mu)[rows] for mu in mus])
    with np.load(path) as arrays:
        missed = arrays[f"{name} [{UNITS[name]}]"] - truth
    return float(np.sqrt(np.mean(missed**2, axis=0)).max())


def main(
    runs: int = 32, fresh: int = 100, tol: float = 1e-4, out: Path | None = None
) -> dict[str, float]:
    """Errors of each field of both domains, relative and in its unit."""
    numbers: dict[str, float] = {}
    for domain in DOMAINS:
        with tempfile.TemporaryDirectory() as folder:
            numbers |= one_domain(domain, Path(folder), runs, fresh, tol)
            if out is not None:
                (out / domain).mkdir(parents=True, exist_ok=True)
                shutil.copy(Path(folder) / "model.h5", out / domain)
    return numbers


if __name__ == "__main__":
    keys = [(domain, name) for domain, names in DOMAINS.items() for name in names]
    run(
        main,
        units={
            f"{d}_{name}_{key}_rms": UNITS[name] for d, name in keys for key in ("test", "file")
        },
    )
