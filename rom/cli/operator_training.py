"""`rom train SOURCE --kind operator`: from runs of two fields."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rom.cli.launch import Json, Verbose, guard
from rom.cli.options import CaseOption, Seed, Settings, stem
from rom.cli.tables import show_numbers
from rom.cli.targets import MODELS, check_suffix_of

app = typer.Typer()


@app.command(
    "operator",
    epilog="Example: rom train runs --kind operator --from a --to u --symmetry square --out op.h5",
)
@guard
def train_operator_command(
    source: Annotated[str, typer.Argument(help="A store of runs with both fields, or its case.")],
    *,
    source_field: Annotated[str, typer.Option("--from", help="Field that is asked.")],
    target: Annotated[str, typer.Option("--to", help="Field that is told.")],
    store: Annotated[
        Path | None, typer.Option(help="Folder of a case's store. Default: CASE.store")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File of the model. Default: SOURCE.rom.h5")
    ] = None,
    rank: Annotated[
        int | None, typer.Option(min=1, help="Axes of the input. Default: by left-out errors.")
    ] = None,
    kernel: Annotated[
        str | None, typer.Option(help="matern32, matern52 or rbf. Default: by left-out errors.")
    ] = None,
    symmetry: Annotated[
        str | None,
        typer.Option(help="square, rectangle, turns, transpose, ..., or a function of the case."),
    ] = None,
    translate: Annotated[
        int, typer.Option(min=0, help="So many equally spaced nodes are periodic.")
    ] = 0,
    base: Annotated[
        str | None, typer.Option(help="Function of the case: inputs -> outputs, a coarse solve.")
    ] = None,
    residual: Annotated[
        str | None, typer.Option(help="Function of the case: (inputs, outputs) -> norms.")
    ] = None,
    level: Annotated[float, typer.Option(help="Of the conformal band.")] = 0.95,
    case: CaseOption = None,
    seed: Seed = 0,
    settings: Settings = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """A kernel of one field, chosen by errors at left-out runs, in one file.

    Beside its error stand those of the mean, the nearest run, a linear map and the base.
    """
    from rom.archive.models import save_model
    from rom.campaign import open_store, read
    from rom.cli.case import load_functions
    from rom.cli.operator_runs import OperatorPlan, origin, train_operator
    from rom.cli.training import provenance

    check_suffix_of(out, MODELS)
    is_store = Path(source).is_dir()
    path = Path(source) if is_store else store or Path(f"{stem(source)}.store")
    functions = load_functions(case or (None if is_store else source))
    plan = OperatorPlan(
        source_field, target, rank, kernel, symmetry, translate, base, residual, level, seed
    )
    runs, mesh = read(path), open_store(path).mesh
    model = train_operator(runs, mesh, plan, functions)
    file = out or Path(f"{stem(source)}.rom.h5")
    history = provenance(case or source, settings) | {"store": str(path)} | origin(plan)
    digest = save_model(file, model, mesh, history)
    numbers = {
        "model": str(file), "kind": f"operator from {source_field} to {target}",
        "snapshots": runs.m,
        "map": model.reason, "r": 0 if model.basis is None else model.basis.r,
        **{f"left_out_error {name}": error for name, error in model.left_out.items()},
        "better": model.better, "bytes": file.stat().st_size, "sha256": digest,
    }  # fmt: skip
    show_numbers(numbers, {"bytes": "B"}, json)
