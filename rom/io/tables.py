"""Numbers as tables of text, read and written, and fields point by point in them."""

from __future__ import annotations

import csv
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rom.archive.files import durably
from rom.arrays import gate
from rom.errors import BadInput, printable
from rom.io.fields import Fields, check_fields, label
from rom.io.npz import write_npz
from rom.io.units import convert
from rom.mesh import Mesh

AXES = "xyz"
FORMULA = ("=", "+", "-", "@")  # how formulas of spreadsheets begin


@dataclass(frozen=True)
class Table:
    """A table of numbers: what each column is called, its unit, and values (m,)."""

    path: Path
    units: dict[str, str]
    columns: dict[str, list[str]]

    def values(self, name: str, unit: str = "") -> np.ndarray:
        """The numbers (m,) of a column, in a unit where both are said.

        Raises BadInput naming row and column of an empty cell or a text, and a unit that
        cannot be converted.
        """
        numbers = np.array([self._number(name, k) for k in range(len(self.columns[name]))])
        theirs = self.units[name]
        if not theirs or theirs == unit or unit in ("", "1"):
            return numbers
        try:
            return convert(numbers, theirs, unit, name)
        except BadInput as error:
            raise BadInput(
                f"{self.path}: {name} is in [{theirs}] and is wanted in [{unit}]; convert the "
                "column and its heading"
            ) from error

    def _number(self, name: str, k: int) -> float:
        text = self.columns[name][k]
        try:
            return float(text)
        except ValueError as error:
            what = "is empty" if not text else f"= {text!r} is no number"
            raise BadInput(f"{self.path}, row {k + 2}: {name} {what}") from error


def read_table(path: str | Path) -> Table:
    """The columns of a file of text whose first line names them, "name [unit]".

    Columns are divided by commas, semicolons or tabs; with the last two decimal commas are
    read. A byte-order mark and empty lines are passed over. Raises BadInput for what is no
    table, rows of another length, a name that stands twice.
    """
    path = Path(path)
    mark, header, rows = table_entries(path)
    heads = [_heading(entry) for entry in header]
    names = [name for name, _ in heads]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(f"{path}: {name!r} heads {names.count(name)} columns; keep one")
    for k, row in enumerate(rows):
        if len(row) != len(names):
            raise BadInput(f"{path}, row {k + 2}: {len(row)} entries under {len(names)} names")
    if mark != ",":
        rows = [[entry.replace(",", ".") for entry in row] for row in rows]
    columns = {name: [row[k] for row in rows] for k, name in enumerate(names)}
    return Table(path, dict(heads), columns)


def table_entries(path: Path) -> tuple[str, list[str], list[list[str]]]:
    """What divides columns, the header, and the rows that are not empty; or BadInput."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        first = text.lstrip().partition("\n")[0]
        mark = next((mark for mark in (";", "\t") if mark in first), ",")
        lines = csv.reader(text.splitlines(), delimiter=mark, skipinitialspace=True)
        stripped = [[entry.strip() for entry in line] for line in lines]
        header, *rows = filter(any, stripped)
    except (OSError, ValueError, csv.Error) as error:
        raise BadInput(
            f"{path} is no table ({error}); give a CSV file with a header of names"
        ) from error
    return mark, header, rows


def _heading(text: str) -> tuple[str, str]:
    """'name [unit]', 'name[unit]' or 'name' as name and unit."""
    name, _, unit = text.partition("[")
    return name.strip(), unit.rstrip("] ")


def write_table(path: str | Path, names: list[str], rows: Any, *, root: bool = True) -> Path:
    """A CSV file with a header line; numbers with all their digits.

    Names that a spreadsheet would run as a formula begin with an apostrophe.
    root : whether this rank writes; the others only make their share of `rows`
    """

    def write(temp: Path) -> None:
        with open(temp, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(map(disarm, names))
            for row in rows:
                file.write(number_line(row) + "\r\n")

    if root:
        durably(Path(path), write)
    else:
        deque(rows, maxlen=0)
    return Path(path)


def number_line(row: Any) -> str:
    """Numbers divided by commas, each in the fewest digits that read back as it."""
    from pydantic_core import to_json

    numbers = np.asarray(row)
    if np.iscomplexobj(numbers) or not np.isfinite(numbers).all():
        kind = complex if np.iscomplexobj(numbers) else float
        return ",".join(map(repr, numbers.astype(kind).tolist()))
    return to_json(numbers.astype(float).tolist()).decode()[1:-1]


def disarm(name: str) -> str:
    """A header as plain text: no formula of a spreadsheet, no control character."""
    plain = printable(name)
    return f"'{plain}" if plain.startswith(FORMULA) else plain


@gate(mesh=Mesh)
def write_points(path: str | Path, mesh: Mesh, fields: Fields, cell_fields: Fields) -> Path:
    """Points and their fields as .csv, one row per point; or all of a file as .npz."""
    path = Path(path)
    if path.suffix == ".npz":
        return _write_all(path, mesh, fields, cell_fields)
    columns = {}
    for axis, x in zip(AXES, mesh.points.T, strict=False):
        columns[label(axis, mesh.unit)] = x
    check_fields(fields, len(mesh.points), "points")
    for name, (values, unit) in fields.items():
        values = np.asarray(values)
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
    return write_npz(path, arrays)
