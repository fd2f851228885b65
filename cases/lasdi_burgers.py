"""Burgers' equation of two parameters: interpolation of the runs first, then no model at all.

u_t + u u_x = 0 on [-3, 3], implicit upwind, 1001 nodes, 1000 steps to 1 s, walls at rest,
u_0 = a exp(-x^2 / (2 w^2)), a in [.7, .9], w in [.9, 1.1]; the setting of autoencoders with latent
dynamics (GPLaSDI: Bonneville et al. 2024), which err by some per cent. Tests: a grid of 21 x 21.

Rows: tensor polynomials in (a, w) through 4, 9 and 16 runs, linear interpolation and the nearest of
these, the initial field kept, and the solver on a quarter of nodes and steps. Errors are relative
L2, the largest over the times of each test; worst and mean over the tests.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from rom.cli.launch import run

LENGTH, NODES, STEPS, UNTIL = 6.0, 1001, 1000, 1.0
LOW, HIGH = np.array([0.7, 0.9]), np.array([0.9, 1.1])


def solve(mu: np.ndarray, nodes: int = NODES, steps: int = STEPS, kept: int = 50) -> np.ndarray:
    """u (m, kept + 1, nodes) at even times, for parameters mu (m, 2).

    Each step solves u_i + dt/dx u_i (u_i - u_{i-1}) = old u_i from the left: a quadratic equation
    a node, as u >= 0.
    """
    x = np.linspace(-0.5 * LENGTH, 0.5 * LENGTH, nodes)
    c = (UNTIL / steps) / (x[1] - x[0])
    a, w = mu.T[:, :, None]
    u = a * np.exp(-(x**2) / (2 * w**2))
    states = [u]
    for number in range(1, steps + 1):
        u = u.T.copy()
        for i in range(1, nodes):
            b = 1.0 - c * u[i - 1]
            u[i] = 2.0 * u[i] / (b + np.sqrt(b * b + 4.0 * c * u[i]))
        u = u.T
        if number % (steps // kept) == 0:
            states.append(u)
    return np.stack(states, axis=1)


def nodes_of(k: int) -> np.ndarray:
    """k Chebyshev points of [-1, 1] with the ends, (k,)."""
    return np.asarray(-np.cos(np.pi * np.arange(k) / (k - 1)))


def cardinal(points: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Lagrange's polynomials through points (k,), at (m,), (m, k)."""
    k = len(points)
    rows = [
        np.prod([(at - points[i]) / (points[j] - points[i]) for i in range(k) if i != j], axis=0)
        for j in range(k)
    ]
    return np.stack(rows, axis=1)


def hats(points: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Linear interpolation, (m, k)."""
    return np.stack([np.interp(at, points, one) for one in np.eye(len(points))], axis=1)


def steps_of(points: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The nearest point, (m, k)."""
    return np.eye(len(points))[np.abs(at[:, None] - points).argmin(axis=1)]


def to_box(s: np.ndarray) -> np.ndarray:
    """Parameters (m, 2) of points s (m, 2) in [-1, 1]^2."""
    return np.asarray(LOW + 0.5 * (s + 1.0) * (HIGH - LOW))


def square(points: np.ndarray) -> np.ndarray:
    """All pairs of points, (k^2, 2)."""
    return np.stack(np.meshgrid(points, points, indexing="ij"), axis=-1).reshape(-1, 2)


def worst(u: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The largest relative L2 over time of each run, (m,)."""
    miss = np.linalg.norm(u - truth, axis=2) / np.linalg.norm(truth, axis=2)
    return np.asarray(miss.max(axis=1))


def main(
    tests: int = 21, nodes: int = NODES, steps: int = STEPS, chunk: int = 147
) -> dict[str, Any]:
    """Worst and mean errors of all rows, seconds of training runs and of an answer."""
    runs, seconds = {}, {}
    for k in (2, 3, 4):
        begin = time.process_time()
        runs[k] = solve(to_box(square(nodes_of(k))), nodes, steps)
        seconds[k] = time.process_time() - begin
    s = square(np.linspace(-1.0, 1.0, tests))
    misses: dict[str, list[np.ndarray]] = {}
    spent: dict[str, float] = {}
    for first in range(0, len(s), chunk):
        part = s[first : first + chunk]
        truth = solve(to_box(part), nodes, steps)
        rows = {"persistence": truth[:, :1]}
        begin = time.process_time()
        few = solve(to_box(part), nodes // 4 + 1, steps // 4)
        rows["solver on a quarter"] = _on_all_nodes(few, nodes)
        spent["solver on a quarter"] = spent.get("solver on a quarter", 0.0)
        spent["solver on a quarter"] += time.process_time() - begin
        for k in runs:
            for name, rule in (
                ("polynomial", cardinal), ("linear interpolation", hats), ("nearest run", steps_of),
            ):  # fmt: skip
                key, begin = f"{name} of {k * k} runs", time.process_time()
                weights = [rule(nodes_of(k), axis) for axis in part.T]
                weight = (weights[0][:, :, None] * weights[1][:, None, :]).reshape(len(part), -1)
                rows[key] = np.tensordot(weight, runs[k], axes=1)
                spent[key] = spent.get(key, 0.0) + time.process_time() - begin
        for name, u in rows.items():
            misses.setdefault(name, []).append(worst(u, truth))
    figures: dict[str, Any] = {"tests": len(s)}
    for name, parts in misses.items():
        all_of = np.concatenate(parts)
        figures |= {f"{name}: worst": float(all_of.max()), f"{name}: mean": float(all_of.mean())}
        if name in spent:
            figures[f"{name}: CPU s a test"] = spent[name] / len(s)
    for k, value in seconds.items():
        figures[f"{k * k} runs: CPU s"] = value
    return figures


def _on_all_nodes(u: np.ndarray, nodes: int) -> np.ndarray:
    """Linear interpolation from fewer nodes, (m, n_t, nodes)."""
    from scipy.interpolate import interp1d

    few, many = np.linspace(0.0, 1.0, u.shape[2]), np.linspace(0.0, 1.0, nodes)
    return np.asarray(interp1d(few, u, axis=2)(many))


if __name__ == "__main__":
    run(main)
