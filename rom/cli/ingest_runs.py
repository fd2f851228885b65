"""Many runs of another code: a folder of results and a table of parameters."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import rom.io.readers as readers
from rom.errors import BadInput
from rom.io.alignment import cell_order
from rom.io.regions import count_cells
from rom.io.registry import is_companion, is_result_folder, suffix_table
from rom.io.result import Result
from rom.io.tables import Table, read_table
from rom.parameters import Box
from rom.space import Field, euclidean

FILE, TIME = ("file", "files", "path"), ("t", "time")
Read = Callable[[list[Path], list[float] | None], Result]


@dataclass(frozen=True, eq=False)
class TableRun:
    """One run: parameters (p,), its files in the order of time, and times [s] or None."""

    mu: np.ndarray
    files: list[Path]
    times: list[float] | None


def table_runs(folder: Path, csv: Path) -> tuple[Box, list[TableRun]]:
    """The box of a table, and the runs that its rows are in a folder.

    Columns "name [unit]" are parameters; a column "file" names files, folders or patterns below
    the folder, else the files of the folder follow the rows in the order of their numbers; a
    column "t [s]" makes rows of the same parameters times of one run.
    Raises BadInput where rows and files do not match.
    """
    table = read_table(csv)
    roles = {name: name.strip().lower() for name in table.columns}
    names = [name for name, role in roles.items() if role not in (*FILE, *TIME)]
    if not names:
        raise BadInput(f"{csv} names no parameters; head a column with each, as 'k [W/m/K]'")
    mus = np.stack([table.values(name) for name in names], axis=1)
    if not np.isfinite(mus).all():
        raise BadInput(f"{csv} holds numbers that are not finite")
    units = tuple(table.units[name] or "1" for name in names)
    constant = [name for name, column in zip(names, mus.T, strict=True) if np.ptp(column) == 0]
    if constant:
        raise BadInput(f"{csv}: {constant[0]!r} is the same in all rows; leave its column out")
    box = Box(tuple(names), mus.min(axis=0), mus.max(axis=0), units)
    files = _files(folder, table, roles, len(mus))
    timed = next((name for name, role in roles.items() if role in TIME), None)
    times = None if timed is None else table.values(timed, "s")
    return box, _group(csv, mus, files, times)


def _files(folder: Path, table: Table, roles: dict[str, str], m: int) -> list[list[Path]]:
    """The files of every row."""
    column = next((name for name, role in roles.items() if role in FILE), None)
    if column is not None:
        return [_named_files(folder, text, table.path) for text in table.columns[column]]
    kinds: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir(), key=natural_key):
        if path.is_dir():
            kinds.setdefault("folders", []).append(path)
        elif is_readable(path):
            kinds.setdefault(path.suffix, []).append(path)
    fitting = [kind for kind, paths in kinds.items() if len(paths) == m]
    if len(fitting) != 1:
        counts = ", ".join(f"{len(paths)} {kind}" for kind, paths in kinds.items()) or "no files"
        raise BadInput(
            f"{table.path} has {m} rows, and {folder} holds {counts}; give each row its file in a "
            "column 'file'"
        )
    paths = kinds[fitting[0]]
    return [files_below(path) if path.is_dir() else [path] for path in paths]


def _named_files(folder: Path, text: str, csv: Path) -> list[Path]:
    paths = sorted(folder.glob(text), key=natural_key) if text else []
    files = [file for path in paths for file in (files_below(path) if path.is_dir() else [path])]
    if not files:
        raise BadInput(f"{csv}: {text!r} is no file of {folder}")
    return files


def files_below(folder: Path) -> list[Path]:
    """The result files of a folder, of one format, in the order of their numbers.

    A folder that is a result itself, as a case of OpenFOAM, is that one.
    """
    if is_result_folder(readers, folder):
        return [folder]
    files = [path for path in sorted(folder.iterdir(), key=natural_key) if is_readable(path)]
    suffixes = sorted({path.suffix for path in files})
    if len(suffixes) != 1:
        raise BadInput(
            f"{folder} holds result files of {', '.join(suffixes) or 'no format'}; keep one"
        )
    return files


def is_readable(path: Path) -> bool:
    """Whether a format of `rom.io.readers` goes by the end of this file's name."""
    is_known = path.suffix != "" and path.suffix in suffix_table(readers)
    return path.is_file() and is_known and not is_companion(readers, path)


