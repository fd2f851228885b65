"""Numbers as comma-separated tables, and fields point by point in them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from rom.io.fields import Fields, label
from rom.mesh import Mesh

AXES = "xyz"


def write_table(path: str | Path, names: list[str], rows: Any, *, root: bool = True) -> Path:
    """A CSV file with a header line; numbers with all their digits.

    root : whether this rank writes; the others only make their share of `rows`
    """
    if not root:
        for _ in rows:
            pass
        return Path(path)
    with open(path, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(names)
        for row in rows:
            numbers = np.asarray(row)
            kind = complex if np.iscomplexobj(numbers) else float
            table.writerow([repr(number) for number in numbers.astype(kind).tolist()])
    return Path(path)


def write_points(path: str | Path, mesh: Mesh, fields: Fields, cell_fields: Fields) -> Path:
    """Points and their fields as .csv, one row per point; or all of a file as .npz."""
    path = Path(path)
    if path.suffix == ".npz":
        return _write_all(path, mesh, fields, cell_fields)
    columns = {}
    for axis, x in zip(AXES, mesh.points.T, strict=False):
        columns[label(axis, mesh.unit)] = x
    for name, (values, unit) in fields.items():
        columns |= _component_columns(name, values, unit)
    return write_table(path, list(columns), np.column_stack(list(columns.values())))


def _component_columns(name: str, values: np.ndarray, unit: str) -> dict[str, np.ndarray]:
    """'name [unit]' -> column of a scalar; 'name k [unit]' -> column of components k."""
    flat = values.reshape(len(values), -1)
    if flat.shape[1] == 1:
        return {label(name, unit): flat[:, 0]}
    return {label(f"{name} {k}", unit): column for k, column in enumerate(flat.T)}


def _write_all(path: Path, mesh: Mesh, fields: Fields, cell_fields: Fields) -> Path:
    arrays: dict[str, Any] = {"points": mesh.points}
    for kind, cells in mesh.cells.items():
        arrays[f"cells {kind}"] = cells
    for part in (fields, cell_fields):
        for name, (values, unit) in part.items():
            arrays[label(name, unit)] = values
    np.savez(path, **arrays)
    return path
