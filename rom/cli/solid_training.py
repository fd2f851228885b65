"""`rom train CASE --kind solid`: a hyper-reduced solid from histories that a case marches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from rom.cli.launch import Json, Verbose, guard
from rom.cli.options import Settings, stem
from rom.cli.tables import show_numbers
from rom.errors import BadInput

app = typer.Typer()
FUNCTION = "solid"


@app.command("solid", epilog="Example: rom train blade.py --kind solid --out blade.h5")
@guard
def train_solid_command(
    case: Annotated[
        str, typer.Argument(help="A case with solid(**settings) -> (body, histories, tolerances).")
    ],
    *,
    out: Annotated[
        Path | None, typer.Option(help="File of the model. Default: CASE.rom.h5")
    ] = None,
    settings: Settings = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """A hyper-reduced solid from the histories that its case marches, in one file."""
    from rom.archive.models import save_model
    from rom.cli.case import typed_settings
    from rom.cli.training import provenance
    from rom.solids import train_solid

    function = solid_function(case)
    body, histories, tolerances = function(**typed_settings(function, settings or ()))
    model = train_solid(body, histories, tolerances)
    target = out or Path(f"{stem(case)}.rom.h5")
    digest = save_model(target, model, body.mesh, provenance(case, settings))
    numbers = {
        "model": str(target), "kind": "hyper-reduced solid", "histories": len(histories),
        "r": model.basis.r, "points": len(model.model.points), "dofs": body.space.size,
        "bytes": target.stat().st_size, "sha256": digest,
    }  # fmt: skip
    show_numbers(numbers, {"bytes": "B"}, json)


def solid_function(case: str) -> Callable[..., Any]:
    """The function of a case that gives (body, histories, tolerances). Raises BadInput."""
    from rom.cli.case import load_case_module

    function: Callable[..., Any] | None = getattr(load_case_module(case), FUNCTION, None)
    if function is None:
        raise BadInput(
            f"{case} has no {FUNCTION}(**settings) -> (body, histories, tolerances); define it, "
            "or take another --kind"
        )
    return function
