"""True runs that a study compares with: of a case, or of a store."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from rom.cli.questions import open_model, read_question
from rom.cli.ranks import rank, world
from rom.cli.scenes import trained_box
from rom.cli.truth import TruthPlan, check_comparable, keep_truth, read_runs
from rom.errors import BadInput, printable
from rom.model import Model, Question
from rom.parameters import Box
from rom.problem import Problem
from rom.snapshots import Snapshots
from rom.space import Space
from rom.study.comparison import Ask, Solve
from rom.study.discrepancy import Failure
from rom.study.starts import asks_starts, asks_without_starts

MASS_NORM = "the norm of the mass matrix"


@dataclass(frozen=True, eq=False)
class StudyPlan:
    """What a study is asked.

    design : table, number and seed of the parameters; truth : where true solves are kept
    store : of training runs, for answers that need no model; question : all but the parameters
    """

    settings: list[str] | None
    design: tuple[Path | None, int, int]
    truth: TruthPlan
    store: Path | None
    question: Mapping[str, Any]

    @property
    def case(self) -> str | None:
        """The case whose functions the model needs."""
        return self.question.get("case")


@dataclass(frozen=True, eq=False)
class TrueRuns:
    """True runs, where to compare, and what was read before the first solve.

    failed : where the solver gave no answer, and why; seconds : of a solve on average, or NaN
    training : runs for answers that need no model; ask : parameters -> question
    comm : ranks among which the samples are shared out, or None
    """

    solve: Solve
    mus: np.ndarray
    box: Box | None
    ask: Ask
    training: Snapshots | None = None
    problem: Problem | None = None
    norms: Mapping[str, Any] = field(default_factory=dict)
    failed: tuple[Failure, ...] = ()
    seconds: float = np.nan
    comm: Any = None


def open_pair(path: Path, name: str, plan: StudyPlan) -> tuple[Model, TrueRuns, dict[str, Any]]:
    """The model, what it is compared with, and the provenance.

    On several ranks the model lies as the case does, or in blocks of rows as the runs; of a case
    that each rank solves by itself it is whole, and the samples are shared out.
    """
    from rom.archive.nouns import load_entry, loads_by_rows
    from rom.cli.case import load_problem

    comm = world()
    if Path(name).is_dir():
        by_rows = comm if comm is not None and loads_by_rows(path, comm) else None
        model, _, provenance = open_model(path, plan.case, by_rows)
        source = _open_store(Path(name), model, provenance, plan)
        return model, replace(source, comm=comm if by_rows is None else None), provenance
    trained = (load_entry(path, "made", comm) or {}).get("settings", ())
    plan = replace(plan, settings=plan.settings or list(trained))
    problem = load_problem(name, plan.settings or ())
    space = problem.space
    by_rows = comm if space is not None and space.spread else None
    model, _, provenance = open_model(path, plan.case or name, by_rows, space if by_rows else None)
    source = _open_solver(name, problem, model, plan)
    return model, replace(source, comm=comm if by_rows is None else None), provenance


def _open_solver(name: str, problem: Problem, model: Model, plan: StudyPlan) -> TrueRuns:
    """The solves of a case at fresh parameters, all checked before the first."""
    box = problem.box if problem.box is not None else trained_box(model)
    mus = test_parameters(box, *plan.design)
    check_single(model, mus)
    ask = read_ask(model, plan.question)
    check_comparable(model, problem, ask, mus)
    training = read_training(plan.store, model)
    norms = {}
    if problem.M is not None and problem.space is not None:
        norms[MASS_NORM] = _mass_norm(problem)
    truth = keep_truth(name, plan.settings, problem, mus, plan.truth)
    solve, mus = read_runs(truth.path, space_of_model(model), truth.mus)
    box = box if box is not None else _box_of(plan.store)
    return TrueRuns(solve, mus, box, ask, training, problem, norms, truth.failed, truth.seconds)


def _open_store(
    path: Path, model: Model, provenance: Mapping[str, Any], plan: StudyPlan
) -> TrueRuns:
    """The runs of a store in place of a solver."""
    trained = provenance.get("store")
    if trained and Path(trained).resolve() == path.resolve() and not rank():
        sys.stderr.write(
            printable(
                f"note: {path} holds the runs that the model was trained on; --leave-one-out and "
                "--hold-out train it again without some\n"
            )
        )
    solve, mus = read_runs(path, space_of_model(model))
    check_single(model, mus)
    ask, training = read_ask(model, plan.question), read_training(plan.store, model)
    box = _box_of(path)
    return TrueRuns(solve, mus, box if box is not None else _box_of(plan.store), ask, training)


def _box_of(path: Path | None) -> Box | None:
    """The box of a store, None without one."""
    from rom.campaign import open_store

    return None if path is None else open_store(path).box


def space_of_model(model: Model) -> Space | None:
    """The space where the answers of a model lie, None without one."""
    holder = getattr(model, "basis", None) or model
    space: Space | None = getattr(holder, "space", None)
    return space


def read_ask(model: Model, options: Mapping[str, Any]) -> Ask:
    """Parameters (m, p) -> the question of them, everything else as the options say."""
    asks = asks_without_starts(model)
    fixed = read_question(
        replace(asks, p=0, box=None), **{key: value for key, value in options.items() if value}
    )

    def ask(rows: np.ndarray) -> Question:
        """The question at parameters."""
        t = fixed.t if options.get("t") or options.get("signals") else None
        none = np.atleast_2d(rows)[:, :0] if asks_starts(model) else ()
        return asks.question(
            none if asks.p == 0 else rows,
            t=t,
            mesh=fixed.mesh,
            signals=fixed.signals,
            loading=fixed.loading,
        )

    return ask


def read_training(path: Path | None, model: Model) -> Snapshots | None:
    """Training runs in the space of the model, None without a store. Raises BadInput."""
    from rom.campaign import read

    return None if path is None else read(path, space_of_model(model))


def check_single(model: Model, mus: np.ndarray) -> None:
    """Raises BadInput for several runs beside a model that asks for no parameters."""
    if model.asks.p == 0 and len(mus) > 1 and not asks_starts(model):
        raise BadInput("the model asks for no parameters; give one run to compare it with")


def _mass_norm(problem: Problem) -> Any:
    """u (n, ...) -> |u|_M of the problem's mass matrix."""
    space, mass = problem.space, problem.M
    assert space is not None

    def norm(u: np.ndarray) -> np.ndarray:
        """|u|_M of columns."""
        columns = u.reshape(len(u), -1)
        squares = space.sum(np.sum(columns.conj() * (mass @ columns), axis=0).real)
        return np.asarray(np.sqrt(np.maximum(squares, 0.0)))

    return norm


def test_parameters(box: Box | None, csv: Path | None, n: int, seed: int) -> np.ndarray:
    """Parameters (m, p) of a table, or n random ones of the box."""
    from rom.cli.case import parameters

    if csv is not None:
        return parameters((), csv, box)
    if box is None:
        raise BadInput("neither the case nor the model has a box; give the parameters: --csv FILE")
    x = np.random.default_rng(seed).random((n, box.p))
    return box.from_unit(x)
