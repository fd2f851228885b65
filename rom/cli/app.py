"""The `rom` command.

init; collect, train, predict, study, report, inspect, view, export; ingest, shapes; submit,
resume, status, cancel, logs.

Exit codes: 0 done; 1 an error of the solver or of this package, or a bound that an error beats;
2 bad usage or input; 3 failed solves; 4 a damaged or foreign file; 5 a missing optional
dependency; 6 a file that could not be written, or a job not submitted; 7 the time was over, run
again; 130 interrupted.
"""

from __future__ import annotations

from typing import Annotated

import typer

from rom import __version__
from rom.cli import collect, files, init, jobs, predict, reduce, shapes, study, train
from rom.cli.ingest import ingest_command
from rom.cli.launch import run, world

__all__ = ["app", "run", "world"]

app = typer.Typer(
    name="rom",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Reduced-order models from your own solver: rom COMMAND --help shows examples. "
    "CASE is a module or a .py file.",
    epilog="Exit codes: 0 done, 1 error in a solver, 2 bad usage or input, 3 failed solves, "
    "4 damaged or foreign file, 5 missing extra, 6 not written or not submitted, "
    "7 time over, run again, 130 interrupted.",
)


def _say_version(wish: bool) -> None:
    if wish:
        typer.echo(f"rom-platform {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Say it and stop."),
    ] = False,
) -> None:
    """Options before any command."""


for group in (init, collect, train, reduce, predict, study, files):
    app.add_typer(group.app)
app.command(
    "ingest",
    epilog="Example: rom ingest step*.vtu --field displacement=m --integration stress=Pa "
    "--positions x --out history.h5",
)(ingest_command)
app.add_typer(jobs.app)
app.add_typer(shapes.app)
