"""Starting from a shell: exit codes, and the command line of a case."""

from __future__ import annotations

import functools
import inspect
import logging
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from rom.cli.failures import INTERRUPTED, report_failure, report_interrupt
from rom.cli.ranks import end_all, rank, world
from rom.cli.tables import show_numbers
from rom.errors import (
    BadInput,
    DamagedFile,
    ForeignFile,
    MissingExtra,
    NotConverged,
    NotSubmitted,
    NotWritten,
    Singular,
    SolveFailed,
    printable,
)

__all__ = ["CODES", "Json", "Verbose", "exit_code", "guard", "log_to_stderr", "run", "world"]
CODES: dict[type[Exception], int] = {
    BadInput: 2, SolveFailed: 3, NotConverged: 3, Singular: 3, DamagedFile: 4, ForeignFile: 4,
    MissingExtra: 5, NotWritten: 6, NotSubmitted: 6,
}  # fmt: skip
OTHER_ERROR = 1
USAGE = typer.BadParameter.__bases__  # what a command line gets wrong: typer says it itself

Json = Annotated[
    bool, typer.Option("--json", help="One JSON object on the last line instead of a table.")
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say what is being done; show tracebacks.")
]


def exit_code(error: BaseException) -> int:
    """Exit code of an error.

    2 bad input, 3 failed solve, 4 damaged or foreign file, 5 missing extra, 6 not written or
    submitted, 1 others.
    """
    for kind, number in CODES.items():
        if isinstance(error, kind):
            return number
    return OTHER_ERROR


def guard(command: Callable[..., Any]) -> Callable[..., Any]:
    """`command(..., verbose)` with this package's errors as one line and an exit code.

    On all ranks; with a traceback if verbose. Ctrl-C says what is kept, exit code 130.
    """

    @functools.wraps(command)
    def call(*args: Any, verbose: bool = False, **settings: Any) -> Any:
        """The command, guarded."""
        try:
            log_to_stderr(verbose)
            return command(*args, verbose=verbose, **settings)
        except (typer.Exit, typer.Abort, *USAGE):
            raise
        except KeyboardInterrupt:
            report_interrupt(command.__name__)
            end_all(INTERRUPTED)
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            report_failure(error, verbose)
            end_all(exit_code(error))
            raise typer.Exit(exit_code(error)) from None

    return call


def run(main: Callable[..., Mapping[str, Any]], units: Mapping[str, str] | None = None) -> None:
    """The command line of a case: typed parameters of `main` become options.

    Its numbers become a table, or JSON on the last line.
    units : name -> unit of the numbers; a parameter `comm` of `main` receives `world()` and is
    no option. Exits with 0, or with the code of the error (see `exit_code`).
    """
    parameters = inspect.signature(main, eval_str=True).parameters
    takes_comm = "comm" in parameters

    def command(*, as_json: bool, verbose: bool, **settings: Any) -> None:
        """`main`, and its numbers shown."""
        comm = world()
        if takes_comm:
            settings["comm"] = comm
        numbers = main(**settings)
        show_numbers(dict(numbers), units or {}, as_json)

    options = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in parameters.items()
        if name != "comm"
    ]
    options += [_switch("as_json", Json), _switch("verbose", Verbose)]
    call: Any = guard(command)
    call.__signature__ = inspect.Signature(options)
    call.__annotations__ = {option.name: option.annotation for option in options}
    call.__doc__ = main.__doc__
    del call.__wrapped__
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(call)
    app()


def _switch(name: str, annotation: Any) -> inspect.Parameter:
    """An option that is off unless it is given."""
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=False, annotation=annotation)


class _Printable(logging.Formatter):
    """Messages without control characters."""

    def format(self, record: logging.LogRecord) -> str:
        """The message of a record."""
        return printable(super().format(record))


def log_to_stderr(verbose: bool) -> None:
    """Messages of logger "rom" on stderr: warnings, with `verbose` also progress."""
    label = f"rank {rank()}: " if rank() else ""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Printable(f"%(levelname).1s {label}%(message)s"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("rom").setLevel(logging.INFO if verbose else logging.WARNING)
