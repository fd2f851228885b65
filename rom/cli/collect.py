"""`rom collect`: solve a case at designed parameters into a store."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from rom.cli.campaigns import check_limit, collect_problem, interrupt_on_end, pilot_crew
from rom.cli.enrichment import MODES, Enriched, enrich
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
from rom.cli.ranks import rank, world
from rom.cli.tables import show_numbers
from rom.cli.targets import check_store
from rom.cli.training import Plan, save_training
from rom.errors import BadInput, printable

if TYPE_CHECKING:
    from rom.campaign import Campaign
    from rom.problem import Problem

app = typer.Typer()
SOLVES_FAILED = 3


@app.command("collect", epilog="Example: mpiexec -n 4 rom collect solver.py --n 64 --out runs")
@guard
def collect_command(
    case: Case,
    *,
    n: Count = 32,
    design: Design = "sobol",
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
    until: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Go on with the run where the model says that it is worst, until its relative "
            "bound or deviation is below this everywhere, or --n runs are planned.",
        ),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="With --until: file of the model. Default: CASE.rom.h5")
    ] = None,
    first: Annotated[
        int, typer.Option(min=0, help="With --until: runs before the first model. Default: 2 p + 3")
    ] = 0,
    regress: Annotated[
        bool, typer.Option(help="With --until: a regression even where the case has A and f.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep samples though the solver's files have changed.")
    ] = False,
    seed: Seed = 0,
    settings: Settings = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Solve the case at designed parameters into a store, on all ranks.

    What is solved stays solved.
    """
    from rom.batch.plan import parse_rows
    from rom.cli.case import load_problem

    check_store(out)
    _check_together(limit=limit, workers=workers, until=until, rows=rows)
    comm = None if workers else world()
    problem = load_problem(case, settings or ())
    start = n if until is None else first_runs(problem, n, first)
    mus, box = parameters_to_solve(problem.box, csv, design=design, n=start, seed=seed)
    path = out or Path(f"{stem(case)}.store")
    interrupt_on_end()
    collect_runs = partial(
        collect_problem,
        problem,
        path,
        comm=comm,
        box=box,
        keep=keep,
        retries=retries,
        only=None if rows is None else np.array(parse_rows(rows, len(mus))),
        crew=pilot_crew(case, settings, workers, limit),
    )
    if until is not None:
        plan = Plan(tol=MODES * until, kind="regression" if regress else "auto", seed=seed)
        search = _within(seconds, collect_runs)
        state = enrich(search, problem, path, mus, until=until, most=n, plan=plan)
        target = model or Path(f"{stem(case)}.rom.h5")
        training = state.training
        saved = {} if training is None else save_training(target, training, case, settings)
        _show_enriched(state, until, saved, json)
        return
    campaign = collect_runs(mus, seconds=seconds)
    _show_campaign(campaign, path, json)
    if campaign.left and not campaign.solved and not campaign.failed:
        raise BadInput(f"{seconds:g} s do not suffice for one solve; give more time to a part")
    _exit_unless_complete(campaign)


def _check_together(
    *, limit: float | None, workers: int, until: float | None, rows: str | None
) -> None:
    """Raises BadInput where options do not go together."""
    check_limit(limit, workers)
    if until is not None and rows is not None:
        raise BadInput("--until chooses the rows; leave --rows out")


def _within(seconds: float | None, collect_runs: Callable[..., Campaign]) -> Any:
    """mus -> Campaign, all campaigns together within the time from now."""
    end = None if seconds is None else time.monotonic() + seconds

    def search(mus: np.ndarray) -> Campaign:
        """The campaign of mus in what is left of the time."""
        left = None if end is None else max(end - time.monotonic(), 0.0)
        return collect_runs(mus, seconds=left)

    return search


def first_runs(problem: Problem, n: int, first: int) -> int:
    """Runs before the first model, 2 p + 3 where nothing is said."""
    p = 0 if problem.box is None else problem.box.p
    return min(n, first or 2 * p + 3)


def _show_enriched(state: Enriched, until: float, model: dict[str, Any], json: bool) -> None:
    """Runs, the largest indicator and where; exit code 7 above the tolerance."""
    from rom.batch.script import STOPPED

    numbers = model | {
        "runs": state.runs,
        "failed": len(state.campaign.failed),
        "left": state.campaign.left,
        "until": until,
        "indicator": state.indicator,
        "indicator is": state.known,
        "worst at": [float(value) for value in state.mu],
    }
    show_numbers(numbers, {"indicator": "of the rms size of the state"}, json)
    if state.indicator > until and not state.campaign.left:
        if rank() == 0:
            sys.stderr.write(
                f"{state.indicator:.3g} is above {until:g} after {state.runs} runs: "
                "give a larger --n\n"
            )
        raise typer.Exit(STOPPED)
    _exit_unless_complete(state.campaign)


def _show_campaign(campaign: Campaign, path: Path, json: bool) -> None:
    numbers = {
        "store": str(path),
        "solved": campaign.solved,
        "skipped": campaign.skipped,
        "failed": len(campaign.failed),
        "left": campaign.left,
        "seconds": campaign.seconds,
    }
    for mu, reason in campaign.failed if rank() == 0 else ():
        sys.stderr.write(printable(f"failed at mu = {mu}: {reason}\n"))
    show_numbers(numbers, {"seconds": "s"}, json)


def _exit_unless_complete(campaign: Campaign) -> None:
    """Exit code 7 where the time was over, 3 where solves failed."""
    from rom.batch.script import STOPPED

    if campaign.left:
        if rank() == 0:
            sys.stderr.write(
                f"{campaign.left} solves are unfinished: the time is over; run again\n"
            )
        raise typer.Exit(STOPPED)
    if campaign.failed:
        raise typer.Exit(SOLVES_FAILED)
