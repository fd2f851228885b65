"""Waves learnt from ten runs: a law of few modes, by projection, by inference, anchored.

u_t + 3 (u^2)_x + u_xxx = .05 u_xx, period 20, 128 Fourier nodes, initial fields of two waves with
random amplitudes and phases, at most .5; ten runs to t = 2, twenty other fields to t = 6. Errors
are relative L2 in space, means over runs and times inside (t <= 2) and beyond (2 < t <= 6).

Beside the laws stand the floor of their modes, the first field kept (persistence), the run whose
first field is nearest, and the same stepper on coarser grids: where one of these wins, no reduced
model is needed. Bands are calibrated on 40 runs more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from rom.basis import Basis
from rom.cli.launch import run
from rom.compress import pod
from rom.dynamics import PolynomialFlow, calibrate_flow, operator_inference, project_rate
from rom.errors import RomError
from rom.snapshots import Snapshots
from rom.space import euclidean
from solvers.exponential import march_modes

PERIOD, NODES, STEP = 20.0, 128, 2e-3
INSIDE, BEYOND, EVERY = 2.0, 6.0, 0.02
TIMES = np.linspace(0.0, BEYOND, 301)
TRAINED = TIMES <= INSIDE + 1e-9
COARSE = (24, 32, 48)
CALIBRATION = 40


def waves(n: int) -> np.ndarray:
    """i k of the Fourier modes of n nodes."""
    return np.asarray(2j * np.pi * np.fft.rfftfreq(n, PERIOD / n))


def stiff(k: np.ndarray) -> np.ndarray:
    """The linear part, -u_xxx + .05 u_xx, by modes."""
    return np.asarray(-(k**3) + 0.05 * k**2)


def flux(k: np.ndarray) -> np.ndarray:
    """-3 d/dx by modes, the upper third left out so that squares do not alias."""
    return np.asarray(-3.0 * k * (np.abs(k) < 2 / 3 * np.abs(k).max()))


def rate(u: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """du/dt (n,) of a field on n nodes."""
    k = waves(len(u))
    slope = stiff(k) * np.fft.rfft(u) + flux(k) * np.fft.rfft(u * u)
    return np.asarray(np.fft.irfft(slope, len(u)))


def solve(starts: np.ndarray, times: np.ndarray = TIMES, step: float = STEP) -> np.ndarray:
    """Fields (n, m, n_t) from starts (n, m), at even times."""
    n, k = len(starts), waves(len(starts))
    to_flux = flux(k)[:, None]

    def bend(v: np.ndarray) -> np.ndarray:
        """The quadratic part by modes."""
        return np.asarray(to_flux * np.fft.rfft(np.fft.irfft(v, n, axis=0) ** 2, axis=0))

    every = round((times[1] - times[0]) / step)
    start, count = np.fft.rfft(starts, axis=0), len(times) - 1
    v = march_modes(stiff(k), bend, start, step=step, every=every, count=count)
    return np.asarray(np.fft.irfft(v, n, axis=0))


def initial_fields(count: int, rng: np.random.Generator) -> np.ndarray:
    """Two waves with normal amplitudes, scaled to a largest value of one half, (n, count)."""
    x = np.arange(NODES)[:, None] * PERIOD / NODES
    u = np.zeros((NODES, count))
    for j in (1, 2):
        angle = 2 * np.pi * j * x / PERIOD
        u += rng.standard_normal(count) * np.cos(angle) + rng.standard_normal(count) * np.sin(angle)
    return np.asarray(0.5 * u / np.abs(u).max(axis=0))


def errors(u: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Mean relative L2 inside and beyond the training; what has no answer counts as 10."""
    miss = np.linalg.norm(u - truth, axis=0) / np.linalg.norm(truth, axis=0)
    miss = np.minimum(np.nan_to_num(miss, nan=10.0), 10.0)
    return {
        "inside": float(miss[:, TRAINED].mean()),
        "beyond": float(miss[:, ~TRAINED].mean()),
        "bounded": float((miss.max(axis=1) < 10.0).mean()),
    }


def coarse(truth: np.ndarray, nodes: int) -> np.ndarray:
    """The same stepper on every few nodes, its answers on all by trigonometric interpolation."""
    from scipy.signal import resample

    return np.asarray(resample(solve(resample(truth[:, :, 0], nodes)), NODES))


