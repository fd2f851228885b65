"""Runs of two fields, an operator learnt from them, and its study."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from rom.errors import BadInput
from rom.mesh import Mesh
from rom.model import Model
from rom.snapshots import Snapshots
from rom.space import Field, Space
from rom.study.comparison import study
from rom.study.discrepancy import Study
from rom.study.folds import join_studies, leave_one_out, split_off
from rom.study.norms import root_mean_square

if TYPE_CHECKING:
    from rom.cli.fidelity import StudyPlan
    from rom.operators import OperatorGP

PLAN = "operator"  # under which the provenance of a model keeps its plan
Functions = Mapping[str, Callable[..., Any]]


@dataclass(frozen=True)
class OperatorPlan:
    """How an operator is trained.

    given, told : names of the field that is asked and of the one that is told
    symmetry : name of a symmetry of the mesh, or of a function of the case that returns one
    translate : number of periodic nodes, 0 for none; base, residual : functions of the case
    """

    given: str
    told: str
    rank: int | None = None
    kernel: str | None = None
    symmetry: str | None = None
    translate: int = 0
    base: str | None = None
    residual: str | None = None
    level: float = 0.95
    seed: int = 0


def field_runs(runs: Snapshots, name: str) -> Snapshots:
    """One field of stationary runs, in its part of the inner product. Raises BadInput."""
    fields = {part.name: part for part in runs.space.fields}
    if name not in fields:
        there = ", ".join(fields) or "none with a name"
        raise BadInput(f"the runs have no field {name!r}; they have: {there}")
    if runs.t is not None:
        raise BadInput("an operator is of stationary runs; these have times")
    part = fields[name]
    rows, product = np.asarray(part.rows), runs.space.product
    own = sp.csr_array(product)[rows][:, rows] if sp.issparse(product) else product[rows]
    inner = replace(part, rows=np.arange(len(rows)))
    space = Space(own, np.arange(len(rows)), None, (inner,))
    return Snapshots(space, runs.mu, np.asarray(runs.u[:])[rows])


def train_operator(
    runs: Snapshots, mesh: Mesh | None, plan: OperatorPlan, functions: Functions
) -> OperatorGP:
    """The operator of a plan from runs that hold both fields. Raises BadInput."""
    from rom.operators import Translation, operator_gp

    inputs, outputs = field_runs(runs, plan.given), field_runs(runs, plan.told)
    return operator_gp(
        inputs,
        outputs,
        symmetry=_symmetry(plan, inputs, outputs, mesh, functions),
        frame=Translation(plan.translate) if plan.translate else None,
        base=_function(plan.base, "base", functions),
        residual=_function(plan.residual, "residual", functions),
        rank=plan.rank,
        kernel=plan.kernel,
        level=plan.level,
        rng=plan.seed,
    )


def _function(name: str | None, option: str, functions: Functions) -> Any:
    """The function of a case by its name there. Raises BadInput."""
    if name is None:
        return None
    by_name = {key.partition(":")[2]: value for key, value in functions.items()}
    if name not in by_name:
        raise BadInput(
            f"the case has no function {name!r} for --{option}; define it at module level, and "
            "name the case: --case"
        )
    return by_name[name]


def _symmetry(
    plan: OperatorPlan,
    inputs: Snapshots,
    outputs: Snapshots,
    mesh: Mesh | None,
    functions: Functions,
) -> Any:
    """The symmetry of a plan, of the mesh or of the case. Raises BadInput."""
    from rom.operators import point_symmetry
    from rom.operators.symmetry import GROUPS

    if plan.symmetry is None:
        return None
    if plan.symmetry not in GROUPS:
        if not functions:
            raise BadInput(
                f"no symmetry {plan.symmetry!r}; known: {', '.join(GROUPS)}, or a function of the "
                "case that returns one"
            )
        return _function(plan.symmetry, "symmetry", functions)()
    sides = [_nodes(runs, mesh, plan.symmetry) for runs in (inputs, outputs)]
    return point_symmetry(sides[0], plan.symmetry, points_out=sides[1])


def _nodes(runs: Snapshots, mesh: Mesh | None, name: str) -> np.ndarray:
    """Where the values of a scalar field lie (n, 2). Raises BadInput."""
    part: Field = runs.space.fields[0]
    if mesh is None or part.components > 1:
        raise BadInput(
            f"the symmetry {name!r} is of scalar fields on a mesh; for others let a function of "
            "the case return a Symmetry"
        )
    points = mesh.points if part.nodes is None else mesh.points[part.nodes]
    if len(points) != runs.space.n:
        raise BadInput(
            f"the field {part.name!r} has {runs.space.n} values on {len(points)} nodes; the "
            f"symmetry {name!r} is of fields on nodes"
        )
    return np.asarray(points[:, :2])


def study_operator(
    path: Path, source: str, plan: StudyPlan, split: tuple[float | None, bool, int] | None
) -> tuple[Model, Study, dict[str, Any]]:
    """An operator, its study against a store or a case, and its provenance.

    split : of stored runs: the share to hold out, whether each is left out once, the seed
    """
    from rom.cli.case import load_functions
    from rom.cli.questions import open_model

    is_store = Path(source).is_dir()
    case = plan.case or (None if is_store else source)
    model, _, provenance = open_model(path, case)
    runs, mesh, seconds = _true_runs(source, plan) if not is_store else _stored_runs(source)
    if split is None:
        training = None if plan.store is None else _stored_runs(str(plan.store))[0]
        table = compare_operator(model, runs, training)
        return model, replace(table, full_seconds=seconds), provenance
    again = _plan_of(provenance)
    share, each, seed = split
    folds = leave_one_out(runs.m) if each else split_off(runs.m, share or 0.0, seed)
    functions, tables = load_functions(case), []
    for train, test in folds:
        rest = _columns(runs, train)
        other = train_operator(rest, mesh, again, functions)
        tables.append(compare_operator(other, _columns(runs, test), rest))
    return model, join_studies(tables), provenance


def compare_operator(model: Model, runs: Snapshots, training: Snapshots | None) -> Study:
    """Errors of an operator at runs that hold both fields.

    training : runs of both fields, whose mean, nearest run and linear map stand beside
    """
    from rom.operators import simple_answers

    source, target = model.asks.fields[0].name, model.tells[0].name
    inputs, outputs = field_runs(runs, source), field_runs(runs, target)
    places = {mu.tobytes(): k for k, mu in enumerate(np.asarray(runs.mu, dtype=float))}

    def columns(mus: np.ndarray) -> list[int]:
        return [places[mu.tobytes()] for mu in np.atleast_2d(np.asarray(mus, dtype=float))]

    table = study(
        model,
        lambda mu: outputs.u[:, columns(mu)[0]],
        np.asarray(runs.mu),
        ask=lambda mus: model.asks.question(fields={source: inputs.u[:, columns(mus)]}),
        timed=False,
    )
    if training is None:
        return table
    answers = simple_answers(field_runs(training, source), field_runs(training, target), inputs.u)
    trivial = {}
    for name, values in answers.items():
        miss, true = values - outputs.u, outputs.u
        trivial[name] = outputs.space.norm(miss) / outputs.space.norm(true)
        trivial[f"{name}, {target}"] = root_mean_square(miss) / root_mean_square(true)
    return replace(table, trivial=trivial)


def _plan_of(provenance: Mapping[str, Any]) -> OperatorPlan:
    """How the model of a file was trained. Raises BadInput."""
    try:
        return OperatorPlan(**provenance[PLAN])
    except (KeyError, TypeError) as error:
        raise BadInput(
            "the file does not say how its operator was trained from runs; train it by rom train"
        ) from error


def origin(plan: OperatorPlan) -> dict[str, Any]:
    """What the provenance of a model keeps of its plan."""
    return {PLAN: asdict(plan)}


def _columns(runs: Snapshots, which: np.ndarray) -> Snapshots:
    return replace(runs, mu=runs.mu[which], u=runs.u[:, which])


def _stored_runs(path: str) -> tuple[Snapshots, Mesh | None, float]:
    """The runs of a store in memory, its mesh, and NaN for the seconds of a solve."""
    from rom.campaign import open_store, read

    runs = read(path)
    return replace(runs, u=np.asarray(runs.u[:])), open_store(path).mesh, float("nan")


def _true_runs(case: str, plan: StudyPlan) -> tuple[Snapshots, Mesh | None, float]:
    """Fresh solves of a case, kept in its store of true solves."""
    from rom.campaign import open_store, read
    from rom.cli.case import load_problem
    from rom.cli.fidelity import test_parameters
    from rom.cli.truth import keep_truth

    problem = load_problem(case, plan.settings or ())
    truth = keep_truth(
        case, plan.settings, problem, test_parameters(problem.box, *plan.design), plan.truth
    )
    runs = read(truth.path, problem.space, mus=truth.mus)
    return replace(runs, u=np.asarray(runs.u[:])), open_store(truth.path).mesh, truth.seconds
