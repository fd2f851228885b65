"""`rom ingest`: results of other codes as a file to train on, or as a run of a campaign."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from rom.cli.case import load_case_module, pair, parameters
from rom.cli.launch import Json, Verbose, guard, rank, show_numbers
from rom.errors import BadInput
from rom.io.result import Result
from rom.space import Field, euclidean

Pairs = list[str] | None


@guard
def ingest_command(
    files: Annotated[
        list[Path],
        typer.Argument(help="Result files on one mesh, of one time or several each, in order."),
    ],
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
            help="MODULE:FUNCTION, mesh -> positions of the points of integration in the order wanted."
        ),
    ] = None,
    written: Annotated[
        Pairs, typer.Option(help="name=unit in the file, where the file names none. Repeatable.")
    ] = None,
    rename: Annotated[
        Pairs,
        typer.Option(
            help="name in the file=name; a,b,c=name makes one field of several components. Repeatable."
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
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Results of another code, with units, orientation, order of integration points and one mesh checked."""
    from rom.archive.nouns import save
    from rom.io.series import ingest_files as read_all

    if rank():
        return
    if out is None and (store is None or mu is None):
        raise BadInput("nowhere to put the result; give --out FILE, or --store FOLDER with --mu")
    fields, inner, theirs, names = (
        dict(pair(text) for text in given or []) for given in (field, integration, written, rename)
    )
    if not fields and not inner:
        raise BadInput("no field is asked for; give --field name=unit or --integration name=unit")
    found = read_all(
        files,
        fields,
        unit=unit,
        rename=names,
        integration=inner,
        positions=positions,
        at=_function(order),
        written=theirs,
        times=_numbers(times),
    )
    if out is not None:
        save(out, found)
    if store is not None and mu is not None:
        _add(store, parameters([mu], None, None), found)
    m = next(iter(found.fields.values())).shape[2]
    shapes = {name: str(values.shape) for name, values in found.fields.items()}
    show_numbers(
        {"files": len(files), "states": m, "points": len(found.mesh.points)} | shapes,
        found.units,
        json,
    )


def _function(text: str | None) -> Callable[..., Any] | None:
    if text is None:
        return None
    name, colon, attribute = text.rpartition(":")
    made = getattr(load_case_module(name), attribute, None) if colon else None
    if not callable(made):
        raise BadInput(f"{text!r} names no function; write MODULE:FUNCTION or file.py:FUNCTION")
    return made


def _numbers(text: str | None) -> list[float] | None:
    try:
        return None if text is None else [float(entry) for entry in text.split(",")]
    except ValueError as error:
        raise BadInput(
            f"times {text!r} are no list of numbers ({error}); write 0.1,0.2,0.3"
        ) from error


def _add(path: Path, mus: np.ndarray, result: Result) -> None:
    """One more trajectory of a campaign, or, of a result of one state, one more snapshot."""
    from rom.campaign import collect

    counts = {name: values[..., 0].size for name, values in result.fields.items()}
    ends = np.cumsum([0, *counts.values()])
    parts = tuple(
        Field(name, result.units[name], np.arange(a, b), result.fields[name].shape[1])
        for name, a, b in zip(counts, ends[:-1], ends[1:], strict=True)
    )
    columns = np.concatenate(
        [values.reshape(counts[name], -1) for name, values in result.fields.items()]
    )
    space = euclidean(int(ends[-1]), fields=parts)
    still = columns.shape[1] == 1 and result.t is None
    t = np.arange(columns.shape[1], dtype=float) if result.t is None else result.t
    done = collect(
        lambda _: columns[:, 0] if still else columns,
        mus,
        path,
        space=space,
        mesh=result.mesh,
        times=None if still else t,
    )
    if done.failed:
        raise BadInput(f"the result is no run of {path}: {done.failed[0][1]}")
