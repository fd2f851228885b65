"""Loadings from files: a TOML of tables over time, and fields in files beside it.

    t = [0.0, 1.0, 2.0]              # [s]; or a column: "history.csv#t"

    [[force]]                        # f_q (n,) [N] at the dofs, node by node
    field = "spin.npy"
    table = [0.0, 1.0, 1.0]          # a_q at the times t; or "history.csv#spin"

    [[temperature]]                  # T_k (g,) [K] at the points of integration
    field = "fields.npz#hot"
    table = "history.csv#share"
    unit = "K"

    [[motion]]                       # U_l (n,) [m] at the dofs, of the whole body
    field = "lift.vtu#displacement"
    table = [0.0, 1e-3, 0.0]

A field file is .npy, .npz#name or a mesh file (.vtu, .vtkhdf, ...)#name, whose array (nodes,
components) is read node by node. Paths are relative to the TOML. `unit` is that of the field, by
default the one above or what a mesh file says; lengths and the like are converted. Where all
numbers follow other units (N, mm, degC), say so once: units = { temperature = "degC", motion =
"mm" }. A column is found by its name, with or without its unit in brackets.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rom.arrays import real
from rom.errors import BadInput
from rom.io.fields import unlabel
from rom.io.files import read_file
from rom.io.numpy_files import npz_names, read_npy, read_npz
from rom.io.references import beside
from rom.io.tables import table_entries
from rom.io.units import convert
from rom.loading import Loading

UNITS = {"force": "N", "temperature": "K", "motion": "m"}
KEYS = {"t", "units", *UNITS}
ENTRY_KEYS = {"field", "table", "unit"}


@dataclass(frozen=True, eq=False)
class _Kind:
    """All entries of one kind: fields (rows, k), tables (m, k)."""

    fields: np.ndarray
    tables: np.ndarray


def read_loading(path: str | Path) -> Loading:
    """The loading of a TOML file, in the form of this module's docstring.

    Raises BadInput naming the entry for a missing file, name or column, a field of another
    length, a table that does not fit the times, a unit that is not the one of its kind; and
    where no temperature is there, for every law asks for one.
    """
    path = Path(path)
    text = _parse(path)
    _check_keys(text, KEYS, f"{path.name}:")
    if "t" not in text:
        raise BadInput(f"{path.name} has no times; say t = [...] in seconds")
    t = _numbers(text["t"], path, "t")
    units = _units(text.get("units", {}), path)
    force, temperature, motion = (_read_kind(text, k, t, path, unit=units[k]) for k in UNITS)
    if not temperature.fields.shape[1]:
        raise BadInput(
            f"{path.name} has no [[temperature]]; a law asks for one at every point of "
            "integration: give a field, be it constant"
        )
    moves = bool(motion.fields.shape[1])
    if moves and force.fields.shape[1] and len(motion.fields) != len(force.fields):
        raise BadInput(
            f"{path.name}: motion fields have {len(motion.fields)} rows, force fields "
            f"{len(force.fields)}; both are at the dofs"
        )
    return Loading(
        t,
        force.fields,
        force.tables,
        temperature.fields,
        temperature.tables,
        motion.fields if moves else None,
        motion.tables if moves else None,
    )


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; give the TOML file of a loading") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is no TOML: {error}") from error


def _check_keys(table: Mapping[str, Any], allowed: set[str], where: str) -> None:
    foreign = sorted(set(table) - allowed)
    if foreign:
        raise BadInput(f"{where} no key {foreign[0]!r}; there are {', '.join(sorted(allowed))}")


def _units(table: Any, path: Path) -> dict[str, str]:
    """Kind -> unit of its numbers."""
    if not isinstance(table, Mapping):
        raise BadInput(f'{path.name}: give units = {{ motion = "mm" }}, not {table!r}')
    _check_keys(table, set(UNITS), f"{path.name}, units:")
    return {**UNITS, **table}


def _read_kind(
    text: Mapping[str, Any], kind: str, t: np.ndarray, path: Path, *, unit: str
) -> _Kind:
    """The entries [[kind]]. Raises BadInput naming the first that does not fit."""
    entries = text.get(kind, [])
    if not isinstance(entries, list) or not all(isinstance(e, Mapping) for e in entries):
        raise BadInput(f"{path.name}: write [[{kind}]] with field and table, one for each field")
    fields: list[np.ndarray] = []
    tables: list[np.ndarray] = []
    for number, entry in enumerate(entries):
        where = f"{path.name}, {kind} {number}"
        _check_keys(entry, ENTRY_KEYS, f"{where}:")
        for key in ("field", "table"):
            if key not in entry:
                raise BadInput(f"{where}: no {key}; give field and table")
        field = _field(entry, path, where, unit=unit)
        if fields and len(field) != len(fields[0]):
            raise BadInput(
                f"{where}: the field has {len(field)} rows, that of {kind} 0 has {len(fields[0])}"
            )
        table = _numbers(entry["table"], path, f"{kind} {number}")
        if table.shape != t.shape:
            raise BadInput(f"{where}: the table has {table.size} entries, there are {t.size} times")
        fields.append(field)
        tables.append(table)
    if not fields:
        return _Kind(np.zeros((0, 0)), np.zeros((len(t), 0)))
    return _Kind(np.stack(fields, axis=1), np.stack(tables, axis=1))


def _field(entry: Mapping[str, Any], path: Path, where: str, *, unit: str) -> np.ndarray:
    """A field (rows,) in the unit of its kind, node by node."""
    values, own = _read_field(entry["field"], path, where)
    own = str(entry.get("unit", own or unit))
    flat = np.asarray(real(values, where)).ravel()
    if not np.isfinite(flat).all():
        row = int(np.flatnonzero(~np.isfinite(flat))[0])
        raise BadInput(f"{where}: the field holds NaN or Inf at row {row}")
    return convert(flat, own, unit, where)


def _read_field(text: Any, path: Path, where: str) -> tuple[np.ndarray, str]:
    """The array of "file" or "file#name", and the unit that the file says, or ""."""
    file, name = _split(text, path, where)
    if file.suffix in (".npy", ".npz"):
        return _read_arrays(file, name, where)
    mesh, points, cells = read_file(file)
    columns = {**cells, **points}
    values, unit = columns[_choose(name, {key: key for key in columns}, file, where)]
    d = mesh.points.shape[1]
    if values.ndim == 2 and values.shape[1] > d and not values[:, d:].any():
        values = values[:, :d]  # formats add zeros to the vectors of plane meshes
    return values, unit


def _read_arrays(file: Path, name: str, where: str) -> tuple[np.ndarray, str]:
    """The array of a .npy or .npz file, and the unit in its name, or ""."""
    try:
        if file.suffix == ".npy":
            return read_npy(file), ""
        names = {unlabel(key)[0]: key for key in npz_names(file)}
        key = _choose(name, names, file, where)
        return read_npz(file, key), unlabel(key)[1]
    except BadInput as error:
        raise BadInput(error if str(error).startswith(where) else f"{where}: {error}") from error


def _split(text: Any, path: Path, where: str) -> tuple[Path, str]:
    """The file of "file#name" beside the TOML, and the name or "". Raises BadInput."""
    if not isinstance(text, str):
        raise BadInput(f'{where}: {text!r} is no file; write "file.npy" or "file.npz#name"')
    head, _, name = text.partition("#")
    file = beside(path, head)
    if not file.is_file():
        raise BadInput(f"{where}: there is no file {file}")
    return file, name


def _choose(name: str, names: Mapping[str, str], file: Path, where: str) -> str:
    """The key of a name; of the only one where none is asked for."""
    if not name and len(names) == 1:
        return next(iter(names.values()))
    if name in names.values():
        return name
    if name not in names:
        there = ", ".join(names) or "none"
        raise BadInput(f"{where}: no {name!r} in {file.name}; write {file.name}#NAME of: {there}")
    return names[name]


def _numbers(value: Any, path: Path, what: str) -> np.ndarray:
    """A list of numbers, or a column of a CSV file, as (m,)."""
    where = f"{path.name}, {what}"
    if isinstance(value, str):
        value = _column(*_split(value, path, where), where)
    numbers = np.asarray(real(value, where))
    if numbers.ndim != 1:
        raise BadInput(f"{where}: give a list of numbers, not shape {numbers.shape}")
    return numbers


def _column(file: Path, name: str, where: str) -> list[float]:
    """The column of a CSV file with a header line."""
    _, heads, rows = table_entries(file)
    key = _choose(name, {unlabel(head)[0]: head for head in heads}, file, where)
    j = heads.index(key)
    try:
        return [float(row[j]) for row in rows]
    except (ValueError, IndexError) as error:
        raise BadInput(
            f"{where}: column {key!r} of {file.name} holds no number: {error}"
        ) from error
