"""The `rom` command.

init; collect, train, predict, serve, study, report, sensitivity, inspect, view, export; ingest,
shapes; submit, resume, status, cancel, logs.

Exit codes: 0 done; 1 an error of the solver or of this package, or a bound that an error beats;
2 bad usage or input; 3 failed solves; 4 a damaged or foreign file; 5 a missing optional
dependency; 6 a file that could not be written, or a job not submitted; 7 the time was over, run
again; 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from rom import __version__
from rom.cli.launch import run, world

__all__ = ["COMMANDS", "app", "run", "world"]
# command -> the module of rom.cli whose `app` has it, imported when it is called; what --help says
COMMANDS = {
    "ingest": ("ingest", "Results of another code as a file to train on, or a run of a campaign."),
    "init": ("init", "A commented case to put your own solver into; it runs as it is."),
    "collect": ("collect", "Solve the case at designed parameters into a store, on all ranks."),
    "train": ("train", "A model in one file, of the kind that is asked for."),
    "reduce": ("reduce", "POD of a store, then a model of its coefficients; one file."),
    "predict": (
        "predict",
        "Fields, outputs and what is known of their error, from the model file alone.",
    ),
    "serve": ("serve", "Answers in JSON over HTTP, until it is interrupted."),
    "study": ("study", "Error, bound and speed-up of a model against its solver or stored runs."),
    "report": (
        "study",
        "One HTML file about a model: what it asks, tells, and knows of its error.",
    ),
    "sensitivity": (
        "sensitivity",
        "Sobol indices of an output or a field value, with intervals.",
    ),
    "inspect": ("files", "What a file or store holds: shapes, units, asked and delivered."),
    "view": (
        "files",
        "A window with the fields side by side, or a picture where there is no display.",
    ),
    "export": (
        "files",
        "Snapshots, modes, bases, answers or meshes in the file of another program.",
    ),
    "submit": (
        "jobs",
        "A campaign as job arrays, then jobs for model and study that wait for it.",
    ),
    "resume": ("jobs", "Submit exactly what is unfinished and not in the queue."),
    "status": ("jobs", "What of a run is done, failed and why, paused, in the queue."),
    "cancel": (
        "jobs",
        "Takes a run's jobs out of the queue; what is solved stays, rom resume goes on.",
    ),
    "logs": ("jobs", "The ends of the logs of a run."),
    "shapes": ("shapes", "Fields on meshes that all differ: files in, fields out."),
}


class _Commands(TyperGroup):
    """The commands, each imported when it is called; their list imports none."""

    listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, in the order of --help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name, or what --help needs of it."""
        if cmd_name not in COMMANDS:
            return None
        module, line = COMMANDS[cmd_name]
        if self.listing:
            return TyperCommand(cmd_name, help=line)
        group = get_group(import_module(f"rom.cli.{module}").app)
        return group if cmd_name == module == "shapes" else group.commands[cmd_name]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The list of commands."""
        with self._listed():
            super().format_help(ctx, formatter)

    @contextmanager
    def _listed(self) -> Iterator[None]:
        self.listing = True
        try:
            yield
        finally:
            self.listing = False


app = typer.Typer(
    name="rom",
    cls=_Commands,
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
