"""`rom ingest`: results of other codes to train on, or as a run of a campaign."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import typer

from rom.cli.case import load_case_module, pair, parameters
from rom.cli.ingest_runs import collect_runs, files_below, result_columns, table_runs
from rom.cli.launch import Json, Verbose, guard
from rom.cli.ranks import rank
from rom.cli.tables import show_numbers
from rom.cli.targets import MODELS, check_store, check_suffix_of
from rom.errors import BadInput
from rom.io.result import Result
from rom.space import euclidean

Pairs = list[str] | None

app = typer.Typer()


@app.command(
    "ingest",
    epilog="Example: rom ingest step*.vtu --field displacement=m --integration stress=Pa "
    "--positions x --out history.h5",
)
@guard
def ingest_command(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Result files on one mesh, of one time or several each, in order; or a folder."
        ),
    ],
    *,
    field: Annotated[
        Pairs,
        typer.Option(help="name=unit of a field on points or cells; converted to it. Repeatable."),
    ] = None,
    integration: Annotated[
        Pairs, typer.Option(help="name=unit of a field at points of integration. Repeatable.")
    ] = None,
    positions: Annotated[
        str | None,
        typer.Option(
            help="Cell field of the positions of the points of integration, if the format has none."
        ),
    ] = None,
    order: Annotated[
        str | None,
        typer.Option(
            help="MODULE:FUNCTION, mesh -> positions of the points of integration "
            "in the order wanted."
        ),
    ] = None,
    written: Annotated[
        Pairs, typer.Option(help="name=unit in the file, where the file names none. Repeatable.")
    ] = None,
    rename: Annotated[
        Pairs,
        typer.Option(
            help="name in the file=name; a,b,c=name makes one field of several components. "
            "Repeatable."
        ),
    ] = None,
    times: Annotated[
        str | None,
        typer.Option(help="Seconds of the states, 0.1,0.2,..., where the files know none."),
    ] = None,
    unit: Annotated[
        str, typer.Option(help="Of the coordinates, which most formats do not store.")
    ] = "m",
    out: Annotated[
        Path | None, typer.Option(help="File for the result; rom.archive.nouns.load reads it.")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(help="Folder of a campaign that the result is added to; needs --mu."),
    ] = None,
    mu: Annotated[
        str | None, typer.Option(help="Parameters of the result in the campaign: 1,2.")
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            help="Table of the parameters of many runs, name [unit], one row a file of the folder; "
            "a column 'file' names the files, 't [s]' their times. Needs --store; run it again "
            "to go on."
        ),
    ] = None,
    turn: Annotated[bool, typer.Option("--turn", help="Turn cells that are inside out.")] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Results of another code as a file to train on, or a run of a campaign.

    Units, orientation, order of integration points and one mesh are checked.
    """
    from rom.archive.nouns import save
    from rom.io import ingest_files

    if rank():
        return
    check_suffix_of(out, MODELS)
    check_store(store)
    _check_target(out, store, mu, csv, times)
    units, inner = _pairs(field), _pairs(integration)
    if not units and not inner:
        raise BadInput("no field is asked for; give --field name=unit or --integration name=unit")
    read = partial(
        ingest_files,
        fields=units,
        unit=unit,
        rename=_pairs(rename),
        integration=inner,
        positions=positions,
        at=_function(order),
        written=_pairs(written),
        turn=turn,
    )
    if csv is not None and store is not None:
        show_numbers(*_ingest_table(files, csv, store, read), json)
        return
    paths = [path for file in files for path in (files_below(file) if file.is_dir() else [file])]
    result = read(paths, times=_numbers(times))
    if out is not None:
        save(out, result)
    if store is not None and mu is not None:
        _add_to_campaign(store, parameters([mu], None, None), result)
    show_numbers(_facts(len(paths), result), result.units, json)


def _check_target(
    out: Path | None, store: Path | None, mu: str | None, csv: Path | None, times: str | None
) -> None:
    """BadInput where nothing says where the result goes, or what is said does not fit."""
    if csv is None and out is None and (store is None or mu is None):
        raise BadInput("nowhere to put the result; give --out FILE, or --store FOLDER with --mu")
    if csv is not None and store is None:
        raise BadInput("a table of runs fills a campaign; give --store FOLDER")
    if csv is not None and (out is not None or mu is not None or times is not None):
        raise BadInput("with --csv leave --out, --mu and --times: the table says them all")


def _ingest_table(
    files: list[Path], csv: Path, store: Path, read: Callable[..., Result]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Facts and units of the campaign of a table."""
    if len(files) != 1 or not files[0].is_dir():
        raise BadInput("a table of runs goes with one folder of their files")
    box, runs = table_runs(files[0], csv)

    def read_run(paths: list[Path], times: list[float] | None) -> Result:
        """The result in the files of one run."""
        return read(paths, times=times)

    _, first = collect_runs(store, box, runs, read_run)
    facts = {"runs": len(runs), **_facts(sum(len(run.files) for run in runs), first)}
    return facts, first.units


def _facts(n_files: int, result: Result) -> dict[str, Any]:
    states = next(iter(result.fields.values())).shape[2]
    facts: dict[str, Any] = {
        "files": n_files,
        "states": states,
        "points": len(result.mesh.points),
    }
    return facts | {name: str(values.shape) for name, values in result.fields.items()}


def _pairs(texts: Pairs) -> dict[str, str]:
    return dict(map(pair, texts or []))


def _function(text: str | None) -> Callable[..., Any] | None:
    if text is None:
        return None
    name, colon, attribute = text.rpartition(":")
    function = getattr(load_case_module(name), attribute, None) if colon else None
    if not callable(function):
        raise BadInput(f"{text!r} names no function; write MODULE:FUNCTION or file.py:FUNCTION")
    return cast(Callable[..., Any], function)


def _numbers(text: str | None) -> list[float] | None:
    try:
        return None if text is None else [float(entry) for entry in text.split(",")]
    except ValueError as error:
        raise BadInput(
            f"times {text!r} are no list of numbers ({error}); write 0.1,0.2,0.3"
        ) from error


def _add_to_campaign(path: Path, mus: np.ndarray, result: Result) -> None:
    """One more trajectory, or one snapshot of a single state without time."""
    from rom.campaign import collect

    columns, parts = result_columns(result)
    n, m = columns.shape
    is_snapshot = m == 1 and result.t is None
    u = columns[:, 0] if is_snapshot else columns
    times = np.arange(m, dtype=float) if result.t is None else result.t
    campaign = collect(
        lambda _: u,
        mus,
        path,
        space=euclidean(n, fields=parts),
        mesh=result.mesh,
        times=None if is_snapshot else times,
    )
    if campaign.failed:
        raise BadInput(f"the result is no run of {path}: {campaign.failed[0][1]}")
