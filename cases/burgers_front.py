"""A front over parameters: laws at the floor of their modes, and what interpolation does there.

u_t + (u^2/2)_x = .02 exp(mu x) on [0, 100], 256 cells upwind, Euler steps of .07 s, u = 1 at first,
4.25 at the inflow; eight mu in [.015, .03] to 7 s, and as long again beyond. Tests: the seven mu
between, and .0125 and .0325 outside. Errors are relative L2 in space, means over runs and times
inside (t <= 7) and beyond (7 < t <= 14).

Beside the laws stand the floor of their modes, persistence, cubic and linear interpolation of the
runs in mu (its last field kept beyond), the solver on 64 cells, and quadratic manifolds, u = V a +
W (a_i a_j), with Galerkin's method on them by the full rate in each step. The setting is that of
Hosseini Dashtbayaz et al. (2025), whose initial profile is not ours.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rom.cli.launch import run
from rom.compress import pod
from rom.dynamics import PolynomialFlow, operator_inference, project_rate
from rom.errors import RomError
from rom.parameters import Box
from rom.snapshots import Snapshots
from rom.space import euclidean

LENGTH, CELLS, STEP, INFLOW = 100.0, 256, 0.07, 4.25
RIDGES = (1e-9, 1e-6)  # of quadratic manifolds
LOST = 1e6  # of a coefficient: beyond, a trajectory has no answer
TIMES = STEP * np.arange(201)
TRAINED = TIMES <= 7.0 + 1e-9
BOX = Box(("mu",), np.array([0.015]), np.array([0.03]), ("1/m",))
TRAIN = np.linspace(0.015, 0.03, 8)
BETWEEN = 0.5 * (TRAIN[1:] + TRAIN[:-1])
OUTSIDE = np.array([0.0125, 0.0325])


def rate(u: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """du/dt (n,): upwind differences of u^2/2, and the source at the cell centres."""
    n = len(u)
    width = LENGTH / n
    x = (np.arange(n) + 0.5) * width
    square = 0.5 * np.append(INFLOW, u) ** 2
    return np.asarray(-np.diff(square) / width + 0.02 * np.exp(mu[0] * x))


def solve(mu: float, cells: int = CELLS) -> np.ndarray:
    """u (n, n_t) by Euler steps."""
    u = np.ones(cells)
    fields = [u]
    for _ in TIMES[1:]:
        u = u + STEP * rate(u, np.array([mu]))
        fields.append(u)
    return np.stack(fields, axis=1)


def errors(u: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Mean relative L2 inside and beyond the training; what has no answer counts as 10."""
    miss = np.linalg.norm(u - truth, axis=1) / np.linalg.norm(truth, axis=1)
    miss = np.minimum(np.nan_to_num(miss, nan=10.0), 10.0)
    return {"inside": float(miss[:, TRAINED].mean()), "beyond": float(miss[:, ~TRAINED].mean())}


def interpolate(runs: np.ndarray, mus: np.ndarray, degree: int) -> np.ndarray:
    """Splines in mu of the runs (8, n, n_t), their last trained field kept."""
    from scipy.interpolate import make_interp_spline

    fields = make_interp_spline(TRAIN, runs[:, :, TRAINED], degree, axis=0)(mus)
    missing = int((~TRAINED).sum())
    return np.concatenate([fields, np.repeat(fields[:, :, -1:], missing, axis=2)], axis=2)


def galerkin(V: np.ndarray, mu: float) -> np.ndarray:
    """V a with a marched by the solver's own steps and rate, projected."""
    a = V.T @ np.ones(len(V))
    states = [a]
    for _ in TIMES[1:]:
        a = a + STEP * (V.T @ rate(V @ a, np.array([mu])))
        states.append(a)
    return np.asarray(V @ np.stack(states, axis=1))


@dataclass(frozen=True, eq=False)
class Manifold:
    """u = V a + W (a_i a_j), i <= j: columns V (n, r), W (n, r (r + 1) / 2)."""

    V: np.ndarray
    W: np.ndarray

    def lift(self, a: np.ndarray) -> np.ndarray:
        """Fields (n, k) of a (r, k)."""
        i, j = np.triu_indices(len(a))
        return np.asarray(self.V @ a + self.W @ (a[i] * a[j]))

    def tangent(self, a: np.ndarray) -> np.ndarray:
        """du/da (n, r) at a (r,)."""
        i, j = np.triu_indices(len(a))
        slope = np.zeros((len(i), len(a)))
        slope[np.arange(len(i)), i] += a[j]
        slope[np.arange(len(i)), j] += a[i]
        return np.asarray(self.V + self.W @ slope)

    def encode(self, u: np.ndarray) -> np.ndarray:
        """a (r, k) of the nearest points of fields (n, k), by Gauss and Newton."""
        a = self.V.T @ u
        for k in range(u.shape[1]):
            for _ in range(3):
                miss = u[:, k] - self.lift(a[:, k : k + 1])[:, 0]
                a[:, k] += np.linalg.lstsq(self.tangent(a[:, k]), miss, rcond=None)[0]
        return np.asarray(a)

    def march(self, mu: float) -> np.ndarray:
        """Fields (n, n_t) of a' = (du/da)^+ rate, by the solver's own steps."""
        a = self.encode(np.ones((len(self.V), 1)))[:, 0]
        states = [a]
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in TIMES[1:]:
                slope = rate(self.lift(a[:, None])[:, 0], np.array([mu]))
                J = self.tangent(a)
                a = a + STEP * np.asarray(np.linalg.solve(J.T @ J, J.T @ slope))
                if not np.abs(a).max() < LOST:
                    a = np.full_like(a, np.nan)
                    states += [a] * (len(TIMES) - len(states))
                    break
                states.append(a)
        return self.lift(np.stack(states, axis=1))


