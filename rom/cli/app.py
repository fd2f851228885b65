"""The `rom` command: collect, reduce, predict, study, inspect, view, export; ingest, shapes; submit, status, resume, cancel, logs.

Exit codes: 0 done; 1 an error of the solver or of this package; 2 bad usage or input; 3 failed solves; 4 a damaged or foreign file;
5 a missing optional dependency; 6 a file that could not be written, or a job not submitted; 7 the time was over, run again.
"""

from __future__ import annotations

import typer

from rom.cli.files import app as files
from rom.cli.ingest import ingest_command
from rom.cli.jobs import app as batches
from rom.cli.launch import run, world
from rom.cli.models import app as models
from rom.cli.shapes import app as shapes

__all__ = ["app", "run", "world"]

app = typer.Typer(
    name="rom",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Reduced-order models from your own solver: rom COMMAND --help shows examples. CASE is a module or a .py file.",
    epilog="Exit codes: 0 done, 1 error in a solver, 2 bad usage or input, 3 failed solves, 4 damaged or foreign file, 5 missing extra, 6 not written or not submitted, 7 time over, run again.",
)
app.add_typer(models)
app.add_typer(files)
app.command(
    "ingest",
    epilog="Example: rom ingest step*.vtu --field displacement=m --integration stress=Pa --positions x --out history.h5",
)(ingest_command)
app.add_typer(batches)
app.add_typer(shapes)
