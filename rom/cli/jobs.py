"""`rom submit`, `resume`, `status`, `cancel`, `logs`: a campaign in the queue of a cluster."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from rom.cli.launch import Json, Verbose, guard, show_numbers
from rom.cli.options import Case, Seed, Settings, Table, design_parameters, span_box, stem
from rom.cli.scenes import headings

app = typer.Typer()
Folder = Annotated[Path, typer.Argument(help="The folder of a run, as given to rom submit.")]


@app.command(
    "submit", epilog="Example: rom submit all solver.py --profile hpc/slurm.toml --n 512 --out run"
)
@guard
def submit_command(
    stage: Annotated[str, typer.Argument(help="collect, reduce, study, or all of them.")],
    case: Case,
    profile: Annotated[Path, typer.Option(help="TOML file of the site; see hpc/.")],
    n: Annotated[
        int, typer.Option(min=1, help="Parameters to solve; with --design grid, points per axis.")
    ] = 32,
    design: Annotated[str, typer.Option(help="sobol, lhs or grid.")] = "sobol",
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
    """A campaign as job arrays, then jobs for model and study that wait for it; the same on this machine with scheduler = "local"."""
    from rom.batch.profile import read_profile as site_of
    from rom.batch.runs import Run, create_run, submit_stage
    from rom.cli.case import load_problem, parameters

    site = site_of(profile)
    made = load_problem(case, settings or ())
    mus = (
        parameters((), csv, made.box)
        if csv is not None
        else design_parameters(made.box, design, n, seed)
    )
    names = headings(made.box if made.box is not None else span_box(csv, mus), mus.shape[1])
    path = str(Path(case).resolve()) if case.endswith(".py") else case
    later = {
        "reduce": ("--tol", f"{tol:g}", *(("--regress",) if regress else ())),
        "study": ("--n", str(tests)),
    }
    run_ = create_run(
        Run(
            out or Path(f"{stem(case)}.run"),
            path,
            str(Path.cwd()),
            tuple(settings or ()),
            tuple(names),
            mus,
            site,
            **later,
        )
    )
    _handed(run_.folder, submit_stage(run_, stage, dry=dry_run), dry_run, json)


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
    """Submits exactly what is unfinished and not in the queue; failures as the profile's retry allows."""
    from rom.batch.profile import read_profile as site_of
    from rom.batch.runs import open_run, resume_run

    run_ = open_run(folder)
    _handed(
        folder,
        resume_run(run_ if profile is None else replace(run_, site=site_of(profile)), force=force),
        False,
        json,
    )


@app.command("status", epilog="Example: rom status run")
@guard
def status_command(folder: Folder, json: Json = False, verbose: Verbose = False) -> None:
    """What of a run is done, failed and why, paused, in the queue."""
    from rom.batch.runs import read_status as asked

    now = asked(folder)
    kinds = {
        job: ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(states)) or "ended"
        for job, states in now.jobs.items()
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
    show_numbers(numbers, {}, json)


@app.command("cancel", epilog="Example: rom cancel run")
@guard
def cancel_command(folder: Folder, json: Json = False, verbose: Verbose = False) -> None:
    """Takes a run's jobs out of the queue; what is solved stays, rom resume goes on."""
    from rom.batch.runs import cancel_run

    show_numbers({"cancelled": cancel_run(folder)}, {}, json)


@app.command("logs", epilog="Example: rom logs run --part 3")
@guard
def logs_command(
    folder: Folder,
    part: Annotated[int | None, typer.Option(min=0, help="Of one part of the arrays.")] = None,
    verbose: Verbose = False,
) -> None:
    """The ends of the logs of a run."""
    from rom.batch.runs import read_logs as ends

    for name, text in ends(folder, part).items():
        sys.stdout.write(f"==> {name} <==\n{text}\n")


def _handed(folder: Path, jobs: list[tuple[str, str]], dry: bool, json: bool) -> None:
    if dry:
        sys.stdout.write("\n".join(text for _, text in jobs))
    else:
        show_numbers({"run": str(folder), "jobs": [job for job, _ in jobs]}, {}, json)
