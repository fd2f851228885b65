"""Answers of models as fields on a mesh: grids, pictures and files read them here."""

from __future__ import annotations

from typing import Any

import numpy as np

from rom.errors import BadInput
from rom.io.fields import Fields
from rom.io.grid import to_grid
from rom.io.regions import count_cells
from rom.mesh import Mesh
from rom.prediction import Part, Place, Prediction

DEVIATION = "deviation"


def answer_grid(answer: Prediction, sample: int = 0, time: int | None = None) -> Any:
    """A PyVista grid with the fields of a sample and their deviations, units in the names.

    Raises BadInput where the answer has no mesh.
    """
    if answer.mesh is None:
        raise BadInput("this answer has no mesh; give the model one, or ask for its fields")
    step = answer_step(answer, time)
    fields, cell_fields = answer_fields_on_mesh(answer, answer.mesh, sample, step)
    return to_grid(answer.mesh, fields, cell_fields)


def answer_step(answer: Prediction, time: int | None) -> int:
    """The number of a time, the last by default. Raises BadInput for one that is not there."""
    count = 1 if answer.t is None else len(answer.t)
    step = count - 1 if time is None else int(time)
    if not -count <= step < count:
        raise BadInput(f"no time {time}; the answer has {count}: 0 .. {count - 1}")
    return step % count


def answer_fields_on_mesh(
    answer: Prediction, mesh: Mesh, sample: int, step: int
) -> tuple[Fields, Fields]:
    """Point fields and cell fields, name -> (array, unit), deviations after each field.

    Fields at points of integration lie on neither and are left out. Raises BadInput where
    another field fits neither the points nor the cells.
    """
    point_fields: Fields = {}
    cell_fields: Fields = {}
    for name, part in answer.parts.items():
        if part.quantity.place is Place.INTEGRATION:
            continue
        spread = part.spread(sample, step)
        for key, values in ((name, part.lift(sample, step)), (f"{name} {DEVIATION}", spread)):
            if values is None:
                continue
            on_points, array = _shape_on_mesh(name, part, values, mesh)
            target = point_fields if on_points else cell_fields
            target[key] = (array, part.quantity.unit)
    return point_fields, cell_fields


def _shape_on_mesh(
    name: str, part: Part, values: np.ndarray, mesh: Mesh
) -> tuple[bool, np.ndarray]:
    """Whether values (k,) lie on points, and their array (n,) or (n, c)."""
    n_points, n_cells, c = len(mesh.points), count_cells(mesh), part.quantity.components
    on_points = c if c > 1 else max(1, len(values) // n_points)
    if len(values) == n_points * on_points:
        return True, values if on_points == 1 else values.reshape(-1, on_points)
    if len(values) == n_cells * c:
        return False, values if c == 1 else values.reshape(-1, c)
    raise BadInput(
        f"field {name!r} has {len(values)} rows in {c} components; the mesh has {n_points} points "
        f"and {n_cells} cells: write npz or csv instead"
    )
