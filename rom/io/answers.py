"""Answers of models as fields on a mesh, and in files.

    write_answer("answer.vtkhdf", model.predict(mus), box)

Where the answer has no mesh or no fields, mesh formats hold points in parameter space.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rom.errors import BadInput
from rom.io.answer_columns import (
    DEVIATION,
    TIME,
    Columns,
    check_one_state,
    count_times,
    field_columns,
    field_rows,
    input_columns,
    is_root,
    known_columns,
    parameter_points,
    part_rows,
    point_columns,
    sample_blocks,
    state_rows,
)
from rom.io.fields import Fields, unlabel
from rom.io.files import write_mesh
from rom.io.grid import to_grid
from rom.io.integration import AT_POINTS, cell_array
from rom.io.npz import write_npz
from rom.io.regions import count_cells
from rom.io.states import numbers_of, whole_fields
from rom.io.tables import write_table
from rom.io.writers.vtk import save_grid
from rom.io.writers.vtkhdf import write_vtkhdf
from rom.io.writers.xdmf import write_xdmf_series
from rom.mesh import Mesh
from rom.parameters import Box
from rom.prediction import Part, Place, Prediction
from rom.rows import Rows

VTK = (".vtu", ".vtk")
WITHOUT_FIELDS = (".inp",)


def answer_grid(answer: Prediction, sample: int = 0, time: int | None = None) -> Any:
    """A PyVista grid of the fields and deviations of a sample, with units.

    Raises BadInput where the answer has no mesh.
    """
    if answer.mesh is None:
        raise BadInput("this answer has no mesh; give the model one, or ask for its fields")
    step = answer_step(answer, time)
    fields, cell_fields = map(whole_fields, answer_fields_on_mesh(answer, sample, step))
    return to_grid(answer.mesh, fields, cell_fields)


def answer_step(answer: Prediction, time: int | None) -> int:
    """The number of a time, the last by default. Raises BadInput."""
    count = count_times(answer)
    step = count - 1 if time is None else int(time)
    if not -count <= step < count:
        raise BadInput(f"no time {time}; the answer has {count}: 0 .. {count - 1}")
    return step % count


def mesh_sizes(answer: Prediction) -> tuple[int, int] | None:
    """Points and cells of the mesh of an answer, counted; None without one."""
    mesh = answer.mesh
    sizes = None if mesh is None else (len(mesh.points), count_cells(mesh))
    return sizes if answer.space is None else answer.space.tell(sizes)


def answer_fields_on_mesh(answer: Prediction, sample: int, step: int) -> tuple[Fields, Fields]:
    """Point and cell fields, name -> (Rows, unit), deviations after each.

    Fields at points of integration are data of their cells, or are left out with a warning as
    `cell_array` says. Raises BadInput where another field fits neither the points nor the cells.
    """
    columns: list[tuple[str, Part, Rows]] = []
    for name, part in answer.parts.items():
        lifts: dict[str, Callable[[Any], Any]] = {name: partial(part.lift, sample, step)}
        if part.std is not None:
            lifts[f"{name} {DEVIATION}"] = partial(part.spread, sample, step)
        columns += [(key, part, part_rows(answer, name, part, lifts[key])) for key in lifts]
    return _place_columns(answer, columns)


def _place_columns(
    answer: Prediction, columns: Iterable[tuple[str, Part, Rows]]
) -> tuple[Fields, Fields]:
    """Point and cell fields of (name, part, values). Raises BadInput."""
    point_fields: Fields = {}
    cell_fields: Fields = {}
    sizes = mesh_sizes(answer)
    for name, part, values in columns:
        unit = part.quantity.unit
        if part.quantity.place is Place.INTEGRATION:
            gathered = values.whole()
            by_cell = answer.mesh and cell_array(name, part, gathered, answer.mesh)
            if by_cell is not None:
                cell_fields[f"{name} {AT_POINTS}"] = (by_cell, unit)
            continue
        whole = _on_all_nodes(answer, name, part, values, sizes)
        on_points, array = _shape_on_mesh(name, part, whole, sizes)
        target = point_fields if on_points else cell_fields
        target[name] = (array, unit)
    return point_fields, cell_fields


def _on_all_nodes(
    answer: Prediction, key: str, part: Part, values: Rows, sizes: tuple[int, int] | None
) -> Rows:
    """Values (k, ...) of free unknowns at all nodes of the mesh, (n c, ...).

    Others are as they are.
    Raises BadInput where nothing says what the value is at nodes without an unknown.
    """
    space = answer.space if part.basis is None else part.basis.space
    if space is None:
        return values
    field = {field.name: field for field in space.fields}.get(part.quantity.name)
    if field is None or field.nodes is None:
        return values
    n, c = (0 if sizes is None else sizes[0]), field.components
    if len(values) < n * c and field.elsewhere is None:
        raise BadInput(
            f"field {field.name!r} has unknowns at {len(values) // c} of {n} nodes; give the "
            "value at the others: elsewhere of its rom.Field"
        )
    beyond = 0.0 if key.endswith(DEVIATION) else field.elsewhere or 0.0
    rows = field.nodes[:, None] * c + np.arange(c)
    return values.put_at(rows.ravel(), n * c, beyond, space)


def _shape_on_mesh(
    name: str, part: Part, values: Rows, sizes: tuple[int, int] | None
) -> tuple[bool, Rows]:
    """Whether values (k, ...) lie on points, and as they do, (n, ...) or (n, c, ...)."""
    (n_points, n_cells), c = sizes or (0, 0), part.quantity.components
    on_points = c if c > 1 else max(1, len(values) // max(1, n_points))
    if len(values) == n_points * on_points:
        return True, values.by_component(on_points)
    if len(values) == n_cells * c:
        return False, values.by_component(c)
    raise BadInput(
        f"field {name!r} has {len(values)} rows in {c} components; the mesh has {n_points} points "
        f"and {n_cells} cells: write npz or csv instead"
    )


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

    Of an answer on several ranks all of them call; the first, which has the mesh, writes.
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
    if mesh_sizes(answer) is None or not answer.parts:
        return _write_points(path, answer, box)
    if path.suffix in (".vtkhdf", ".xdmf"):
        return _write_steps(path, answer, box)
    check_one_state(answer, path.suffix)
    fields, cell_fields = answer_fields_on_mesh(answer, 0, 0)
    scalars = input_columns(answer, box) | known_columns(answer)
    return _write_one(path, (answer.mesh, fields, cell_fields), scalars)


def _write_npz(path: Path, answer: Prediction, box: Box | None) -> Path:
    """Fields by label (k, columns); a state without named fields as u (n, columns)."""
    arrays: dict[str, Any] = dict(field_columns(answer))
    state = state_rows(answer)
    if state is not None and answer.space is not None:
        arrays |= numbers_of(answer.space)
        if not answer.space.fields:
            arrays["u"] = state
    arrays |= input_columns(answer, box) | known_columns(answer)
    return write_npz(path, arrays, root=is_root(answer))


def _is_deviation(key: str) -> bool:
    return unlabel(key)[0].endswith(f" {DEVIATION}")


def _write_csv(path: Path, answer: Prediction, box: Box | None) -> Path:
    """One row per sample and time: inputs, fields row by row, what is known."""
    names = list(input_columns(answer, box))
    for key, values in field_columns(answer).items():
        name, unit = unlabel(key)
        tail = f" {DEVIATION}" if _is_deviation(key) else ""
        head = name.removesuffix(tail)
        ending = f"{tail} [{unit}]" if unit else tail
        names += [f"{head}{i}{ending}" for i in range(len(values))]
    names += list(known_columns(answer))
    return write_table(path, names, _lines(answer, box), root=is_root(answer))


def _lines(answer: Prediction, box: Box | None) -> Iterator[np.ndarray]:
    """Lines of a table, those of a few samples at a time."""
    heads = np.column_stack(list(input_columns(answer, box).values()))
    facts = np.column_stack([np.zeros((len(heads), 0)), *known_columns(answer).values()])
    n_t = count_times(answer)
    for samples in sample_blocks(answer):
        fields = [values.whole().T for values in field_columns(answer, samples).values()]
        some = slice(samples.start * n_t, samples.stop * n_t)
        if is_root(answer):
            yield from np.column_stack([heads[some], *fields, facts[some]])


def _write_points(path: Path, answer: Prediction, box: Box | None) -> Path:
    """Points in parameter space; with times they are the steps of .vtkhdf and .xdmf."""
    if answer.t is None or path.suffix not in (".vtkhdf", ".xdmf"):
        mesh, fields = points_of_answer(answer, box)
        return write_mesh(path, mesh, fields) if is_root(answer) else path
    mesh, _ = points_of_answer(answer, box, time=0)
    n_t = count_times(answer)
    fields = {
        name: (values.reshape(answer.m, n_t), unit)
        for name, (values, unit) in _finite_fields(point_columns(answer, box)).items()
    }
    if not is_root(answer):
        return path
    return _write_series(path, (mesh, fields, {}), np.asarray(answer.t, dtype=float), {})


def _write_steps(path: Path, answer: Prediction, box: Box | None) -> Path:
    """One step per sample and time: at the times themselves where there is one sample."""
    mesh = answer.mesh
    point_fields, cell_fields = _place_columns(answer, field_rows(answer))
    scalars = input_columns(answer, box) | known_columns(answer)
    if answer.m == 1 and answer.t is None:
        return _write_one(path, (mesh, _first(point_fields), _first(cell_fields)), scalars)
    increasing = answer.m == 1 and answer.t is not None and bool((np.diff(answer.t) > 0).all())
    steps = answer.t if increasing else np.arange(answer.m * count_times(answer))
    return _write_series(
        path, (mesh, point_fields, cell_fields), np.asarray(steps, dtype=float), scalars
    )


def _first(fields: Fields) -> Fields:
    """Fields (n, ..., columns) at their first column."""
    return {
        name: (values.change(lambda block, _: block[..., 0]), unit)
        for name, (values, unit) in fields.items()
    }


# mesh (None but on the first rank), point fields, cell fields
Content = tuple[Mesh | None, Fields, Fields]


def _write_series(path: Path, content: Content, steps: np.ndarray, scalars: Columns) -> Path:
    """Fields (n, ..., steps) at steps, with scalars (steps,) beside them."""
    mesh, fields, cell_fields = content
    if path.suffix == ".vtkhdf":
        return write_vtkhdf(path, mesh, fields, steps, cell_fields, scalars=scalars)
    fields, cell_fields = whole_fields(fields), whole_fields(cell_fields)
    if mesh is None:
        return path
    return write_xdmf_series(
        path, mesh, fields | _constants(mesh, scalars), steps, cell_fields=cell_fields
    )


def _write_one(path: Path, content: Content, scalars: Columns) -> Path:
    """One state: its scalars as data of the file, else on every point."""
    mesh, fields, cell_fields = content
    if path.suffix == ".vtkhdf":
        return write_vtkhdf(path, mesh, fields, None, cell_fields, scalars=scalars)
    fields, cell_fields = whole_fields(fields), whole_fields(cell_fields)
    if mesh is None:
        return path
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
