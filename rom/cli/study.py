"""`rom study` and `rom report`: how wrong a model is, and all that is known of it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from rom.campaign import open_store
from rom.cli.collect import SOLVES_FAILED
from rom.cli.launch import Json, Verbose, guard
from rom.cli.left_out import EachOne, Share, study_left_out, trained_plan
from rom.cli.options import CaseOption, ModelFile, Seed, Settings, Table
from rom.cli.questions import LoadingFile, MeshOption, Times, open_model, read_question
from rom.cli.ranks import rank
from rom.cli.scenes import is_model_file, trained_box
from rom.cli.tables import show_numbers
from rom.cli.targets import PAGES, check_suffix_of
from rom.cli.truth import (
    KeepOld,
    Limit,
    Retries,
    TruthPlan,
    TruthStore,
    Workers,
    check_comparable,
    keep_truth,
    read_runs,
)
from rom.errors import BadInput, printable
from rom.model import Model, Question
from rom.parameters import Box
from rom.problem import Problem
from rom.snapshots import Snapshots
from rom.space import Space
from rom.study.comparison import Ask, Solve, study
from rom.study.discrepancy import Failure, Study
from rom.study.trivial import with_trivial

app = typer.Typer()
MASS_NORM = "the norm of the mass matrix"
PROJECTIONS = ("projection", "local")  # kinds of models that are trained of A and f
ALARM = 1  # exit code where a certified bound is below an error

Against = Annotated[
    str | None, typer.Option("--against", help="A case, or a store: study the model as well.")
]
Fresh = Annotated[int, typer.Option(min=1, help="Fresh random parameters.")]
Training = Annotated[
    Path | None,
    typer.Option("--store", help="Training store: trivial answers from it are shown beside."),
]


@dataclass(frozen=True, eq=False)
class _Source:
    """High fidelity: kept solves of a case or stored runs, and where to compare.

    failed : where there is no solve, and why; seconds : of a solve on average, or NaN
    """

    solve: Solve
    mus: np.ndarray
    box: Box | None
    problem: Problem | None = None
    norms: Mapping[str, Any] = field(default_factory=dict)
    failed: tuple[Failure, ...] = ()
    seconds: float = np.nan


@dataclass(frozen=True, eq=False)
class _Wish:
    """What a study is asked: settings, (table, number, seed) of parameters, and stores."""

    settings: list[str] | None
    design: tuple[Path | None, int, int]
    plan: TruthPlan
    store: Path | None


@app.command("study", epilog="Example: rom study model.h5 solver.py --n 20 --report study.html")
@guard
def study_command(
    first: Annotated[str, typer.Argument(help="A model file, and a case, a store or designs")],
    second: Annotated[str, typer.Argument(help="that it has not seen, in either order.")],
    *,
    n: Fresh = 20,
    seed: Seed = 12345,
    csv: Table = None,
    report: Annotated[
        Path | None, typer.Option(help="An HTML file with tables and curves.")
    ] = None,
    store: Training = None,
    truth: TruthStore = None,
    workers: Workers = 0,
    limit: Limit = None,
    retries: Retries = 0,
    keep: KeepOld = False,
    share: Share = None,
    each: EachOne = False,
    t: Times = None,
    mesh: MeshOption = None,
    loading: LoadingFile = None,
    settings: Settings = None,
    case: CaseOption = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Error, bound and speed-up of a model against its solver or stored runs.

    At parameters that it has not seen; exit code 1 where a certified bound is below an error,
    else 3 where solves failed: they are named, and are in no number. What is solved stays solved.
    Against a store, also one that the model was trained on: --hold-out, --leave-one-out.
    Of a model over shapes against a folder of designs, as `rom shapes train` takes them, or its
    table of scalars.
    """
    from rom.study.report import write_report

    check_suffix_of(report, PAGES)
    plan = TruthPlan(truth, workers, limit, retries, keep)
    path, source_name = _sort_arguments(first, second)
    _check_split(share, each, source_name)
    machine, _, provenance = open_model(path, case or _own_case(source_name))
    wish = _Wish(settings, (csv, n, seed), plan, store)
    if machine.asks.mesh:
        table = None if rank() else _study_designs(machine, Path(source_name))
    else:
        ask = _ask(machine, {"t": t, "mesh": mesh, "loading": loading, "case": case})
        if share is not None or each:
            table = _study_split(source_name, provenance, ask, (share, each, seed), case)
        else:
            table = _study(machine, source_name, provenance, wish, ask)
    if table is None:
        return
    numbers = table.summary()
    if report is not None:
        command = shlex.join(["rom", *sys.argv[1:]])
        again = {**provenance, "studied by": command, "seed": seed}
        write_report(report, machine, table, provenance=again, title=f"Study of {path.name}")
    basis = getattr(machine, "basis", None)
    size = {} if basis is None else {"r": basis.r}
    shown = {"parameters": len(table.mu), "failed": len(table.failed), **size, **numbers}
    if table.alarms:
        shown["alarm"] = "; ".join(table.alarms)
    if json:
        shown["failures"] = [{"mu": mu, "reason": reason} for mu, reason in table.failed]
    show_numbers(shown, table.units(), json)
    _say_alarms(table)


