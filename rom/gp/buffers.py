"""Runs left out with their neighbours, to be as far from others as new points.

Of runs in clusters, one left out alone has a neighbour nearer than new points have any: its error
says little of theirs.
Reference: Mila, Mateu, Pebesma, Meyer (2022).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rom.gp.likelihood import Factors, inverse, lower_solve, project_trend

POINTS = 512  # of the box, whose distances to the runs are taken
KEPT = 0.5  # of the runs, at least, for every one left out
MOST = 256  # runs beyond which each is left out alone


def hide_neighbours(x: np.ndarray) -> np.ndarray | None:
    """Which runs (m, m) of x (m, p) in the unit box are hidden when run i is asked.

    The distances to the nearest run that is not hidden become at least as far as those from
    points of the box; None where they are so already, each run hidden alone.
    """
    from scipy.spatial.distance import cdist
    from scipy.stats import qmc

    m, p = x.shape
    if m > MOST:
        return None
    points = qmc.Sobol(p, rng=0).random(POINTS)
    from_box = np.sort(cdist(points, x).min(axis=1))
    away = cdist(x, x)
    np.fill_diagonal(away, np.inf)
    least = max(int(np.ceil(KEPT * m)), p + 2)
    hidden, closed = np.eye(m, dtype=bool), np.zeros(m, dtype=bool)
    nearest = away.min(axis=1)
    while not closed.all():
        i = int(np.argmin(np.where(closed, np.inf, nearest)))
        share = np.mean(nearest <= nearest[i])
        too_near = share > np.searchsorted(from_box, nearest[i], side="right") / POINTS
        if not too_near or m - hidden[i].sum() <= least:
            closed[i] = True
            continue
        j = int(np.argmin(away[i]))
        hidden[i, j], away[i, j] = True, np.inf
        nearest[i] = away[i].min()
    return None if hidden.sum() == m else hidden


def hidden_errors(
    factors: Factors, H: Any, a: np.ndarray, variance: np.ndarray, hidden: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(a_i - E[a_i | runs not hidden], its standard deviation), both (m, r).

    hidden (m, m) : row i holds the set S of run i; variance (r,) : of the processes
    They are the rows i of P_SS^{-1} (P a)_S and sigma sqrt((P_SS^{-1})_ii).
    """
    _, alpha, _ = project_trend(factors, H, a)
    trend = None
    if H.shape[1]:
        trend = lower_solve(factors.A, lower_solve(factors.L, factors.LH, trans=True).T).T
    P = inverse(factors.L.copy(order="K"), 1.0, trend)
    residuals, spread = np.empty_like(alpha), np.empty(len(a))
    for i, row in enumerate(hidden):
        S = np.flatnonzero(row)
        place = int(np.searchsorted(S, i))
        column = np.linalg.solve(P[np.ix_(S, S)], np.eye(len(S))[place])
        residuals[i] = column @ alpha[S]
        spread[i] = column[place]
    return residuals, np.sqrt(spread[:, None] * variance)
