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

from rom.cli.launch import Json, Verbose, guard
from rom.cli.options import CaseOption, ModelFile, Seed, Settings, Table
from rom.cli.questions import LoadingFile, MeshOption, Times, open_model, read_asks, read_question
from rom.cli.ranks import rank, ranks_of_model, world
from rom.cli.scenes import is_model_file, trained_box
from rom.cli.tables import show_numbers
from rom.cli.targets import PAGES, check_suffix_of
from rom.errors import BadInput, printable
from rom.model import Model, Question
from rom.parameters import Box
from rom.problem import Problem
from rom.space import Space
from rom.study.comparison import Solve, study
from rom.study.discrepancy import Study
from rom.study.trivial import with_trivial

app = typer.Typer()
MASS_NORM = "the norm of the mass matrix"
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
    """High fidelity: a solver or stored runs, and where to compare.

    comm : ranks among which the samples are shared out, or None
    """

    solve: Solve
    mus: np.ndarray
    box: Box | None
    problem: Problem | None = None
    norms: Mapping[str, Any] = field(default_factory=dict)
    comm: Any = None


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
    t: Times = None,
    mesh: MeshOption = None,
    loading: LoadingFile = None,
    settings: Settings = None,
    case: CaseOption = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Error, bound and speed-up of a model against its solver or stored runs.

    At parameters that it has not seen; exit code 1 where a certified bound is below an error.
    Of a model over shapes against a folder of designs, as `rom shapes train` takes them, or its
    table of scalars.
    """
    from rom.study.report import write_report

    check_suffix_of(report, PAGES)
    path, source_name = _sort_arguments(first, second)
    question = {"t": t, "mesh": mesh, "loading": loading, "case": case}
    design = (csv, n, seed)
    machine, table, provenance = _open_and_study(
        path, source_name, question, settings=settings, design=design, store=store
    )
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
    shown = {"parameters": len(table.mu), **size, **numbers}
    if table.alarms:
        shown["alarm"] = "; ".join(table.alarms)
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
        machine, table, provenance = _open_and_study(
            model,
            against,
            {"case": case},
            settings=settings,
            design=(csv, n, seed),
            store=store,
        )
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
    """Alarms on stderr, once, and exit code 1 where there is one."""
    alarms = () if table is None else table.alarms
    for line in () if rank() else alarms:
        sys.stderr.write(printable(f"alarm: {line}\n"))
    if alarms:
        raise typer.Exit(ALARM)


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
    options: Mapping[str, Any],
    *,
    settings: list[str] | None,
    design: tuple[Path | None, int, int],
    store: Path | None,
) -> tuple[Model, Study, dict[str, Any]]:
    """The model, its study against a case, a store or designs, and its provenance."""
    case = options.get("case")
    if read_asks(path, case or _own_case(name)).mesh:
        if rank():
            raise typer.Exit(0)
        model, _, provenance = open_model(path, case or _own_case(name))
        return model, _study_designs(model, Path(name)), provenance
    model, source, provenance = _open(path, name, case, settings, design)
    return model, _study(model, source, store, options), provenance


def _open(
    path: Path,
    name: str,
    case: str | None,
    settings: list[str] | None,
    design: tuple[Path | None, int, int],
) -> tuple[Model, _Source, dict[str, Any]]:
    """The model, what it is compared with, and the provenance.

    On several ranks the model lies as the case does, or in blocks of rows as the runs; of a case
    that each rank solves by itself it is whole, and the samples are shared out.
    """
    from rom.archive.nouns import load_entry, loads_by_rows
    from rom.cli.case import load_problem

    comm = world()
    if Path(name).is_dir():
        by_rows = comm if comm is not None and loads_by_rows(path, comm) else None
        model, _, provenance = open_model(path, case, by_rows)
        source = _open_runs(Path(name), model, provenance)
        return model, replace(source, comm=comm if by_rows is None else None), provenance
    trained = (load_entry(path, "made", comm) or {}).get("settings", ())
    problem = load_problem(name, settings or trained)
    space = problem.space
    by_rows = comm if space is not None and space.spread else None
    model, _, provenance = open_model(path, case or name, by_rows, space if by_rows else None)
    source = _open_solver(problem, model, design)
    return model, replace(source, comm=comm if by_rows is None else None), provenance


def _open_solver(problem: Problem, model: Model, design: tuple[Path | None, int, int]) -> _Source:
    """High fidelity of a case at fresh parameters."""
    box = problem.box if problem.box is not None else trained_box(model)
    norms = {}
    if problem.M is not None and problem.space is not None:
        norms[MASS_NORM] = _mass_norm(problem)
    return _Source(problem.solve, _test_parameters(box, *design), box, problem, norms)


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
    from rom.campaign import open_store, read

    trained = provenance.get("store")
    if trained and Path(trained).resolve() == path.resolve() and not rank():
        sys.stderr.write(printable(f"note: {path} holds the runs that the model was trained on\n"))
    campaign = open_store(path)
    own_space = _space_of(model)
    if own_space is not None and own_space.spread:
        runs = read(path, own_space)
    else:
        runs = read(path)
        if own_space is not None and own_space.size == runs.space.size:
            runs = read(path, own_space)
    by_mu: dict[bytes, list[int]] = {}
    for k, mu in enumerate(runs.mu):
        by_mu.setdefault(mu.tobytes(), []).append(k)
    mus = np.array([runs.mu[columns[0]] for columns in by_mu.values()])

    def solve(mu: np.ndarray) -> np.ndarray:
        """The stored run."""
        columns = by_mu[np.asarray(mu, dtype=float).tobytes()]
        u = np.asarray(runs.u[:, columns])
        return u[:, 0] if campaign.times is None else u

    return _Source(solve, mus, campaign.box)


def _space_of(model: Model) -> Space | None:
    """The space where the answers of a model lie, None without one."""
    holder = getattr(model, "basis", None) or model
    space: Space | None = getattr(holder, "space", None)
    return space


def _study(model: Model, source: _Source, store: Path | None, options: Mapping[str, Any]) -> Study:
    """The study, with trivial answers beside where a training store is given."""
    asks = model.asks
    mus = source.mus if asks.p != 0 else source.mus[:1]
    if asks.p == 0 and len(source.mus) > 1:
        raise BadInput("the model asks for no parameters; give one run to compare it with")
    fixed = read_question(
        _without_parameters(model), **{key: value for key, value in options.items() if value}
    )

    def ask(rows: np.ndarray) -> Question:
        """The question at parameters, everything else as given."""
        t = fixed.t if options.get("t") else None
        return asks.question(
            () if asks.p == 0 else rows, t=t, mesh=fixed.mesh, loading=fixed.loading
        )

    outputs = None if source.problem is None else source.problem.outputs
    table = study(
        model,
        source.solve,
        mus,
        norms=source.norms,
        truth=outputs if model.tells_outputs else None,
        ask=ask,
        timed=source.problem is not None,
        comm=source.comm,
    )
    if store is None or not np.isfinite(table.norm).all():
        return table
    return _beside_trivial(table, source, store, model)


def _without_parameters(model: Model) -> Any:
    """What a model asks besides parameters."""
    return replace(model.asks, p=0, box=None)


def _beside_trivial(table: Study, source: _Source, store: Path, model: Model) -> Study:
    from rom.campaign import open_store, read

    runs = read(store, _space_of(model))
    box = source.box or open_store(store).box
    if box is None:
        return table
    return with_trivial(table, source.solve, runs, runs.space, box, comm=source.comm)


def _test_parameters(box: Box | None, csv: Path | None, n: int, seed: int) -> np.ndarray:
    """Parameters (m, p) of a table, or n random ones of the box."""
    from rom.cli.case import parameters

    if csv is not None:
        return parameters((), csv, box)
    if box is None:
        raise BadInput("neither the case nor the model has a box; give the parameters: --csv FILE")
    x = np.random.default_rng(seed).random((n, box.p))
    return box.from_unit(x)
