"""Linear laws that follow signals: dynamic mode decomposition with control.

    a' = A a + B s(t) + c,  signals s linear between samples

Between samples dt apart a_{k+1} = F a_k + G_0 s_k + G_1 s_{k+1} + g. F, G_0 + G_1 and g are fitted
to all steps, and A = log F / dt; the law then steps by any dt, exactly.

Reference: Proctor, Brunton and Kutz (2016).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg

from rom.arrays import array_of, gate, named
from rom.basis import Basis
from rom.dynamics.operators import EVEN
from rom.dynamics.runs import Runs, runs_on_basis
from rom.dynamics.starts import check_starts, start_quantities, start_states
from rom.errors import BadInput, Singular
from rom.mesh import Mesh
from rom.model import Asks, Model, Question
from rom.prediction import Prediction, Quantity, Warned, state_parts, state_quantities
from rom.snapshots import Snapshots

REAL = 1e-8  # relative imaginary part of a logarithm that is round-off
APART = 1e-10  # relative singular value of what is told apart
BEYOND = 1.5  # half ranges of a trained signal: beyond it is warned of


@dataclass(frozen=True, eq=False)
class ForcedFlow(Model):
    """a' = A a + B s(t) + c, u = offset + V a.

    basis : V, r modes; A (r, r), B (r, k), c (r,); times (n_t,) [s] trained
    signals : names and units of s; low, high (k,) : their trained range
    start : (r,) of the one run that was trained, or None where the start is asked for
    step_error, error : relative, of one step and of the trained runs from their starts, in the norm
        of the space
    """

    basis: Basis
    A: np.ndarray
    B: np.ndarray
    c: np.ndarray
    times: np.ndarray
    signals: tuple[Quantity, ...]
    low: np.ndarray
    high: np.ndarray
    start: np.ndarray | None
    step_error: float
    error: float = np.nan
    mesh: Mesh | None = None

    @property
    def asks(self) -> Asks:
        """Signals at times from the first trained one on, and the fields there."""
        fields = start_quantities(self.basis.space, optional=self.start is not None)
        return Asks(
            0, None, self.times, between=True, beyond=True, fields=fields, signals=self.signals
        )

    @property
    def tells(self) -> tuple[Quantity, ...]:
        """The fields of the space, or "u"."""
        return state_quantities(self.basis.space)

    @property
    def rates(self) -> np.ndarray:
        """Eigenvalues of A, (r,) [1/s], the slowest first."""
        rates = np.linalg.eigvals(self.A)
        return np.asarray(rates[np.argsort(-rates.real, kind="stable")])

    @property
    def facts(self) -> dict[str, Any]:
        """Rates, and the errors of the training."""
        facts: dict[str, Any] = {}
        for rate in self.rates[self.rates.imag >= 0]:
            text = f"growth {rate.real:.4g} 1/s"
            text += f", frequency {rate.imag:.4g} rad/s" if rate.imag else ""
            facts[f"rate {len(facts) + 1}"] = text
        facts["relative error of one step"] = self.step_error
        facts["relative error of the trained runs"] = self.error
        return facts

    def answer(self, question: Question) -> Prediction:
        """Fields at the times of the signals, which begin at the first trained time."""
        t = self.times if question.t is None else question.t
        span = float(self.times[-1] - self.times[0])
        if np.any(np.diff(t) <= 0) or abs(t[0] - self.times[0]) > EVEN * span:
            raise BadInput(
                f"the signals are at {t[0]:g}..{t[-1]:g} s; give them at rising times from "
                f"{self.times[0]:g} s on, for the state follows all of them"
            )
        s = self._series(question.signals, len(t))
        states = start_states(question, self.basis.space)
        warnings: tuple[Warned, ...] = ()
        if states is None:
            a0 = np.repeat(np.asarray(self.start)[:, None], question.m, axis=1)
        else:
            a0, warnings = self.basis.coefficients(states), check_starts(self.basis, states)
        a = follow_signals((self.A, self.B, self.c), a0, s, t)
        middle, half = 0.5 * (self.low + self.high), 0.5 * (self.high - self.low)
        far = np.abs(s - middle[:, None]) > BEYOND * half[:, None]
        inside = (t <= self.times[-1]) & ~np.logical_or.accumulate(far.any(axis=0))
        return Prediction(
            question, state_parts(self.basis, a), t=t, space=self.basis.space,
            inside=np.repeat(inside[None], question.m, axis=0),
            warnings=warnings + self._warnings(far),
        )  # fmt: skip

    def _series(self, signals: Mapping[str, np.ndarray], n_t: int) -> np.ndarray:
        """The signals as (k, n_t). Raises BadInput for other lengths."""
        for name, values in signals.items():
            if values.shape != (n_t,):
                raise BadInput(f"signal {name!r} has shape {values.shape}; give ({n_t},)")
            if not np.isfinite(values).all():
                raise BadInput(f"signal {name!r} holds NaN or Inf; give finite numbers")
        return np.stack([signals[quantity.name] for quantity in self.signals])

    def _warnings(self, far: np.ndarray) -> tuple[Warned, ...]:
        names = [self.signals[k].name for k in np.flatnonzero(far.any(axis=1))]
        if not names:
            return ()
        text = f"{', '.join(names)} left {BEYOND:g} x the trained range; a linear law goes on there"
        return (Warned("signals", text),)


@gate(snapshots=Snapshots, basis=Basis, signals=named(array_of("(n_t,)", "(runs, n_t)")))
def dmdc(
    snapshots: Snapshots,
    basis: Basis,
    signals: Mapping[str, np.ndarray],
    *,
    units: Mapping[str, str] | None = None,
) -> ForcedFlow:
    """a' = A a + B s(t) + c from runs with known signals, by least squares of steps.

    snapshots : runs of one parameter, all at the same even times
    signals : name -> (n_t,) of all runs, or (runs, n_t), linear between samples; units by name
    Raises BadInput for uneven times, several parameters, other lengths, too few steps; Singular
    where the signals are not told apart from the state, or F has no real logarithm.
    Reference: Proctor, Brunton and Kutz (2016).
    """
    runs = runs_on_basis(snapshots, basis)
    dt = _even_step(runs)
    s = _stack_signals(signals, runs)
    own = dict(units or {})
    foreign = sorted(set(own) - set(signals))
    if foreign:
        raise BadInput(f"a unit of {foreign[0]!r}, which is no signal; there are {list(signals)}")
    F, G, g = _fit_steps(runs, s, affine=bool(np.any(basis.offset)))
    A, B, c = _continuous(F, G, g, dt)
    a = np.stack([
        follow_signals((A, B, c), start[:, :1], own_s, runs.t)[:, 0]
        for start, own_s in zip(runs.a, s, strict=True)
    ])  # fmt: skip
    return ForcedFlow(
        basis=basis,
        A=A,
        B=B,
        c=c,
        times=runs.t,
        signals=tuple(Quantity(name, own.get(name, "1")) for name in signals),
        low=s.min(axis=(0, 2)),
        high=s.max(axis=(0, 2)),
        start=runs.a[0, :, 0] if len(runs.a) == 1 else None,
        step_error=_step_error((A, B, c), runs, s, dt),
        error=float(np.linalg.norm(a - runs.a) / np.linalg.norm(runs.a)),
    )


def follow_signals(
    law: tuple[np.ndarray, np.ndarray, np.ndarray],
    a0: np.ndarray,
    s: np.ndarray,
    t: np.ndarray,
) -> np.ndarray:
    """a (r, m, n_t) of a' = A a + B s + c from a0 (r, m).

    s (k, n_t) is linear between the times t (n_t,).
    Each step is the exponential of one block matrix, kept where steps repeat.
    """
    A, B, c = law
    states, steps = np.empty((*a0.shape, len(t))), {}
    states[:, :, 0] = a0
    for k, dt in enumerate(np.diff(t)):
        key = float(f"{dt:.12e}")
        if key not in steps:
            steps[key] = _step_matrices(A, np.column_stack([B, c]), key)
        F, G0, G1 = steps[key]
        push = G0 @ np.append(s[:, k], 1.0) + G1 @ np.append(s[:, k + 1], 1.0)
        states[:, :, k + 1] = F @ states[:, :, k] + push[:, None]
    return states


def _step_matrices(
    A: np.ndarray, B: np.ndarray, dt: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """F, G_0, G_1 by the exponential of [[A, B, 0], [0, 0, 1/dt], [0, 0, 0]] dt."""
    r, k = B.shape
    block = np.zeros((r + 2 * k, r + 2 * k))
    block[:r, :r], block[:r, r : r + k] = A * dt, B * dt
    block[r : r + k, r + k :] = np.eye(k)
    E = scipy.linalg.expm(block)
    G1 = E[:r, r + k :]
    return E[:r, :r], E[:r, r : r + k] - G1, G1


def _fit_steps(
    runs: Runs, s: np.ndarray, *, affine: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """F (r, r), G_0 + G_1 (r, k) and g (r,) of all steps. Raises BadInput, Singular."""
    r, k = runs.a.shape[1], s.shape[1]
    one = [np.ones((1, (runs.a.shape[2] - 1) * len(runs.a)))] if affine else []
    a0, a1, s0, s1 = (
        np.concatenate(list(part), axis=1)
        for part in (runs.a[:, :, :-1], runs.a[:, :, 1:], s[:, :, :-1], s[:, :, 1:])
    )
    X = np.concatenate([a0, 0.5 * (s0 + s1), *one, 0.5 * (s1 - s0)])
    needed = r + k + len(one)
    size = np.linalg.norm(X, axis=1)
    size = np.where(size > 0, size, 1.0)[:, None]
    if X.shape[1] < needed:
        raise BadInput(f"{X.shape[1]} steps tell no {needed} unknowns a mode; give more")
    if np.linalg.cond((X / size)[:needed]) > 1 / APART:
        raise Singular(
            "the signals are not told apart from the state, or from each other: excite each of "
            "them by itself, or take fewer modes"
        )
    W = (np.linalg.lstsq((X / size).T, a1.T, rcond=APART)[0].T) / size.T
    return W[:, :r], W[:, r : r + k], W[:, r + k] if affine else np.zeros(r)


def _step_error(
    law: tuple[np.ndarray, np.ndarray, np.ndarray], runs: Runs, s: np.ndarray, dt: float
) -> float:
    """Relative error of one step of a law from each sample of the runs."""
    A, B, c = law
    F, G0, G1 = _step_matrices(A, np.column_stack([B, c]), dt)
    one = np.ones((len(s), 1, s.shape[2]))
    pushes = np.concatenate([s, one], axis=1)
    own = F @ runs.a[:, :, :-1] + G0 @ pushes[:, :, :-1] + G1 @ pushes[:, :, 1:]
    after = runs.a[:, :, 1:]
    return float(np.linalg.norm(own - after) / np.linalg.norm(after))


def _continuous(
    F: np.ndarray, G: np.ndarray, g: np.ndarray, dt: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A, B, c whose steps of dt are F, G, g at constant signals. Raises Singular."""
    try:
        with np.errstate(all="ignore"):
            A = np.asarray(scipy.linalg.logm(F)) / dt
    except (ValueError, np.linalg.LinAlgError) as error:
        raise Singular(f"the step has no logarithm ({error}); take fewer modes") from error
    scale = max(float(np.abs(A).max()), np.finfo(float).tiny)
    if not np.isfinite(A).all() or np.abs(A.imag).max() > REAL * scale:
        raise Singular(
            "a mode changes its sign in each step, or vanishes in one: no law in continuous time "
            "does so; take fewer modes, or samples closer in time"
        )
    A = A.real
    r = len(A)
    block = np.zeros((2 * r, 2 * r))
    block[:r, :r], block[:r, r:] = A * dt, np.eye(r) * dt
    whole = scipy.linalg.expm(block)[:r, r:]
    B = np.linalg.solve(whole, np.column_stack([G, g]))
    return A, B[:, :-1], B[:, -1]


def _even_step(runs: Runs) -> float:
    """dt of the runs. Raises BadInput for uneven times or several parameters."""
    steps = np.diff(runs.t)
    if not len(steps) or np.abs(steps - steps.mean()).max() > EVEN * steps.mean():
        raise BadInput("the times are uneven, or one; give the runs at even times")
    if len(np.unique(runs.mu, axis=0)) > 1:
        raise BadInput("the runs have several parameters, a law with signals has none")
    return float(steps.mean())


def _stack_signals(signals: Mapping[str, np.ndarray], runs: Runs) -> np.ndarray:
    """s (runs, k, n_t). Raises BadInput for none, and for other shapes."""
    m, n_t = len(runs.a), len(runs.t)
    if not signals:
        raise BadInput("no signals: give some by name, or take dmd")
    rows = []
    for name, values in signals.items():
        if values.shape not in ((n_t,), (m, n_t)):
            raise BadInput(
                f"signal {name!r} has shape {values.shape}; give ({n_t},) for all {m} runs, or "
                f"({m}, {n_t})"
            )
        rows.append(np.broadcast_to(values, (m, n_t)))
    return np.stack(rows, axis=1)
