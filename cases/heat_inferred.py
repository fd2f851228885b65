"""A proved bound for operators that were inferred from runs, and for wrong ones.

M u' + A(mu) u = f, a bar of n nodes with two conductivities, ends at zero, heated on its left half,
backward Euler. The residual of *any* coefficients over time bounds their error: those of Galerkin's
method, of operators inferred from runs without opening the solver, and of the same operators
spoiled by noise. Beside them stand persistence and the mean run, whose bounds hold as well.

Numbers: bound / error over all parameters and times after the first, in the norm of M.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from rom.affine import Affine, Monomials
from rom.basis import Basis
from rom.certified import MinTheta, residual_bound, trajectory_bound, unsteady
from rom.cli.launch import run
from rom.compress import pod
from rom.dynamics import Polynomial, operator_inference
from rom.parameters import Box
from rom.snapshots import Snapshots
from rom.space import Space

BOX = Box(("left", "right"), np.array([0.1, 0.1]), np.array([10.0, 10.0]), ("m2/s", "m2/s"),
          ("log", "log"))  # fmt: skip
END = 0.2  # s
THETA = Monomials(np.ones(2), np.eye(2))
FORM = Polynomial((0, 1), Monomials(np.ones(3), np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])))


def bar(n: int) -> tuple[Space, Any, Affine, Affine]:
    """Space of (u', v'), M, A = sum mu_q A_q and f of linear elements on [0, 1]."""
    h = 1.0 / (n + 1)
    middle = (np.arange(n + 1) + 0.5) * h

    def stiffness(k: np.ndarray) -> Any:
        return sp.diags_array([-k[1:-1], k[:-1] + k[1:], -k[1:-1]], offsets=[-1, 0, 1]) / h

    left = (middle < 0.5).astype(float)
    parts = tuple(sp.csr_array(stiffness(k)) for k in (left, 1.0 - left))
    side = np.ones(n - 1)
    M = sp.csr_array(h / 6 * sp.diags_array([side, 4.0 * np.ones(n), side], offsets=[-1, 0, 1]))
    load = h * (np.arange(1, n + 1) * h < 0.5)
    f = Affine(Monomials(np.ones(1), np.zeros((1, 2))), (load.astype(float),))
    return Space(sp.csr_array(parts[0] + parts[1]), np.arange(n)), M, Affine(THETA, parts), f


def solve(M: Any, A: Affine, f: Affine, mu: np.ndarray, times: np.ndarray) -> np.ndarray:
    """u (n, n_t) from zero by backward Euler."""
    dt = times[1] - times[0]
    factor = splu(sp.csc_array(M / dt + A(mu)))
    states = [np.zeros(M.shape[0])]
    for _ in times[1:]:
        states.append(factor.solve(f(mu) + M @ states[-1] / dt))
    return np.stack(states, axis=1)


def main(
    n: int = 200,
    steps: int = 200,
    train: int = 12,
    tests: int = 30,
    rank: int = 6,
    spoil: float = 0.1,
    seed: int = 0,
) -> dict[str, Any]:
    """Smallest and median bound over error, and relative errors, of all rows."""
    space, M, A, f = bar(n)
    times, rng = np.linspace(0.0, END, steps + 1), np.random.default_rng(seed)
    mus, fresh = BOX.from_unit(rng.random((train, 2))), BOX.from_unit(rng.random((tests, 2)))
    runs = np.stack([solve(M, A, f, mu, times) for mu in mus])
    truth = np.stack([solve(M, A, f, mu, times) for mu in fresh])
    columns = Snapshots(space, np.repeat(mus, steps + 1, 0), np.hstack(list(runs)),
                        np.tile(times, train))  # fmt: skip
    basis = pod(columns, rank=rank)[0]
    bound = residual_bound(A, f, basis, MinTheta(THETA, np.ones(2)), M)
    own = np.stack([basis.coefficients(u) for u in runs])
    law = operator_inference(columns, basis, BOX, form=FORM, bound=bound, mass=M, rng=seed)
    noise = 1.0 + spoil * rng.standard_normal(law.operators.shape)
    spoiled = replace(law, operators=law.operators * noise)
    galerkin = unsteady(M, A, f, basis, times, bound=bound, box=BOX)
    figures: dict[str, Any] = {}
    for name, model in (("Galerkin", galerkin), ("inferred", law), ("spoiled", spoiled)):
        answer = model.predict(fresh)
        a = answer.parts["u"].a.transpose(1, 0, 2)
        row = compare(M, basis, a, truth, answer.errors[0].value)
        figures |= {f"{name}: {k}": v for k, v in row.items()}
    simple = {"mean run": own.mean(axis=0), "persistence": np.zeros((rank, steps + 1))}
    for name, one in simple.items():
        a = np.broadcast_to(one, (tests, rank, steps + 1))
        values = trajectory_bound(bound, fresh, np.moveaxis(a, 0, 1), times)
        figures |= {f"{name}: {k}": v for k, v in compare(M, basis, a, truth, values).items()}
    return figures


def compare(
    M: Any, basis: Basis, a: np.ndarray, truth: np.ndarray, bound: np.ndarray
) -> dict[str, float]:
    """Bound over error and the relative error after the first time, in the norm of M."""

    def norm(u: np.ndarray) -> np.ndarray:
        return np.sqrt(np.sum(u * (M @ u), axis=0))

    error = np.stack([norm(u - basis.modes @ one) for u, one in zip(truth, a, strict=True)])[:, 1:]
    size = np.stack([norm(u) for u in truth])[:, 1:]
    ratio = bound[:, 1:] / error
    return {
        "least bound over error": float(ratio.min()),
        "median bound over error": float(np.median(ratio)),
        "mean relative error": float(np.mean(error / size)),
    }


if __name__ == "__main__":
    run(main)
