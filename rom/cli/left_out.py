"""A model studied on its own runs: trained again without some of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from rom.cli.training import Plan, read_within, train_runs
from rom.errors import BadInput
from rom.problem import Problem
from rom.snapshots import Snapshots
from rom.study.comparison import Ask, study
from rom.study.discrepancy import Study
from rom.study.folds import Fold, join_studies, leave_one_out, split_off
from rom.study.trivial import with_trivial

Share = Annotated[
    float | None,
    typer.Option(
        "--hold-out",
        help="Of a store: train the model's kind again without this share of the runs, and "
        "compare with them.",
    ),
]
EachOne = Annotated[
    bool,
    typer.Option(
        "--leave-one-out", help="Of a store: train again without each run in turn, and compare."
    ),
]
NOT_AGAIN = (
    "the file does not say how its model was trained from runs, so it cannot be trained again "
    "without some; train it by rom train or rom reduce of this version"
)


def trained_plan(provenance: Mapping[str, Any]) -> Plan:
    """How the model of a file was trained from runs. Raises BadInput."""
    names = {field.name for field in fields(Plan)}
    entries = provenance.get("plan")
    if not isinstance(entries, Mapping) or not set(entries) <= names:
        raise BadInput(NOT_AGAIN)
    try:
        return Plan(**entries)
    except TypeError as error:
        raise BadInput(NOT_AGAIN) from error


def study_left_out(
    path: Path,
    plan: Plan,
    problem: Problem | None,
    ask: Ask,
    split: tuple[float | None, bool, int],
) -> Study:
    """Errors on runs of a store of models that were trained without them.

    problem : of the case, for models that project its A and f; None for others
    split : the share to hold out, or None; whether each run is left out once; the seed
    Answers that need no model, from the same runs, stand beside. Raises BadInput.
    """
    from rom.campaign import open_store

    store = open_store(path)
    runs = read_within(path, None if problem is None else problem.space, plan.memory)
    n_t = 1 if store.times is None else len(store.times)
    share, each, seed = split
    m = runs.m // n_t
    folds = leave_one_out(m) if each else split_off(m, share or 0.0, seed)
    tables = []
    for fold in folds:
        training, solve, mus = _open_fold(runs, fold, n_t)
        model = train_runs(problem, training, store, plan).model
        table = study(model, solve, mus, ask=ask, timed=False)
        if store.box is not None and np.isfinite(table.norm).all():
            table = with_trivial(table, solve, training, runs.space, store.box)
        tables.append(table)
    return join_studies(tables)


def _open_fold(runs: Snapshots, fold: Fold, n_t: int) -> tuple[Snapshots, Any, np.ndarray]:
    """The runs to train on, mu -> the run left out, and the parameters of those."""
    train, test = fold
    inside, outside = (_columns(rows, n_t) for rows in (train, test))
    training = runs.take(inside)
    u = np.asarray(runs.u[:, outside]).reshape(runs.space.n, len(test), n_t)
    mus = runs.mu[test * n_t]
    place = {mu.tobytes(): k for k, mu in enumerate(mus)}

    def solve(mu: np.ndarray) -> np.ndarray:
        """The run left out."""
        run = u[:, place[np.asarray(mu, dtype=float).tobytes()]]
        return run if runs.t is not None else run[:, 0]

    return training, solve, mus


def _columns(rows: np.ndarray, n_t: int) -> np.ndarray:
    """The columns of runs, run after run."""
    return (rows[:, None] * n_t + np.arange(n_t)).ravel()
