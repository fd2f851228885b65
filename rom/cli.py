"""The `rom` command: collect, reduce, predict, study, inspect, view, export; submit, status, resume, cancel, logs.

Exit codes: 0 done; 1 an error of the solver or of this package; 2 bad usage or input; 3 failed solves; 4 a damaged or foreign file;
5 a missing optional dependency; 6 a file that could not be written, or a job not submitted; 7 the time was over, run again.
"""

from __future__ import annotations

import shlex
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from rom import __version__
from rom.errors import BadInput
from rom.ingest_command import ingest
from rom.launch import Json, Verbose, guarded, rank, run, show, world
from rom.parameters import Box
from rom.scenes import answered, headings, scene, states_of
from rom.shape_commands import app as shapes

__all__ = ["app", "run", "world"]

app = typer.Typer(
    name="rom",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Reduced-order models from your own solver: rom COMMAND --help shows examples. CASE is a module or a .py file.",
    epilog="Exit codes: 0 done, 1 error in a solver, 2 bad usage or input, 3 failed solves, 4 damaged or foreign file, 5 missing extra, 6 not written or not submitted, 7 time over, run again.",
)
app.add_typer(shapes)

Case = Annotated[str, typer.Argument(help="A dotted module or a .py file with problem(**settings), or with solve(mu) and box.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="name=value for the case's problem(); repeatable. Default in study: those of the model."),
]
Mus = Annotated[list[str] | None, typer.Option("--mu", help='Parameters, "a=1,b=2"; repeatable.')]
Table = Annotated[Path | None, typer.Option("--csv", help="A table of parameters; its header names them.")]
Seed = Annotated[int, typer.Option(help="Seed of the random numbers.")]
CaseOption = Annotated[str | None, typer.Option("--case", help="The case, for its outputs and functions.")]


@app.command(epilog="Example: mpiexec -n 4 rom collect solver.py --n 64 --out runs")
@guarded
def collect(
    case: Case,
    n: Annotated[int, typer.Option(min=1, help="Parameters to solve; with --design grid, points per axis.")] = 32,
    design: Annotated[str, typer.Option(help="sobol, lhs or grid.")] = "sobol",
    csv: Table = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the store; run again to resume. Default: CASE.store")] = None,
    retries: Annotated[int, typer.Option(min=0, help="How often a failed solve is tried again.")] = 0,
    rows: Annotated[str | None, typer.Option(help="Only these rows of the parameters: 0-7,12.")] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.0, help="Begin no solve that would outlast it; exit code 7 if some are left.")
    ] = None,
    seed: Seed = 0,
    settings: Settings = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Solve the case at designed parameters into a store, on all ranks; what is solved stays solved."""
    from rom.case import parameters, problem
    from rom.collect.campaign import collect as gather
    from rom.submit.plan import rows_of
    from rom.submit.script import STOPPED

    comm = world()
    made = problem(case, settings or ())
    mus = parameters((), csv, made.box) if csv is not None else _designed(made.box, design, n, seed)
    box = made.box if made.box is not None else _spanned(csv, mus)
    path = out or Path(f"{_stem(case)}.store")
    shared = made.space is not None and made.space.comm is not None
    signal.signal(signal.SIGTERM, _terminated)
    done = gather(
        made.solve, mus, path, comm=comm, box=box, space=made.space, mesh=made.mesh, distributed=shared,
        times=made.times, version=made.version, retries=retries, seconds=seconds, only=None if rows is None else np.array(rows_of(rows, len(mus))),
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
    show(numbers, {"seconds": "s"}, json)
    if done.left and not done.solved and not done.failed:
        raise BadInput(f"{seconds:g} s do not suffice for one solve; give more time to a part")
    if done.left:
        if rank() == 0:
            sys.stderr.write(f"{done.left} solves are unfinished: the time is over; run again\n")
        raise typer.Exit(STOPPED)
    if done.failed:
        raise typer.Exit(3)


@app.command(epilog="Example: rom reduce solver.py --store runs --tol 1e-4 --out model.h5")
@guarded
def reduce(
    case: Annotated[str, typer.Argument(help="A case, or the folder of a store alone.")],
    store: Annotated[Path | None, typer.Option(help="Folder of the store. Default: CASE.store")] = None,
    out: Annotated[Path | None, typer.Option(help="File of the model. Default: CASE.rom.h5")] = None,
    tol: Annotated[float | None, typer.Option(min=0.0, help="Relative error of the training set to stay below.")] = None,
    modes: Annotated[int | None, typer.Option("--rank", min=1, help="Modes to keep.")] = None,
    method: Annotated[str, typer.Option(help="Of the POD: auto, gram, full, random, ...")] = "auto",
    memory: Annotated[str | None, typer.Option(help="Snapshots beyond it stay on disk: 256MiB.")] = None,
    center: Annotated[bool, typer.Option(help="Subtract the mean first.")] = False,
    regress: Annotated[bool, typer.Option(help="Regression even where the case has A and f.")] = False,
    seed: Seed = 0,
    settings: Settings = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """POD of a store, then a certified Galerkin model where the case has A and f, else a Gaussian-process regression; one file."""
    from rom.case import problem
    from rom.collect.columns import nbytes
    from rom.collect.store import found, read
    from rom.compress.pod import pod
    from rom.shipped import ship

    comm = world()
    alone = Path(case).is_dir()
    made = None if alone else problem(case, settings or ())
    path = Path(case) if alone else store or Path(f"{_stem(case)}.store")
    space = None if made is None else made.space
    if space is not None and comm is not None and space.comm is None:
        if rank():
            return
        comm = None
    held = found(path)
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
    target = out or Path(f"{_stem(case)}.rom.h5")
    how = {
        "command": shlex.join(["rom", *sys.argv[1:]]), "package": f"rom-platform {__version__}", "numpy": np.__version__,
        "case": case, "settings": list(settings or ()), "store": str(path), "solver version": held.identity["version"],
        "snapshots": snapshots.m,
    }  # fmt: skip
    if rank():
        return
    digest = ship(target, model, held.mesh, how)
    numbers = {
        "model": str(target), "kind": kind, "dofs": basis.space.size, "snapshots": snapshots.m, "r": basis.r, "tol_asked": tol, "rank_asked": modes,
        "reason": basis.reason, "training_error": basis.error, "bytes": target.stat().st_size, "sha256": digest,
    }  # fmt: skip
    show(numbers, {"bytes": "B", "training_error": "relative"}, json)


@app.command(epilog='Example: rom predict model.h5 --mu "k=2,load=10" --out answer.vtkhdf')
@guarded
def predict(
    model: Annotated[Path, typer.Argument(help="A model file.")],
    mu: Mus = None,
    values: Annotated[
        list[str] | None, typer.Option("--set", help="name=value of one parameter; repeat for all of them.")
    ] = None,
    csv: Table = None,
    out: Annotated[Path | None, typer.Option(help=".vtkhdf, a mesh format, .npz or .csv for the fields.")] = None,
    case: CaseOption = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Fields, outputs and what is known of their error, from the model file alone."""
    from rom.case import functions, parameters, problem
    from rom.export.states import write_columns
    from rom.shipped import shipped

    if rank():
        return
    machine, mesh, how = shipped(model, functions(case))
    box = getattr(machine, "box", None)
    outputs = None if case is None else problem(case, how.get("settings", ())).outputs
    mus = parameters([*(mu or ()), *([",".join(values)] if values else [])], csv, box)
    answers = [machine.predict(row) for row in mus]
    rows = [answered(machine, row, answer, box, outputs) for row, answer in zip(mus, answers, strict=True)]
    if out is not None:
        states = np.column_stack([machine.basis.lift(answer.coefficients) for answer in answers])
        counts = [1 if np.ndim(answer.coefficients) == 1 else answer.coefficients.shape[1] for answer in answers]
        given = dict(zip(headings(box, mus.shape[1]), np.repeat(mus, counts, axis=0).T, strict=True))
        if answers[0].t is not None:
            given["t [s]"] = np.concatenate([np.asarray(answer.t, dtype=float) for answer in answers])
        write_columns(out, machine.basis.space, states, given, mesh)
    if json:
        show({"model": str(model), "out": None if out is None else str(out), "answers": rows}, {}, True)
    else:
        for row in rows:
            show({**row["mu"], **{k: v for k, v in row.items() if k != "mu"}}, _units(box), False)


