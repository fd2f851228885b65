"""`rom sensitivity`: which parameters drive an answer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rom.cli.launch import Json, Verbose, guard
from rom.cli.options import CaseOption, ModelFile, Seed
from rom.cli.questions import open_model
from rom.cli.tables import show_numbers
from rom.errors import BadInput

app = typer.Typer()


@app.command(
    "sensitivity", epilog="Example: rom sensitivity model.h5 --at T=120 --picture bars.png"
)
@guard
def sensitivity_command(
    model: ModelFile,
    *,
    output: Annotated[str | None, typer.Option(help="An output by name.")] = None,
    at: Annotated[str | None, typer.Option(help="FIELD=ROW, a field at one row.")] = None,
    time: Annotated[int | None, typer.Option(help="Number of a time, from 0.")] = None,
    n: Annotated[int, typer.Option(min=8, help="Rows; n (p + 2) answers are needed.")] = 256,
    seed: Seed = 0,
    picture: Annotated[Path | None, typer.Option(help="A PNG of the indices as bars.")] = None,
    case: CaseOption = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Sobol indices of an output or a field value, with intervals."""
    from rom.decide import sensitivity

    place = None if at is None else _place(at)
    machine, _, _ = open_model(model, case)
    indices = sensitivity(machine, output, at=place, time=time, n=n, rng=seed)
    if picture is not None:
        from rom.plot import index_plot

        index_plot(picture, indices)
    rows = {
        name: {
            "first": indices.first[j],
            "first low": indices.low[0, j],
            "first high": indices.high[0, j],
            "total": indices.total[j],
            "total low": indices.low[1, j],
            "total high": indices.high[1, j],
        }
        for j, name in enumerate(indices.names)
    }
    facts = {
        "quantity": indices.quantity,
        "deviation": indices.std,
        "unit": indices.unit,
        "error of the model in the intervals": indices.known,
        "level": indices.level,
        "rows": indices.n,
    }
    show_numbers({**facts, "indices": rows}, {"deviation": indices.unit}, json)


def _place(text: str) -> tuple[str, int]:
    """(field, row) of FIELD=ROW."""
    name, _, row = text.rpartition("=")
    if not name or not row.isdecimal():
        raise BadInput(f"--at {text}: give FIELD=ROW, such as T=120")
    return name, int(row)
