"""What all laws of reduced coefficients share: starts, bands, the trained box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.affine import theta_rows
from rom.basis import Basis
from rom.dynamics.forms import Polynomial
from rom.dynamics.marching import Region
from rom.dynamics.starts import check_starts, start_states
from rom.errors import BadInput
from rom.mesh import Mesh
from rom.model import Model, Question
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
class ReducedLaw(Model):
    """u(t) = offset + V a(t), a from its start on by a law linear in phi(a).

    basis : V, r modes; form : phi and theta; operators : O (Q, r, d) of the law
    times (n_t,) [s] trained; centre, half (r,) : middle and half widths of the trained box of a
    start : (Q, r), a(t_0) = sum_q theta_q(mu) start_q, or None where the start is asked for
    profile, width (fields, n_t) : mean error of the training runs, and the band of whole
        trajectories that holds with probability `level`, rms over each field; or None
    facts_of_training : what else was measured, by name; reason : what was chosen, and why
    """

    basis: Basis
    form: Polynomial
    operators: np.ndarray
    times: np.ndarray
    centre: np.ndarray
    half: np.ndarray
    start: np.ndarray | None = None
    box: Box | None = None
    p: int = 0
    profile: np.ndarray | None = None
    width: np.ndarray | None = None
    level: float = 1.0
    facts_of_training: dict[str, Any] | None = None
    reason: str = ""
    mesh: Mesh | None = None

    @property
    def known(self) -> Known:
        """Of the error: a band of whole trajectories, where there is one."""
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
    def second(self) -> str:
        """What takes over outside the trained box, in words, or ""."""
        return ""

    @property
    def facts(self) -> dict[str, Any]:
        """The form, what was chosen, the guard, and what was measured."""
        Q, r, d = self.operators.shape
        follower = f"{self.second} go on" if self.second else "it is warned of"
        facts = {
            "law": f"{d} monomials of degrees {', '.join(map(str, self.form.degrees))} of {r} "
            f"coefficients, {Q} functions of the parameters",
            "chosen": self.reason,
            "guard": f"beyond {GUARD:g} half widths of the trained box {follower}",
        }
        return facts | (self.facts_of_training or {})

    def follow(
        self, mu: np.ndarray, a0: np.ndarray, t: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients (m, r, n_t) from a0 (m, r), and where they were outside, (m, n_t).

        mu (m, p); t (n_t,) [s], in any order, after the first trained time
        """
        raise NotImplementedError

    def bounds(
        self, mu: np.ndarray, a0: np.ndarray, t: np.ndarray, states: np.ndarray | None
    ) -> tuple[Error, ...]:
        """Of the whole state at times t; states (n, m) that were told as starts, or None."""
        return ()

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
        return Prediction(
            question, parts, t=t, space=self.basis.space, inside=~outside & (t <= self.times[-1]),
            errors=self.bounds(question.mu, a0, t, states),
            warnings=warnings + self._warnings(outside, a),
        )  # fmt: skip

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

    def _warnings(self, outside: np.ndarray, a: np.ndarray) -> tuple[Warned, ...]:
        """Who left the trained box, and what follows."""
        left = np.flatnonzero(outside.any(axis=1))
        if not left.size:
            return ()
        after = "there the law is not known to hold"
        if self.second:
            after = f"the {self.second} took over there"
        elif np.isnan(a).any():
            after = "what grew beyond all measure has no answer (NaN)"
        text = f"{len(left)} of {len(a)} trajectories left {GUARD:g} x the trained box; {after}"
        return (Warned("guard", text, tuple(int(k) for k in left)),)
