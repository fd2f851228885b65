"""Sensor data merged with an equation.

The source is uncertain, the equation carries its uncertainty to the solution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from rom.errors import BadInput
from solvers.boxes import Axis, Solution


@dataclass(frozen=True, eq=False)
class Posterior:
    """u = solution + sum_k c_k e_k, c ~ N(c, covariance).

    e_k are eigenfunctions of the operator, V, one array of columns per axis.

    prior : standard deviation of each c_k before the data; gain (K, s), root (s, s) Cholesky of the
        data's covariance
    discrepancy : standard deviation of the source, estimated or given; noise : of the sensors
    """

    solution: Solution
    V: tuple[np.ndarray, ...]
    prior: np.ndarray
    shift: np.ndarray
    cross: np.ndarray
    root: np.ndarray
    discrepancy: float
    noise: float

    def at(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of u at points (n, d)."""
        E = _functions(self.solution.axes, self.V, points)
        scaled = E * self.prior
        explained = np.linalg.solve(self.root, self.cross @ scaled.T)
        variance = np.sum(scaled**2, axis=1) - np.sum(explained**2, axis=0)
        return self.solution.at(points) + E @ self.shift, np.sqrt(np.maximum(variance, 0.0))


def merge_sensors(
    solution: Solution,
    points: np.ndarray,
    values: np.ndarray,
    noise: float,
    discrepancy: float | None = None,
    length: float = 0.2,
    most: int = 60,
) -> Posterior:
    """The posterior of u under L u = f + d and values (s,) seen at points (s, d).

    d is a Whittle-Matern field of the given length: Cov d = discrepancy^2 (1 - (length h)^2
    L)^{-2}, normalised to a mean variance of discrepancy^2, h the longest side; in the
    eigenfunctions of L with zero boundary values both it and the solve are diagonal. discrepancy
    None: the marginal likelihood's own. Raises BadInput unless the equation is linear with second
    derivatives alone. Reference: Girolami et al. (2021).
    """
    equation, axes = solution.equation, solution.axes
    if (
        equation.reaction is not None
        or any(equation.first)
        or not all(axis.symmetric for axis in axes)
    ):
        raise BadInput(
            "sensors merge with linear equations of second derivatives, solved by kernels"
        )
    points, values = np.atleast_2d(points), np.asarray(values, dtype=float)
    if points.shape != (values.size, equation.d) or not np.isfinite(values).all() or not noise > 0:
        raise BadInput(
            f"sensors at {points.shape} with {values.shape} values and noise {noise}; "
            f"give (s, {equation.d}), (s,), > 0"
        )
    pairs = [_eigen(axis, second, most) for axis, second in zip(axes, equation.second, strict=True)]
    total = np.zeros(())
    for j, (w, _) in enumerate(pairs):
        total = total + np.reshape(w, [-1 if i == j else 1 for i in range(len(pairs))])
    h = np.max(equation.bounds[:, 1] - equation.bounds[:, 0])
    spread = 1.0 / (1.0 + (length * h) ** 2 * np.abs(total.ravel()))
    unit = spread / np.sqrt(np.sum(spread**2)) / np.abs(total.ravel())
    V = tuple(vectors for _, vectors in pairs)
    H = _functions(axes, V, points) * unit
    misfit = values - solution.at(points)
    G = H @ H.T
    if discrepancy is None:
        discrepancy = _likely(G, misfit, noise)
    root = np.linalg.cholesky(discrepancy**2 * G + noise**2 * np.eye(len(values)))
    gain = np.linalg.solve(root.T, np.linalg.solve(root, misfit))
    shift = discrepancy**2 * unit * (H.T @ gain)
    return Posterior(
        solution, V, discrepancy * unit, shift, discrepancy * H, root, float(discrepancy), noise
    )


def _eigen(axis: Axis, second: float, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Smoothest eigenfunctions of second u'' that vanish at both ends, (k, most).

    As coefficients.
    """
    T = axis.test @ (second * axis.D[2]) @ axis.free
    w, Q = np.linalg.eigh(0.5 * (T + T.T))
    order = np.argsort(np.abs(w))[:most]
    return w[order], axis.free @ Q[:, order]


def _functions(axes: tuple[Axis, ...], V: tuple[np.ndarray, ...], points: np.ndarray) -> np.ndarray:
    """All products of eigenfunctions at points, (n, K)."""
    E = np.ones((len(points), 1))
    for j, (axis, vectors) in enumerate(zip(axes, V, strict=True)):
        E = (E[:, :, None] * (axis.evaluate(points[:, j], 0) @ vectors)[:, None, :]).reshape(
            len(points), -1
        )
    return E


def _likely(G: np.ndarray, misfit: np.ndarray, noise: float) -> float:
    """The discrepancy that maximises N(misfit; 0, discrepancy^2 G + noise^2 I)."""
    w, Q = np.linalg.eigh(G)
    squares = (Q.T @ misfit) ** 2
    reference = np.sqrt(np.mean(misfit**2) / max(np.mean(np.diag(G)), 1e-300))

    def objective(log_tau: float) -> float:
        v = np.exp(2 * log_tau) * np.maximum(w, 0) + noise**2
        return float(np.sum(squares / v + np.log(v)))

    middle = np.log(max(reference, 1e-300))
    return float(
        np.exp(minimize_scalar(objective, bounds=(middle - 12, middle + 4), method="bounded").x)
    )
