"""A wake and an oscillator with two wells: linear forecasts lose, lifted and inferred laws do not.

The wake is Noack's mean-field model, three modes in 200 points,

    x' = .1 x - y - .1 x z,  y' = x + .1 y - .1 y z,  z' = -z + x^2 + y^2

whose runs leave the unstable equilibrium for the cycle |(x, y)| = 1, with 1 % of noise of the rms
of the fields; 20 runs of 60 s to train, 20 others to 120 s, without noise, to test. The oscillator
is Duffing's, x'' + .5 x' - x + x^3 = 0, two hundred runs of 5 s to train, 200 others of 10 s.

Rows: persistence, the mean of the runs, the nearest run; dynamic mode decomposition; the linear
forecast C K^k phi(z_0) of a dictionary and the same dictionary lifted anew at each step; the
inferred law. Errors are relative L2 over the field, means over runs and times, inside the trained
times and beyond. The setting is that of Noack et al. (2003) and Otto and Rowley (2019).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.basis import Basis
from rom.cli.launch import run
from rom.compress import pod
from rom.dynamics import LiftedMap, dmd, edmd, operator_inference
from rom.errors import RomError
from rom.model import Model
from rom.snapshots import Snapshots
from rom.space import euclidean

POINTS, NOISE, FINE = 200, 0.01, 10


@dataclass(frozen=True, eq=False)
class System:
    """A rate (n, m) -> (n, m), first states, sample times, modes of a field (k, n).

    noise : of the samples, over the rms of the fields; degree : of the law to infer
    """

    rate: Callable[[np.ndarray], np.ndarray]
    starts: Callable[[int, np.random.Generator], np.ndarray]
    step: float
    inside: float
    modes: np.ndarray
    noise: float
    degree: int

    def solve(self, starts: np.ndarray, until: float) -> np.ndarray:
        """Fields (k, m, n_t) from starts (n, m), by Runge and Kutta's rule of fourth order."""
        a, states, h = starts, [starts], self.step / FINE
        for _ in range(round(until / self.step)):
            for _ in range(FINE):
                k1 = self.rate(a)
                k2 = self.rate(a + 0.5 * h * k1)
                k3 = self.rate(a + 0.5 * h * k2)
                k4 = self.rate(a + h * k3)
                a = a + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            states.append(a)
        return np.asarray(np.einsum("kn,nmt->kmt", self.modes, np.stack(states, axis=2)))


def wake_rate(a: np.ndarray) -> np.ndarray:
    """Noack's mean-field model."""
    x, y, z = a
    return np.stack([0.1 * x - y - 0.1 * x * z, x + 0.1 * y - 0.1 * y * z, x**2 + y**2 - z])


def near_equilibrium(m: int, rng: np.random.Generator) -> np.ndarray:
    """Small states off the equilibrium, (3, m)."""
    angle, size = 2 * np.pi * rng.random(m), rng.uniform(0.02, 0.2, m)
    return np.stack([size * np.cos(angle), size * np.sin(angle), rng.uniform(0.0, 0.05, m)])


def duffing_rate(a: np.ndarray) -> np.ndarray:
    """x' = v, v' = x - x^3 - v / 2."""
    x, v = a
    return np.stack([v, x - x**3 - 0.5 * v])


def both_wells(m: int, rng: np.random.Generator) -> np.ndarray:
    """States (2, m) in [-2, 2]^2."""
    return rng.uniform(-2.0, 2.0, (2, m))


def wake() -> System:
    """Two modes of the cycle and the shift mode, waves on a line."""
    s = np.linspace(0.0, 1.0, POINTS)
    waves = np.stack([np.sin(9 * s), np.cos(9 * s), 0.5 * np.exp(-3 * s)], axis=1)
    return System(wake_rate, near_equilibrium, 0.1, 60.0, waves, NOISE, 2)


def duffing() -> System:
    """The two states themselves, without noise."""
    return System(duffing_rate, both_wells, 0.1, 5.0, np.eye(2), 0.0, 3)


def snapshots_of(u: np.ndarray, step: float) -> Snapshots:
    """Runs (n, m, n_t) as columns with times."""
    n, m, n_t = u.shape
    times = np.tile(step * np.arange(n_t), m)
    return Snapshots(euclidean(n), np.zeros((m * n_t, 0)), u.reshape(n, -1), times)


