"""`rom inspect`, `view`, `export`: what stores, models and meshes hold."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from rom.cli.launch import Json, Verbose, guard
from rom.cli.options import CaseOption, Mus, Picture
from rom.cli.ranks import rank
from rom.cli.scenes import draw_scene, scene, states_of
from rom.cli.tables import show_numbers
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
    """What a file or store holds: shapes, units, asked and delivered.

    And whether its bytes are as they were written.
    """
    from rom.cli.case import load_functions
    from rom.cli.summary import summary

    if rank():
        return
    facts, problems = summary(path, load_functions(case))
    for line in problems:
        sys.stderr.write(f"damaged: {line}\n")
    if json:
        facts["problems"] = list(problems)
    show_numbers(facts, {}, json)
    if problems:
        raise typer.Exit(4)


@app.command("view", epilog='Example: rom view model.h5 --mu "k=2,load=10" --picture answer.png')
@guard
def view_command(
    path: Annotated[Path, typer.Argument(help="A model, a store, or a mesh file.")],
    *,
    mu: Mus = None,
    step: Annotated[int, typer.Option(min=0, help="Snapshot, mode or time to show.")] = 0,
    field: Annotated[
        list[str] | None, typer.Option(help="Field to show; repeatable. Default: all.")
    ] = None,
    picture: Picture = None,
    case: CaseOption = None,
    verbose: Verbose = False,
) -> None:
    """A window with the fields side by side, or a picture where there is no display."""
    if rank():
        return
    mesh, fields, cell_fields, title = scene(path, mu, step, case)
    names = {**fields, **cell_fields}
    for name in field or ():
        if name not in names:
            raise BadInput(f"no field {name!r} in {path}; it has: {', '.join(names)}")
    if field:
        fields = {name: values for name, values in fields.items() if name in field}
        cell_fields = {name: values for name, values in cell_fields.items() if name in field}
    draw_scene(picture, mesh, fields, cell_fields, title=title)


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
    states = states_of(path, case)
    if states is not None:
        write_columns(out, states.space, states.u, states.inputs, states.mesh)
    elif out.suffix in (".npz", ".csv"):
        write_points(out, *read_file(path))
    else:
        write_mesh(out, *read_file(path))
