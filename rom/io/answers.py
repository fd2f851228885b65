"""Answers of models as fields on a mesh, and in files.

    write_answer("answer.vtkhdf", model.predict(mus), box)

Where the answer has no mesh or no fields, mesh formats hold points in parameter space.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rom.archive.files import write_npz
from rom.errors import BadInput
from rom.io.answer_columns import (
    DEVIATION,
    TIME,
    Columns,
    check_one_state,
    count_times,
    field_columns,
    flat_part,
    input_columns,
    known_columns,
    parameter_points,
    point_columns,
    whole_state,
)
from rom.io.fields import Fields, label, unlabel
from rom.io.files import write_mesh
from rom.io.grid import to_grid
from rom.io.integration import AT_POINTS, cell_array
from rom.io.regions import count_cells
from rom.io.tables import write_table
from rom.io.writers.vtk import save_grid
from rom.io.writers.vtkhdf import write_vtkhdf
from rom.io.writers.xdmf import write_xdmf_series
from rom.mesh import Mesh
from rom.parameters import Box
from rom.prediction import Part, Place, Prediction

VTK = (".vtu", ".vtk")
WITHOUT_FIELDS = (".inp",)


def answer_grid(answer: Prediction, sample: int = 0, time: int | None = None) -> Any:
    """A PyVista grid of the fields and deviations of a sample, with units.

    Raises BadInput where the answer has no mesh.
    """
    if answer.mesh is None:
        raise BadInput("this answer has no mesh; give the model one, or ask for its fields")
    step = answer_step(answer, time)
    fields, cell_fields = answer_fields_on_mesh(answer, answer.mesh, sample, step)
    return to_grid(answer.mesh, fields, cell_fields)


def answer_step(answer: Prediction, time: int | None) -> int:
    """The number of a time, the last by default. Raises BadInput."""
    count = count_times(answer)
    step = count - 1 if time is None else int(time)
    if not -count <= step < count:
        raise BadInput(f"no time {time}; the answer has {count}: 0 .. {count - 1}")
    return step % count


def answer_fields_on_mesh(
    answer: Prediction, mesh: Mesh, sample: int, step: int
) -> tuple[Fields, Fields]:
    """Point and cell fields, name -> (array, unit), deviations after each.

    Fields at points of integration are data of their cells, or are left out with a warning as
    `cell_array` says. Raises BadInput where another field fits neither the points nor the cells.
    """
    columns: list[tuple[str, Part, np.ndarray]] = []
    for name, part in answer.parts.items():
        columns.append((name, part, part.lift(sample, step)))
        std = part.spread(sample, step)
        if std is not None:
            columns.append((f"{name} {DEVIATION}", part, std))
    return _place_columns(answer, mesh, columns)


def _place_columns(
    answer: Prediction, mesh: Mesh, columns: Iterable[tuple[str, Part, np.ndarray]]
) -> tuple[Fields, Fields]:
    """Point and cell fields of (name, part, values). Raises BadInput."""
    point_fields: Fields = {}
    cell_fields: Fields = {}
    for name, part, values in columns:
        unit = part.quantity.unit
        if part.quantity.place is Place.INTEGRATION:
            by_cell = cell_array(name, part, values, mesh)
            if by_cell is not None:
                cell_fields[f"{name} {AT_POINTS}"] = (by_cell, unit)
            continue
        whole = _on_all_nodes(answer, name, part, values, mesh)
        on_points, array = _shape_on_mesh(name, part, whole, mesh)
        target = point_fields if on_points else cell_fields
        target[name] = (array, unit)
    return point_fields, cell_fields


def _on_all_nodes(
    answer: Prediction, key: str, part: Part, values: np.ndarray, mesh: Mesh
) -> np.ndarray:
    """Values (k, ...) of free unknowns at all nodes of the mesh, (n c, ...).

    Others are as they are.
    Raises BadInput where nothing says what the value is at nodes without an unknown.
    """
    space = answer.space if part.basis is None else part.basis.space
    fields = {} if space is None else {field.name: field for field in space.fields}
    field = fields.get(part.quantity.name)
    if field is None or field.nodes is None:
        return values
    n, c = len(mesh.points), field.components
    if len(field.nodes) < n and field.elsewhere is None:
        raise BadInput(
            f"field {field.name!r} has unknowns at {len(field.nodes)} of {n} nodes; give the "
            "value at the others: elsewhere of its rom.Field"
        )
    beyond = 0.0 if key.endswith(DEVIATION) else field.elsewhere or 0.0
    whole = np.full((n * c, *values.shape[1:]), beyond, dtype=values.dtype)
    rows = field.nodes[:, None] * c + np.arange(c)
    whole[rows.ravel()] = values
    return whole


def _shape_on_mesh(
    name: str, part: Part, values: np.ndarray, mesh: Mesh
) -> tuple[bool, np.ndarray]:
    """Whether values (k, ...) lie on points, and their array (n, ...) or (n, c, ...)."""
    n_points, n_cells, c = len(mesh.points), count_cells(mesh), part.quantity.components
    on_points = c if c > 1 else max(1, len(values) // n_points)
    if len(values) == n_points * on_points:
        return True, _by_component(values, on_points)
    if len(values) == n_cells * c:
        return False, _by_component(values, c)
    raise BadInput(
        f"field {name!r} has {len(values)} rows in {c} components; the mesh has {n_points} points "
        f"and {n_cells} cells: write npz or csv instead"
    )


def _by_component(values: np.ndarray, c: int) -> np.ndarray:
    return values if c == 1 else values.reshape(len(values) // c, c, *values.shape[1:])


def points_of_answer(
    answer: Prediction, box: Box | None = None, time: int | None = None
) -> tuple[Mesh, Fields]:
    """Samples as vertices in parameter space, outputs and errors as fields on them.

    Coordinates are the first three parameters, in the unit box where there is one. With times
    and time None each pair of sample and time is a point, and the next free coordinate is the
    time over the last one.
    """
    n_t = count_times(answer)
    columns = point_columns(answer, box)
    points = parameter_points(answer, box)
    if time is not None:
        columns = {key: values[time::n_t] for key, values in columns.items()}
    elif answer.t is not None:
        points = np.repeat(points, n_t, axis=0)
        free = answer.question.mu.shape[1]
        if free < points.shape[1]:
            points[:, free] = columns[TIME] / max(float(np.max(np.abs(answer.t))), 1e-300)
    return _vertices(points), _finite_fields(columns)


def _vertices(points: np.ndarray) -> Mesh:
    return Mesh(points, {"vertex": np.arange(len(points))[:, None]}, unit="1")


def _finite_fields(columns: Columns) -> Fields:
    """'name [unit]' -> arrays as fields; what is nowhere known is left out."""
    fields: Fields = {}
    for key, values in columns.items():
        if np.isfinite(values).all():
            fields[unlabel(key)[0]] = (values, unlabel(key)[1])
    return fields


def write_answer(path: str | Path, answer: Prediction, box: Box | None = None) -> Path:
    """All fields, deviations, errors and outputs of an answer in one file.

    The suffix decides: .npz, .csv, .vtkhdf, .xdmf hold several samples and times, other mesh
    formats one. A key or header says name and unit, of an error also its kind and norm.
    box : names, units and scales of the parameters
    Raises BadInput for a format that cannot hold the answer.
    """
    path = Path(path)
    if path.suffix == ".npz":
        return _write_npz(path, answer, box)
    if path.suffix == ".csv":
        return _write_csv(path, answer, box)
    if answer.mesh is None or not answer.parts:
        return _write_points(path, answer, box)
    if path.suffix in (".vtkhdf", ".xdmf"):
        return _write_steps(path, answer, answer.mesh, box)
    check_one_state(answer, path.suffix)
    fields, cell_fields = answer_fields_on_mesh(answer, answer.mesh, 0, 0)
    return _write_one(
        path, (answer.mesh, fields, cell_fields), input_columns(answer, box) | known_columns(answer)
    )


def _write_npz(path: Path, answer: Prediction, box: Box | None) -> Path:
    """Fields by label (k, columns); a state without named fields as u (n, columns)."""
    fields = field_columns(answer)
    arrays: dict[str, Any] = dict(fields)
    lifted = [fields[part.quantity.label] for part in answer.parts.values()]
    state = whole_state(answer, lifted)
    if state is not None and answer.space is not None:
        arrays |= {"numbers": answer.space.numbers}
        if not answer.space.fields:
            arrays["u"] = state
        for field in answer.space.fields:
            arrays[f"rows of {label(field.name, field.unit)}"] = field.rows
    arrays |= input_columns(answer, box) | known_columns(answer)
    return write_npz(path, arrays)


def _is_deviation(key: str) -> bool:
    return unlabel(key)[0].endswith(f" {DEVIATION}")


def _write_csv(path: Path, answer: Prediction, box: Box | None) -> Path:
    """One row per sample and time: inputs, fields row by row, what is known."""
    names = list(input_columns(answer, box))
    columns = list(input_columns(answer, box).values())
    for key, values in field_columns(answer).items():
        name, unit = unlabel(key)
        tail = f" {DEVIATION}" if _is_deviation(key) else ""
        head = name.removesuffix(tail)
        ending = f"{tail} [{unit}]" if unit else tail
        names += [f"{head}{i}{ending}" for i in range(len(values))]
        columns += list(values)
    facts = known_columns(answer)
    return write_table(path, [*names, *facts], np.column_stack([*columns, *facts.values()]))


def _write_points(path: Path, answer: Prediction, box: Box | None) -> Path:
    """Points in parameter space; with times they are the steps of .vtkhdf and .xdmf."""
    if answer.t is None or path.suffix not in (".vtkhdf", ".xdmf"):
        mesh, fields = points_of_answer(answer, box)
        return write_mesh(path, mesh, fields)
    mesh, _ = points_of_answer(answer, box, time=0)
    n_t = count_times(answer)
    fields = {
        name: (values.reshape(answer.m, n_t), unit)
        for name, (values, unit) in _finite_fields(point_columns(answer, box)).items()
    }
    return _write_series(path, (mesh, fields, {}), np.asarray(answer.t, dtype=float), {})


def _write_steps(path: Path, answer: Prediction, mesh: Mesh, box: Box | None) -> Path:
    """One step per sample and time: at the times themselves where there is one sample."""
    point_fields, cell_fields = _place_columns(answer, mesh, _all_columns(answer))
    scalars = input_columns(answer, box) | known_columns(answer)
    if answer.m == 1 and answer.t is None:
        single = {key: values[..., 0] for key, values in _arrays(point_fields).items()}
        cells = {key: values[..., 0] for key, values in _arrays(cell_fields).items()}
        content = (mesh, _with_units(single, point_fields), _with_units(cells, cell_fields))
        return _write_one(path, content, scalars)
    increasing = answer.m == 1 and answer.t is not None and bool((np.diff(answer.t) > 0).all())
    steps = answer.t if increasing else np.arange(answer.m * count_times(answer))
    return _write_series(
        path, (mesh, point_fields, cell_fields), np.asarray(steps, dtype=float), scalars
    )


def _all_columns(answer: Prediction) -> Iterator[tuple[str, Part, np.ndarray]]:
    """Name, part and values (k, columns) of each field, its deviation after it."""
    for name, part in answer.parts.items():
        flat = flat_part(part)
        yield name, part, flat.lift(0)
        std = flat.spread(0)
        if std is not None:
            yield f"{name} {DEVIATION}", part, std


def _arrays(fields: Fields) -> Columns:
    return {name: values for name, (values, _) in fields.items()}


def _with_units(arrays: Columns, fields: Fields) -> Fields:
    return {name: (values, fields[name][1]) for name, values in arrays.items()}


Content = tuple[Mesh, Fields, Fields]  # mesh, point fields, cell fields


def _write_series(path: Path, content: Content, steps: np.ndarray, scalars: Columns) -> Path:
    """Fields (n, ..., steps) at steps, with scalars (steps,) beside them."""
    mesh, fields, cell_fields = content
    if path.suffix == ".vtkhdf":
        return write_vtkhdf(path, mesh, fields, steps, cell_fields, scalars=scalars)
    return write_xdmf_series(
        path, mesh, fields | _constants(mesh, scalars), steps, cell_fields=cell_fields
    )


def _write_one(path: Path, content: Content, scalars: Columns) -> Path:
    """One state: its scalars as data of the file, else on every point."""
    mesh, fields, cell_fields = content
    if path.suffix == ".vtkhdf":
        return write_vtkhdf(path, mesh, fields, None, cell_fields, scalars=scalars)
    if path.suffix in VTK:
        grid = to_grid(mesh, fields, cell_fields)
        for key, values in scalars.items():
            grid.field_data[key] = np.real(values)
        return save_grid(path, grid)
    if path.suffix in WITHOUT_FIELDS:
        return write_mesh(path, mesh, fields, cell_fields)
    constants = {
        name: (values[:, 0], unit) for name, (values, unit) in _constants(mesh, scalars).items()
    }
    return write_mesh(path, mesh, fields | constants, cell_fields)


def _constants(mesh: Mesh, scalars: Columns) -> Fields:
    """Scalars (steps,) as fields (n, steps) that are constant over the points."""
    constants = {}
    for name, (values, unit) in _finite_fields(scalars).items():
        constants[name] = (np.tile(values, (len(mesh.points), 1)), unit)
    return constants
