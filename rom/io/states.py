"""States of a space as fields on a mesh, and in files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rom.arrays import COLUMNS, STATES, VECTOR, check_lengths, gate
from rom.errors import BadInput
from rom.io.fields import Fields, label
from rom.io.files import write_mesh
from rom.io.npz import write_npz
from rom.io.regions import count_cells
from rom.io.tables import write_table
from rom.io.writers.vtkhdf import write_vtkhdf
from rom.mesh import Mesh
from rom.rows import BLOCK, Rows, as_slice, lifted_rows, rows_of, whole_array
from rom.space import Field, Space

TIME = "t [s]"


def fields_of_state(space: Space, u: np.ndarray) -> list[tuple[Field, Rows]]:
    """The parts of u (n, ...) by field; a space without named fields is one field "u"."""
    parts = space.fields or (Field("u", "1", np.arange(space.n)),)
    return [(part, _rows_of_field(space, u, np.asarray(part.rows, np.int64))) for part in parts]


def _rows_of_field(space: Space, u: np.ndarray, own: np.ndarray) -> Rows:
    return lifted_rows(space, lambda rows: u[as_slice(own[rows])], len(own), own)


@gate(space=Space, mesh=Mesh, u=STATES)
def on_mesh(space: Space, mesh: Mesh, u: np.ndarray) -> tuple[Fields, Fields]:
    """Point and cell fields of u (n,) or (n, n_t): name -> (array, unit)."""
    sizes = len(mesh.points), count_cells(mesh)
    points, cells = rows_on_mesh(space, sizes, u)
    return whole_fields(points), whole_fields(cells)


def whole_fields(fields: Fields) -> Fields:
    """Fields with their arrays, on the first rank."""
    return {name: (whole_array(values), unit) for name, (values, unit) in fields.items()}


def rows_on_mesh(space: Space, sizes: tuple[int, int], u: np.ndarray) -> tuple[Fields, Fields]:
    """Point and cell fields of u (n,) or (n, n_t): name -> (Rows, unit).

    sizes : numbers of points and cells of the mesh
    Components come before times. A field without named components has as many as rows fit on the
    points, or else on the cells. Raises BadInput where a field fits neither.
    """
    if len(u) != space.n:
        raise BadInput(
            f"u has shape {u.shape}; the space has {space.n} rows: give (n,) or (n, n_t)"
        )
    n_points, n_cells = sizes
    point_fields: Fields = {}
    cell_fields: Fields = {}
    for part, rows in fields_of_state(space, u):
        c = part.components
        on_points = c if c > 1 else max(1, len(rows) // n_points)
        if len(rows) == n_points * on_points:
            point_fields[part.name] = (rows.by_component(on_points), part.unit)
        elif len(rows) == n_cells * c:
            cell_fields[part.name] = (rows.by_component(c), part.unit)
        else:
            raise BadInput(
                f"field {part.name!r} has {len(rows)} rows in {c} components; "
                f"the mesh has {n_points} points and {n_cells} cells: write npz or csv instead"
            )
    return point_fields, cell_fields


@gate(space=Space, U=COLUMNS)
def write_columns(
    path: str | Path,
    space: Space,
    U: np.ndarray,
    inputs: Mapping[str, np.ndarray],
    mesh: Mesh | None = None,
) -> Path:
    """States U (n, m) as .npz, .csv, .vtkhdf or, for m = 1, a mesh format.

    Of a space on several ranks all of them call with their rows; the first, which has the mesh,
    writes.
    inputs : "name [unit]" -> (m,), what the states answer
    .csv : one row per state, first the inputs, then the rows of U; .vtkhdf : one step per state
    Raises BadInput for several states in a format that holds one, for fields that need a mesh.
    """
    path = Path(path)
    if len(U) != space.n:
        raise BadInput(f"U has shape {U.shape}; the space has {space.n} rows: give (n, m)")
    inputs = {name: VECTOR(values, f"input {name!r}") for name, values in inputs.items()}
    check_lengths("state", U=U.T, **inputs)
    if path.suffix == ".npz":
        return _write_npz(path, space, U, inputs)
    if path.suffix == ".csv":
        names = [f"u{i}" for i in range(space.size if space.spread else len(U))]
        lines = _lines(space, U, inputs)
        return write_table(path, [*inputs, *names], lines, root=space.root)
    sizes = space.tell(None if mesh is None else (len(mesh.points), count_cells(mesh)))
    if sizes is None:
        raise BadInput(
            f"{path.suffix or path.name} needs a mesh, and there is none; "
            "write .npz or .csv, or give the problem a mesh"
        )
    m = U.shape[1]
    if m == 1:
        fields, cell_fields = map(whole_fields, rows_on_mesh(space, sizes, U[:, 0]))
        return path if mesh is None else write_mesh(path, mesh, fields, cell_fields)
    if path.suffix != ".vtkhdf":
        raise BadInput(f"{path.suffix} holds one state, not {m}; write .vtkhdf, .npz or .csv")
    fields, cell_fields = rows_on_mesh(space, sizes, U)
    return write_vtkhdf(path, mesh, fields, _steps(inputs, m), cell_fields)


def _write_npz(path: Path, space: Space, U: np.ndarray, inputs: Mapping[str, np.ndarray]) -> Path:
    arrays = {"u": rows_of(space, U), **numbers_of(space), **inputs}
    return write_npz(path, arrays, root=space.root)


def numbers_of(space: Space) -> dict[str, Any]:
    """Global numbers of the dofs, and of each field its rows, on the first rank."""
    numbers: Any = space.numbers
    if space.spread:
        numbers = np.arange(space.size) if space.root else ()
    arrays = {"numbers": numbers}
    for part in space.fields:
        rows: Any = part.rows
        if space.spread:
            marks = space.places(np.asarray(rows))[2]
            rows = np.flatnonzero(marks) if space.root else ()
        arrays[f"rows of {label(part.name, part.unit)}"] = rows
    return arrays


def _lines(space: Space, U: np.ndarray, inputs: Mapping[str, np.ndarray]) -> Iterator[np.ndarray]:
    """One line per state: inputs, then the rows of U; a few whole states at a time."""
    heads = np.column_stack([np.zeros((U.shape[1], 0)), *inputs.values()])
    step = max(1, BLOCK // max(1, space.size))
    for start in range(0, U.shape[1], step):
        some = slice(start, start + step)
        states = rows_of(space, U[:, some]).whole()
        if space.root:
            yield from np.column_stack([heads[some], states.T])


def _steps(inputs: Mapping[str, np.ndarray], m: int) -> np.ndarray:
    """Times of m states where they increase, or else their numbers."""
    times = inputs.get(TIME, np.zeros(0))
    increasing = (np.diff(times) > 0).all()
    if len(times) == m and increasing:
        return times
    return np.arange(m, dtype=float)
