"""`rom shapes predict` and `view`: the answers of a model on a new mesh."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rom.cli.launch import Json, Verbose, guard
from rom.cli.options import Picture
from rom.cli.scenes import draw_scene
from rom.cli.shape_options import Scalars, ShapeFile, answer_on_mesh
from rom.cli.shape_training import app as training
from rom.cli.tables import show_numbers
from rom.cli.targets import check_mesh_file, check_picture
from rom.errors import BadInput

app = typer.Typer(
    name="shapes",
    no_args_is_help=True,
    help="Fields on meshes that all differ: files in, fields out.",
)
app.add_typer(training)


@app.command(
    "predict",
    epilog='Example: rom shapes predict plates.h5 new.vtu --mu "traction=75" --out answer.vtu',
)
@guard
def predict_shapes_command(
    model: ShapeFile,
    mesh: Annotated[
        Path,
        typer.Argument(help="A mesh file; point fields baseline:NAME where the model needs them."),
    ],
    *,
    mu: Scalars = None,
    out: Annotated[
        Path | None, typer.Option(help="File of the fields and their standard deviations.")
    ] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Fields, outputs, standard deviations, and whether the design is a stranger.

    A stranger does not lie among the designs that the model has seen.
    """
    from rom.shapes.answers import SCORE
    from rom.shapes.families import write_shape_answer

    check_mesh_file(out)
    shapes, answer, sample = answer_on_mesh(model, mesh, mu)
    if out is not None:
        write_shape_answer(out, answer)
    numbers: dict[str, Any] = {
        "score": float(answer.outputs[SCORE].value[0]),
        "inside": bool(answer.inside[0]) if answer.inside is not None else None,
        "outside": ", ".join(shapes.names_outside(sample.mu)) or "none",
    }
    units = {}
    for name, part in answer.parts.items():
        values, std = answer.field(name), answer.std(name)
        numbers[f"min {name}"] = values.min()
        numbers[f"max {name}"] = values.max()
        numbers[f"largest std {name}"] = None if std is None else std.max()
        for key in (f"min {name}", f"max {name}", f"largest std {name}"):
            units[key] = part.quantity.unit
    for quantity in shapes.output_quantities:
        name, output = quantity.name, answer.outputs[quantity.name]
        numbers[name] = float(output.value[0])
        numbers[f"std {name}"] = None if output.error is None else float(output.error.value[0])
        units[name] = units[f"std {name}"] = quantity.unit
    for warning in answer.warnings:
        numbers[f"warning: {warning.kind}"] = warning.text
    numbers["out"] = None if out is None else str(out)
    show_numbers(numbers, units, json)


@app.command("view", epilog="Example: rom shapes view plates.h5 test_07.vtu --picture plate.png")
@guard
def view_shapes_command(
    model: ShapeFile,
    mesh: Annotated[
        Path,
        typer.Argument(help="A mesh file; where it carries the fields too, the error is drawn."),
    ],
    *,
    mu: Scalars = None,
    field: Annotated[str | None, typer.Option(help="Field to draw. Default: the first.")] = None,
    picture: Picture = None,
    verbose: Verbose = False,
) -> None:
    """Prediction, standard deviation and error side by side."""
    from rom.shapes.families import answer_fields

    check_picture(picture)
    _, answer, sample = answer_on_mesh(model, mesh, mu)
    name = field or next(iter(answer.parts))
    if name not in answer.parts:
        raise BadInput(f"no field {name!r} in the model; it has {', '.join(answer.parts)}")
    names = (name, f"std {name}", f"error {name}")
    fields = {key: values for key, values in answer_fields(answer, sample).items() if key in names}
    draw_scene(picture, sample.mesh, fields, {}, title=mesh.name)
