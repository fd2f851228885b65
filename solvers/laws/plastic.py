"""J2 plasticity with linear isotropic hardening."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.history import CUMULATED
from solvers.laws.elastic import Answer, Elastic
from solvers.mandel import DEV, ONE, coefficient, equivalent
from solvers.return_mapping import FLOW, consistent_tangent


@dataclass(frozen=True, eq=False)
class Plastic(Elastic):
    """J(dev sigma) <= yield_stress + H p, dp in closed form; state (p, eps_p)."""

    yield_stress: Any = np.inf
    H: Any = 0.0
    width: int = 7

    def __call__(self, strain: np.ndarray, T: np.ndarray, state: np.ndarray, dt: float) -> Answer:
        """Stress (g, 6), tangent (g, 6, 6) and new state; see `solvers.laws`."""
        kappa, mu, swell = self.moduli(T)
        H, p, flow = coefficient(self.H, T), state[:, CUMULATED], state[:, FLOW]
        trial = 2 * mu[:, None] * (strain @ DEV - flow)
        q = equivalent(trial)
        excess = q - coefficient(self.yield_stress, T) - H * p
        dp = np.maximum(excess, 0.0) / (3 * mu + H)
        safe = np.where(q > 0, q, 1.0)
        N = 1.5 * trial / safe[:, None]
        on = (dp > 0).astype(float)
        new = np.concatenate([(p + dp)[:, None], flow + dp[:, None] * N], axis=1)
        ratio = on * 1.5 * dp / safe
        m = (on * 2 * mu / (3 * mu + H))[:, None] * N
        tangent = consistent_tangent(kappa, mu, N, m=m, ratio=ratio, Z=np.zeros_like(N))
        sphere = (kappa * (strain[:, :3].sum(axis=1) - swell))[:, None] * ONE
        return sphere + trial - 2 * (mu * dp)[:, None] * N, tangent, new
