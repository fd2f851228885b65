"""Time-dependent affine reduced models by theta-schemes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from rom.affine import Affine
from rom.arrays import NUMBER, VECTOR, array_of, gate
from rom.basis import Basis
from rom.certified.residual import divide, is_shifted, known_of, stability_at
from rom.certified.stationary import asks_parameters, bound_errors
from rom.errors import BadInput, Singular
from rom.mesh import Mesh
from rom.model import Asks, Model, Question
from rom.parameters import Box
from rom.prediction import Known, Prediction, Quantity, state_parts, state_quantities

MASS_NORM = "the norm of the mass matrix"

STEP_ROUNDING = 1e-14  # of the largest time: steps that differ by less are one

STATE = array_of("(n,)", kinds=NUMBER)


@dataclass(frozen=True, eq=False)
class UnsteadyModel(Model):
    """M_r (a^{k+1} - a^k)/dt + A_r(mu) a^{k+theta} = signal(t^{k+theta}) f_r(mu).

    a^{k+theta} = theta a^{k+1} + (1-theta) a^k. For theta >= 1/2 and coercive A the error obeys
    |e^K|_M^2 <= |e^0|_M^2 + sum_k dt_k/2 |r^{k+theta}|_{X'}^2 / alpha(mu):
    that is the bound, one per time, in the norm of M.

    M : (r, r); times : (n_t,) [s]; initial : (r,) coefficients
    signal : factor of the load at `times`, or None; bound : a ResidualBound built with M
    initial_error : |u^0 - V a^0|_M, and what rounding may hide of it
    mass : M, this rank's share, to measure errors in its norm; None in files of version 0.1.0
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
    mass: Any = None
    mesh: Mesh | None = None

    @property
    def known(self) -> Known:
        """Of the error: its bound, if there is one."""
        return Known.NOTHING if self.bound is None else known_of(self.bound)

    @property
    def asks(self) -> Asks:
        """Parameters, in the box where there is one, and any of the times."""
        return asks_parameters(self.A, self.box, self.times)

    @property
    def tells(self) -> tuple[Quantity, ...]:
        """The fields of the space."""
        return state_quantities(self.basis.space)

    def answer(self, question: Question) -> Prediction:
        """Coefficients at the times asked for, and bounds of the error in the norm of M.

        Raises Singular where a reduced step is.
        """
        a, bounds = self._march(question.mu)
        t = self.times if question.t is None else question.t
        steps = np.abs(self.times[:, None] - t).argmin(axis=0)
        bound = None if self.bound is None else bounds[steps].T
        parts = state_parts(self.basis, np.moveaxis(a[steps], 2, 0).swapaxes(1, 2))
        errors = bound_errors(bound, MASS_NORM, self.known)
        return Prediction(
            question, parts, errors=errors, t=self.times[steps], space=self.basis.space
        )

    def norm(self, u: np.ndarray) -> Any:
        """|u|_M of a state (n,) or of columns: the norm of the bound.

        Raises BadInput where the model was stored without its mass matrix.
        """
        if self.mass is None:
            raise BadInput("this model does not hold its mass matrix; build it again")
        dual = self.mass @ u
        square = (
            self.basis.space.pair(dual, u)
            if u.ndim == 1
            else self.basis.space.sum(np.sum(u.conj() * dual, axis=0))
        )
        return np.sqrt(np.maximum(np.real(square), 0.0))

    def _march(self, mu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients (n_t, m, r), complex where a term is, and bounds (n_t, m)."""
        steps, loads = np.diff(self.times), self._loads
        A, f = self.A(mu), self.f(mu)
        dtype = np.result_type(self.M, A, f, self.initial, loads)
        a = np.empty((len(self.times), len(mu), self.basis.r, 1), dtype)
        rates = np.empty((len(steps), *a.shape[1:3]), dtype)
        a[0] = self.initial[:, None]
        for part in self._equal_steps():
            dt = steps[part[0]]
            B, g = self._step(A, f, dt, part[0])
            forward, push = np.eye(self.basis.r) - dt * B, dt * g[..., None]
            for k in part:
                np.matmul(forward, a[k], out=a[k + 1])
                a[k + 1] += loads[k] * push
            states = a[part[0] : part[-1] + 1, ..., 0].transpose(1, 2, 0)
            slopes = g[..., None] * loads[part] - B @ states
            rates[part] = (slopes * (dt / steps[part])).transpose(2, 0, 1)
        return a[..., 0], self._bounds(mu, a[..., 0], rates)

    def _equal_steps(self) -> list[range]:
        """Runs of steps of one length, to a round-off of the times."""
        steps = np.diff(self.times)
        slack = STEP_ROUNDING * np.abs(self.times).max()
        ends = np.flatnonzero(np.abs(np.diff(steps)) > slack) + 1
        starts = [0, *ends.tolist(), len(steps)]
        return [range(first, last) for first, last in pairwise(starts)]

    def _step(
        self, A: np.ndarray, f: np.ndarray, dt: float, k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """(B, g) of a step dt: da/dt = load g - B a. Raises Singular."""
        rhs = np.concatenate([np.broadcast_to(A, (len(f), *A.shape[-2:])), f[..., None]], axis=-1)
        try:
            solved = np.linalg.solve(self.M + dt * self.theta * A, rhs)
        except np.linalg.LinAlgError as error:
            raise Singular(
                f"the reduced step {k} is singular ({error}); use fewer modes or another time step"
            ) from error
        return np.ascontiguousarray(solved[..., :-1]), solved[..., -1]

    def _bounds(self, mu: np.ndarray, a: np.ndarray, rates: np.ndarray) -> np.ndarray:
        """Bounds (n_t, m) of the errors, in the norm of M."""
        if self.bound is None:
            return np.full(a.shape[:2], self.initial_error)
        unit = self._unit()
        square = np.empty(a.shape[:2])
        square[0] = (self.initial_error / unit) ** 2
        alpha = stability_at(self.bound.stability, mu)
        steps = np.diff(self.times)
        between = a[:-1] + self.theta * steps[:, None, None] * rates
        residual = self.bound.along(mu, between, rates, self._loads) / unit
        square[1:] = divide(0.5 * steps[:, None] * residual**2, alpha[None])
        return np.sqrt(np.cumsum(square, axis=0)) * unit

    def _unit(self) -> float:
        """A power of two about as large as load and initial error, to keep squares finite."""
        sizes = getattr(self.bound, "sizes", np.zeros(0))[: len(self.f.terms)]
        largest = max(self.initial_error, float(sizes.max(initial=0.0)))
        return float(np.ldexp(1.0, int(np.frexp(largest)[1]))) if largest > 0 else 1.0

    @property
    def _loads(self) -> np.ndarray:
        """signal(t^{k+theta}) of each step, 1 without a signal."""
        if self.signal is None:
            return np.ones(len(self.times) - 1)
        return np.asarray(self.theta * self.signal[1:] + (1 - self.theta) * self.signal[:-1])


@gate(A=Affine, f=Affine, basis=Basis, times=VECTOR, initial=STATE, signal=VECTOR, box=Box)
def unsteady(
    M: Any,
    A: Affine,
    f: Affine,
    basis: Basis,
    times: np.ndarray,
    *,
    theta: float = 1.0,
    initial: np.ndarray | None = None,
    signal: np.ndarray | None = None,
    bound: Any = None,
    box: Box | None = None,
) -> UnsteadyModel:
    """The theta-scheme model of M du/dt + A(mu) u = signal(t) f(mu), u(t_0) = initial.

    M : this rank's share of the mass matrix; initial : (n,), zero by default
    theta : in [1/2, 1]; 1 is backward Euler, 1/2 Crank-Nicolson
    Raises BadInput for times that do not increase, a theta outside [1/2, 1], a basis with an
    offset or a bound built without M.
    Reference: Haasdonk and Ohlberger (2008); Grepl and Patera (2005).
    """
    _check_times(times)
    if not 0.5 <= theta <= 1.0:
        raise BadInput(
            f"theta = {theta} must lie in [0.5, 1]; smaller schemes are not unconditionally stable"
        )
    if is_shifted(basis):
        raise BadInput("unsteady models take bases without offset; run pod(..., center=False)")
    stationary_images = len(f.terms) + len(A.terms) * basis.r
    if hasattr(bound, "T") and bound.T.shape[1] == stationary_images:
        raise BadInput(
            "the bound was built without M; an unsteady one needs it: "
            "residual_bound(A, f, basis, stability, M)"
        )
    V, space = basis.modes, basis.space
    start = np.zeros(space.n) if initial is None else initial
    if start.shape != (space.n,) or np.shape(M) != (space.n, space.n):
        raise BadInput(
            f"initial has shape {start.shape}, M {np.shape(M)}; give ({space.n},) and a sparse "
            f"({space.n}, {space.n})"
        )
    if signal is not None and signal.shape != times.shape:
        raise BadInput(f"signal has shape {signal.shape}; give one number per time: {times.shape}")
    mass = space.pair(V, M @ V)
    a0 = np.linalg.solve(mass, space.pair(V, M @ start))
    return UnsteadyModel(
        M=mass,
        A=A.project(basis),
        f=f.project(basis),
        basis=basis,
        times=times,
        theta=theta,
        initial=a0,
        initial_error=_initial_error(M, basis, start, a0),
        signal=signal,
        bound=bound,
        box=box,
        mass=M,
    )


def _check_times(times: np.ndarray) -> None:
    sizes = times.ndim == 1 and times.size > 1
    if not sizes or not (np.diff(times) > 0).all() or not np.isfinite(times).all():
        raise BadInput(
            f"times of shape {times.shape} do not increase from each to the next; "
            "give (n_t,) with n_t > 1, finite and increasing"
        )


def _initial_error(M: Any, basis: Basis, start: np.ndarray, a0: np.ndarray) -> float:
    """|u^0 - V a^0|_M, and what rounding may hide of it."""
    V = basis.modes
    parts = np.column_stack([start - V @ a0, np.abs(V) @ np.abs(a0)])
    squares = np.diag(basis.space.pair(M @ parts, parts)).real
    gap, size = np.sqrt(np.maximum(squares, 0.0))
    return float(gap + (basis.r + 2) * np.finfo(float).eps * size)
