"""`rom submit`, `resume`, `status`, `cancel`, `logs`: a campaign on a cluster."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from rom.cli.launch import Json, Verbose, guard
from rom.cli.options import (
    Case,
    Count,
    Design,
    Seed,
    Settings,
    Table,
    parameters_to_solve,
    stem,
)
from rom.cli.tables import show_numbers
from rom.cli.targets import check_store
from rom.errors import printable
from rom.io.answer_columns import parameter_headings

app = typer.Typer()
Folder = Annotated[Path, typer.Argument(help="The folder of a run, as given to rom submit.")]


@app.command(
    "submit", epilog="Example: rom submit all solver.py --profile hpc/slurm.toml --n 512 --out run"
)
@guard
def submit_command(
    stage: Annotated[str, typer.Argument(help="collect, reduce, study, or all of them.")],
    case: Case,
    *,
    profile: Annotated[Path, typer.Option(help="TOML file of the site; see hpc/.")],
    n: Count = 32,
    design: Design = "sobol",
    csv: Table = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run. Default: CASE.run")] = None,
    tol: Annotated[float, typer.Option(min=0.0, help="Of the model.")] = 1e-4,
    regress: Annotated[
        bool, typer.Option(help="Train a regression even where the case has A and f.")
    ] = False,
    tests: Annotated[int, typer.Option(min=1, help="Fresh parameters of the study.")] = 20,
    seed: Seed = 0,
    settings: Settings = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the batch scripts, submit nothing.")
    ] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """A campaign as job arrays, then jobs for model and study that wait for it.

    The same on this machine with scheduler = "local".
    """
    from rom.batch import Run, create_run, read_profile, submit_stage
    from rom.cli.case import load_problem

    check_store(out)
    site = read_profile(profile)
    problem = load_problem(case, settings or ())
    mus, box = parameters_to_solve(problem.box, csv, design=design, n=n, seed=seed)
    reduce = ["--tol", f"{tol:g}"]
    if regress:
        reduce.append("--regress")
    run = create_run(
        Run(
            out or Path(f"{stem(case)}.run"),
            str(Path(case).resolve()) if case.endswith(".py") else case,
            str(Path.cwd()),
            tuple(settings or ()),
            tuple(parameter_headings(box, mus.shape[1])),
            mus,
            site,
            reduce=tuple(reduce),
            study=("--n", str(tests)),
        )
    )
    jobs = submit_stage(run, stage, dry=dry_run)
    if dry_run:
        sys.stdout.write(printable("\n".join(text for _, text in jobs)))
    else:
        _show_jobs(run.folder, jobs, json)


@app.command("resume", epilog="Example: rom resume run")
@guard
def resume_command(
    folder: Folder,
    profile: Annotated[
        Path | None, typer.Option(help="Another profile, as for a longer time limit.")
    ] = None,
    force: Annotated[
        bool, typer.Option(help="Also what failed as often as the profile allows.")
    ] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Submit exactly what is unfinished and not in the queue.

    Failures are tried again as the profile's retry allows.
    """
    from rom.batch import open_run, read_profile, resume_run

    run = open_run(folder)
    if profile is not None:
        run = replace(run, site=read_profile(profile))
    _show_jobs(folder, resume_run(run, force=force), json)


@app.command("status", epilog="Example: rom status run")
@guard
def status_command(folder: Folder, json: Json = False, verbose: Verbose = False) -> None:
    """What of a run is done, failed and why, paused, in the queue."""
    from rom.batch import read_status

    now = read_status(folder)
    jobs = {job: _count_states(states) for job, states in now.jobs.items()}
    numbers = {
        "planned": now.planned,
        "done": len(now.done),
        "failed": len(now.failed),
        "unfinished": len(now.unfinished),
        "paused": len(now.paused),
        "jobs": jobs if json else "; ".join(f"{job}: {text}" for job, text in jobs.items()),
        "results": list(now.results) if json else ", ".join(now.results),
    }
    for row, reason in now.failed.items():
        sys.stderr.write(printable(f"failed, row {row}: {reason}\n"))
    for row, kind in now.paused.items():
        sys.stderr.write(
            printable(f"paused, row {row}: {kind} too often; rom resume --force tries again\n")
        )
    show_numbers(numbers, {}, json)


@app.command("cancel", epilog="Example: rom cancel run")
@guard
def cancel_command(folder: Folder, json: Json = False, verbose: Verbose = False) -> None:
    """Takes a run's jobs out of the queue; what is solved stays, rom resume goes on."""
    from rom.batch import cancel_run

    show_numbers({"cancelled": cancel_run(folder)}, {}, json)


@app.command("logs", epilog="Example: rom logs run --part 3")
@guard
def logs_command(
    folder: Folder,
    part: Annotated[int | None, typer.Option(min=0, help="Of one part of the arrays.")] = None,
    verbose: Verbose = False,
) -> None:
    """The ends of the logs of a run."""
    from rom.batch import read_logs

    for name, text in read_logs(folder, part).items():
        sys.stdout.write(printable(f"==> {name} <==\n{text}\n"))


def _count_states(states: list[str]) -> str:
    """ "3 running, 1 waiting", or "ended" of a job that the queue forgot."""
    counts = [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
    return ", ".join(counts) or "ended"


def _show_jobs(folder: Path, jobs: list[tuple[str, str]], json: bool) -> None:
    numbers = {"run": str(folder), "jobs": [job for job, _ in jobs]}
    show_numbers(numbers, {}, json)
