"""`rom inspect`, `view`, `export`: what stores, models and meshes hold."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from rom.cli.launch import Json, Verbose, guard, rank, show_numbers
from rom.cli.options import CaseOption, Mus
from rom.cli.scenes import scene, states_of
from rom.errors import BadInput

app = typer.Typer()


@app.command(
    "inspect", epilog="Example: rom inspect runs; rom inspect model.h5; rom inspect part.msh"
)
@guard
def inspect_command(
    path: Annotated[Path, typer.Argument(help="A store, a model, any saved noun, or a mesh file.")],
    case: CaseOption = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """What a file or store holds: shapes, units, asked and delivered; and whether its bytes are as they were written."""
    from rom.cli.case import load_functions
    from rom.cli.summary import summary

    if rank():
        return
    facts, problems = summary(path, load_functions(case))
    for line in problems:
        sys.stderr.write(f"damaged: {line}\n")
    show_numbers({**facts, "problems": list(problems)} if json else facts, {}, json)
    if problems:
        raise typer.Exit(4)


@app.command("view", epilog='Example: rom view model.h5 --mu "k=2,load=10" --picture answer.png')
@guard
def view_command(
    path: Annotated[Path, typer.Argument(help="A model, a store, or a mesh file.")],
    mu: Mus = None,
    step: Annotated[int, typer.Option(min=0, help="Snapshot, mode or time to show.")] = 0,
    field: Annotated[
        list[str] | None, typer.Option(help="Field to show; repeatable. Default: all.")
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="A PNG instead of a window.")] = None,
    case: CaseOption = None,
    verbose: Verbose = False,
) -> None:
    """A window with the fields side by side, or a picture where there is no display."""
    from rom.plot.pictures import picture as draw
    from rom.plot.pictures import show_window as window

    if rank():
        return
    mesh, fields, cell_fields, title = scene(path, mu, step, case)
    if field:
        unknown = [name for name in field if name not in {**fields, **cell_fields}]
        if unknown:
            raise BadInput(
                f"no field {unknown[0]!r} in {path}; it has: {', '.join({**fields, **cell_fields})}"
            )
        fields, cell_fields = (
            {k: v for k, v in part.items() if k in field} for part in (fields, cell_fields)
        )
    if picture is None:
        window(mesh, fields, cell_fields, title=title)
    else:
        draw(picture, mesh, fields, cell_fields, title=title)


@app.command(
    "export",
    epilog="Example: rom export part.msh --out part.vtkhdf; rom export runs --out snapshots.npz",
)
@guard
def export_command(
    path: Annotated[
        Path, typer.Argument(help="A store (its snapshots), a model (its modes), or a mesh file.")
    ],
    out: Annotated[Path, typer.Option(help=".vtkhdf, .vtu, any format of meshio, .npz or .csv.")],
    case: CaseOption = None,
    verbose: Verbose = False,
) -> None:
    """Snapshots, modes or meshes in the file of another program."""
    from rom.io.files import read_file, write_mesh
    from rom.io.states import write_columns
    from rom.io.tables import write_points

    if rank():
        return
    found = states_of(path, case)
    if found is not None:
        space, states, given, mesh = found
        write_columns(out, space, states, given, mesh)
    elif out.suffix in (".npz", ".csv"):
        write_points(out, *read_file(path))
    else:
        write_mesh(out, *read_file(path))