@app.command(epilog="Example: rom study solver.py model.h5 --n 20 --report study.html")
@guarded
def study(
    case: Case,
    model: Annotated[Path, typer.Argument(help="A model file.")],
    n: Annotated[int, typer.Option(min=1, help="Fresh random parameters.")] = 20,
    seed: Seed = 12345,
    csv: Table = None,
    report: Annotated[Path | None, typer.Option(help="An HTML file with tables and curves.")] = None,
    settings: Settings = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Error, bound, effectivity and speed-up of a model against its solver at parameters it has not seen."""
    from rom.case import functions, parameters, problem
    from rom.certify.study import study as measured
    from rom.shipped import shipped

    if rank():
        return
    machine, _, how = shipped(model, functions(case))
    made = problem(case, settings or how.get("settings", ()))
    box = made.box if made.box is not None else getattr(machine, "box", None)
    if box is None and csv is None:
        raise BadInput("neither the case nor the model has a box; give the parameters: --csv FILE")
    mus = parameters((), csv, box) if csv is not None else box.from_unit(np.random.default_rng(seed).random((n, box.p)))
    table = measured(machine, made.solve, mus)
    numbers = table.summary()
    if report is not None:
        from rom.export.report import write_report

        asked = {**how, "studied by": shlex.join(["rom", *sys.argv[1:]]), "seed": seed}
        write_report(report, table, machine.basis, box, asked, title=f"Study of {model.name}")
    show(
        {"parameters": len(mus), "r": machine.basis.r, **numbers},
        {"full_s": "s", "online_ms": "ms", "batch_us": "us per query"},
        json,
    )


@app.command(epilog="Example: rom inspect runs; rom inspect model.h5; rom inspect part.msh")
@guarded
def inspect(
    path: Annotated[Path, typer.Argument(help="A store, a model, any saved noun, or a mesh file.")],
    case: CaseOption = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """What a file or store holds: shapes, units, asked and delivered; and whether its bytes are as they were written."""
    from rom.case import functions
    from rom.shipped import described

    if rank():
        return
    facts, problems = described(path, functions(case))
    for line in problems:
        sys.stderr.write(f"damaged: {line}\n")
    show({**facts, "problems": list(problems)} if json else facts, {}, json)
    if problems:
        raise typer.Exit(4)


@app.command(epilog='Example: rom view model.h5 --mu "k=2,load=10" --picture answer.png')
@guarded
def view(
    path: Annotated[Path, typer.Argument(help="A model, a store, or a mesh file.")],
    mu: Mus = None,
    step: Annotated[int, typer.Option(min=0, help="Snapshot, mode or time to show.")] = 0,
    field: Annotated[list[str] | None, typer.Option(help="Field to show; repeatable. Default: all.")] = None,
    picture: Annotated[Path | None, typer.Option(help="A PNG instead of a window.")] = None,
    case: CaseOption = None,
    verbose: Verbose = False,
) -> None:
    """A window with the fields side by side, or a picture where there is no display."""
    from rom.export.pictures import picture as draw
    from rom.export.pictures import show as window

    if rank():
        return
    mesh, fields, cell_fields, title = scene(path, mu, step, case)
    if field:
        unknown = [name for name in field if name not in {**fields, **cell_fields}]
        if unknown:
            raise BadInput(f"no field {unknown[0]!r} in {path}; it has: {', '.join({**fields, **cell_fields})}")
        fields, cell_fields = ({k: v for k, v in part.items() if k in field} for part in (fields, cell_fields))
    if picture is None:
        window(mesh, fields, cell_fields, title)
    else:
        draw(picture, mesh, fields, cell_fields, title=title)


@app.command(epilog="Example: rom export part.msh --out part.vtkhdf; rom export runs --out snapshots.npz")
@guarded
def export(
    path: Annotated[Path, typer.Argument(help="A store (its snapshots), a model (its modes), or a mesh file.")],
    out: Annotated[Path, typer.Option(help=".vtkhdf, .vtu, any format of meshio, .npz or .csv.")],
    case: CaseOption = None,
    verbose: Verbose = False,
) -> None:
    """Snapshots, modes or meshes in the file of another program."""
    from rom.export.files import read_file, write_mesh
    from rom.export.states import write_columns, write_points

    if rank():
        return
    found = states_of(path, case)
    if found is not None:
        space, states, given, mesh = found
        write_columns(out, space, states, given, mesh)
    elif out.suffix in (".npz", ".csv"):
        write_points(out, *read_file(path))
    else:
        write_mesh(out, *read_file(path))


app.command(epilog="Example: rom ingest step*.vtu --field displacement=m --integration stress=Pa --positions x --out history.h5")(
    ingest
)

Folder = Annotated[Path, typer.Argument(help="The folder of a run, as given to rom submit.")]


@app.command(epilog="Example: rom submit all solver.py --profile hpc/slurm.toml --n 512 --out run")
@guarded
def submit(
    stage: Annotated[str, typer.Argument(help="collect, reduce, study, or all of them.")],
    case: Case,
    profile: Annotated[Path, typer.Option(help="TOML file of the site; see hpc/.")],
    n: Annotated[int, typer.Option(min=1, help="Parameters to solve; with --design grid, points per axis.")] = 32,
    design: Annotated[str, typer.Option(help="sobol, lhs or grid.")] = "sobol",
    csv: Table = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run. Default: CASE.run")] = None,
    tol: Annotated[float, typer.Option(min=0.0, help="Of the model.")] = 1e-4,
    regress: Annotated[bool, typer.Option(help="Train a regression even where the case has A and f.")] = False,
    tests: Annotated[int, typer.Option(min=1, help="Fresh parameters of the study.")] = 20,
    seed: Seed = 0,
    settings: Settings = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the batch scripts, submit nothing.")] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """A campaign as job arrays, then jobs for model and study that wait for it; the same on this machine with scheduler = "local"."""
    from rom.batch import Run, founded, submitted
    from rom.case import parameters, problem
    from rom.submit.profile import profile as site_of

    site = site_of(profile)
    made = problem(case, settings or ())
    mus = parameters((), csv, made.box) if csv is not None else _designed(made.box, design, n, seed)
    names = headings(made.box if made.box is not None else _spanned(csv, mus), mus.shape[1])
    path = str(Path(case).resolve()) if case.endswith(".py") else case
    later = {"reduce": ("--tol", f"{tol:g}", *(("--regress",) if regress else ())), "study": ("--n", str(tests))}
    run_ = founded(
        Run(out or Path(f"{_stem(case)}.run"), path, str(Path.cwd()), tuple(settings or ()), tuple(names), mus, site, **later)
    )
    _handed(run_.folder, submitted(run_, stage, dry_run), dry_run, json)


@app.command(epilog="Example: rom resume run")
@guarded
def resume(
    folder: Folder,
    profile: Annotated[Path | None, typer.Option(help="Another profile, as for a longer time limit.")] = None,
    force: Annotated[bool, typer.Option(help="Also what failed as often as the profile allows.")] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Submits exactly what is unfinished and not in the queue; failures as the profile's retry allows."""
    from rom.batch import opened, resumed
    from rom.submit.profile import profile as site_of

    run_ = opened(folder)
    _handed(folder, resumed(run_ if profile is None else replace(run_, site=site_of(profile)), force), False, json)


@app.command(epilog="Example: rom status run")
@guarded
def status(folder: Folder, json: Json = False, verbose: Verbose = False) -> None:
    """What of a run is done, failed and why, paused, in the queue."""
    from rom.batch import status as asked

    now = asked(folder)
    kinds = {
        job: ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(states)) or "ended" for job, states in now.jobs.items()
    }
    numbers = {
        "planned": now.planned, "done": len(now.done), "failed": len(now.failed), "unfinished": len(now.unfinished),
        "paused": len(now.paused), "jobs": kinds if json else "; ".join(f"{job}: {text}" for job, text in kinds.items()),
        "results": list(now.results) if json else ", ".join(now.results),
    }  # fmt: skip
    for row, reason in now.failed.items():
        sys.stderr.write(f"failed, row {row}: {reason}\n")
    for row, kind in now.paused.items():
        sys.stderr.write(f"paused, row {row}: {kind} too often; rom resume --force tries again\n")
    show(numbers, {}, json)


