"""Polynomial laws of reduced states, as models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.affine import theta_rows
from rom.dynamics.forms import Polynomial
from rom.dynamics.laws import GUARD, LOST, ReducedLaw
from rom.dynamics.marching import Region, march
from rom.dynamics.starts import start_quantities
from rom.model import Asks
from rom.prediction import Error, Known


@dataclass(frozen=True, eq=False)
class PolynomialFlow(ReducedLaw):
    """a' = sum_q theta_q(mu) O_q phi(a), u = offset + V a.

    Beside what every `ReducedLaw` holds, O [1/s times units of a]:
    projected : (Q, r, d), operators that take over from a trajectory that leaves GUARD times the
        trained box, or None
    misfit : relative rms of what the law misses of the solver's rate on V, at random states and
        at those of the runs, NaN where no rate was at hand
    bound, mass : a ResidualBound of the affine problem behind the runs, and its M, or None: the
        answer then bounds its distance to the backward Euler solution at its times, in the norm of
        M; first_error : |u_0 - V a_0|_M where all runs start alike, NaN where that is not known
    """

    projected: np.ndarray | None = None
    misfit: tuple[float, float] = (np.nan, np.nan)
    bound: Any = None
    mass: Any = None
    first_error: float = np.nan

    @property
    def asks(self) -> Asks:
        """Parameters, any times from the first trained one on, and the fields there.

        The fields may be left out where all runs start alike, or as theta(mu) says.
        """
        fields = start_quantities(self.basis.space, optional=self.start is not None)
        return Asks(self.p, self.box, self.times, between=True, beyond=True, fields=fields)

    @property
    def known(self) -> Known:
        """Of the error: its bound, or a band of whole trajectories, where there is one."""
        if self.bound is not None:
            from rom.certified.residual import known_of

            return known_of(self.bound)
        return super().known

    @property
    def second(self) -> str:
        """The operators of the rate, where there are some."""
        return "" if self.projected is None else "operators projected from the solver's rate"

    @property
    def facts(self) -> dict[str, Any]:
        """Those of all laws, and the misfit to the solver's rate."""
        facts = super().facts
        if np.isfinite(self.misfit[0]):
            words = ("random states", "states of the runs")
            for where, value in zip(words, self.misfit, strict=True):
                facts[f"relative misfit to the solver's rate at {where}"] = value
        return facts

    def bounds(
        self, mu: np.ndarray, a0: np.ndarray, t: np.ndarray, states: np.ndarray | None
    ) -> tuple[Error, ...]:
        """The proved bound, where there is one."""
        if self.bound is None:
            return ()
        from rom.dynamics.flow_bounds import flow_bound

        return flow_bound(self, mu, a0, t, states)

    def norm(self, u: np.ndarray) -> np.ndarray:
        """|u|_M of a state (n,) or of columns: the norm of the bound."""
        return np.asarray(np.sqrt(np.maximum(np.sum(u * (self.mass @ u), axis=0), 0.0)))

    def follow(
        self, mu: np.ndarray, a0: np.ndarray, t: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients (m, r, n_t) from a0 (m, r), and where they were outside, (m, n_t)."""
        law = stack_operators(self.form, self.operators, mu)
        second = None
        if self.projected is not None:
            second = stack_operators(self.form, self.projected, mu)
        return follow_law(self.form, law, a0, (self.times[0], t), self.region, second=second)


def stack_operators(form: Polynomial, operators: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """sum_q theta_q(mu) O_q, (m, r, d) for mu (m, p)."""
    return np.asarray(np.tensordot(theta_rows(form.theta, mu), operators, axes=1))


def follow_law(
    form: Polynomial,
    law: np.ndarray,
    a0: np.ndarray,
    t: tuple[float, np.ndarray],
    region: Region,
    *,
    second: np.ndarray | None = None,
    guard: float = GUARD,
    lost: float = LOST,
) -> tuple[np.ndarray, np.ndarray]:
    """Trajectories (m, r, n_t) of laws (k, r, d), m / k each in order, from a0 (m, r).

    t : the first time, where a0 is, and those to answer at
    second : the laws of those that leave the guard
    Returns the coefficients and where they were outside, (m, n_t).
    """
    first, later = t
    times, place = np.unique(np.append(later, first), return_inverse=True)

    def rate(a: np.ndarray, out: np.ndarray) -> np.ndarray:
        """O phi(a) of each trajectory."""
        phi = form.features(a)
        slope = _apply(law, phi)
        if second is not None and out.any():
            slope = np.where(out[:, None], _apply(second, phi), slope)
        return slope

    states, outside = march(rate, a0, times, region=region, guard=guard, lost=lost)
    keep = place[:-1]
    return states[:, :, keep], outside[:, keep]


def _apply(law: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """O phi of m trajectories, (m, r), by laws (k, r, d) of m / k each, in order."""
    k, r, d = law.shape
    return np.asarray(np.matmul(phi.reshape(k, -1, d), law.transpose(0, 2, 1))).reshape(-1, r)