def manifold(columns: np.ndarray, V: np.ndarray, ridge: float) -> Manifold:
    """Columns for all products of coefficients, by ridge regression of what V misses.

    ridge : over the mean square of the products
    """
    a = V.T @ columns
    i, j = np.triu_indices(len(a))
    products = a[i] * a[j]
    gram = products @ products.T
    gram += ridge * np.trace(gram) / len(gram) * np.eye(len(gram))
    return Manifold(V, np.linalg.solve(gram, products @ (columns - V @ a).T).T)


def answers(flow: PolynomialFlow, mus: np.ndarray) -> tuple[np.ndarray, float]:
    """Fields (m, n, n_t) at parameters, the trained box of the law enlarged; the share outside."""
    wide = Box(("mu",), np.array([0.01]), np.array([0.04]))
    answer = replace(flow, box=wide).predict(mus[:, None], t=TIMES)
    left = len(answer.warnings[-1].samples) if answer.warnings else 0
    return np.stack([answer.field("u", k) for k in range(len(mus))]), left / len(mus)


def main(ranks: str = "4,8,16", seed: int = 0) -> dict[str, Any]:
    """Errors of all rows, between and outside the trained parameters."""
    runs = np.stack([solve(mu) for mu in TRAIN])
    trained = runs[:, :, TRAINED]
    columns = np.hstack(list(trained))
    n_t = trained.shape[2]
    data = Snapshots(euclidean(CELLS), np.repeat(TRAIN, n_t)[:, None], columns,
                     np.tile(TIMES[:n_t], len(TRAIN)))  # fmt: skip
    figures: dict[str, Any] = {}
    for where, mus in (("between", BETWEEN), ("outside", OUTSIDE)):
        truth = np.stack([solve(mu) for mu in mus])
        rows = {"persistence": np.repeat(truth[:, :, :1], len(TIMES), axis=2)}
        rows["cubic interpolation in mu"] = interpolate(runs, mus, 3)
        rows["linear interpolation in mu"] = interpolate(runs, mus, 1)
        rows["solver on 64 cells"] = np.repeat(np.stack([solve(mu, 64) for mu in mus]), 4, axis=1)
        for name, u in rows.items():
            figures |= {f"{where}, {name}: {k}": v for k, v in errors(u, truth).items()}
    for rank in map(int, ranks.split(",")):
        figures |= one_rank(data, rank, seed)
    return figures


def one_rank(data: Snapshots, rank: int, seed: int) -> dict[str, Any]:
    """Errors of the floor and of all laws of so many modes."""
    basis = pod(data, rank=rank)[0]
    V, projected = basis.modes, project_rate(rate, data, basis, BOX, rng=seed)
    laws = {
        "projected": lambda: project_rate(rate, data, basis, BOX, rng=seed),
        "inferred": lambda: operator_inference(data, basis, BOX, rng=seed),
        "anchored": lambda: operator_inference(data, basis, BOX, anchor=projected, rng=seed),
    }
    figures: dict[str, Any] = {f"{rank} modes: misfit of the rate": projected.misfit[0]}
    for name, train in laws.items():
        begin = time.process_time()
        try:
            flow = train()
        except RomError as refusal:
            figures[f"{rank} modes, {name}: refused"] = str(refusal)
            continue
        figures[f"{rank} modes, {name}: training CPU s"] = time.process_time() - begin
        for where, mus in (("between", BETWEEN), ("outside", OUTSIDE)):
            truth = np.stack([solve(mu) for mu in mus])
            u, left = answers(flow, mus)
            row = errors(u, truth) | {"left the box": left}
            figures |= {f"{rank} modes, {name}, {where}: {k}": v for k, v in row.items()}
    for where, mus in (("between", BETWEEN), ("outside", OUTSIDE)):
        truth = np.stack([solve(mu) for mu in mus])
        floor = np.einsum("nr,qr,mqt->mnt", V, V, truth)
        intrusive = np.stack([galerkin(V, mu) for mu in mus])
        rows = {"floor": floor, "Galerkin with the solver's steps": intrusive}
        for ridge in RIDGES:
            curved, name = manifold(np.asarray(data.u), V, ridge), f"quadratic, ridge {ridge:g}"
            rows[f"{name}, floor"] = np.stack([curved.lift(curved.encode(u)) for u in truth])
            rows[f"{name}, Galerkin"] = np.stack([curved.march(mu) for mu in mus])
        for name, u in rows.items():
            figures |= {
                f"{rank} modes, {name}, {where}: {k}": v for k, v in errors(u, truth).items()
            }
    return figures


if __name__ == "__main__":
    run(main)