@app.command(epilog="Example: rom cancel run")
@guarded
def cancel(folder: Folder, json: Json = False, verbose: Verbose = False) -> None:
    """Takes a run's jobs out of the queue; what is solved stays, rom resume goes on."""
    from rom.batch import cancelled

    show({"cancelled": cancelled(folder)}, {}, json)


@app.command(epilog="Example: rom logs run --part 3")
@guarded
def logs(
    folder: Folder,
    part: Annotated[int | None, typer.Option(min=0, help="Of one part of the arrays.")] = None,
    verbose: Verbose = False,
) -> None:
    """The ends of the logs of a run."""
    from rom.batch import logs as ends

    for name, text in ends(folder, part).items():
        sys.stdout.write(f"==> {name} <==\n{text}\n")


def _handed(folder: Path, jobs: list[tuple[str, str]], dry: bool, json: bool) -> None:
    if dry:
        sys.stdout.write("\n".join(text for _, text in jobs))
    else:
        show({"run": str(folder), "jobs": [job for job, _ in jobs]}, {}, json)


def _terminated(number: int, frame: Any) -> None:
    """SIGTERM as an exception that no solve catches, so that claims are given back before the end."""
    raise KeyboardInterrupt


def _designed(box: Box | None, design: str, n: int, seed: int) -> np.ndarray:
    from rom.sample import designs

    if box is None:
        raise BadInput("the case has no box to sample; define box = Box(...) beside solve, or give the parameters: --csv FILE")
    known = {"sobol": designs.sobol, "lhs": designs.latin_hypercube}
    if design == "grid":
        return designs.grid(box, n)
    if design not in known:
        raise BadInput(f"no design {design!r}; known: sobol, lhs, grid")
    return known[design](box, n, seed)


