"""`rom collect`, `reduce`, `predict`, `study`: from a case to a model, its answers and their errors."""

from __future__ import annotations

import shlex
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from rom import __version__
from rom.cli.launch import Json, Verbose, guard, place, rank, show_numbers, world
from rom.cli.options import (
    Case,
    CaseOption,
    Mus,
    Seed,
    Settings,
    Table,
    design_parameters,
    span_box,
    stem,
    units_of,
)
from rom.cli.scenes import answer_row, headings
from rom.errors import BadInput
from rom.parameters import Box

app = typer.Typer()


@app.command("collect", epilog="Example: mpiexec -n 4 rom collect solver.py --n 64 --out runs")
@guard
def collect_command(
    case: Case,
    n: Annotated[
        int, typer.Option(min=1, help="Parameters to solve; with --design grid, points per axis.")
    ] = 32,
    design: Annotated[str, typer.Option(help="sobol, lhs or grid.")] = "sobol",
    csv: Table = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the store; run again to resume. Default: CASE.store"),
    ] = None,
    retries: Annotated[
        int, typer.Option(min=0, help="How often a failed solve is tried again.")
    ] = 0,
    rows: Annotated[
        str | None, typer.Option(help="Only these rows of the parameters: 0-7,12.")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="Begin no solve that would outlast it; exit code 7 if some are left."
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            min=0, help="A pilot: so many processes here solve, and none that dies ends the others."
        ),
    ] = 0,
    limit: Annotated[
        float | None,
        typer.Option(min=0.0, help="Seconds of one solve of a pilot, which then has failed."),
    ] = None,
    seed: Seed = 0,
    settings: Settings = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Solve the case at designed parameters into a store, on all ranks; what is solved stays solved."""
    from rom.batch.plan import parse_rows
    from rom.batch.script import STOPPED
    from rom.campaign import collect as gather
    from rom.campaign import pilot
    from rom.cli.case import load_problem, parameters

    if limit is not None and not workers:
        raise BadInput("--limit ends the solves of a pilot; give --workers too")
    comm = None if workers else world()
    made = load_problem(case, settings or ())
    crew = (
        partial(
            pilot,
            partial(_solver, case, tuple(settings or ())),
            workers,
            limit=limit,
            first=place(),
        )
        if workers
        else None
    )
    mus = (
        parameters((), csv, made.box)
        if csv is not None
        else design_parameters(made.box, design, n, seed)
    )
    box = made.box if made.box is not None else span_box(csv, mus)
    path = out or Path(f"{stem(case)}.store")
    shared = made.space is not None and made.space.comm is not None
    signal.signal(signal.SIGTERM, _terminated)
    done = gather(
        made.solve, mus, path, comm=comm, box=box, space=made.space, mesh=made.mesh, distributed=shared,
        times=made.times, version=made.version, retries=retries, seconds=seconds, only=None if rows is None else np.array(parse_rows(rows, len(mus))),
        crew=crew,
    )  # fmt: skip
    numbers = {
        "store": str(path),
        "solved": done.solved,
        "skipped": done.skipped,
        "failed": len(done.failed),
        "left": done.left,
        "seconds": done.seconds,
    }
    for mu, reason in done.failed if rank() == 0 else ():
        sys.stderr.write(f"failed at mu = {mu}: {reason}\n")
    show_numbers(numbers, {"seconds": "s"}, json)
    if done.left and not done.solved and not done.failed:
        raise BadInput(f"{seconds:g} s do not suffice for one solve; give more time to a part")
    if done.left:
        if rank() == 0:
            sys.stderr.write(f"{done.left} solves are unfinished: the time is over; run again\n")
        raise typer.Exit(STOPPED)
    if done.failed:
        raise typer.Exit(3)


@app.command(
    "reduce", epilog="Example: rom reduce solver.py --store runs --tol 1e-4 --out model.h5"
)
@guard
def reduce_command(
    case: Annotated[str, typer.Argument(help="A case, or the folder of a store alone.")],
    store: Annotated[
        Path | None, typer.Option(help="Folder of the store. Default: CASE.store")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File of the model. Default: CASE.rom.h5")
    ] = None,
    tol: Annotated[
        float | None,
        typer.Option(min=0.0, help="Relative error of the training set to stay below."),
    ] = None,
    modes: Annotated[int | None, typer.Option("--rank", min=1, help="Modes to keep.")] = None,
    method: Annotated[str, typer.Option(help="Of the POD: auto, gram, full, random, ...")] = "auto",
    memory: Annotated[
        str | None, typer.Option(help="Snapshots beyond it stay on disk: 256MiB.")
    ] = None,
    center: Annotated[bool, typer.Option(help="Subtract the mean first.")] = False,
    regress: Annotated[
        bool, typer.Option(help="Regression even where the case has A and f.")
    ] = False,
    seed: Seed = 0,
    settings: Settings = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """POD of a store, then a certified Galerkin model where the case has A and f, else a Gaussian-process regression; one file."""
    from rom.archive.models import save_model
    from rom.campaign import nbytes, open_store, read
    from rom.cli.case import load_problem
    from rom.compress.decomposition import pod

    comm = world()
    alone = Path(case).is_dir()
    made = None if alone else load_problem(case, settings or ())
    path = Path(case) if alone else store or Path(f"{stem(case)}.store")
    space = None if made is None else made.space
    if space is not None and comm is not None and space.comm is None:
        if rank():
            return
        comm = None
    held = open_store(path)
    snapshots = read(path, space, comm=comm, memory_budget=memory)
    tol = 1e-4 if tol is None and modes is None else tol
    basis, _ = pod(
        snapshots,
        tol=tol,
        rank=modes,
        method=method,
        center=center,
        memory_budget=None if memory is None else nbytes(memory),
        rng=seed,
    )
    model, kind = _model(made, basis, snapshots, held.box, regress, seed)
    target = out or Path(f"{stem(case)}.rom.h5")
    how = {
        "command": shlex.join(["rom", *sys.argv[1:]]), "package": f"rom-platform {__version__}", "numpy": np.__version__,
        "case": case, "settings": list(settings or ()), "store": str(path), "solver version": held.identity["version"],
        "snapshots": snapshots.m,
    }  # fmt: skip
    if rank():
        return
    digest = save_model(target, model, held.mesh, how)
    numbers = {
        "model": str(target), "kind": kind, "dofs": basis.space.size, "snapshots": snapshots.m, "r": basis.r, "tol_asked": tol, "rank_asked": modes,
        "reason": basis.reason, "training_error": basis.error, "bytes": target.stat().st_size, "sha256": digest,
    }  # fmt: skip
    show_numbers(numbers, {"bytes": "B", "training_error": "relative"}, json)


@app.command(
    "predict", epilog='Example: rom predict model.h5 --mu "k=2,load=10" --out answer.vtkhdf'
)
@guard
def predict_command(
    model: Annotated[Path, typer.Argument(help="A model file.")],
    mu: Mus = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", help="name=value of one parameter; repeat for all of them."),
    ] = None,
    csv: Table = None,
    out: Annotated[
        Path | None, typer.Option(help=".vtkhdf, a mesh format, .npz or .csv for the fields.")
    ] = None,
    case: CaseOption = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Fields, outputs and what is known of their error, from the model file alone."""
    from rom.archive.models import load_model
    from rom.cli.case import load_functions, load_problem, parameters
    from rom.io.states import write_columns

    if rank():
        return
    machine, mesh, how = load_model(model, load_functions(case))
    box = getattr(machine, "box", None)
    outputs = None if case is None else load_problem(case, how.get("settings", ())).outputs
    mus = parameters([*(mu or ()), *([",".join(values)] if values else [])], csv, box)
    answers = [machine.predict(row) for row in mus]
    rows = [
        answer_row(machine, row, answer, box, outputs)
        for row, answer in zip(mus, answers, strict=True)
    ]
    if out is not None:
        states = np.column_stack([machine.basis.lift(answer.coefficients) for answer in answers])
        counts = [
            1 if np.ndim(answer.coefficients) == 1 else answer.coefficients.shape[1]
            for answer in answers
        ]
        given = dict(
            zip(headings(box, mus.shape[1]), np.repeat(mus, counts, axis=0).T, strict=True)
        )
        if answers[0].t is not None:
            given["t [s]"] = np.concatenate(
                [np.asarray(answer.t, dtype=float) for answer in answers]
            )
        write_columns(out, machine.basis.space, states, given, mesh)
    if json:
        show_numbers(
            {"model": str(model), "out": None if out is None else str(out), "answers": rows},
            {},
            True,
        )
    else:
        for row in rows:
            show_numbers(
                {**row["mu"], **{k: v for k, v in row.items() if k != "mu"}}, units_of(box), False
            )


