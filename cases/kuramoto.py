"""Chaos: for how long laws inferred from runs, projected ones and simple answers stay valid.

u_t + u u_x + u_xx + u_xxxx = 0 of Kuramoto and Sivashinsky, period 36, 64 Fourier nodes, samples
every .1 s; four runs of 500 s after 100 s of transient, forty tests of 30 s. A forecast is valid
until its error in L2 exceeds half the rms norm of the solution.

Beside the laws stand persistence, the nearest trained state and what followed it, a linear law
(dynamic mode decomposition), and the same stepper on fewer nodes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from rom.cli.launch import run
from rom.compress import pod
from rom.dynamics import dmd, operator_inference, project_rate
from rom.errors import RomError
from rom.model import Model
from rom.snapshots import Snapshots
from rom.space import euclidean
from solvers.exponential import march_modes

PERIOD, NODES, STEP, EVERY = 36.0, 64, 0.05, 0.1
TRANSIENT, WINDOW, VALID = 100.0, 30.0, 0.5
COARSE = (20, 24, 32)


def waves(n: int) -> np.ndarray:
    """i k of the Fourier modes of n nodes."""
    return np.asarray(2j * np.pi * np.fft.rfftfreq(n, PERIOD / n))


def flux(k: np.ndarray) -> np.ndarray:
    """-1/2 d/dx by modes, the upper third left out so that squares do not alias."""
    return np.asarray(-0.5 * k * (np.abs(k) < 2 / 3 * np.abs(k).max()))


def rate(u: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """du/dt (n,) of a field on n nodes."""
    k = waves(len(u))
    return np.asarray(
        np.fft.irfft(-(k**2 + k**4) * np.fft.rfft(u) + flux(k) * np.fft.rfft(u * u), len(u))
    )


def solve(starts: np.ndarray, until: float) -> np.ndarray:
    """Fields (n, m, n_t) every EVERY s from starts (n, m)."""
    n, k = len(starts), waves(len(starts))
    to_flux = flux(k)[:, None]

    def bend(v: np.ndarray) -> np.ndarray:
        """The quadratic part by modes."""
        return np.asarray(to_flux * np.fft.rfft(np.fft.irfft(v, n, axis=0) ** 2, axis=0))

    v = march_modes(
        -(k**2 + k**4), bend, np.fft.rfft(starts, axis=0),
        step=STEP, every=round(EVERY / STEP), count=round(until / EVERY),
    )  # fmt: skip
    return np.asarray(np.fft.irfft(v, n, axis=0))


def on_the_attractor(m: int, rng: np.random.Generator) -> np.ndarray:
    """States (n, m) after the transient."""
    x = np.arange(NODES)[:, None] * 2 * np.pi / NODES
    u = sum(
        rng.standard_normal(m) * np.cos(j * x) + rng.standard_normal(m) * np.sin(j * x)
        for j in (1, 2, 3)
    )
    return solve(np.asarray(u), TRANSIENT)[:, :, -1]


def figures_of(u: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Mean and 10 % quantile of valid times [s], mean error over the rms at 5 s."""
    size = np.sqrt(np.mean(np.sum(truth**2, axis=0)))
    miss = np.nan_to_num(np.linalg.norm(u - truth, axis=0) / size, nan=np.inf)
    wrong = miss > VALID
    first = np.where(wrong.any(axis=1), wrong.argmax(axis=1), truth.shape[2] - 1) * EVERY
    at_5 = np.minimum(miss[:, round(5.0 / EVERY)], 10.0)
    return {
        "valid time [s]": float(first.mean()),
        "valid time, 10 % quantile [s]": float(np.quantile(first, 0.1)),
        "error at 5 s": float(at_5.mean()),
    }


def coarse(truth: np.ndarray, nodes: int) -> np.ndarray:
    """The same stepper on fewer nodes, its answers on all by trigonometric interpolation."""
    from scipy.signal import resample

    return np.asarray(resample(solve(resample(truth[:, :, 0], nodes), WINDOW), NODES))


def follow_nearest(runs: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """What followed the nearest trained state, (n, m, n_t)."""
    n_t = truth.shape[2]
    u = []
    for start in truth[:, :, 0].T:
        gaps = np.linalg.norm(runs[:, :, : runs.shape[2] - n_t + 1] - start[:, None, None], axis=0)
        one, first = np.unravel_index(gaps.argmin(), gaps.shape)
        u.append(runs[:, one, first : first + n_t])
    return np.stack(u, axis=1)


def follow(model: Model, truth: np.ndarray) -> np.ndarray:
    """Fields (n, m, n_t) of a model from the first states of the truth."""
    _, m, n_t = truth.shape
    fields = {"u": truth[:, None, :, 0]}
    answer = model.predict(np.zeros((m, 0)), t=EVERY * np.arange(n_t), fields=fields)
    return np.stack([answer.field("u", k) for k in range(m)], axis=1)


def main(
    runs: int = 4, tests: int = 40, until: float = 500.0, ranks: str = "16,20", seed: int = 0
) -> dict[str, Any]:
    """Valid times of all rows; a law that is refused says why."""
    rng = np.random.default_rng(seed)
    trained = solve(on_the_attractor(runs, rng), until)
    truth = solve(on_the_attractor(tests, rng), WINDOW)
    m, n_t = trained.shape[1:]
    data = Snapshots(
        euclidean(NODES), np.zeros((m * n_t, 0)), trained.reshape(NODES, -1),
        np.tile(EVERY * np.arange(n_t), m),
    )  # fmt: skip
    rows: dict[str, Any] = {
        "persistence": figures_of(np.repeat(truth[:, :, :1], truth.shape[2], axis=2), truth),
        "nearest state": figures_of(follow_nearest(trained, truth), truth),
    }
    for nodes in COARSE:
        rows[f"solver on {nodes} nodes"] = figures_of(coarse(truth, nodes), truth)
    for rank in map(int, ranks.split(",")):
        basis = pod(data, rank=rank)[0]
        laws: dict[str, Callable[[], Model]] = {
            "dmd": lambda basis=basis: dmd(data, basis),  # type: ignore[misc]
            "projected": lambda basis=basis: project_rate(rate, data, basis),  # type: ignore[misc]
            "inferred": lambda basis=basis: operator_inference(data, basis),  # type: ignore[misc]
        }
        for name, train in laws.items():
            key, begin = f"{rank} modes, {name}", time.process_time()
            try:
                model = train()
            except RomError as refusal:
                rows[key] = {"refused": str(refusal)}
                continue
            seconds = time.process_time() - begin
            rows[key] = figures_of(follow(model, truth), truth) | {"training CPU s": seconds}
    return {f"{name}: {key}": value for name, row in rows.items() for key, value in row.items()}


if __name__ == "__main__":
    run(main)