def _spanned(table: Path | None, mus: np.ndarray) -> Box | None:
    """The box that a table of parameters spans, with the names of its header."""
    import csv

    if table is None or (np.ptp(mus, axis=0) == 0).any():
        return None
    with open(table, newline="") as file:
        header = [entry.split("[") for entry in next(csv.reader(file))]
    units = tuple(entry[1].rstrip("] ") if len(entry) > 1 else "1" for entry in header)
    return Box(tuple(entry[0].strip() for entry in header), mus.min(axis=0), mus.max(axis=0), units)


def _model(made: Any, basis: Any, snapshots: Any, box: Box | None, regress: bool, seed: int) -> tuple[Any, str]:
    from rom.pipeline import certified, certified_unsteady
    from rom.regress.field_gp import field_gp

    if made is not None and made.A is not None and made.f is not None and not regress:
        if made.M is not None and made.times is not None:
            return certified_unsteady(made, basis), "unsteady Galerkin"
        return certified(
            made, basis
        ), "Galerkin with a certified bound" if made.stability is not None else "Galerkin without a bound"
    model = field_gp(snapshots, basis, box, seed)
    whole = model.gathered() if basis.space.comm is not None else model
    return whole, "Gaussian-process regression"


def _units(box: Box | None) -> dict[str, str]:
    return {} if box is None else dict(zip(box.names, box.units, strict=True))


def _stem(case: str) -> str:
    return Path(case).stem if case.endswith(".py") or Path(case).is_dir() else case.rpartition(".")[2]
