"""What needs no model: mean of the runs, nearest run, linear interpolation.

A model that is not better than these is worth nothing at the parameters that were tried.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from rom.arrays import gate
from rom.parameters import Box
from rom.snapshots import Snapshots
from rom.space import Space
from rom.study.comparison import Solve, Study

MEAN, NEAREST, LINEAR = "mean of training", "nearest run", "linear interpolation"
MAX_PARAMETERS = 4  # of linear interpolation: the triangulation grows beyond use with more

Weights = Callable[[np.ndarray], np.ndarray]  # x (p,) in the unit box -> weights (m,) of the runs


@gate(runs=Snapshots, space=Space, box=Box)
def with_trivial(study: Study, solve: Solve, runs: Snapshots, space: Space, box: Box) -> Study:
    """The study with the relative errors of trivial answers from training runs.

    solve : of the study, asked once more at each of its parameters
    runs : (n, m) stationary, or (n, m n_t) run after run; box : of the parameters
    """
    points, states = _runs(runs)
    x = box.to_unit(points)
    rows: dict[str, list[float]] = {}
    for mu in study.mu:
        u = np.asarray(solve(mu))
        at = box.to_unit(mu)
        for name, weigh in _interpolations(x).items():
            guess = np.tensordot(weigh(at), states, axes=1).reshape(u.shape)
            error = np.max(space.norm(u - guess)) / np.max(space.norm(u))
            rows.setdefault(name, []).append(float(error))
    trivial: Mapping[str, np.ndarray] = {name: np.array(errors) for name, errors in rows.items()}
    return replace(study, trivial=trivial)


def _runs(runs: Snapshots) -> tuple[np.ndarray, np.ndarray]:
    """Parameters (k, p) of the runs, and their states (k, n, n_t)."""
    points, first = np.unique(runs.mu, axis=0, return_index=True)
    order = np.sort(first)
    points = runs.mu[order]
    n_t = runs.m // len(points)
    u = np.asarray(runs.u[:])
    return points, np.stack([u[:, k : k + n_t] for k in order])


def _interpolations(x: np.ndarray) -> dict[str, Weights]:
    """The trivial answers that points x (m, p) of the unit box allow."""
    m, p = x.shape
    answers: dict[str, Weights] = {
        MEAN: lambda at: np.full(m, 1 / m),
        NEAREST: lambda at: _nearest(x, at),
    }
    if m > p + 1 and p <= MAX_PARAMETERS:
        answers[LINEAR] = lambda at: _linear(x, at)
    return answers


def _nearest(x: np.ndarray, at: np.ndarray) -> np.ndarray:
    weights = np.zeros(len(x))
    weights[np.argmin(np.sum((x - at) ** 2, axis=1))] = 1.0
    return weights


def _linear(x: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Barycentric weights of a point; outside the hull the nearest run."""
    if x.shape[1] == 1:
        return _linear_on_a_line(x[:, 0], float(at[0]))
    from scipy.spatial import Delaunay, QhullError

    try:
        mesh = Delaunay(x)
    except QhullError:
        return _nearest(x, at)
    simplex = int(mesh.find_simplex(at))
    if simplex < 0:
        return _nearest(x, at)
    p = x.shape[1]
    transform = mesh.transform[simplex]
    share = transform[:p] @ (at - transform[p])
    weights = np.zeros(len(x))
    weights[mesh.simplices[simplex]] = [*share, 1 - share.sum()]
    return weights


def _linear_on_a_line(x: np.ndarray, at: float) -> np.ndarray:
    order = np.argsort(x)
    columns = np.eye(len(x))[order]
    return np.array([np.interp(at, x[order], column) for column in columns.T])
