"""Galerkin models of nonlinear equations whose term is evaluated at few rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.affine import Affine, theta_rows
from rom.basis import Basis
from rom.dynamics.forms import Polynomial
from rom.dynamics.starts import check_starts, start_quantities, start_states
from rom.errors import BadInput, NotConverged
from rom.mesh import Mesh
from rom.model import Asks, Model, Question
from rom.parameters import Box
from rom.points import newton
from rom.prediction import (
    Error,
    Known,
    Prediction,
    Quantity,
    Warned,
    state_parts,
    state_quantities,
)
from rom.problem import Residual

NEWTON_TOL = 1e-8  # of the size of the terms of an equation


@dataclass(frozen=True, eq=False)
class ReducedTerm:
    """N_r(a; mu) = B N_I(V a; mu), I few rows.

    term : its rows I; modes (k, s, r) : V where they read; B (r, k)
    """

    term: Residual
    modes: np.ndarray
    B: np.ndarray

    def __call__(self, a: np.ndarray, mu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """N_r (r,) and dN_r/da (r, r) at a (r,)."""
        values, slopes = self.term(self.modes @ a, mu)
        return self.B @ values, self.B @ np.matmul(slopes[:, None, :], self.modes)[:, 0]


@dataclass(frozen=True, eq=False)
class ResidualRows:
    """rho_Z = (M V a' + A(mu) V a + N(V a; mu) - f(mu))_Z at sampled rows Z.

    sum_Z share rho_Z^2 estimates the mean square over all rows, each divided by its own entry of
    M, without bias.
    term : its rows Z; modes (k, s, r) : V where they read; M (k, r) : rows of M V, or None of a
    steady equation; A, f : of terms (k, r) and (k,), or None; share (k,)
    """

    term: Residual
    modes: np.ndarray
    share: np.ndarray
    M: np.ndarray | None = None
    A: Affine | None = None
    f: Affine | None = None

    def sizes(self, mu: np.ndarray, a: np.ndarray, rates: np.ndarray) -> np.ndarray:
        """Estimated rms of rho (m,) at a (r, m) with rates a' (r, m)."""
        rho = np.zeros((len(self.share), a.shape[1]))
        if self.M is not None:
            rho += self.M @ rates
        if self.A is not None:
            rho += self.A(mu) @ a
        if self.f is not None:
            rho -= self.f(mu)[:, None]
        for column, U in zip(rho.T, np.moveaxis(self.modes @ a, 2, 0), strict=True):
            column += self.term(U, mu)[0]
        return np.asarray(np.sqrt(self.share @ rho**2))


@dataclass(frozen=True, eq=False)
class NonlinearModel(Model):
    """M_r a' + A_r(mu) a + N_r(a; mu) = f_r(mu), u = V a, or the same without a'.

    (M_r / dt)(a^{k+1} - a^k) + A_r b + N_r(b) = f_r, b = theta a^{k+1} + (1 - theta) a^k, by
    Newton's method, `steps` of them from one of the times to the next.

    basis : V, r modes; term : N_r; M (r, r), or None of a steady equation; A, f : reduced, or None
    times (n_t,) [s], or None; starts (Q, r) : a(t_0) = sum_q theta_q(mu) starts_q by the form, or
        None where the start is asked for
    mus (m, p), guesses (m, r) : where Newton's method begins in a steady equation: the nearest
    rows : where the residual is estimated; first_miss : rms of what the modes miss of the starts
    profile (fields, n_t) : mean over training runs of error / estimate; factor (fields,) : the
        band is factor profile estimate, with probability `level` for whole trajectories; or None
    rule, reason : how the rows of N were chosen, and how many
    Reference: Chaturantabut and Sorensen (2010); Hernandez, Caicedo and Ferrer (2017).
    """

    basis: Basis
    term: ReducedTerm
    mus: np.ndarray
    guesses: np.ndarray
    M: np.ndarray | None = None
    A: Affine | None = None
    f: Affine | None = None
    times: np.ndarray | None = None
    steps: int = 1
    theta: float = 1.0
    form: Polynomial | None = None
    starts: np.ndarray | None = None
    rows: ResidualRows | None = None
    first_miss: float = 0.0
    profile: np.ndarray | None = None
    factor: np.ndarray | None = None
    level: float = 1.0
    box: Box | None = None
    rule: str = ""
    reason: str = ""
    mesh: Mesh | None = None

    @property
    def asks(self) -> Asks:
        """Parameters, in the box where there is one, any of the times, first fields.

        The fields may be left out where theta(mu) tells them.
        """
        fields: tuple[Quantity, ...] = ()
        if self.times is not None:
            fields = start_quantities(self.basis.space, optional=self.starts is not None)
        return Asks(self.mus.shape[1], self.box, self.times, fields=fields)

    @property
    def known(self) -> Known:
        """Of the error: a band, where runs calibrated one."""
        return Known.NOTHING if self.factor is None else Known.CONFORMAL

    @property
    def tells(self) -> tuple[Quantity, ...]:
        """The fields of the space, or "u"."""
        return state_quantities(self.basis.space)

    @property
    def facts(self) -> dict[str, Any]:
        """The rows at which the equation is evaluated."""
        count = 0 if self.rows is None else len(self.rows.share)
        facts: dict[str, Any] = {
            "nonlinear term": f"at {len(self.term.modes)} of {self.basis.space.size} rows, by "
            f"{self.rule}: {self.reason}",
            "residual": f"estimated at {count} rows",
        }
        if self.factor is not None:
            for quantity, factor in zip(self.tells, self.factor, strict=True):
                facts[f"factor of the band of {quantity.name}"] = float(factor)
        return facts

    def answer(self, question: Question) -> Prediction:
        """Fields at the times asked for and their bands; NaN where Newton failed."""
        a, estimate, warnings = self.solve_all(question)
        steps = [0]
        if self.times is not None and question.t is not None:
            steps = list(np.abs(self.times[:, None] - question.t).argmin(axis=0))
        coefficients = a[:, :, steps].transpose(1, 0, 2)
        bands = self._bands(estimate[:, steps], steps)
        finite = np.isfinite(coefficients).all(axis=0)
        return Prediction(
            question, state_parts(self.basis, coefficients, errors=bands), space=self.basis.space,
            t=None if self.times is None else self.times[steps],
            inside=finite[:, 0] if self.times is None else finite, warnings=warnings,
        )  # fmt: skip

    def solve_all(self, question: Question) -> tuple[np.ndarray, np.ndarray, tuple[Warned, ...]]:
        """Coefficients (m, r, n_t), their estimates (m, n_t), and what to warn of."""
        states = start_states(question, self.basis.space) if self.times is not None else None
        warnings: tuple[Warned, ...] = ()
        misses = np.full(question.m, self.first_miss)
        if self.times is None:
            a0 = self._guess(question.mu)
        elif states is None:
            a0 = self._start_at(question.mu)
        else:
            a0, warnings = self.basis.coefficients(states).T, check_starts(self.basis, states)
            misses = np.sqrt(np.mean((states - self.basis.lift(a0.T)) ** 2, axis=0))
        answers = [self.follow(*one) for one in zip(question.mu, a0, misses, strict=True)]
        a, estimate = (np.stack(part) for part in zip(*answers, strict=True))
        lost = np.flatnonzero(np.isnan(a).any(axis=(1, 2)))
        if lost.size:
            text = f"{len(lost)} of {len(a)} samples have no answer (NaN): Newton's method failed"
            warnings += (Warned("newton", text, tuple(int(k) for k in lost)),)
        return a, estimate, warnings

    def follow(self, mu: np.ndarray, a0: np.ndarray, miss: float) -> tuple[np.ndarray, np.ndarray]:
        """a (r, n_t) from a0 (r,) and its estimate (n_t,), NaN from a step that failed on.

        Of a steady equation a (r, 1), and a0 is where Newton's method begins.
        miss : rms of what a0 leaves of the start
        """
        A = None if self.A is None else self.A(mu)
        f = None if self.f is None else self.f(mu)
        if self.times is None:
            return self._rest(mu, a0, A, f)
        fine = substeps(self.times, self.steps)
        a = np.full((len(a0), len(fine)), np.nan)
        a[:, 0] = a0
        ahead = a0
        for k, dt in enumerate(np.diff(fine)):
            try:
                a[:, k + 1] = self._step(mu, a[:, k], ahead, dt, (A, f))
            except NotConverged:
                break
            ahead = 2 * a[:, k + 1] - a[:, k]
        return a[:, :: self.steps], self._accumulate(mu, a, fine, miss)[:: self.steps]

    def _rest(
        self, mu: np.ndarray, a0: np.ndarray, A: np.ndarray | None, f: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The steady answer (r, 1) and its estimate (1,)."""

        def evaluate(a: np.ndarray) -> tuple[np.ndarray, float, np.ndarray, None]:
            R, K, size = self._forces(mu, a, A, f)
            return R, size, K, None

        try:
            a = newton(evaluate, _solve, a0, NEWTON_TOL).x[:, None]
        except NotConverged:
            return np.full((len(a0), 1), np.nan), np.full(1, np.nan)
        if self.rows is None:
            return a, np.full(1, np.nan)
        return a, self.rows.sizes(mu, a, np.zeros_like(a))

    def _step(
        self,
        mu: np.ndarray,
        old: np.ndarray,
        ahead: np.ndarray,
        dt: float,
        parts: tuple[np.ndarray | None, np.ndarray | None],
    ) -> np.ndarray:
        """a^{k+1} from a^k = old, by Newton's method from `ahead`. Raises NotConverged."""
        M, (A, f) = np.asarray(self.M) / dt, parts
        inertia = float(np.linalg.norm(M @ old))

        def evaluate(a: np.ndarray) -> tuple[np.ndarray, float, np.ndarray, None]:
            R, K, size = self._forces(mu, self.theta * a + (1 - self.theta) * old, A, f)
            return M @ (a - old) + R, max(inertia, size), M + self.theta * K, None

        return np.asarray(newton(evaluate, _solve, ahead, NEWTON_TOL).x)

    def _forces(
        self, mu: np.ndarray, a: np.ndarray, A: np.ndarray | None, f: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """A a + N(a) - f (r,), its tangent (r, r), and the size of the largest part."""
        R, K = self.term(a, mu)
        size = float(np.linalg.norm(R))
        if A is not None:
            linear = A @ a
            R, K, size = R + linear, K + A, max(size, float(np.linalg.norm(linear)))
        if f is not None:
            R, size = R - f, max(size, float(np.linalg.norm(f)))
        return R, K, size

    def _accumulate(self, mu: np.ndarray, a: np.ndarray, t: np.ndarray, miss: float) -> np.ndarray:
        """miss + int |rho| dt at times t of a (r, n_t), NaN after the last answer."""
        estimate = np.full(len(t), np.nan)
        estimate[0] = miss
        good = int(np.isfinite(a).all(axis=0).sum())
        if self.rows is None or good < 2:
            return estimate
        steps = np.diff(t[:good])
        rates = np.diff(a[:, :good], axis=1) / steps
        between = self.theta * a[:, 1:good] + (1 - self.theta) * a[:, : good - 1]
        estimate[1:good] = miss + np.cumsum(steps * self.rows.sizes(mu, between, rates))
        return estimate

    def _bands(self, estimate: np.ndarray, steps: list[int]) -> dict[str, tuple[Error, ...]]:
        """Of each field, factor profile estimate (m, n_t)."""
        if self.factor is None or self.profile is None:
            return {}
        bands: dict[str, tuple[Error, ...]] = {}
        for quantity, factor, profile in zip(self.tells, self.factor, self.profile, strict=True):
            value = factor * profile[steps] * estimate
            bands[quantity.name] = (
                Error(
                    value[:, 0] if self.times is None else value, Known.CONFORMAL,
                    "rms over the field", quantity.unit, self.level, whole=self.times is not None,
                ),
            )  # fmt: skip
        return bands

    def _start_at(self, mu: np.ndarray) -> np.ndarray:
        """a(t_0), (m, r). Raises BadInput where the start is asked for."""
        if self.starts is None or self.form is None:
            raise BadInput("the runs of this model start from fields of their own; give the start")
        return np.asarray(theta_rows(self.form.theta, mu) @ self.starts)

    def _guess(self, mu: np.ndarray) -> np.ndarray:
        """Coefficients (m, r) of the nearest training parameters."""
        low, high = self.mus.min(axis=0), self.mus.max(axis=0)
        width = np.where(high > low, high - low, 1.0)
        gaps = np.linalg.norm((mu[:, None] - self.mus) / width, axis=2)
        return np.asarray(self.guesses[gaps.argmin(axis=1)])


def substeps(t: np.ndarray, steps: int) -> np.ndarray:
    """Times with `steps` equal steps from one of t to the next."""
    parts = np.arange(steps) / steps
    inner = (t[:-1, None] + np.diff(t)[:, None] * parts).ravel()
    return np.append(inner, t[-1])


def _solve(K: np.ndarray, b: np.ndarray, _: float) -> np.ndarray:
    """K^{-1} b. Raises NotConverged for a singular K."""
    try:
        return np.linalg.solve(K, b)
    except np.linalg.LinAlgError as error:
        raise NotConverged("the reduced tangent is singular; take fewer modes") from error
