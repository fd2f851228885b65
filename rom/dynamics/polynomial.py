"""Polynomial laws of reduced states, as models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.affine import theta_rows
from rom.basis import Basis
from rom.dynamics.forms import Polynomial
from rom.dynamics.marching import Region, march
from rom.dynamics.starts import check_starts, start_quantities, start_states
from rom.errors import BadInput
from rom.mesh import Mesh
from rom.model import Asks, Model, Question
from rom.parameters import Box
from rom.prediction import (
    Error,
    Known,
    Prediction,
    Quantity,
    Warned,
    state_parts,
    state_quantities,
)

GUARD = 1.5  # half widths of the trained box: beyond, a law is not trusted
LOST = 100.0  # diagonals of the box: beyond, there is no answer


@dataclass(frozen=True, eq=False)
class PolynomialFlow(Model):
    """a' = sum_q theta_q(mu) O_q phi(a), u = offset + V a.

    basis : V, r modes; form : phi and theta; operators : O (Q, r, d) [1/s times units of a]
    times (n_t,) [s] trained; centre, half (r,) : middle and half widths of the trained box of a
    start : (Q, r), a(t_0) = sum_q theta_q(mu) start_q, or None where the start is asked for
    projected : (Q, r, d), operators that take over from a trajectory that leaves GUARD times the
        trained box, or None
    misfit : relative rms of what the law misses of the solver's rate on V, at random states and
        at those of the runs, NaN where no rate was at hand
    profile, width (fields, n_t) : mean error of the training runs, and the band of whole
        trajectories that holds with probability `level`, rms over each field; or None
    bound, mass : a ResidualBound of the affine problem behind the runs, and its M, or None: the
        answer then bounds its distance to the backward Euler solution at its times, in the norm of
        M; first_error : |u_0 - V a_0|_M where all runs start alike, NaN where that is not known
    facts_of_training : what else was measured, by name; reason : what was chosen, and why
    """

    basis: Basis
    form: Polynomial
    operators: np.ndarray
    times: np.ndarray
    centre: np.ndarray
    half: np.ndarray
    start: np.ndarray | None = None
    projected: np.ndarray | None = None
    box: Box | None = None
    p: int = 0
    misfit: tuple[float, float] = (np.nan, np.nan)
    profile: np.ndarray | None = None
    width: np.ndarray | None = None
    level: float = 1.0
    bound: Any = None
    mass: Any = None
    first_error: float = np.nan
    facts_of_training: dict[str, Any] | None = None
    reason: str = ""
    mesh: Mesh | None = None

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
        return Known.NOTHING if self.width is None else Known.CONFORMAL

    @property
    def tells(self) -> tuple[Quantity, ...]:
        """The fields of the space, or "u"."""
        return state_quantities(self.basis.space)

    @property
    def region(self) -> Region:
        """The trained box of coefficients."""
        return Region(self.centre, self.half)

    @property
    def facts(self) -> dict[str, Any]:
        """The form, its misfit to the solver's rate, and the guard."""
        Q, r, d = self.operators.shape
        facts: dict[str, Any] = {
            "law": f"{d} monomials of degrees {', '.join(map(str, self.form.degrees))} of {r} "
            f"coefficients, {Q} functions of the parameters",
            "chosen": self.reason,
        }
        if np.isfinite(self.misfit[0]):
            words = ("random states", "states of the runs")
            for where, value in zip(words, self.misfit, strict=True):
                facts[f"relative misfit to the solver's rate at {where}"] = value
        follower = "it is warned of" if self.projected is None else "projected operators go on"
        facts["guard"] = f"beyond {GUARD:g} half widths of the trained box {follower}"
        return facts | (self.facts_of_training or {})

    def answer(self, question: Question) -> Prediction:
        """Fields at the times asked for.

        Warned of where a trajectory left the trained box.
        """
        t = self.times if question.t is None else question.t
        states = start_states(question, self.basis.space)
        warnings: tuple[Warned, ...] = ()
        if states is None:
            a0 = self.start_at(question.mu)
        else:
            a0, warnings = self.basis.coefficients(states).T, check_starts(self.basis, states)
        a, outside = self.follow(question.mu, a0, t)
        parts = state_parts(self.basis, a.transpose(1, 0, 2), errors=self._bands(question.m, t))
        inside = ~outside & (t <= self.times[-1])
        errors: tuple[Error, ...] = ()
        if self.bound is not None:
            from rom.dynamics.flow_bounds import flow_bound

            errors = flow_bound(self, question.mu, a0, t, states)
        return Prediction(
            question, parts, t=t, space=self.basis.space, inside=inside, errors=errors,
            warnings=warnings + self._warnings(outside, a),
        )  # fmt: skip

    def norm(self, u: np.ndarray) -> np.ndarray:
        """|u|_M of a state (n,) or of columns: the norm of the bound."""
        return np.asarray(np.sqrt(np.maximum(np.sum(u * (self.mass @ u), axis=0), 0.0)))

    def _bands(self, m: int, t: np.ndarray) -> dict[str, tuple[Error, ...]]:
        """Of each field at times t; NaN after the data, where nothing is known."""
        if self.width is None:
            return {}
        bands: dict[str, tuple[Error, ...]] = {}
        for quantity, width in zip(self.tells, self.width, strict=True):
            value = np.interp(t, self.times, width, right=np.nan)
            bands[quantity.name] = (
                Error(
                    np.repeat(value[None], m, axis=0), Known.CONFORMAL, "rms over the field",
                    quantity.unit, self.level, whole=True,
                ),
            )  # fmt: skip
        return bands

    def start_at(self, mu: np.ndarray) -> np.ndarray:
        """a(t_0), (m, r), at parameters mu (m, p). Raises BadInput where it is asked for."""
        if self.start is None:
            raise BadInput("the runs of this law start from fields of their own; give the start")
        return np.asarray(theta_rows(self.form.theta, mu) @ self.start)

    def follow(
        self, mu: np.ndarray, a0: np.ndarray, t: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients (m, r, n_t) from a0 (m, r), and where they were outside, (m, n_t).

        mu (m, p); t (n_t,) [s], in any order, after the first trained time
        """
        law = stack_operators(self.form, self.operators, mu)
        second = None
        if self.projected is not None:
            second = stack_operators(self.form, self.projected, mu)
        return follow_law(self.form, law, a0, (self.times[0], t), self.region, second=second)

    def _warnings(self, outside: np.ndarray, a: np.ndarray) -> tuple[Warned, ...]:
        """Who left the trained box, and what follows."""
        left = np.flatnonzero(outside.any(axis=1))
        if not left.size:
            return ()
        after = "there the law is not known to hold"
        if self.projected is not None:
            after = "the operators projected from the solver's rate took over there"
        elif np.isnan(a).any():
            after = "what grew beyond all measure has no answer (NaN)"
        text = f"{len(left)} of {len(a)} trajectories left {GUARD:g} x the trained box; {after}"
        return (Warned("guard", text, tuple(int(k) for k in left)),)


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
