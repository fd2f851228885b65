"""`rom study` and `rom report`: how wrong a model is, and all that is known of it."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from rom.archive.nouns import load_entry
from rom.cli.collect import SOLVES_FAILED
from rom.cli.fidelity import StudyPlan, TrueRuns, open_pair, read_ask
from rom.cli.launch import Json, Verbose, guard
from rom.cli.left_out import EachOne, Share, study_left_out, trained_plan
from rom.cli.operator_runs import study_operator
from rom.cli.options import CaseOption, ModelFile, Seed, Settings, Table
from rom.cli.questions import (
    LoadingFile,
    MeshOption,
    SignalTable,
    Times,
    open_model,
    read_asks,
)
from rom.cli.ranks import rank, ranks_of_model
from rom.cli.scenes import is_model_file
from rom.cli.tables import show_numbers
from rom.cli.targets import PAGES, check_suffix_of
from rom.cli.truth import KeepOld, Limit, Retries, TruthPlan, TruthStore, Workers
from rom.errors import BadInput, printable
from rom.model import Model
from rom.study.comparison import study
from rom.study.discrepancy import Study
from rom.study.starts import asks_field
from rom.study.trivial import with_trivial

app = typer.Typer()
PROJECTIONS = ("projection", "local", "projected", "deim", "cubature")  # trained of the case
ALARM = 1  # exit code where a certified bound is below an error

Against = Annotated[
    str | None, typer.Option("--against", help="A case, or a store: study the model as well.")
]
Fresh = Annotated[int, typer.Option(min=1, help="Fresh random parameters.")]
Training = Annotated[
    Path | None,
    typer.Option("--store", help="Training store: trivial answers from it are shown beside."),
]


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
    signals: SignalTable = None,
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
    path, source_name = _sort_arguments(first, second)
    _check_split(share, each, source_name)
    question = {"t": t, "mesh": mesh, "loading": loading, "case": case}
    question |= {"signals": signals}
    store_plan = TruthPlan(truth, workers, limit, retries, keep)
    plan = StudyPlan(settings, (csv, n, seed), store_plan, store, question)
    split = (share, each, seed) if each or share is not None else None
    machine, table, provenance = _open_and_study(path, source_name, plan, split)
    if rank():
        _say_alarms(table)
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
    table = None
    if against is None:
        machine, _, provenance = open_model(model, case, ranks_of_model(model))
    else:
        plan = StudyPlan(settings, (csv, n, seed), TruthPlan(truth), store, {"case": case})
        machine, table, provenance = _open_and_study(model, against, plan)
    if rank():
        _say_alarms(table)
        return
    target = out or Path(f"{model.name}.html")
    again = {**provenance, "reported by": shlex.join(["rom", *sys.argv[1:]])}
    write_report(target, machine, table, provenance=again, title=f"Report of {model.name}")
    show_numbers({"model": str(model), "report": str(target)}, {}, json)
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


def _say_alarms(table: Study | None) -> None:
    """Failed solves and alarms on stderr, once; exit code 3, or 1 for an alarm."""
    alarms, failed = ((), ()) if table is None else (table.alarms, table.failed)
    lines = [f"failed at mu = {mu}: {reason}" for mu, reason in failed]
    lines += [f"alarm: {line}" for line in alarms]
    for line in () if rank() else lines:
        sys.stderr.write(printable(f"{line}\n"))
    if alarms or failed:
        raise typer.Exit(ALARM if alarms else SOLVES_FAILED)


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


def _open_and_study(
    path: Path,
    name: str,
    plan: StudyPlan,
    split: tuple[float | None, bool, int] | None = None,
) -> tuple[Model, Study, dict[str, Any]]:
    """The model, its study against a case, a store or designs, and its provenance.

    split : of stored runs: the share to hold out, whether each is left out once, the seed
    """
    case = plan.case or _own_case(name)
    asks = read_asks(path, case)
    if asks_field(asks):
        if rank():
            raise typer.Exit(0)
        return study_operator(path, name, plan, split)
    if asks.mesh:
        if rank():
            raise typer.Exit(0)
        model, _, provenance = open_model(path, case)
        return model, _study_designs(model, Path(name)), provenance
    if split is not None:
        return _study_split(path, name, plan, split)
    model, source, provenance = open_pair(path, name, plan)
    return model, _study(model, source), provenance


def _check_split(share: float | None, each: bool, source: str) -> None:
    """Raises BadInput where runs cannot be left out."""
    if share is not None and each:
        raise BadInput("--hold-out and --leave-one-out are two studies; give one of them")
    if (share is not None or each) and not Path(source).is_dir():
        raise BadInput(f"--hold-out and --leave-one-out are of stored runs; {source} is no store")


def _study_split(
    path: Path, name: str, plan: StudyPlan, split: tuple[float | None, bool, int]
) -> tuple[Model, Study, dict[str, Any]]:
    """A model's kind trained again without some runs, and compared with them."""
    from rom.cli.case import load_problem

    if rank():
        raise typer.Exit(0)
    again, problem = trained_plan(load_entry(path, "made") or {}), None
    model, _, provenance = open_model(path, plan.case)
    if again.kind in PROJECTIONS or again.anchored:
        if plan.case is None:
            raise BadInput(f"a model of --kind {again.kind} is trained of its case: --case CASE")
        problem = load_problem(plan.case, provenance.get("settings", ()))
    ask = read_ask(model, plan.question)
    return model, study_left_out(Path(name), again, problem, ask, split), provenance


def _study(model: Model, source: TrueRuns) -> Study:
    """The study, with trivial answers beside where a training store is given."""
    outputs = None if source.problem is None else source.problem.outputs
    table = study(
        model,
        source.solve,
        source.mus,
        norms=source.norms,
        truth=outputs if model.tells_outputs else None,
        ask=source.ask,
        timed=False,
        comm=source.comm,
    )
    table = replace(table, failed=source.failed, full_seconds=source.seconds)
    box, runs = source.box, source.training
    if runs is None or box is None or not np.isfinite(table.norm).all():
        return table
    return with_trivial(table, source.solve, runs, runs.space, box, comm=source.comm)
