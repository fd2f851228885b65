"""What needs no model: mean of the runs, nearest run, interpolation, persistence.

A model that is not better than these is worth nothing at the parameters that were tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from rom.arrays import gate
from rom.parameters import Box
from rom.snapshots import Snapshots
from rom.space import Space
from rom.study.comparison import Solve, in_order, share_out
from rom.study.discrepancy import Study
from rom.study.norms import root_mean_square, row_means

MEAN = "mean of training"
PERSISTENCE = "persistence"
INTERPOLATIONS = {"nearest run": "nearest", "linear interpolation": "linear"}


@gate(runs=Snapshots, space=Space, box=Box)
def with_trivial(
    study: Study, solve: Solve, runs: Snapshots, space: Space, box: Box, *, comm: Any = None
) -> Study:
    """The study with the relative errors of trivial answers from training runs.

    Of the state in the norm of the space, and of each field in the root mean square. Of
    trajectories the first state of the truth, kept, stands beside.
    solve : of the study, asked once more at each of its parameters
    runs : (n, m) stationary, or (n, m n_t) run after run; box : of the parameters
    comm : ranks that share out the parameters
    """
    points, states = _runs(runs)
    weights = _weights(box.to_unit(points), box.to_unit(study.mu))
    rows: dict[str, list[float]] = {}
    for k in np.arange(len(study.mu))[share_out(comm, len(study.mu))]:
        mu = study.mu[k]
        u = np.asarray(solve(mu))
        guesses = {
            name: np.tensordot(weight[k], states, axes=1).reshape(u.shape)
            for name, weight in weights.items()
        }
        if u.ndim == 2 and u.shape[1] > 1:
            guesses[PERSISTENCE] = np.repeat(u[:, :1], u.shape[1], axis=1)
        for name, guess in guesses.items():
            error = np.max(space.norm(u - guess)) / np.max(space.norm(u))
            rows.setdefault(name, []).append(float(error))
            for part in space.fields:
                means = row_means(space, part.rows)
                miss, size = (root_mean_square(v[part.rows], means).max() for v in (u - guess, u))
                rows.setdefault(f"{name}, {part.name}", []).append(float(miss / max(size, 1e-300)))
    tails = ("", *(f", {part.name}" for part in space.fields))
    n_t = states.shape[2]
    names = [*weights, *([PERSISTENCE] if n_t > 1 else [])]
    heads = [f"{name}{tail}" for name in names for tail in tails]
    trivial: Mapping[str, np.ndarray] = {
        name: np.array(in_order(comm, rows.get(name, []))) for name in heads
    }
    return replace(study, trivial=trivial)


def _runs(runs: Snapshots) -> tuple[np.ndarray, np.ndarray]:
    """Parameters (k, p) of the runs, and their states (k, n, n_t)."""
    points, first = np.unique(runs.mu, axis=0, return_index=True)
    order = np.sort(first)
    points = runs.mu[order]
    n_t = runs.m // len(points)
    u = np.asarray(runs.u[:])
    return points, np.stack([u[:, k : k + n_t] for k in order])


def _weights(x: np.ndarray, z: np.ndarray) -> dict[str, np.ndarray]:
    """Name -> weights (q, m) of the runs x (m, p) at z (q, p), where x allows it."""
    from rom.gp.regressors import open_regressor

    m, p = x.shape
    weights = {MEAN: np.full((len(z), m), 1 / m)}
    for name, key in INTERPOLATIONS.items():
        regressor = open_regressor(key)
        if regressor.interpolate is not None and regressor.serves(m, p):
            weights[name] = regressor.interpolate(x, np.eye(m), z)
    return weights