@app.command("study", epilog="Example: rom study solver.py model.h5 --n 20 --report study.html")
@guard
def study_command(
    case: Case,
    model: Annotated[Path, typer.Argument(help="A model file.")],
    n: Annotated[int, typer.Option(min=1, help="Fresh random parameters.")] = 20,
    seed: Seed = 12345,
    csv: Table = None,
    report: Annotated[
        Path | None, typer.Option(help="An HTML file with tables and curves.")
    ] = None,
    settings: Settings = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Error, bound, effectivity and speed-up of a model against its solver at parameters it has not seen."""
    from rom.archive.models import load_model
    from rom.cli.case import load_functions, load_problem, parameters
    from rom.study.comparison import study as measured

    if rank():
        return
    machine, _, how = load_model(model, load_functions(case))
    made = load_problem(case, settings or how.get("settings", ()))
    box = made.box if made.box is not None else getattr(machine, "box", None)
    if box is None and csv is None:
        raise BadInput("neither the case nor the model has a box; give the parameters: --csv FILE")
    mus = (
        parameters((), csv, box)
        if csv is not None
        else box.from_unit(np.random.default_rng(seed).random((n, box.p)))
    )
    table = measured(machine, made.solve, mus)
    numbers = table.summary()
    if report is not None:
        from rom.study.report import write_report

        asked = {**how, "studied by": shlex.join(["rom", *sys.argv[1:]]), "seed": seed}
        write_report(
            report,
            table,
            machine.basis,
            box=box,
            provenance=asked,
            title=f"Study of {model.name}",
        )
    show_numbers(
        {"parameters": len(mus), "r": machine.basis.r, **numbers},
        {"full_s": "s", "online_ms": "ms", "batch_us": "us per query"},
        json,
    )


def _solver(case: str, settings: tuple[str, ...]) -> tuple[Any, Any]:
    """(solve, space) of a case, in a worker."""
    from rom.cli.case import load_problem

    made = load_problem(case, settings)
    return made.solve, made.space


def _terminated(number: int, frame: Any) -> None:
    """SIGTERM as an exception that no solve catches, so that claims are given back before the end."""
    raise KeyboardInterrupt


def _model(
    made: Any, basis: Any, snapshots: Any, box: Box | None, regress: bool, seed: int
) -> tuple[Any, str]:
    from rom.certified import galerkin_model, unsteady_model
    from rom.gp.fields import field_gp

    if made is not None and made.A is not None and made.f is not None and not regress:
        if made.M is not None and made.times is not None:
            return unsteady_model(made, basis), "unsteady Galerkin"
        return (
            galerkin_model(made, basis),
            "Galerkin with a certified bound"
            if made.stability is not None
            else "Galerkin without a bound",
        )
    model = field_gp(snapshots, basis, box, rng=seed)
    whole = model.to_serial() if basis.space.comm is not None else model
    return whole, "Gaussian-process regression"
