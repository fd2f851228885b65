"""States of a space as fields on a mesh, and in files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rom.archive.files import write_npz
from rom.arrays import COLUMNS, STATES, VECTOR, check_lengths, gate
from rom.errors import BadInput
from rom.io.fields import Fields, label
from rom.io.files import write_mesh
from rom.io.regions import count_cells
from rom.io.tables import write_table
from rom.io.writers.vtkhdf import write_vtkhdf
from rom.mesh import Mesh
from rom.space import Field, Space

TIME = "t [s]"


def fields_of_state(space: Space, u: np.ndarray) -> list[tuple[Field, np.ndarray]]:
    """The parts of u (n, ...) by field; a space without named fields is one field "u"."""
    parts = space.fields or (Field("u", "1", np.arange(space.n)),)
    return [(part, u[np.asarray(part.rows, dtype=np.int64)]) for part in parts]


@gate(space=Space, mesh=Mesh, u=STATES)
def on_mesh(space: Space, mesh: Mesh, u: np.ndarray) -> tuple[Fields, Fields]:
    """Point fields and cell fields of u (n,) or (n, n_t): name -> (array, unit).

    Components come before times. A field without named components has as many as rows fit on the
    points, or else on the cells. Raises BadInput where a field fits neither.
    """
    if len(u) != space.n:
        raise BadInput(
            f"u has shape {u.shape}; the space has {space.n} rows: give (n,) or (n, n_t)"
        )
    n_points, n_cells = len(mesh.points), count_cells(mesh)
    point_fields: Fields = {}
    cell_fields: Fields = {}
    for part, rows in fields_of_state(space, u):
        c = part.components
        on_points = c if c > 1 else max(1, len(rows) // n_points)
        if len(rows) == n_points * on_points:
            point_fields[part.name] = (_by_component(rows, on_points), part.unit)
        elif len(rows) == n_cells * c:
            cell_fields[part.name] = (_by_component(rows, c), part.unit)
        else:
            raise BadInput(
                f"field {part.name!r} has {len(rows)} rows in {c} components; "
                f"the mesh has {n_points} points and {n_cells} cells: write npz or csv instead"
            )
    return point_fields, cell_fields


def _by_component(rows: np.ndarray, c: int) -> np.ndarray:
    """Rows (n c, ...) as (n, c, ...), or as they are where c = 1."""
    if c == 1:
        return rows
    return rows.reshape(len(rows) // c, c, *rows.shape[1:])


@gate(space=Space, U=COLUMNS)
def write_columns(
    path: str | Path,
    space: Space,
    U: np.ndarray,
    inputs: Mapping[str, np.ndarray],
    mesh: Mesh | None = None,
) -> Path:
    """States U (n, m) as .npz, .csv, .vtkhdf or, for m = 1, a mesh format.

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
        names = [f"u{i}" for i in range(U.shape[0])]
        table = np.column_stack([*inputs.values(), U.T])
        return write_table(path, [*inputs, *names], table)
    if mesh is None:
        raise BadInput(
            f"{path.suffix or path.name} needs a mesh, and there is none; "
            "write .npz or .csv, or give the problem a mesh"
        )
    m = U.shape[1]
    if m == 1:
        fields, cell_fields = on_mesh(space, mesh, U[:, 0])
        return write_mesh(path, mesh, fields, cell_fields)
    if path.suffix != ".vtkhdf":
        raise BadInput(f"{path.suffix} holds one state, not {m}; write .vtkhdf, .npz or .csv")
    fields, cell_fields = on_mesh(space, mesh, U)
    return write_vtkhdf(path, mesh, fields, _steps(inputs, m), cell_fields)


def _write_npz(path: Path, space: Space, U: np.ndarray, inputs: Mapping[str, np.ndarray]) -> Path:
    arrays: dict[str, Any] = {"u": U, "numbers": space.numbers}
    for part in space.fields:
        key = label(part.name, part.unit)
        arrays[f"rows of {key}"] = part.rows
    arrays |= inputs
    return write_npz(path, arrays)


def _steps(inputs: Mapping[str, np.ndarray], m: int) -> np.ndarray:
    """Times of m states where they increase, or else their numbers."""
    times = inputs.get(TIME, np.zeros(0))
    increasing = (np.diff(times) > 0).all()
    if len(times) == m and increasing:
        return times
    return np.arange(m, dtype=float)