@app.command("report", epilog="Example: rom report model.h5 --out model.html --against solver.py")
@guard
def report_command(
    model: ModelFile,
    *,
    out: Annotated[Path | None, typer.Option(help="The HTML file. Default: MODEL.html")] = None,
    against: Against = None,
    n: Fresh = 20,
    seed: Seed = 12345,
    csv: Table = None,
    store: Training = None,
    truth: TruthStore = None,
    settings: Settings = None,
    case: CaseOption = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """One HTML file about a model: what it asks, tells, and knows of its error.

    With --against the study of its errors too.
    """
    from rom.study.report import write_report

    check_suffix_of(out, PAGES)
    own_case = None if against is None else _own_case(against)
    machine, _, provenance = open_model(model, case or own_case)
    wish = _Wish(settings, (csv, n, seed), TruthPlan(truth), store)
    table = None
    if against is not None and not machine.asks.mesh:
        table = _study(machine, against, provenance, wish, _ask(machine, {}))
    if rank():
        return
    if against is not None and machine.asks.mesh:
        table = _study_designs(machine, Path(against))
    target = out or Path(f"{model.name}.html")
    again = {**provenance, "reported by": shlex.join(["rom", *sys.argv[1:]])}
    write_report(target, machine, table, provenance=again, title=f"Report of {model.name}")
    show_numbers({"model": str(model), "report": str(target)}, {}, json)
    if table is not None:
        _say_alarms(table)


def _own_case(source: str) -> str | None:
    """The case whose functions a model may need: no folder, no table of designs."""
    return None if Path(source).is_dir() or Path(source).suffix == ".csv" else source


def _study_designs(model: Model, path: Path) -> Study:
    """A model over shapes against designs that it has not seen."""
    from rom.shapes import ShapeModel
    from rom.shapes.families import family
    from rom.study.samples import study_samples

    if not isinstance(model, ShapeModel):
        raise BadInput(f"a {type(model).__name__} asks for a mesh, and no folder gives its runs")
    names = [quantity.name for quantity in model.tells]
    return study_samples(model, family(path, model.outputs, names)[0])


def _say_alarms(table: Study) -> None:
    """Failed solves and alarms on stderr; exit code 1 for an alarm, 3 for a failed solve."""
    for mu, reason in table.failed:
        sys.stderr.write(printable(f"failed at mu = {mu}: {reason}\n"))
    for line in table.alarms:
        sys.stderr.write(printable(f"alarm: {line}\n"))
    if table.alarms:
        raise typer.Exit(ALARM)
    if table.failed:
        raise typer.Exit(SOLVES_FAILED)


def _sort_arguments(first: str, second: str) -> tuple[Path, str]:
    """The model file and the case or store, given in either order."""
    for model, other in ((first, second), (second, first)):
        path = Path(model)
        if path.suffix != ".py" and path.is_file() and is_model_file(path):
            return path, other
    for name in (first, second):
        if name.endswith((".h5", ".vtkhdf")) and not Path(name).is_file():
            raise BadInput(f"no file {name}; give a model file and a case or a store")
    path = Path(second)
    return path, first


def _check_split(share: float | None, each: bool, source: str) -> None:
    """Raises BadInput where runs cannot be left out."""
    if share is not None and each:
        raise BadInput("--hold-out and --leave-one-out are two studies; give one of them")
    if (share is not None or each) and not Path(source).is_dir():
        raise BadInput(f"--hold-out and --leave-one-out are of stored runs; {source} is no store")


def _study_split(
    name: str,
    provenance: Mapping[str, Any],
    ask: Ask,
    split: tuple[float | None, bool, int],
    case: str | None,
) -> Study | None:
    """A model's kind trained again without some runs of a store, and compared with them."""
    from rom.cli.case import load_problem

    plan = trained_plan(provenance)
    problem = None
    if plan.kind in PROJECTIONS:
        if case is None:
            raise BadInput(f"a model of --kind {plan.kind} is trained of A and f: --case CASE")
        problem = load_problem(case, provenance.get("settings", ()))
    return None if rank() else study_left_out(Path(name), plan, problem, ask, split)


def _ask(model: Model, options: Mapping[str, Any]) -> Ask:
    """Parameters (m, p) -> the question of them, everything else as the options say."""
    asks = model.asks
    fixed = read_question(
        replace(asks, p=0, box=None), **{key: value for key, value in options.items() if value}
    )

    def ask(rows: np.ndarray) -> Question:
        """The question at parameters."""
        t = fixed.t if options.get("t") else None
        return asks.question(
            () if asks.p == 0 else rows, t=t, mesh=fixed.mesh, loading=fixed.loading
        )

    return ask


def _study(
    model: Model, name: str, provenance: Mapping[str, Any], wish: _Wish, ask: Ask
) -> Study | None:
    """The study, with trivial answers beside where a training store is given.

    None on ranks that only solve.
    """
    training = None if wish.store is None else _training_runs(wish.store, model)
    if Path(name).is_dir():
        source = _open_runs(Path(name), model, provenance)
        _check_one(model, source.mus)
    else:
        source = _open_solver(name, model, provenance, wish, ask)
    if rank():
        return None
    outputs = None if source.problem is None else source.problem.outputs
    table = study(
        model,
        source.solve,
        source.mus,
        norms=source.norms,
        truth=outputs if model.tells_outputs else None,
        ask=ask,
        timed=False,
    )
    table = replace(table, failed=source.failed, full_seconds=source.seconds)
    box = source.box
    if wish.store is not None and box is None:
        box = open_store(wish.store).box
    if training is None or box is None or not np.isfinite(table.norm).all():
        return table
    return with_trivial(table, source.solve, training, training.space, box)


def _training_runs(path: Path, model: Model) -> Snapshots:
    """The runs that trivial answers come from, in the space of the model. Raises BadInput."""
    from rom.campaign import read

    space = _space_of(model)
    return read(path, space if space is not None and space.comm is None else None)


def _space_of(model: Model) -> Space | None:
    """The space of a model's basis, None without one."""
    space: Space | None = getattr(getattr(model, "basis", None), "space", None)
    return space


def _check_one(model: Model, mus: np.ndarray) -> None:
    """Raises BadInput for several runs beside a model that asks for no parameters."""
    if model.asks.p == 0 and len(mus) > 1:
        raise BadInput("the model asks for no parameters; give one run to compare it with")


def _open_solver(
    name: str, model: Model, provenance: Mapping[str, Any], wish: _Wish, ask: Ask
) -> _Source:
    """The kept solves of a case at fresh parameters; all is checked before the first of them."""
    from rom.cli.case import load_problem

    settings = wish.settings or provenance.get("settings", ())
    problem = load_problem(name, settings)
    box = problem.box if problem.box is not None else trained_box(model)
    mus = _test_parameters(box, *wish.design)
    _check_one(model, mus)
    check_comparable(model, problem, ask, mus)
    norms = {}
    if problem.M is not None and problem.space is not None:
        norms[MASS_NORM] = _mass_norm(problem)
    truth = keep_truth(name, settings, problem, mus, wish.plan)
    solve, mus = read_runs(truth.path, _space_of(model), truth.mus)
    return _Source(solve, mus, box, problem, norms, truth.failed, truth.seconds)


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


def _open_runs(path: Path, model: Model, provenance: Mapping[str, Any]) -> _Source:
    """The runs of a store in place of a solver."""
    trained = provenance.get("store")
    if trained and Path(trained).resolve() == path.resolve():
        sys.stderr.write(printable(f"note: {path} holds the runs that the model was trained on\n"))
    solve, mus = read_runs(path, _space_of(model))
    return _Source(solve, mus, open_store(path).box)


def _test_parameters(box: Box | None, csv: Path | None, n: int, seed: int) -> np.ndarray:
    """Parameters (m, p) of a table, or n random ones of the box."""
    from rom.cli.case import parameters

    if csv is not None:
        return parameters((), csv, box)
    if box is None:
        raise BadInput("neither the case nor the model has a box; give the parameters: --csv FILE")
    x = np.random.default_rng(seed).random((n, box.p))
    return box.from_unit(x)
