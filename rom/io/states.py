"""States of a space as fields on a mesh, and as tables."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from rom.errors import BadInput
from rom.io.grid import Fields, label
from rom.mesh import Mesh
from rom.space import Field, Space


def fields_of_state(space: Space, u: np.ndarray) -> list[tuple[Field, np.ndarray]]:
    """The parts of u (n, ...) by field; a space without named fields is one field "u" without unit."""
    parts = space.fields or (Field("u", "1", np.arange(space.n)),)
    return [(part, u[np.asarray(part.rows, dtype=np.int64)]) for part in parts]


def on_mesh(space: Space, mesh: Mesh, u: np.ndarray) -> tuple[Fields, Fields]:
    """Point fields and cell fields of u (n,) or (n, n_t): name -> (array, unit), components before times.

    A field without named components has as many as rows fit on the points, or else on the cells.
    Raises BadInput where a field fits neither.
    """
    n_cells = sum(len(cells) for cells in mesh.cells.values())
    point_fields: Fields = {}
    cell_fields: Fields = {}
    for part, rows in fields_of_state(space, u):
        width = part.components if part.components > 1 else max(1, len(rows) // len(mesh.points))
        for n, target in ((len(mesh.points), point_fields), (n_cells, cell_fields)):
            c = width if n == len(mesh.points) else part.components
            if len(rows) == n * c:
                target[part.name] = (
                    rows if c == 1 else rows.reshape(n, c, *u.shape[1:]),
                    part.unit,
                )
                break
        else:
            raise BadInput(
                f"field {part.name!r} has {len(rows)} rows in {part.components} components; the mesh has {len(mesh.points)}"
                f" points and {n_cells} cells: write npz or csv instead"
            )
    return point_fields, cell_fields


def write_table(path: str | Path, names: list[str], rows: Any) -> Path:
    """A CSV file with a header line; numbers with all their digits."""
    with open(path, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(names)
        table.writerows(
            [repr(complex(v)) if np.iscomplexobj(v) else repr(float(v)) for v in row]
            for row in rows
        )
    return Path(path)


def write_columns(
    path: str | Path,
    space: Space,
    U: np.ndarray,
    given: dict[str, np.ndarray],
    mesh: Mesh | None = None,
) -> Path:
    """States U (n, k) with what they answer, given : "name [unit]" -> (k,), as .npz, .csv, .vtkhdf or, for k = 1, a mesh format.

    .csv : one row per state, first `given`, then the rows of U; .vtkhdf : one step per state.
    Raises BadInput for several states in a format that holds one, and for fields that need a mesh.
    """
    from rom.io.files import write_mesh, write_vtkhdf

    path = Path(path)
    if path.suffix == ".npz":
        parts = {label(part.name, part.unit): part.rows for part in space.fields}
        arrays: dict[str, Any] = {
            "u": U,
            "numbers": space.numbers,
            **{f"rows of {k}": v for k, v in parts.items()},
            **given,
        }
        np.savez(path, **arrays)
        return path
    if path.suffix == ".csv":
        names = [f"u{i}" for i in range(U.shape[0])]
        return write_table(path, [*given, *names], np.column_stack([*given.values(), U.T]))
    if mesh is None:
        raise BadInput(
            f"{path.suffix or path.name} needs a mesh, and there is none; write .npz or .csv, or give the problem a mesh"
        )
    if U.shape[1] == 1:
        fields, cell_fields = on_mesh(space, mesh, U[:, 0])
        return write_mesh(path, mesh, fields, cell_fields)
    if path.suffix != ".vtkhdf":
        raise BadInput(
            f"{path.suffix} holds one state, not {U.shape[1]}; write .vtkhdf, .npz or .csv"
        )
    times = given.get("t [s]", np.zeros(0))
    steps = (
        times
        if len(times) == U.shape[1] and (np.diff(times) > 0).all()
        else np.arange(U.shape[1], dtype=float)
    )
    fields, cell_fields = on_mesh(space, mesh, U)
    return write_vtkhdf(path, mesh, fields, steps, cell_fields)


def write_points(path: str | Path, mesh: Mesh, fields: Fields, cell_fields: Fields) -> Path:
    """Points and their fields as .csv, one row per point; or points, cells and all fields as .npz."""
    path = Path(path)
    axes = {
        f"{axis} [{mesh.unit}]": mesh.points[:, k]
        for k, axis in zip(range(mesh.points.shape[1]), "xyz", strict=False)
    }
    if path.suffix == ".npz":
        arrays: dict[str, Any] = {"points": mesh.points} | {
            f"cells {kind}": numbers for kind, numbers in mesh.cells.items()
        }
        arrays |= {label(n, u): v for part in (fields, cell_fields) for n, (v, u) in part.items()}
        np.savez(path, **arrays)
        return path
    for name, (values, unit) in fields.items():
        flat = values.reshape(len(values), -1)
        axes |= {
            label(name if flat.shape[1] == 1 else f"{name} {k}", unit): flat[:, k]
            for k in range(flat.shape[1])
        }
    return write_table(path, list(axes), np.column_stack(list(axes.values())))
