"""Nonnegative orthogonal matching pursuit: few columns, positive weights.

An active-set method as that of Lawson and Hanson (1974), which takes the column of steepest
descent per unit length and keeps a QR factorisation of the columns it took.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg as la

from rom.arrays import POINTS, VECTOR, gate, integers
from rom.errors import BadInput
from rom.points.factorisation import QrFactors, append_column, drop_columns, qr_factors

NEARLY = 0.9  # of the best score of a sweep: candidates this good are taken without another
CANDIDATES = 64  # of a sweep, at least
SHORT = 1e-12  # of the longest column: shorter ones are zero
STEEP = 1e-14  # of the target: a smaller score is round-off
DEPENDENT = 1e-10  # of its length: what columns before may leave of one to begin with
TINY = 1e-150
ZERO = 1e-14  # of the largest weight


@gate(G=POINTS, b=VECTOR, start=integers)
def matching_pursuit(
    G: np.ndarray,
    b: np.ndarray,
    tol: float,
    start: np.ndarray,
    *,
    max_points: int | None = None,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Points I, weights w > 0 and |b - G_I w| / |b| <= tol, where possible.

    G : (k, g) columns of points; b : (k,); start : points to begin with
    max_points : at most so many; never more than k
    A sweep over all columns leaves the best as candidates. Points are taken from them one by
    one, each by the residual that the last one left, while they are nearly as good as the best
    of the sweep was.
    """
    k, g = G.shape
    if b.shape != (k,) or (start.size and not 0 <= start.min() <= start.max() < g):
        raise BadInput(
            f"G {G.shape}, b {b.shape} and start {start}: give (k, g), (k,) and columns of G"
        )
    if not np.linalg.norm(b) > TINY:
        raise BadInput("b is zero, or its squares vanish; there is nothing to match")
    pursuit = _Pursuit(G, b, start, max_points or len(b))
    while pursuit.residual_norm > tol * pursuit.size and pursuit.has_room():
        column = pursuit.best_candidate()
        if column is None:
            break
        pursuit.take(column)
    return pursuit.answer()


class _Sweep(NamedTuple):
    """The best points after a sweep, their columns, and the score that suffices.

    points : (c,); columns : (k, c); floor : score over the residual's norm
    """

    points: np.ndarray
    columns: np.ndarray
    floor: float


class _Pursuit:
    """Points taken so far, their weights and factors, and the residual."""

    def __init__(self, G: np.ndarray, b: np.ndarray, start: np.ndarray, max_points: int):
        k, g = G.shape
        self.G = G
        self.b = b
        self.size = float(np.linalg.norm(b))
        self.inverse = _inverse_lengths(G)
        self.useless = self.inverse == 0
        self.max_points = min(k, g, max_points)
        self.candidates = min(g, max(k, CANDIDATES))
        self.sweep = _Sweep(np.zeros(0, dtype=np.int64), G[:, :0], np.inf)
        usable = [int(i) for i in start[: self.max_points] if self.inverse[i] > 0]
        usable = _independent(self.G, usable)
        factors = qr_factors(self.G[:, usable])
        self._settle(factors, usable, np.ones(len(usable)))
        self.closed = _mark(self.useless, self.active)

    def has_room(self) -> bool:
        """Whether one more point may be taken."""
        return bool(len(self.active) < self.max_points)

    def best_candidate(self) -> int | None:
        """Place of the steepest column among the candidates; None where none descends."""
        sweep = self.sweep
        slopes = (self.residual @ sweep.columns) * self.inverse[sweep.points]
        score = np.where(self.closed[sweep.points], -np.inf, slopes)
        enough = max(sweep.floor * self.residual_norm, STEEP * self.size)
        if not score.max(initial=-np.inf) > enough:
            score = self._sweep_all()
            if not score.max() > STEEP * self.size:
                return None
        return int(np.argmax(score))

    def take(self, place: int) -> None:
        """Takes the candidate at `place`, or closes it where it does not descend."""
        point = int(self.sweep.points[place])
        factors = append_column(self.factors, self.sweep.columns[:, place])
        if not factors.Q[:, -1] @ self.b > 0:  # round-off: no direction of descent after all
            self.closed[point] = True
            return
        before = self.residual_norm
        self._settle(factors, [*self.active, point], np.append(self.weights, 0.0))
        if self.residual_norm < before:
            self.closed = _mark(self.useless, self.active)
        else:
            self.closed = _mark(self.closed, [point, *self.active])

    def answer(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Points, weights, and the relative residual, computed afresh."""
        rest = self.b - self.G[:, self.active] @ self.weights
        error = float(np.linalg.norm(rest) / self.size)
        return np.array(self.active, dtype=np.int64), self.weights, error

    def _sweep_all(self) -> np.ndarray:
        """The scores of the best columns of all, which are the candidates from now on."""
        slopes = (self.residual @ self.G) * self.inverse
        every = np.where(self.closed, -np.inf, slopes)
        order = np.argpartition(every, len(every) - self.candidates)
        points = order[-self.candidates :]
        score = every[points]
        floor = NEARLY * float(score.max()) / self.residual_norm
        self.sweep = _Sweep(points, self.G[:, points], floor)
        return np.asarray(score)

    def _settle(self, factors: QrFactors, active: list[int], weights: np.ndarray) -> None:
        """From feasible weights towards those of least squares, until all are positive.

        Columns whose weight comes to zero leave.
        """
        while active:
            best = la.solve_triangular(factors.T, factors.Q.T @ self.b)
            low = best <= 0
            if not low.any():
                weights = best
                break
            steps = weights[low] / (weights[low] - best[low])
            share = float(np.min(steps))
            weights = weights + share * (best - weights)
            zero = weights <= ZERO * np.abs(weights).max()
            leaving = np.flatnonzero(low & zero)
            factors = drop_columns(factors, leaving)
            gone = set(leaving.tolist())
            active = [point for j, point in enumerate(active) if j not in gone]
            weights = np.delete(weights, leaving)
        self.factors = factors
        self.active = active
        self.weights = weights
        inside = factors.Q @ (factors.Q.T @ self.b)
        self.residual = self.b - inside
        self.residual_norm = float(np.linalg.norm(self.residual))


def _inverse_lengths(G: np.ndarray) -> np.ndarray:
    """1 / |G_i| of each column, zero for zero columns, (g,)."""
    lengths = np.sqrt(np.einsum("kg,kg->g", G, G))
    inverse: np.ndarray = np.zeros_like(lengths)
    long = lengths > SHORT * lengths.max()
    np.divide(1.0, lengths, out=inverse, where=long)
    return inverse


def _independent(G: np.ndarray, places: list[int]) -> list[int]:
    """The first of `places` whose columns do not depend on those before."""
    chosen: list[int] = []
    Q = G[:, :0]
    for place in places:
        column = G[:, place]
        rest = column - Q @ (Q.T @ column)
        if np.linalg.norm(rest) > DEPENDENT * np.linalg.norm(column):
            chosen.append(place)
            Q = qr_factors(G[:, chosen]).Q
    return chosen


def _mark(marks: np.ndarray, places: list[int]) -> np.ndarray:
    """A copy of marks with `places` set."""
    copy = marks.copy()
    copy[places] = True
    return copy