def nearest(runs: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The training run whose first field is nearest; its last field is kept beyond."""
    gaps = np.linalg.norm(runs[:, :, None, 0] - truth[:, None, :, 0], axis=0)
    pick = runs[:, gaps.argmin(axis=0)]
    missing = len(TIMES) - runs.shape[2]
    return np.concatenate([pick, np.repeat(pick[:, :, -1:], missing, axis=2)], axis=2)


def follow(flow: PolynomialFlow, starts: np.ndarray) -> tuple[np.ndarray, float]:
    """Fields (n, m, n_t) from starts (n, m), and the share that left the trained box."""
    m = starts.shape[1]
    answer = flow.predict(np.zeros((m, 0)), t=TIMES, fields={"u": starts[:, None]})
    left = len(answer.warnings[-1].samples) if answer.warnings else 0
    return np.stack([answer.field("u", k) for k in range(m)], axis=1), left / m


def laws(runs: Snapshots, basis: Basis) -> dict[str, Callable[[], PolynomialFlow]]:
    """The laws to compare, each to be trained when it is called."""
    projected = project_rate(rate, runs, basis)
    return {
        "projected": lambda: project_rate(rate, runs, basis),
        "inferred": lambda: operator_inference(runs, basis),
        "anchored": lambda: operator_inference(runs, basis, anchor=projected),
        "dissipative": lambda: operator_inference(runs, basis, dissipative=True),
    }


def whole_coverage(flow: PolynomialFlow, rng: np.random.Generator, level: float = 0.9) -> float:
    """The share of 100 new runs that lie in a calibrated band at all trained times."""
    times = TIMES[TRAINED]
    flow = calibrate_flow(flow, snapshots_of(solve(initial_fields(CALIBRATION, rng), times)),
                          level=level)  # fmt: skip
    truth = solve(initial_fields(100, rng), times)
    answer = flow.predict(np.zeros((100, 0)), fields={"u": truth[:, :, 0][:, None]})
    band = answer.part("u").errors[0].value
    miss = np.stack([answer.field("u", k) for k in range(100)], axis=1) - truth
    return float(np.mean((np.sqrt(np.mean(miss**2, axis=0)) <= band).all(axis=1)))


def snapshots_of(u: np.ndarray) -> Snapshots:
    """Runs (n, m, n_t) as columns with times."""
    n, m, n_t = u.shape
    return Snapshots(euclidean(n), np.zeros((m * n_t, 0)), u.reshape(n, -1),
                     np.tile(TIMES[:n_t], m))  # fmt: skip


def main(runs: int = 10, tests: int = 20, seed: int = 0, ranks: str = "12,20") -> dict[str, Any]:
    """Errors inside and beyond the training of all rows; a law that is refused says why."""
    rng = np.random.default_rng(seed)
    trained = solve(initial_fields(runs, rng), TIMES[TRAINED])
    truth = solve(initial_fields(tests, rng))
    rows: dict[str, Any] = {
        "persistence": errors(np.repeat(truth[:, :, :1], len(TIMES), axis=2), truth),
        "nearest run": errors(nearest(trained, truth), truth),
    }
    for nodes in COARSE:
        rows[f"coarse grid, {nodes} nodes"] = errors(coarse(truth, nodes), truth)
    data = snapshots_of(trained)
    for rank in map(int, ranks.split(",")):
        basis = pod(data, rank=rank)[0]
        V = basis.modes
        floor = np.einsum("nr,qr,qmt->nmt", V, V, truth)
        rows[f"{rank} modes, floor"] = errors(floor, truth)
        for name, train in laws(data, basis).items():
            key, begin = f"{rank} modes, {name}", time.process_time()
            try:
                flow = train()
            except RomError as refusal:
                rows[key] = {"refused": str(refusal)}
                continue
            seconds = time.process_time() - begin
            u, left = follow(flow, truth[:, :, 0])
            rows[key] = errors(u, truth) | {"left the box": left, "training CPU s": seconds}
            if name == "dissipative":
                far = np.linalg.norm(follow(flow, 20 * truth[:, :, 0])[0], axis=0)
                rows[key]["energy ratio from 20 x"] = float((far[:, -1] / far[:, 0]).max() ** 2)
            if name == "anchored":
                rows[key]["whole runs in 90 % bands"] = whole_coverage(flow, rng)
    figures = {"runs": runs, "tests": tests}
    for name, row in rows.items():
        figures |= {f"{name}: {key}": value for key, value in row.items()}
    return figures


if __name__ == "__main__":
    run(main)
