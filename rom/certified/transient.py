"""Time-dependent affine reduced models by theta-schemes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.affine import Affine
from rom.basis import Basis
from rom.errors import BadInput, Singular, real
from rom.model import Prediction
from rom.parameters import Box


@dataclass(frozen=True, eq=False)
class UnsteadyModel:
    """M_r (a^{k+1} - a^k)/dt + A_r(mu) a^{k+theta} = signal(t^{k+theta}) f_r(mu), with a^{k+theta} = theta a^{k+1} + (1-theta) a^k.

    For theta >= 1/2 and coercive A the error obeys |e^K|_M^2 <= |e^0|_M^2 + sum_k dt_k/2 |r^{k+theta}|_{X'}^2 / alpha(mu):
    that is the bound, one per time, in the norm of M.

    M : (r, r); times : (n_t,) [s]; initial : (r,) coefficients; signal : factor of the load at `times`, or None
    bound : a ResidualBound built with M; initial_error : |u^0 - V a^0|_M, and what rounding may hide of it
    """

    M: np.ndarray
    A: Affine
    f: Affine
    basis: Basis
    times: np.ndarray
    theta: float
    initial: np.ndarray
    initial_error: float = 0.0
    signal: np.ndarray | None = None
    bound: Any = None
    box: Box | None = None

    def predict(self, mu: np.ndarray) -> Prediction:
        """Coefficients (r, n_t) and bounds (n_t,) for mu (p,); (r, m, n_t) and (m, n_t) for mu (m, p)."""
        mu = np.asarray(mu, dtype=float) if self.box is None else self.box.check(mu)
        many = np.atleast_2d(mu)
        A, f = self.A(many), self.f(many)
        a = np.empty((len(self.times), len(many), self.basis.r))
        a[0] = self.initial
        square = np.full((len(self.times), len(many)), self.initial_error**2)
        alpha = None if self.bound is None else self.bound.stability(many)
        for k, dt in enumerate(np.diff(self.times)):
            load = (
                1.0
                if self.signal is None
                else self.theta * self.signal[k + 1] + (1 - self.theta) * self.signal[k]
            )
            rhs = load * f - np.einsum("mij,mj->mi", A, a[k])
            try:
                rate = np.linalg.solve(self.M + dt * self.theta * A, rhs[..., None])[..., 0]
            except np.linalg.LinAlgError as error:
                raise Singular(
                    f"the reduced step {k} is singular ({error}); use fewer modes or another time step"
                ) from error
            a[k + 1] = a[k] + dt * rate
            if self.bound is not None:
                residual = self.bound.residual(many, a[k] + self.theta * dt * rate, rate, load)
                square[k + 1] = square[k] + 0.5 * dt * residual**2 / alpha
        bound = None if self.bound is None else np.sqrt(square).T
        if mu.ndim == 1:
            return Prediction(mu, a[:, 0].T, None if bound is None else bound[0], t=self.times)
        return Prediction(mu, np.moveaxis(a, 2, 0).swapaxes(1, 2), bound, t=self.times)


def unsteady(
    M: Any,
    A: Affine,
    f: Affine,
    basis: Basis,
    times: np.ndarray,
    theta: float = 1.0,
    initial: np.ndarray | None = None,
    signal: np.ndarray | None = None,
    bound: Any = None,
    box: Box | None = None,
) -> UnsteadyModel:
    """The model of M du/dt + A(mu) u = signal(t) f(mu), u(t_0) = initial, by the theta-scheme on `times`.

    M : this rank's share of the mass matrix; initial : (n,), zero by default; theta in [1/2, 1]: 1 is backward Euler, 1/2 Crank-Nicolson
    Raises BadInput for times that do not increase, a theta outside [1/2, 1] or a basis with an offset.
    Reference: Haasdonk and Ohlberger (2008); Grepl and Patera (2005).
    """
    times = real(times, "times")
    if (
        times.ndim != 1
        or times.size < 2
        or not (np.diff(times) > 0).all()
        or not np.isfinite(times).all()
    ):
        raise BadInput(
            f"times of shape {times.shape} do not increase from each to the next; give (n_t,) with n_t > 1, finite and increasing"
        )
    if not 0.5 <= theta <= 1.0:
        raise BadInput(
            f"theta = {theta} must lie in [0.5, 1]; smaller schemes are not unconditionally stable"
        )
    if np.ndim(basis.offset) > 0:
        raise BadInput("unsteady models take bases without offset; run pod(..., center=False)")
    if hasattr(bound, "T") and bound.T.shape[1] == len(f.terms) + len(A.terms) * basis.r:
        raise BadInput(
            "the bound was built without M; an unsteady one needs it: residual_bound(A, f, basis, stability, M)"
        )
    V, space = basis.modes, basis.space
    Mr = space.pair(V, M @ V)
    start = np.zeros(space.n) if initial is None else np.asarray(initial, dtype=float)
    a0 = np.linalg.solve(Mr, space.pair(V, M @ start))
    parts = np.column_stack([start - V @ a0, np.abs(V) @ np.abs(a0)])
    gap, size = np.sqrt(np.maximum(np.diag(space.pair(M @ parts, parts)), 0.0))
    error0 = float(gap + (basis.r + 2) * np.finfo(float).eps * size)
    return UnsteadyModel(
        Mr, A.project(basis), f.project(basis), basis, times, theta, a0, error0, signal, bound, box
    )
