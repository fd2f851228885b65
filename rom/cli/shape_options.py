"""Arguments of the `rom shapes` commands, and how they read models and files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from rom.errors import BadInput

if TYPE_CHECKING:
    from rom.prediction import Prediction
    from rom.shapes import Sample, ShapeModel

Folder = Annotated[
    Path,
    typer.Argument(
        help="Mesh files with point fields and scalars.csv (file, scalars...), or PLAID samples."
    ),
]
ShapeFile = Annotated[Path, typer.Argument(help="A model file of `rom shapes train`.")]
Scalars = Annotated[str | None, typer.Option(help='Scalars, "a=1,b=2".')]


def load_shape_model(path: Path) -> ShapeModel:
    """The model over shapes in a file. Raises BadInput where it holds another."""
    from rom.archive.models import load_model
    from rom.shapes import ShapeModel

    model = load_model(path)[0]
    if not isinstance(model, ShapeModel):
        raise BadInput(
            f"{path} holds a {type(model).__name__}, no model over shapes; "
            "make one: rom shapes train"
        )
    return model


def answer_on_mesh(path: Path, mesh: Path, mu: str | None) -> tuple[ShapeModel, Prediction, Sample]:
    """A model, its prediction on a file's mesh, and the file as a sample."""
    from rom.cli.case import parameters
    from rom.shapes import Sample
    from rom.shapes.families import open_sample, split_baseline

    model = load_shape_model(path)
    scalars = np.zeros(0)
    if model.box is not None:
        scalars = parameters([mu] if mu else [], None, model.box)[0]
    nodes, columns = open_sample(mesh)
    fields, baseline = split_baseline(nodes, columns)
    needed = {name: values for name, values in baseline.items() if name in model.given}
    answer = model.predict(scalars, mesh=nodes, fields=needed)
    return model, answer, Sample(nodes, scalars, fields)
