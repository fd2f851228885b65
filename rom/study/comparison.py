"""A model against high fidelity on fresh parameters."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.errors import BadInput, SolveFailed, real

Solve = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Study:
    """Errors in the norm of the model's space, per parameter.

    mu : (m, p); norm : |u|; error : |u - u_r|; bound : (m,) or None
    floor : |u - V V^H X u|, the best the basis can do
    full_seconds, online_seconds, batch_seconds : per query (high fidelity, one by one, at once)
    """

    mu: np.ndarray
    norm: np.ndarray
    error: np.ndarray
    floor: np.ndarray
    bound: np.ndarray | None
    full_seconds: float
    online_seconds: float
    batch_seconds: float

    @property
    def relative(self) -> np.ndarray:
        """|u - u_r| / |u|, (m,)."""
        relative: np.ndarray = self.error / self.norm
        return relative

    @property
    def effectivity(self) -> np.ndarray | None:
        """bound / error, (m,)."""
        return None if self.bound is None else self.bound / self.error

    def summary(self) -> dict[str, float]:
        """Largest and mean errors, bounds and effectivities, times and speed-up."""
        relative, floor = self.relative, self.floor / self.norm
        numbers = {
            "max_error": float(self.error.max()),
            "max_rel_error": float(relative.max()),
            "mean_rel_error": float(relative.mean()),
            "max_rel_projection_error": float(floor.max()),
            "full_s": self.full_seconds,
            "online_ms": 1e3 * self.online_seconds,
            "batch_us": 1e6 * self.batch_seconds,
            "speedup": self.full_seconds / self.online_seconds,
        }
        if self.bound is not None:
            effectivity = self.bound / self.error
            numbers |= {
                "max_bound": float(self.bound.max()),
                "max_rel_bound": float((self.bound / self.norm).max()),
                "min_effectivity": float(effectivity.min()),
                "max_effectivity": float(effectivity.max()),
            }
        return numbers


def study(model: Any, solve: Solve, mus: np.ndarray) -> Study:
    """error(mu) = |solve(mu) - model(mu)|_X at each mu of (m, p).

    solve : mu -> u (n,) or (n, n_t), this rank's rows; numbers of a trajectory are the maxima over
        its times
    Raises BadInput for an empty set, SolveFailed naming the parameter where high fidelity gives
    NaN.
    """
    mus = real(mus, "mus")
    if mus.ndim != 2 or not len(mus):
        raise BadInput(f"mus have shape {mus.shape}; give (m, p) with m > 0")
    rows, full, online = [], 0.0, 0.0
    for mu in mus:
        begin = time.perf_counter()
        u = _solve(solve, mu)
        middle = time.perf_counter()
        answer = model.predict(mu)
        end = time.perf_counter()
        full += middle - begin
        online += end - middle
        rows.append(_compare(model.basis, u, answer, mu))
    begin = time.perf_counter()
    model.predict(mus)
    batch = time.perf_counter() - begin
    norm, error, floor, bound = np.array(rows).T
    m = len(mus)
    bounds = None if np.isnan(bound).any() else bound
    return Study(mus, norm, error, floor, bounds, full / m, online / m, batch / m)


def _solve(solve: Solve, mu: np.ndarray) -> np.ndarray:
    try:
        return np.asarray(solve(mu))
    except (ArithmeticError, np.linalg.LinAlgError) as trouble:
        raise SolveFailed(
            f"high fidelity failed at mu = {mu}: {trouble!r}; check the solver there"
        ) from trouble


def _compare(basis: Any, u: np.ndarray, answer: Any, mu: np.ndarray) -> list[float]:
    """Norm, error, floor and bound (NaN for none) of one parameter."""
    if not np.isfinite(u).all():
        raise SolveFailed(f"high fidelity gave NaN or Inf at mu = {mu}; check the solver there")
    space = basis.space
    error = space.norm(u - basis.lift(answer.coefficients))
    floor = space.norm(u - basis.lift(basis.coefficients(u)))
    bound = np.nan if answer.bound is None else np.max(answer.bound)
    return [np.max(space.norm(u)), np.max(error), np.max(floor), bound]
