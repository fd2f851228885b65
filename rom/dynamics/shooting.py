"""A law corrected by where its own trajectories miss the next sample.

    (y_{k+1} - flow(y_k)) / dt ~ dO mean_t phi(a(t)) along the flow from y_k

least squares for dO, a few times over: derivatives of samples are not needed, so that neither
their order nor most of the noise is left in the law.
"""

from __future__ import annotations

import numpy as np

from rom.affine import theta_rows
from rom.dynamics.forms import Polynomial
from rom.dynamics.laws import LOST
from rom.dynamics.marching import Region
from rom.dynamics.operators import EVEN
from rom.dynamics.polynomial import follow_law, stack_operators
from rom.dynamics.regression import Equations, ridge_laws, scale_equations
from rom.dynamics.runs import Runs

BOOLE = np.array([7.0, 32.0, 12.0, 32.0, 7.0]) / 90.0  # weights of a mean at 0, 1/4, ..., 1


def shoot(
    form: Polynomial,
    law: np.ndarray,
    runs: Runs,
    region: Region,
    *,
    weight: float = 1e-11,
    sweeps: int = 4,
) -> np.ndarray:
    """The law (Q, r, d) after `sweeps` corrections from all steps of the runs.

    weight : of |size dO|^2 beside the mean square of the defects
    Runs at uneven times, and steps that are lost, correct nothing.
    """
    steps = np.diff(runs.t)
    if np.abs(steps - steps.mean()).max() > EVEN * steps.mean():
        return law
    for _ in range(sweeps):
        system = _defects(form, law, runs, region, float(steps.mean()))
        if len(system.D) < system.D.shape[1]:
            return law
        columns = ridge_laws(system, np.array([weight]), law.shape[1], None)[0]
        Q, r, d = law.shape
        law = law + columns.reshape(Q, d, r).transpose(0, 2, 1)
    return law


def _defects(form: Polynomial, law: np.ndarray, runs: Runs, region: Region, dt: float) -> Equations:
    """Mean features along each step, scaled, and the defects over dt."""
    features, defects = [], []
    t = np.linspace(0.0, dt, len(BOOLE))
    for a, mu in zip(runs.a, runs.mu, strict=True):
        own = stack_operators(form, law, mu[None])
        states, _ = follow_law(form, own, a[:, :-1].T, (0.0, t), region, lost=LOST)
        whole = np.isfinite(states[:, 0, -1])
        states = states[whole]
        phi = sum(w * form.features(states[:, :, j]) for j, w in enumerate(BOOLE))
        theta = theta_rows(form.theta, mu[None])
        features.append((theta[:, :, None] * np.asarray(phi)[:, None]).reshape(len(states), -1))
        defects.append((a[:, 1:].T[whole] - states[:, :, -1]) / dt)
    return scale_equations(np.concatenate(features), np.concatenate(defects))
