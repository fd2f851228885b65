"""Runs where a model says that it is worst, until it is good enough."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rom.cli.training import Plan, Training, train_model
from rom.errors import BadInput
from rom.parameters import Box
from rom.problem import Problem

CANDIDATES = 1024  # points of the box at which a model is asked how wrong it may be
SEED = 20261  # of the candidates: others than those of designs
MODES = 1e-2  # of the tolerance: relative error that the basis may leave
log = logging.getLogger("rom")


@dataclass(frozen=True, eq=False)
class Enriched:
    """The last model, and its largest indicator over the candidates.

    training : None where the time was over before the planned runs were solved
    indicator : relative to the rms size of the state; known : its kind
    mu (p,) : where it is largest; runs : planned in all
    """

    training: Training | None
    indicator: float
    known: str
    mu: np.ndarray
    runs: int
    campaign: Any


def enrich(
    collect_runs: Callable[[np.ndarray], Any],
    problem: Problem,
    path: Path,
    first: np.ndarray,
    *,
    until: float,
    most: int,
    plan: Plan,
) -> Enriched:
    """Solves where the model is worst and trains again, until it is good enough.

    mu_{k+1} = argmax of Delta over candidates, the model's own bound of its whole state, or
    standard deviation where it has no bound; the end is max Delta / rms |u_r| <= until
    collect_runs : mus (m, p) -> Campaign; first (m, p) : solved before the first model
    until : relative to the rms size of the state; most : runs in all
    What is planned in the store is solved first, so that an interrupted search goes on as if it
    had not been. Raises BadInput for a model that says nothing of its error.
    Reference: Veroy, Prud'homme, Rovas, Patera (2003).
    """
    if problem.box is None:
        raise BadInput("--until chooses points of the case's box; define box = rom.Box(...)")
    comm = None if problem.space is None else problem.space.comm
    candidates = draw_candidates(problem.box)
    mus = _planned(path, first)
    campaign = collect_runs(mus)
    while True:
        if campaign.left:
            nowhere = np.full(problem.box.p, np.nan)
            return Enriched(None, np.inf, "", nowhere, len(mus), campaign)
        training = train_model(problem, path, plan, comm)
        size, kind = relative_indicator(training.model, candidates)
        size[_are_planned(candidates, mus)] = -np.inf
        worst = int(np.argmax(size))
        state = Enriched(training, float(size[worst]), kind, candidates[worst], len(mus), campaign)
        log.info("%d runs: largest relative %s %.3g", len(mus), kind, state.indicator)
        if state.indicator <= until or len(mus) >= most:
            return state
        mus = np.vstack([mus, candidates[worst]])
        campaign = collect_runs(mus)


def relative_indicator(model: Any, mus: np.ndarray) -> tuple[np.ndarray, str]:
    """Delta(mu) / rms |u_r| (m,) of the whole state, and what kind of number Delta is.

    The rms is over mus and times; of trajectories the largest Delta over times.
    Raises BadInput where the model states none.
    """
    answer = model.predict(mus)
    if not answer.errors:
        raise BadInput(
            "this model says nothing of the error of its whole state; give the case a stability "
            "constant, or use --regress"
        )
    error = answer.errors[0]
    squares = np.sum(np.abs(answer.coefficients) ** 2, axis=0)
    value = error.value.reshape(len(mus), -1).max(axis=1)
    return value / np.sqrt(np.mean(squares)), str(error.known)


def draw_candidates(box: Box) -> np.ndarray:
    """The points of a box at which a model is asked how wrong it may be, (k, p)."""
    from rom.design import sobol

    return sobol(box, CANDIDATES, SEED)


def _planned(path: Path, first: np.ndarray) -> np.ndarray:
    """Parameters that the store has planned; the first ones without a store."""
    from rom.campaign import open_store

    if not (path / "campaign.json").exists():
        return first
    plan = open_store(path).manifest.plan
    return np.array(list(plan.values())) if plan else first


def _are_planned(candidates: np.ndarray, mus: np.ndarray) -> np.ndarray:
    """Whether each candidate is one of the rows of mus, (k,)."""
    planned = {mu.tobytes() for mu in np.asarray(mus, dtype=float)}
    return np.array([mu.tobytes() in planned for mu in candidates])
