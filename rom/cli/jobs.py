"""`rom submit`, `resume`, `status`, `cancel`, `logs`: a campaign on a cluster."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from rom.cli.collect import first_runs
from rom.cli.launch import Json, Verbose, guard
from rom.cli.options import (
    Count,
    Design,
    Seed,
    Settings,
    Table,
    parameters_to_solve,
    stem,
)
from rom.cli.reduce import check_model_options, choose_kind
from rom.cli.solid_training import solid_function
from rom.cli.tables import show_numbers
from rom.cli.targets import check_store
from rom.cli.training import DEFAULT_TOL, KINDS, check_kind
from rom.errors import BadInput, printable
from rom.io.answer_columns import parameter_headings

app = typer.Typer()
STAGE_FAILED = 1  # exit code of rom status
PAUSES = {  # kind of failure -> what happened, what to do
    "node": ("its node failed", "ask the site"),
    "preempted": ("another job took its place", "choose another partition with --profile"),
    "timeout": ("it took longer than its time", "give more time with --profile"),
    "memory": ("it took more than its memory", "give more memory with --profile"),
    "transient": ("a file, a licence or a connection failed", "see that it is there"),
    "solver": ("its solve failed", "correct the case"),
    "unknown": ("its job ended without a reason", "look at rom logs"),
}
Folder = Annotated[Path, typer.Argument(help="The folder of a run, as given to rom submit.")]


@app.command(
    "submit", epilog="Example: rom submit all solver.py --profile hpc/slurm.toml --n 512 --out run"
)
@guard
def submit_command(
    stage: Annotated[str, typer.Argument(help="collect, train, study, or all of them.")],
    case: Annotated[
        str, typer.Argument(help="A case; for train also a folder, as rom train takes it.")
    ],
    *,
    profile: Annotated[Path, typer.Option(help="TOML file of the site; see hpc/.")],
    n: Count = 32,
    design: Design = "sobol",
    csv: Table = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run. Default: CASE.run")] = None,
    kind: Annotated[str, typer.Option(help="Of the model, as rom train has it.")] = "auto",
    train: Annotated[
        str, typer.Option(help='More options of rom train: --train "--rank 5 --local 3".')
    ] = "",
    tol: Annotated[float | None, typer.Option(min=0.0, help="Of the model. Default: 1e-4")] = None,
    regress: Annotated[bool, typer.Option(help="The same as --kind regression.")] = False,
    until: Annotated[
        float | None,
        typer.Option(min=0.0, help="As of rom collect: a search for --n runs at most, one job."),
    ] = None,
    first: Annotated[int, typer.Option(min=0, help="With --until: runs before the model.")] = 0,
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
    from rom.batch import Run, check_stage, create_run, read_profile, submit_stage
    from rom.cli.case import load_problem

    check_store(out)
    _show_progress()
    site = read_profile(profile)
    kind = choose_kind(kind, regress)
    words = _train_words(train, tol, kind, case)
    search: tuple[str, ...] = ()
    if until is not None:
        search = _search_words((until, n, seed), kind, tol=tol, train=train)
        n = first_runs(load_problem(case, settings or ()), n, first)
    names, mus = _rows(case, kind, csv, (design, n, seed), settings)
    _check_training(case, kind, words, settings)
    run = Run(
        out or Path(f"{stem(case)}.run"),
        str(Path(case).resolve()) if case.endswith(".py") or Path(case).is_dir() else case,
        str(Path.cwd()),
        tuple(settings or ()),
        names,
        mus,
        site,
        reduce=words,
        study=("--n", str(tests)),
        kind=kind,
        search=search,
    )
    check_stage(run, stage)
    run = create_run(run)
    jobs = submit_stage(run, stage, dry=dry_run)
    if dry_run:
        sys.stdout.write(printable("\n".join(text for _, text in jobs)))
    else:
        _show_jobs(run.folder, jobs, json)


def _search_words(
    limits: tuple[float, int, int], kind: str, *, tol: float | None, train: str
) -> tuple[str, ...]:
    """The options of collect --until. Raises BadInput where others do not fit to it."""
    if kind not in ("auto", "regression"):
        raise BadInput(f"--until searches with --kind auto or regression, not {kind}")
    if tol is not None or train:
        raise BadInput("--until trains to its own tolerance; leave --tol and --train out")
    until, most, seed = limits
    words = ("--until", f"{until:g}", "--n", str(most), "--seed", str(seed))
    return (*words, "--regress") if kind == "regression" else words


def _train_words(text: str, tol: float | None, kind: str, case: str) -> tuple[str, ...]:
    """The options of rom train: those given in one text, and the tolerance."""
    words = shlex.split(text)
    if tol is None and _has_rows(case, kind) and not {"--tol", "--rank"} & set(words):
        tol = DEFAULT_TOL
    return (*words, *(() if tol is None else ("--tol", f"{tol:g}")))


def _has_rows(case: str, kind: str) -> bool:
    """Whether a model is trained on runs of a solver that rom collect has to make."""
    return kind in KINDS and not Path(case).is_dir()


def _rows(
    case: str,
    kind: str,
    csv: Path | None,
    design: tuple[str, int, int],
    settings: list[str] | None,
) -> tuple[tuple[str, ...], np.ndarray]:
    """Names and values (m, p) of the parameters to solve; none without a solver."""
    from rom.cli.case import load_problem

    if not _has_rows(case, kind):
        return (), np.zeros(0)
    problem = load_problem(case, settings or ())
    check_kind(problem, kind)
    name, n, seed = design
    mus, box = parameters_to_solve(problem.box, csv, design=name, n=n, seed=seed)
    return tuple(parameter_headings(box, mus.shape[1])), mus


def _check_training(
    case: str, kind: str, words: tuple[str, ...], settings: list[str] | None
) -> None:
    """Raises now what rom train would raise of its words in the job."""
    from rom.cli.train import training_context

    sets = [word for text in settings or () for word in ("--set", text)]
    context = training_context(kind, [case, *words, *sets])
    if kind in KINDS:
        check_model_options(context.params)
    elif kind == "solid":
        solid_function(case)


def _show_progress() -> None:
    """What the jobs on this machine do, on stderr."""
    logging.getLogger("rom.progress").setLevel(logging.INFO)


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

    _show_progress()
    run = open_run(folder)
    if profile is not None:
        run = replace(run, site=read_profile(profile))
    _show_jobs(folder, resume_run(run, force=force), json)


@app.command("status", epilog="Example: rom status run")
@guard
def status_command(folder: Folder, json: Json = False, verbose: Verbose = False) -> None:
    """What of a run is done, failed and why, paused, in the queue.

    Exit code 1 where a stage failed.
    """
    from rom.batch import open_run, read_status

    now = read_status(folder)
    jobs = {job: _count_states(states) for job, states in now.jobs.items()}
    numbers = {
        "planned": now.planned,
        "done": len(now.done),
        "failed": len(now.failed),
        "unfinished": len(now.unfinished),
        "paused": len(now.paused),
        "stages": now.stages if json else _join(now.stages),
        "jobs": jobs if json else _join(jobs),
        "results": list(now.results) if json else ", ".join(now.results),
    }
    for row, reason in now.failed.items():
        sys.stderr.write(printable(f"failed, row {row}: {reason}\n"))
    site = open_run(folder).site
    for row, kind in now.paused.items():
        why = _explain_pause(kind, site.tries(kind), folder)
        sys.stderr.write(printable(f"paused, row {row}: {why}\n"))
    for stage in now.broken:
        sys.stderr.write(
            printable(
                f"{stage} {now.stages[stage]}: rom logs {folder} says why; "
                f"correct it, then rom resume {folder}\n"
            )
        )
    show_numbers(numbers, {}, json)
    if now.broken:
        raise typer.Exit(STAGE_FAILED)


def _join(texts: Mapping[str, str]) -> str:
    """ "17: ended; 18: 1 waiting"."""
    return "; ".join(f"{name}: {text}" for name, text in texts.items())


def _explain_pause(kind: str, tries: int, folder: Path) -> str:
    """What happened to a paused row, and what to do."""
    what, remedy = PAUSES[kind]
    times = "is not tried again" if tries == 0 else f"is not tried more than {tries} times again"
    return f"{what}, which {times} (retry.{kind}); {remedy}, then rom resume {folder} --force"


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
