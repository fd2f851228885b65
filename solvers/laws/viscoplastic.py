"""Viscoplasticity with kinematic hardening (Armstrong-Frederick)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.errors import NotConverged
from rom.history import CUMULATED
from solvers.laws.elastic import Answer, Elastic
from solvers.mandel import DEV, ONE, check_coefficient, coefficient, equivalent
from solvers.return_mapping import BACK, FLOW, consistent_tangent

MAX_ITERATIONS = 60
ROUND_OFF = 1e-14


@dataclass(frozen=True, eq=False)
class Viscoplastic(Elastic):
    """dp/dt = < (J(s - X) - R0) / K >^n, X = 2/3 C a; state (p, eps_v, a).

    d a = d eps_v - D a dp (Armstrong-Frederick). Backward Euler over the increment: with
    s_tr = 2 mu (dev eps - eps_v), X_n = 2/3 C a_n, g = 1 / (1 + D dp), xi = s_tr - g X_n,

        r(dp) = J(xi) - dp (3 mu + C g) - R0 - K (dp/dt)^(1/n) = 0,

    solved in y = (dp/dt)^(1/n), in which r is nearly concave. Every coefficient is a number
    or a table in T. Reference: Lemaitre and Chaboche, Mechanics of Solid Materials (1990).
    """

    K: Any = 300.0
    n: Any = 30.0
    C: Any = 0.0
    D: Any = 0.0
    R0: Any = 0.0
    width: int = 13

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("K", 1e-300), ("n", 1.0), ("C", 0.0), ("D", 0.0), ("R0", 0.0)):
            check_coefficient(name, getattr(self, name), least)

    def __call__(self, strain: np.ndarray, T: np.ndarray, state: np.ndarray, dt: float) -> Answer:
        """Stress (g, 6), tangent (g, 6, 6) and new state; see `solvers.laws`."""
        kappa, mu, swell = self.moduli(T)
        C, D = coefficient(self.C, T), coefficient(self.D, T)
        inelastic, back = state[:, FLOW], state[:, BACK]
        trial = 2 * mu[:, None] * (strain @ DEV - inelastic)
        X = 2 / 3 * C[:, None] * back
        on = np.flatnonzero(equivalent(trial - X) > coefficient(self.R0, T))
        N, m, Z = np.zeros_like(trial), np.zeros_like(trial), np.zeros_like(trial)
        ratio, dp, g = 0 * mu, 0 * mu, 0 * mu + 1
        if on.size:
            dp[on], g[on], N[on], m[on], Z[on], ratio[on] = self._flow(
                trial[on], X[on], mu[on], C=C[on], D=D[on], T=T[on], dt=dt
            )
        flow = dp[:, None] * N
        p = state[:, CUMULATED] + dp
        back = np.where((dp > 0)[:, None], g[:, None] * (back + flow), back)
        new = np.concatenate([p[:, None], inelastic + flow, back], axis=1)
        sphere = (kappa * (strain[:, :3].sum(axis=1) - swell))[:, None] * ONE
        tangent = consistent_tangent(kappa, mu, N, m=m, ratio=ratio, Z=Z)
        return sphere + trial - 2 * mu[:, None] * flow, tangent, new

    def _flow(
        self,
        trial: np.ndarray,
        X: np.ndarray,
        mu: np.ndarray,
        *,
        C: np.ndarray,
        D: np.ndarray,
        T: np.ndarray,
        dt: float,
    ) -> tuple[np.ndarray, ...]:
        """dp, g, N, m, Z, 1.5 dp / J(xi) at yielding points: Newton in y, in a bracket."""
        K, n, R0 = coefficient(self.K, T), coefficient(self.n, T), coefficient(self.R0, T)
        excess = np.maximum(equivalent(trial - X), equivalent(trial)) - R0
        high = np.minimum(excess / K, (excess / (3 * mu * dt)) ** (1 / n))
        low, y = np.zeros_like(high), high
        for _ in range(MAX_ITERATIONS):
            dp = dt * y**n
            g = 1 / (1 + D * dp)
            xi = trial - g[:, None] * X
            J = equivalent(xi)
            r = J - dp * (3 * mu + C * g) - R0 - K * y
            low, high = np.where(r > 0, y, low), np.where(r > 0, high, y)
            N = 1.5 * xi / J[:, None]
            rate = n * dt * y ** (n - 1)
            slope = rate * (3 * mu + C * g**2 - D * g**2 * np.sum(N * X, axis=1)) + K
            fresh = y + r / slope
            fresh = np.where((fresh > low) & (fresh <= high), fresh, 0.5 * (low + high))
            converged = np.abs(r) <= ROUND_OFF * (J + R0 + K * y)
            if converged.all() or (np.abs(fresh - y) <= 2e-16 * y).all():
                break
            y = np.where(converged, y, fresh)
        else:
            raise NotConverged(
                f"the flow rule found no plastic increment in {MAX_ITERATIONS} iterations; "
                "check the tables, or halve the step"
            )
        m = (2 * mu * rate / slope)[:, None] * N
        return dp, g, N, m, (D * g**2)[:, None] * X, 1.5 * dp / J
