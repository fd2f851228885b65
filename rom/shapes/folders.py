"""The files of a family of designs, and the scalars of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rom.errors import BadInput
from rom.io.readers.cgns import read_cgns
from rom.io.references import beside
from rom.io.tables import table_entries

NO_MESH = (".csv", ".txt", ".md", ".json", ".yaml")  # suffixes of other files
TABLE = "scalars.csv"
SPLITS = "data/*/sample_*"  # of PLAID 1


@dataclass(frozen=True)
class DesignFile:
    """A mesh file, the name by which users know it, and its scalars by column."""

    path: Path
    name: str
    scalars: dict[str, float]


def list_files(folder: str | Path) -> list[DesignFile]:
    """The designs of a folder in order; PLAID samples where there are some.

    folder : or a table like scalars.csv, whose files lie beside it
    Raises BadInput where there are none, or a table does not fit; ForeignFile where a design is a
    link out of its folder, or a table leads there.
    """
    folder = Path(folder)
    if folder.is_file() and folder.suffix == ".csv":
        return _listed_in_table(folder)
    if not folder.is_dir():
        raise BadInput(f"no folder {folder}; give a folder of mesh files, one per design")
    samples = sorted((folder / "samples").glob("sample_*"))
    samples = samples or sorted(folder.glob("sample_*/")) or sorted(folder.glob(SPLITS))
    plaid = [_plaid(path) for path in samples if path.is_dir()]
    if plaid:
        return plaid
    table = folder / TABLE
    return _listed_in_table(table) if table.is_file() else _mesh_files(folder)


def _listed_in_table(table: Path) -> list[DesignFile]:
    """The files that a table names, with their scalars."""
    head, *lines = _lines(table)
    if not lines:
        raise BadInput(f"{table} has no rows; give one per file: its name, then its scalars")
    files = []
    for name, *values in lines:
        scalars = _numbers(table, head[1:], values, name)
        files.append(_design(beside(table, name), scalars))
    return files


def _mesh_files(folder: Path) -> list[DesignFile]:
    """All files that may be meshes, without scalars."""
    paths = [path for path in folder.iterdir() if path.is_file() and path.suffix not in NO_MESH]
    if not paths:
        raise BadInput(
            f"{folder} holds no mesh files; give one per design, and scalars.csv where scalars vary"
        )
    return [_design(beside(path, path.name), {}) for path in sorted(paths)]


def _design(path: Path, scalars: dict[str, float]) -> DesignFile:
    """A file by its own name, or by that of its PLAID sample."""
    folder = path.parent
    name = folder.parent.name if folder.name == "meshes" else path.name
    return DesignFile(path, name, scalars)


def _plaid(folder: Path) -> DesignFile:
    """One PLAID sample: scalars of the tree, and those of the table beside it."""
    meshes = sorted((folder / "meshes").glob("*.cgns"))
    table = folder / TABLE
    if len(meshes) != 1:
        raise BadInput(
            f"{folder} has {len(meshes)} CGNS meshes; one steady state per sample can be read"
        )
    path = beside(meshes[0], meshes[0].name)
    _, _, _, scalars = read_cgns(path)
    if not table.is_file():
        return _design(path, scalars)
    lines = _lines(table)
    if len(lines) != 2:
        raise BadInput(f"{table} has {len(lines)} rows; give names and one row of values")
    head, values = lines
    numbers = _numbers(table, head, values, folder.name)
    return _design(path, scalars | numbers)


def _lines(table: Path) -> list[list[str]]:
    """The lines of a table that are not empty."""
    _, header, rows = table_entries(table)
    return [header, *rows]


def _numbers(table: Path, head: list[str], line: list[str], name: str) -> dict[str, float]:
    """Column -> number of one line. Raises BadInput where one is no number."""
    if len(head) != len(line):
        raise BadInput(f"{table}: {len(line)} scalars of {name} under {len(head)} names")
    numbers = {}
    try:
        for key, value in zip(head, line, strict=True):
            numbers[key.strip()] = float(value)
    except ValueError as error:
        raise BadInput(f"{table}: {name} has a scalar that is no number ({error})") from error
    return numbers
