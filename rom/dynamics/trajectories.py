"""A law fitted to whole pieces of runs, whose starts are unknowns too.

    min_{O, y_k} sum_k sum_i |a_k(t_i) - flow_O(y_k, t_i)|^2

by steps of Gauss, Newton, Levenberg and Marquardt: noise of the samples biases neither derivatives
nor starts. Sensitivities are carried from sample to sample, S_{i+1} = Phi_i S_i + G_i, with Phi_i
the differences of the flow over one step and G_i what the operators add there; the starts of each
piece are eliminated by a QR factorisation.

Reference: Bock (1981).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from rom.affine import theta_rows
from rom.dynamics.forms import Polynomial
from rom.dynamics.laws import LOST
from rom.dynamics.marching import Region
from rom.dynamics.polynomial import follow_law, stack_operators
from rom.dynamics.runs import Runs
from rom.dynamics.shooting import BOOLE

MAX_UNKNOWNS = 400  # of a law, whose normal equations are formed
NUDGE = 1e-3  # half widths of the box, by which starts differ for Phi
FITS = 3  # of the starts of pieces to a law
SWEEPS, DAMPING, SOFTER, HARDER = 8, 1e-6, 0.1, 10.0
ENOUGH = 1e-4  # relative decrease of the squares that ends the sweeps


@dataclass(frozen=True, eq=False)
class Pieces:
    """mu (k, p), a (k, r, n) of pieces of runs at steps dt, and their starts (k, r)."""

    mu: np.ndarray
    a: np.ndarray
    starts: np.ndarray
    dt: float


def fit_trajectories(
    form: Polynomial, law: np.ndarray, runs: Runs, region: Region, samples: int
) -> np.ndarray:
    """The law (Q, r, d) fitted to pieces of so many samples, or as it was."""
    pieces = _cut(runs, samples)
    damping = DAMPING
    moves = _moves(form, law, pieces, region)
    for _ in range(SWEEPS):
        if not np.isfinite(moves.square):
            return law
        normal = moves.normal + damping * np.diag(np.diag(moves.normal))
        step = scipy.linalg.lstsq(normal, moves.right)[0]
        trial = law + step.reshape(law.shape[1], law.shape[0], -1).transpose(1, 0, 2)
        moved = Pieces(pieces.mu, pieces.a, pieces.starts + moves.of_starts(step), pieces.dt)
        after = _moves(form, trial, moved, region)
        if not after.square < moves.square:
            damping *= HARDER**2
            continue
        gain = 1.0 - after.square / moves.square
        law, pieces, moves, damping = trial, moved, after, damping * SOFTER
        if gain < ENOUGH:
            break
    return law


def piece_errors(
    form: Polynomial, law: np.ndarray, runs: Runs, region: Region, samples: int
) -> tuple[np.ndarray, float]:
    """What a law misses of each piece from its best start, relative, (k,).

    And the correlation of what it misses with itself one sample later: near 0 of noise, near 1
    where the law itself is wrong. Infinite where a trajectory is lost.
    """
    pieces = _cut(runs, samples)
    for _ in range(FITS):
        moves = _moves(form, law, pieces, region, with_law=False)
        pieces = Pieces(pieces.mu, pieces.a, pieces.starts + moves.free, pieces.dt)
    size = np.sqrt(np.sum(pieces.a**2, axis=(1, 2)))
    if not np.isfinite(moves.square):
        return np.full(len(size), np.inf), np.nan
    miss = np.sqrt(np.sum(moves.rest**2, axis=(1, 2))) / np.maximum(size, np.finfo(float).tiny)
    lag = np.sum(moves.rest[:, 1:] * moves.rest[:, :-1]) / max(np.sum(moves.rest**2), 1e-300)
    return miss, float(lag)


@dataclass(frozen=True, eq=False)
class Moves:
    """Normal equations (P, P), (P,) of the operators, and what is missed.

    rest (k, n, r) : what is missed, less what moves of the starts take away, to first order
    free (k, r), turn (k, r, P) : the starts move by free - turn @ step
    """

    normal: np.ndarray
    right: np.ndarray
    square: float
    rest: np.ndarray
    free: np.ndarray
    turn: np.ndarray

    def of_starts(self, step: np.ndarray) -> np.ndarray:
        """Moves (k, r) of the starts that go with a step (P,) of the operators."""
        return np.asarray(self.free - self.turn @ step)


def _cut(runs: Runs, samples: int) -> Pieces:
    """All pieces of so many samples, one after the other."""
    firsts = range(0, len(runs.t) - samples + 1, samples - 1)
    a = np.concatenate([runs.a[:, :, first : first + samples] for first in firsts])
    mu = np.concatenate([runs.mu] * len(firsts))
    return Pieces(mu, a, a[:, :, 0], float(runs.t[1] - runs.t[0]))


def _moves(
    form: Polynomial, law: np.ndarray, pieces: Pieces, region: Region, *, with_law: bool = True
) -> Moves:
    """The equations at a law and starts; unknowns are ordered (row, q, monomial).

    with_law : whether the operators are unknowns, or the starts alone
    """
    k, r, n = pieces.a.shape
    unknowns = law.size if with_law else 0
    miss, S = np.empty((k, n, r)), np.zeros((k, n, r, unknowns))
    P = np.zeros((k, n, r, r))
    P[:, 0] = np.eye(r)
    miss[:, 0] = pieces.a[:, :, 0] - pieces.starts
    steps = _steps(form, law, pieces, region)
    for i, (states, turn, added) in enumerate(steps, start=1):
        miss[:, i] = pieces.a[:, :, i] - states
        P[:, i] = turn @ P[:, i - 1]
        S[:, i] = np.einsum("kab,kbp->kap", turn, S[:, i - 1]) + added[:, :, :unknowns]
    if not np.isfinite(miss).all():
        lost = np.where(np.isfinite(miss).all(axis=(1, 2)), 0.0, np.inf)
        return Moves(np.eye(unknowns), np.zeros(unknowns), np.inf, lost, np.zeros((k, r)), S[:, 0])
    Q, R = np.linalg.qr(P.reshape(k, n * r, r))
    slopes, gaps = S.reshape(k, n * r, unknowns), miss.reshape(k, n * r, 1)
    along, free = Q.transpose(0, 2, 1) @ slopes, Q.transpose(0, 2, 1) @ gaps
    S_rest, rest = (slopes - Q @ along).reshape(k * n * r, unknowns), gaps - Q @ free
    return Moves(
        normal=S_rest.T @ S_rest,
        right=S_rest.T @ rest.ravel(),
        square=float(np.sum(gaps**2)),
        rest=rest.reshape(k, n, r),
        free=np.linalg.solve(R, free)[:, :, 0],
        turn=np.linalg.solve(R, along),
    )


def _steps(
    form: Polynomial, law: np.ndarray, pieces: Pieces, region: Region
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For each step: states after it, Phi (k, r, r), what operators add (k, r, P)."""
    k, r, n = pieces.a.shape
    own = stack_operators(form, law, pieces.mu)
    own = np.repeat(own, r + 1, axis=0) if len(own) > 1 else own
    theta = theta_rows(form.theta, pieces.mu)
    nudges = np.vstack([np.zeros(r), NUDGE * np.diag(region.half)])
    t, now = np.linspace(0.0, pieces.dt, len(BOOLE)), pieces.starts
    for _ in range(n - 1):
        starts = (now[:, None] + nudges).reshape(-1, r)
        states, _ = follow_law(form, own, starts, (0.0, t), region, lost=LOST)
        states = states.reshape(k, r + 1, r, len(t))
        now = states[:, 0, :, -1]
        turn = (states[:, 1:, :, -1] - now[:, None]).transpose(0, 2, 1) / (NUDGE * region.half)
        inner = form.features(states[:, 0].transpose(0, 2, 1).reshape(-1, r))
        inner = (theta[:, None, :, None] * inner.reshape(k, len(t), 1, -1)).reshape(k, len(t), -1)
        later = np.eye(r) + (1 - t / pieces.dt)[:, None, None] * (turn - np.eye(r))[:, None]
        added = pieces.dt * np.einsum("j,kjab,kjf->kabf", BOOLE, later, inner)
        yield now, turn, added.reshape(k, r, -1)
