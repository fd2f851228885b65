"""Whole trajectories of solvers that are only called: a spreading wave, and a cloud in the wind.

Fisher's equation in 1-D, u_t = D u_xx + r u (1 - u/K), and 2-D advection and diffusion of a
cloud over a source, wind from the south-west within 30 degrees. 32 runs each; beside the
processes of whole trajectories stand the mean run, the nearest run and linear interpolation.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import LinearNDInterpolator
from scipy.sparse import csc_array, diags, identity, kron
from scipy.sparse.linalg import splu

from rom.cli.launch import run
from rom.cli.ship import ship_model
from rom.design import sobol
from rom.gp import trajectory_gp
from rom.mesh import Mesh
from rom.parameters import Box

RUNS = 32
TIMES = np.linspace(0.0, 1.0, 41)
SCALES = ("log", "linear", "linear")
FISHER = Box(("D", "r", "K"), np.array([1e-4, 1.0, 0.5]), np.array([1e-2, 10.0, 2.0]), (), SCALES)
WIND = Box(
    ("Pe", "angle", "source"),
    np.array([1.0, np.pi / 12, 0.0]),
    np.array([300.0, 5 * np.pi / 12, 1.0]),
    ("1", "rad", "1/s"),
    SCALES,
)
SPEED = 0.5  # half the square in the time of a run


def fisher(mu: np.ndarray, n: int = 201, steps: int = 10) -> np.ndarray:
    """u (n, n_t): Strang's splitting, the reaction exactly, Crank-Nicolson; Neumann ends."""
    D, r, K = mu
    x = np.linspace(0.0, 1.0, n)
    side = np.ones(n - 1)
    upper, lower = side.copy(), side.copy()
    upper[0] = lower[-1] = 2.0
    A = D / x[1] ** 2 * diags([lower, -2.0 * np.ones(n), upper], [-1, 0, 1])
    dt = TIMES[1] / steps
    growth = np.exp(0.5 * r * dt)
    step = crank_nicolson(A, dt)
    u = np.exp(-0.5 * ((x - 0.3) / 0.05) ** 2)
    states = [u]
    for _ in TIMES[1:]:
        for _ in range(steps):
            u = K * u * growth / (K + u * (growth - 1.0))
            u = step(u)
            u = K * u * growth / (K + u * (growth - 1.0))
        states.append(u)
    return np.column_stack(states)


def wind(mu: np.ndarray, n: int = 40, steps: int = 4) -> np.ndarray:
    """u (n n, n_t): central differences, nothing flows in, the outflow is free."""
    Pe, angle, source = mu
    x = np.arange(1, n + 1) / n
    side = np.ones(n - 1)
    slope = diags([-side, side], [-1, 1]).tolil() * (0.5 * n)
    slope[-1, -2:] = [-n, n]
    lower = side.copy()
    lower[-1] = 2.0
    bend = n**2 * diags([lower, -2.0 * np.ones(n), side], [-1, 0, 1])
    one = identity(n)
    along = np.cos(angle) * kron(slope, one) + np.sin(angle) * kron(one, slope)
    A = SPEED * ((kron(bend, one) + kron(one, bend)) / Pe - along)
    dt = TIMES[1] / steps
    X, Y = np.meshgrid(x, x, indexing="ij")
    f = 2.0 * source * np.exp(-((X - 0.5) ** 2 + (Y - 0.5) ** 2) / (2 * 0.1**2)).ravel()
    u = np.exp(-((X - 0.3) ** 2 + (Y - 0.3) ** 2) / (2 * 0.15**2)).ravel()
    step = crank_nicolson(A, dt, f)
    states = [u]
    for _ in TIMES[1:]:
        for _ in range(steps):
            u = step(u)
        states.append(u)
    return np.column_stack(states)


def crank_nicolson(A: Any, dt: float, f: Any = 0.0) -> Callable[[np.ndarray], np.ndarray]:
    """One step of u' = A u + f."""
    one = identity(A.shape[0])
    lu = splu(csc_array(one - 0.5 * dt * A))
    explicit = (one + 0.5 * dt * A).tocsr()
    return lambda u: lu.solve(explicit @ u + dt * f)


