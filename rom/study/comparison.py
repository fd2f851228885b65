"""A model against high fidelity on fresh parameters."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.errors import BadInput, SolveFailed, real


@dataclass(frozen=True, eq=False)
class Study:
    """Errors in the norm of the model's space, per parameter.

    mu : (m, p); norm : |u|; error : |u - u_r|; floor : |u - V V^T X u|, the best the basis can do; bound : (m,) or None
    std : |standard deviation field| in the Euclidean sense per parameter, or None
    full_seconds, online_seconds, batch_seconds : per query (high fidelity, one by one, all at once)
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
        return self.error / self.norm

    @property
    def effectivity(self) -> np.ndarray | None:
        """bound / error, (m,)."""
        return None if self.bound is None else self.bound / self.error

    def summary(self) -> dict[str, float]:
        """The numbers people ask for."""
        numbers = {
            "max_error": float(self.error.max()),
            "max_rel_error": float(self.relative.max()),
            "mean_rel_error": float(self.relative.mean()),
            "max_rel_projection_error": float((self.floor / self.norm).max()),
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


def study(model: Any, solve: Callable[[np.ndarray], np.ndarray], mus: np.ndarray) -> Study:
    """error(mu) = |solve(mu) - model(mu)|_X at each mu of (m, p).

    solve : mu -> u (n,) or (n, n_t), this rank's rows; a trajectory's numbers are the maxima over its times
    Raises BadInput for an empty set, SolveFailed naming the parameter where high fidelity gives NaN.
    """
    mus = real(mus, "mus")
    if mus.ndim != 2 or not len(mus):
        raise BadInput(f"mus have shape {mus.shape}; give (m, p) with m > 0")
    basis, rows, full, online = model.basis, [], 0.0, 0.0
    for mu in mus:
        begin = time.perf_counter()
        try:
            u = np.asarray(solve(mu))
        except (ArithmeticError, np.linalg.LinAlgError) as trouble:
            raise SolveFailed(
                f"high fidelity failed at mu = {mu}: {trouble!r}; check the solver there"
            ) from trouble
        middle = time.perf_counter()
        answer = model.predict(mu)
        full, online = full + middle - begin, online + time.perf_counter() - middle
        if not np.isfinite(u).all():
            raise SolveFailed(f"high fidelity gave NaN or Inf at mu = {mu}; check the solver there")
        errors = basis.space.norm(u - basis.lift(answer.coefficients))
        best = basis.space.norm(u - basis.lift(basis.coefficients(u)))
        bound = np.nan if answer.bound is None else np.max(answer.bound)
        rows.append([np.max(basis.space.norm(u)), np.max(errors), np.max(best), bound])
    begin = time.perf_counter()
    model.predict(mus)
    batch = (time.perf_counter() - begin) / len(mus)
    norm, error, floor, bound = np.array(rows).T
    return Study(
        mus,
        norm,
        error,
        floor,
        None if np.isnan(bound).any() else bound,
        full / len(mus),
        online / len(mus),
        batch,
    )