def natural_key(path: Path) -> list[Any]:
    """A key that puts run2 before run10."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _group(
    csv: Path, mus: np.ndarray, files: list[list[Path]], times: np.ndarray | None
) -> list[TableRun]:
    """Rows as runs; with times those of the same parameters are one run."""
    rows: dict[tuple[float, ...], list[int]] = {}
    for k, mu in enumerate(mus):
        rows.setdefault(tuple(mu.tolist()), []).append(k)
    runs = []
    for key, group in rows.items():
        if times is None and len(group) > 1:
            raise BadInput(
                f"{csv}: rows {group[0] + 2} and {group[1] + 2} have the same parameters; give "
                "their times in a column 't [s]', or keep one"
            )
        ordered = group if times is None else sorted(group, key=lambda k: times[k])
        its = None if times is None else [float(times[k]) for k in ordered]
        runs.append(TableRun(np.array(key), [file for k in ordered for file in files[k]], its))
    return runs


def collect_runs(store: Path, box: Box, runs: list[TableRun], read: Read) -> tuple[Any, Result]:
    """All runs as a campaign, but those that it holds; and the first result.

    Raises BadInput for the first run that cannot be read.
    """
    from rom.campaign import collect

    first = read(runs[0].files, runs[0].times)
    columns, fields = result_columns(first)
    table = {run.mu.tobytes(): run for run in runs}
    is_static = columns.shape[1] == 1 and first.t is None

    def solve(mu: np.ndarray) -> np.ndarray:
        """The columns of the run of these parameters, cells in the order of the first."""
        run = table[np.asarray(mu, dtype=float).tobytes()]
        result = first if run is runs[0] else align_result(first, read(run.files, run.times))
        states = result_columns(result)[0]
        return states[:, 0] if is_static else states

    times = np.arange(columns.shape[1], dtype=float) if first.t is None else first.t
    campaign = collect(
        solve,
        np.stack([run.mu for run in runs]),
        store,
        box=box,
        space=euclidean(len(columns), fields=fields),
        mesh=first.mesh,
        times=None if is_static else times,
        retries=1,
    )
    if campaign.failed:
        raise BadInput(
            f"{len(campaign.failed)} of {len(runs)} runs could not be ingested; the first: "
            f"{campaign.failed[0][1]}"
        )
    return campaign, first


def result_columns(result: Result) -> tuple[np.ndarray, tuple[Field, ...]]:
    """All fields below each other (n, m), and where each lies."""
    blocks, parts, start = [], [], 0
    for name, values in result.fields.items():
        size = values[..., 0].size
        rows = np.arange(start, start + size)
        blocks.append(values.reshape(size, -1))
        parts.append(Field(name, result.units[name], rows, values.shape[1]))
        start += size
    return np.concatenate(blocks), tuple(parts)


def align_result(first: Result, other: Result) -> Result:
    """Another run on the mesh and at the times of the first, or BadInput."""
    ours, theirs = (np.array([]) if t is None else t for t in (first.t, other.t))
    if not np.array_equal(ours, theirs):
        raise BadInput("its times are not those of the first run; a campaign has one set of times")
    order = cell_order(first.mesh, other.mesh)
    if order is None:
        raise BadInput("its mesh is not that of the first run")
    fields = dict(other.fields)
    if not np.array_equal(order, np.arange(count_cells(other.mesh))):
        for name, place in other.where.items():
            if place == "integration":
                raise BadInput(f"its cells stand in another order, and {name!r} lies inside them")
            fields[name] = fields[name][order] if place == "cells" else fields[name]
    return Result(first.mesh, fields, other.units, other.where, other.t, other.x)
