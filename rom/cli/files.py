"""`rom inspect`, `view`, `export`: what stores, models and meshes hold."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from rom.cli.launch import Json, Verbose, guard
from rom.cli.options import CaseOption, Mus, Picture, Table
from rom.cli.questions import GivenFields, LoadingFile, MeshOption, SignalTable, Times
from rom.cli.ranks import rank, ranks_of_model, world
from rom.cli.scenes import (
    Scene,
    States,
    answer_on_sample,
    answer_scene,
    draw_scene,
    is_model_file,
    is_store,
    mesh_scene,
    modes_of_model,
    snapshots_of_store,
    state_scene,
)
from rom.cli.tables import show_numbers
from rom.cli.targets import check_answer_file, check_picture
from rom.errors import BadInput, printable

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
        sys.stderr.write(printable(f"damaged: {line}\n"))
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
    csv: Table = None,
    t: Times = None,
    mesh: MeshOption = None,
    inputs: GivenFields = None,
    signals: SignalTable = None,
    loading: LoadingFile = None,
    step: Annotated[int, typer.Option(min=0, help="Snapshot, mode, sample or time to show.")] = 0,
    field: Annotated[
        list[str] | None, typer.Option(help="Field to show; repeatable. Default: all.")
    ] = None,
    picture: Picture = None,
    case: CaseOption = None,
    verbose: Verbose = False,
) -> None:
    """A window with the fields side by side, or a picture where there is no display.

    Of a model its answer, or its modes where nothing is asked; answers without a mesh are points
    in the space of parameters.
    """
    if rank():
        return
    check_picture(picture)
    options = {
        "texts": mu or (), "csv": csv, "t": t, "mesh": mesh, "fields": inputs or (),
        "signals": signals, "loading": loading,
    }  # fmt: skip
    place, fields, cell_fields, title = _scene(path, options, step, case)
    names = {**fields, **cell_fields}
    for name in field or ():
        if name not in names:
            raise BadInput(f"no field {name!r} in {path}; it has: {', '.join(names)}")
    if field:
        fields = {name: values for name, values in fields.items() if name in field}
        cell_fields = {name: values for name, values in cell_fields.items() if name in field}
    draw_scene(picture, place, fields, cell_fields, title=title)


def _scene(path: Path, options: dict[str, Any], step: int, case: str | None) -> Scene:
    """What `view` draws of a mesh file, a store or a model."""
    from rom.cli.questions import answer_question, open_model, read_question

    if is_store(path):
        return state_scene(path, snapshots_of_store(path), step)
    if not is_model_file(path):
        return mesh_scene(path)
    model, mesh, _ = open_model(path, case)
    mesh = model.mesh or mesh
    asks = model.asks
    if any(options.values()):
        question = read_question(asks, **options, case=case)
        return answer_scene(path, answer_question(model, question, mesh), asks.box, step)
    states = modes_of_model(model, mesh)
    if states is not None and states.mesh is not None:
        return state_scene(path, states, step)
    answer, box = answer_on_sample(model, mesh, path)
    return answer_scene(path, answer, box, step)


@app.command(
    "export",
    epilog="Example: rom export part.msh --out part.vtkhdf; rom export runs --out snapshots.npz",
)
@guard
def export_command(
    path: Annotated[
        Path,
        typer.Argument(
            help="A store (its snapshots), a model (its modes, or its answers on a sample of "
            "its box), a mesh file, or a basis of libROM, pyLOM or Twin Builder."
        ),
    ],
    *,
    out: Annotated[
        Path,
        typer.Option(
            help=".vtkhdf, .vtu, any other format of meshes, .npz or .csv. Of a model .html too, a "
            "page that answers by itself, and .fmu, a unit for co-simulation; of a model's basis "
            "NAME.000000 (libROM), .h5 (pyLOM), .svd (Twin Builder); of a store .plaid, a folder."
        ),
    ],
    case: CaseOption = None,
    field: Annotated[str | None, typer.Option(help="The field whose basis is written.")] = None,
    at: Annotated[
        list[str] | None,
        typer.Option(help="FIELD=NODE, a value that a unit (.fmu) tells; repeatable."),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Snapshots, modes, bases, answers or meshes in the file of another program."""
    from rom.cli.elsewhere import export_elsewhere, is_basis_file, is_elsewhere, states_of_basis
    from rom.cli.programs import export_program, is_program
    from rom.io.files import read_file, write_mesh
    from rom.io.tables import write_points

    if is_program(out):
        if not rank():
            export_program(path, out, case, at or ())
        return
    if is_elsewhere(out):
        if not rank():
            export_elsewhere(path, out, case, field)
        return
    check_answer_file(out)
    if is_store(path):
        _write_states(out, snapshots_of_store(path, world()))
    elif is_model_file(path):
        _export_model(path, out, case)
    elif rank():
        return
    elif is_basis_file(path):
        _write_states(out, states_of_basis(path))
    elif out.suffix in (".npz", ".csv"):
        write_points(out, *read_file(path))
    else:
        write_mesh(out, *read_file(path))


def _write_states(out: Path, states: States) -> None:
    from rom.io.states import write_columns

    write_columns(out, states.space, states.u, states.inputs, states.mesh)


def _export_model(path: Path, out: Path, case: str | None) -> None:
    """The modes of a model, a field each, or its answers on a sample of its box."""
    from rom.cli.questions import open_model
    from rom.io.answers import write_answer

    model, mesh, _ = open_model(path, case, ranks_of_model(path))
    mesh = model.mesh or mesh
    states = modes_of_model(model, mesh)
    if states is None:
        write_answer(out, *answer_on_sample(model, mesh, path))
    else:
        _write_states(out, states)