def linear_forecast(model: LiftedMap, data: Snapshots, starts: np.ndarray, n_t: int) -> np.ndarray:
    """C K^k phi(z_0), K by least squares on all monomials of the model, (n, m, n_t)."""
    count = len(model.times)
    a = model.basis.coefficients(np.asarray(data.u))
    z = ((a.T - model.centre) / model.half).reshape(-1, count, model.basis.r)
    first, second = (
        model.form.features(part.reshape(-1, model.basis.r)) for part in (z[:, :-1], z[:, 1:])
    )
    K = np.linalg.lstsq(first, second, rcond=None)[0]
    linear = model.form.blocks(model.basis.r) == 1
    psi = model.form.features((model.basis.coefficients(starts).T - model.centre) / model.half)
    fields = []
    for _ in range(n_t):
        fields.append(model.basis.lift((model.centre + model.half * psi[:, linear]).T))
        psi = psi @ K
    return np.stack(fields, axis=2)


def errors(u: np.ndarray, truth: np.ndarray, inside: np.ndarray) -> dict[str, float]:
    """Mean relative L2 inside and beyond; what has no answer counts as 10."""
    miss = np.linalg.norm(u - truth, axis=0) / np.linalg.norm(truth, axis=0)
    miss = np.minimum(np.nan_to_num(miss, nan=10.0), 10.0)
    return {"inside": float(miss[:, inside].mean()), "beyond": float(miss[:, ~inside].mean())}


def follow(model: Model, starts: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Fields (n, m, n_t) of a model from starts (n, m)."""
    m = starts.shape[1]
    answer = model.predict(np.zeros((m, 0)), t=t, fields={"u": starts[:, None]})
    return np.stack([answer.field("u", k) for k in range(m)], axis=1)


def nearest(runs: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The training run of the nearest first field, its last field kept beyond."""
    gaps = np.linalg.norm(runs[:, :, None, 0] - truth[:, None, :, 0], axis=0)
    pick = runs[:, gaps.argmin(axis=0)]
    missing = truth.shape[2] - runs.shape[2]
    return np.concatenate([pick, np.repeat(pick[:, :, -1:], missing, axis=2)], axis=2)


def rows_of(system: System, runs: int, tests: int, rng: np.random.Generator) -> dict[str, Any]:
    """Errors of all rows of one system."""
    clean = system.solve(system.starts(runs, rng), system.inside)
    noise = system.noise * np.sqrt(np.mean(clean**2))
    trained = clean + noise * rng.standard_normal(clean.shape)
    truth = system.solve(system.starts(tests, rng), 2 * system.inside)
    n_t = truth.shape[2]
    t = system.step * np.arange(n_t)
    inside, starts = t <= system.inside + 1e-9, truth[:, :, 0]
    data = snapshots_of(trained, system.step)
    basis = pod(data, rank=system.modes.shape[1])[0]
    mean = trained.mean(axis=(1, 2))[:, None, None]
    rows = {
        "persistence": np.repeat(truth[:, :, :1], n_t, axis=2),
        "mean run": np.broadcast_to(mean, truth.shape),
        "nearest run": nearest(trained, truth),
    }
    figures: dict[str, Any] = {name: errors(u, truth, inside) for name, u in rows.items()}
    for name, train in laws(system, data, basis).items():
        begin = time.process_time()
        try:
            model = train()
        except RomError as refusal:
            figures[name] = {"refused": str(refusal)}
            continue
        seconds = time.process_time() - begin
        figures[name] = errors(follow(model, starts, t), truth, inside)
        figures[name]["training CPU s"] = seconds
        if isinstance(model, LiftedMap):
            u = linear_forecast(model, data, starts, n_t)
            figures[f"{name}, linear forecast"] = errors(u, truth, inside)
            figures[name]["degree"] = model.form.degrees[-1]
    return figures


def laws(system: System, data: Snapshots, basis: Basis) -> dict[str, Callable[[], Model]]:
    """The laws to compare, each to be trained when it is called."""
    return {
        "dmd": lambda: dmd(data, basis),
        "lifted": lambda: edmd(data, basis),
        "inferred": lambda: operator_inference(data, basis, degree=system.degree),
    }


def main(runs: int = 20, tests: int = 20, wells: int = 200, seed: int = 0) -> dict[str, Any]:
    """Errors of all rows, wake and oscillator; runs of the wake, wells of the oscillator."""
    rng = np.random.default_rng(seed)
    figures: dict[str, Any] = {}
    for name, system, m, n in (
        ("wake", wake(), runs, tests), ("duffing", duffing(), wells, wells),
    ):  # fmt: skip
        for row, values in rows_of(system, m, n, rng).items():
            figures |= {f"{name}, {row}: {key}": value for key, value in values.items()}
    return figures


if __name__ == "__main__":
    run(main)
