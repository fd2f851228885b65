"""Starting from a shell: ranks, exit codes, and the command line of a case."""

from __future__ import annotations

import functools
import inspect
import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from rom.errors import (
    BadInput,
    DamagedFile,
    ForeignFile,
    MissingExtra,
    NotConverged,
    NotSubmitted,
    NotWritten,
    RomError,
    Singular,
    SolveFailed,
)

CODES: dict[type[Exception], int] = {
    BadInput: 2, SolveFailed: 3, NotConverged: 3, Singular: 3, DamagedFile: 4, ForeignFile: 4, MissingExtra: 5, NotWritten: 6, NotSubmitted: 6,
}  # fmt: skip
SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MPI_LOCALNRANKS")
RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK")

Json = Annotated[
    bool, typer.Option("--json", help="One JSON object on the last line instead of a table.")
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say what is being done; show tracebacks.")
]


def rank() -> int:
    """Rank of this process, from the launcher's environment."""
    return next((int(os.environ[name]) for name in RANKS if os.environ.get(name, "").isdigit()), 0)


def place() -> float:
    """Share of this job's processes that come before this one, whether or not they talk to each other: 0 for the first."""
    first = next(
        (int(os.environ[n]) for n in (*RANKS, "SLURM_PROCID") if os.environ.get(n, "").isdigit()), 0
    )
    count = next(
        (
            int(os.environ[n])
            for n in (*SIZES[:2], "SLURM_NTASKS")
            if os.environ.get(n, "").isdigit()
        ),
        1,
    )
    return first / max(count, first + 1)


def world() -> Any:
    """COMM_WORLD under a launcher with several ranks, else None; imports mpi4py only there.

    From then on an exception that nobody catches aborts all ranks, so that none waits for the one that failed; a rank that is killed,
    or stands still for ROM_PATIENCE seconds (5) under SIGSTOP, is named with its sample, and the job ends.
    """
    sizes = [os.environ[name] for name in SIZES if name in os.environ]
    if (sizes and int(sizes[0]) < 2) or not (sizes or "PMIX_RANK" in os.environ):
        return None
    from rom.campaign.witness import start_witness

    try:
        from mpi4py import MPI
    except ImportError as error:
        raise MissingExtra(
            f"several ranks need mpi4py ({error}); run: pip install 'rom-platform[mpi]'"
        ) from error
    if MPI.COMM_WORLD.Get_size() < 2:
        return None
    sys.excepthook = _abort
    start_witness(MPI.COMM_WORLD)
    return MPI.COMM_WORLD


def _abort(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    traceback.print_exception(kind, error, trace)
    _end(1)


def _end(code: int) -> None:
    """Abort all ranks with `code`; does nothing in a serial run."""
    sys.stderr.flush()
    if "mpi4py.MPI" in sys.modules:
        from mpi4py import MPI

        from rom.campaign.witness import ABORTED, note

        if MPI.Is_initialized() and not MPI.Is_finalized() and MPI.COMM_WORLD.Get_size() > 1:
            note(ABORTED)
            time.sleep(0.5)  # launchers drop what they have not forwarded yet when a rank aborts
            MPI.COMM_WORLD.Abort(code)


def code(error: BaseException) -> int:
    """Exit code of an error: 2 bad input, 3 failed solve, 4 damaged or foreign file, 5 missing extra, 6 not written or submitted, 1 others."""
    return next((number for kind, number in CODES.items() if isinstance(error, kind)), 1)


def guard(command: Callable[..., Any]) -> Callable[..., Any]:
    """`command(..., verbose)` with this package's errors as one line and an exit code, on all ranks; with a traceback if verbose."""

    @functools.wraps(command)
    def call(*args: Any, verbose: bool = False, **settings: Any) -> Any:
        try:
            log(verbose)
            return command(*args, verbose=verbose, **settings)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except Exception as error:
            known = isinstance(error, RomError)
            if not known or verbose:
                traceback.print_exc()
            where = (
                f"rank {rank()}: " if "mpi4py.MPI" in sys.modules and world() is not None else ""
            )
            sys.stderr.write(
                f"error: {where}{error if known else f'{type(error).__name__}: {error}'}\n"
            )
            _end(code(error))
            raise typer.Exit(code(error)) from None

    return call


def run(main: Callable[..., Mapping[str, Any]], units: Mapping[str, str] | None = None) -> None:
    """The command line of a case: `main`'s typed parameters become options, its numbers a table, or JSON on the last line.

    units : name -> unit of the numbers; a parameter `comm` of `main` receives `world()` and is no option.
    Exits with 0, or with the code of the error (see `code`).
    """
    signature = inspect.signature(main, eval_str=True)
    options = [p for p in signature.parameters.values() if p.name != "comm"]
    extra = [
        inspect.Parameter(
            "as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json
        ),
        inspect.Parameter(
            "verbose", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Verbose
        ),
    ]

    def command(*, as_json: bool, verbose: bool, **settings: Any) -> None:
        comm = world()
        numbers = main(**settings, **({"comm": comm} if "comm" in signature.parameters else {}))
        show_numbers(dict(numbers), units or {}, as_json)

    call = guard(command)
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in options] + extra
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in parameters}
    call.__doc__ = main.__doc__
    del call.__wrapped__  # type: ignore[attr-defined]
    made = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    made.command()(call)
    made()


def log(verbose: bool) -> None:
    """Messages of logger "rom" on stderr: warnings, and with `verbose` what is being done."""
    logging.basicConfig(
        format=f"%(levelname).1s {f'rank {rank()}: ' if rank() else ''}%(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("rom").setLevel(logging.INFO if verbose else logging.WARNING)


def plain_value(value: Any) -> Any:
    """Numpy scalars and arrays as what JSON holds; NaN and Inf become null."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, Mapping):
        return {str(key): plain_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_value(item) for item in value]
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return None
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)


def show_numbers(
    numbers: Mapping[str, Any], units: Mapping[str, str], as_json: bool, title: str = ""
) -> None:
    """A table of name, value, unit, or one JSON object; on rank 0 only."""
    if rank():
        return
    if as_json:
        sys.stdout.write(json.dumps(plain_value(numbers), allow_nan=False) + "\n")
        sys.stdout.flush()
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title or None, box=None, header_style="bold")
    for heading, side in (("name", "left"), ("value", "right"), ("unit", "left")):
        table.add_column(heading, justify=side, overflow="fold")  # type: ignore[arg-type]
    for name, value in numbers.items():
        table.add_row(name, format_number(value), units.get(name, ""))
    Console(markup=False).print(table)


def format_number(value: Any) -> str:
    """A number as it reads best: integers whole, others with five digits."""
    value = plain_value(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.5g}" if isinstance(value, float) else "-" if value is None else str(value)