def grid_of(name: str, n: int) -> Mesh:
    """The n nodes of a problem: a line, or a square of quadrilaterals."""
    if name == "fisher":
        k = np.arange(n - 1)
        return Mesh(np.linspace(0.0, 1.0, n)[:, None], {"line": np.column_stack([k, k + 1])})
    side = round(np.sqrt(n))
    x = np.arange(1, side + 1) / side
    points = np.stack(np.meshgrid(x, x, indexing="ij"), axis=-1).reshape(-1, 2)
    i, j = (index.ravel() for index in np.indices((side - 1, side - 1)))
    k = i * side + j
    return Mesh(points, {"quad": np.column_stack([k, k + side, k + side + 1, k + 1])})


TRIVIAL = ("mean_field_error", "nearest_error", "linear_error")
PROBLEMS = {"fisher": (FISHER, fisher), "advection": (WIND, wind)}


def errors(answers: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Relative L2 error of each whole trajectory (m,), in space and time."""
    missed = np.linalg.norm((answers - truth).reshape(len(truth), -1), axis=1)
    size: np.ndarray = np.linalg.norm(truth.reshape(len(truth), -1), axis=1)
    return np.asarray(missed / size)


def one_design(name: str, seed: int, unseen: int, out: Path | None = None) -> dict[str, Any]:
    """Figures of one problem trained on one Sobol design, and why its model was chosen.

    worst_time_error : |error(t)| over the largest |u(t)| in time, at the worst time of the worst
    of the unseen trajectories
    out : a folder for the model
    """
    box, solve = PROBLEMS[name]
    mus = sobol(box, RUNS, seed)
    fresh = box.from_unit(np.random.default_rng([1000, seed]).random((unseen, box.p)))
    runs = np.stack([solve(mu) for mu in mus])
    truth = np.stack([solve(mu) for mu in fresh])
    gp = trajectory_gp(runs, box, mu=mus, times=TIMES)
    if out is not None:
        ship_model(out, gp, "cases.own_transient", mesh=grid_of(name, runs.shape[1]))
    answers = gp.field(fresh)[0]
    low, high = gp.band(fresh)
    inside = np.all((truth >= low) & (truth <= high), axis=(1, 2))
    at_time = np.linalg.norm(answers - truth, axis=1).max(axis=1)
    size = np.linalg.norm(truth, axis=1).max(axis=1)
    z, z_new = box.to_unit(mus), box.to_unit(fresh)
    nearest = runs[np.argmin(np.linalg.norm(z_new[:, None] - z, axis=2), axis=1)]
    flat = runs.reshape(RUNS, -1)
    linear = LinearNDInterpolator(z, flat)(z_new).reshape(truth.shape)
    linear = np.where(np.isnan(linear), nearest, linear)
    mean = np.broadcast_to(runs.mean(axis=0), truth.shape)
    return {
        "mean_error": float(errors(answers, truth).mean()),
        "worst_time_error": float(np.max(at_time / size)),
        "coverage_whole": float(inside.mean()),
        "mean_field_error": float(errors(mean, truth).mean()),
        "nearest_error": float(errors(nearest, truth).mean()),
        "linear_error": float(errors(linear, truth).mean()),
        "reason": gp.reason,
    }


def main(
    seed: int = 0, designs: int = 10, unseen: int = 100, out: Path | None = None
) -> dict[str, Any]:
    """Figures of both problems in the mean over designs; the designs' own under "rows".

    worst_time_error is of the worst of the unseen trajectories of a design; its mean over designs
    and, as largest_worst_time_error, its largest are given.
    out : a folder for the model of the first design of each problem
    """
    figures: dict[str, Any] = {"designs": designs, "unseen": unseen, "rows": []}
    for name in PROBLEMS:
        places = [None if out is None else out / name, *[None] * (designs - 1)]
        rows = [one_design(name, seed + k, unseen, place) for k, place in enumerate(places)]
        for key in [key for key in rows[0] if key != "reason"]:
            figures[f"{name}_{key}"] = float(np.mean([row[key] for row in rows]))
        figures[f"{name}_largest_worst_time_error"] = max(row["worst_time_error"] for row in rows)
        trivial = min(figures[f"{name}_{key}"] for key in TRIVIAL)
        figures[f"{name}_trivial_over_ours"] = trivial / figures[f"{name}_mean_error"]
        figures["rows"] += [{"problem": name, **row} for row in rows]
    return figures


if __name__ == "__main__":
    run(main)
