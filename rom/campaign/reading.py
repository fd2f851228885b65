"""Snapshots of a store as columns, on any ranks and any partition."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rom.archive.files import open_archive, read_sealed
from rom.archive.layout import extents
from rom.archive.nouns import load
from rom.arrays import real
from rom.campaign.disk_columns import Columns, FilePart, Picks, nbytes
from rom.campaign.ranks import talk
from rom.campaign.records import Record, sample_extent
from rom.campaign.samples import ALL_ROWS
from rom.campaign.store import Store, open_store
from rom.errors import BadInput, DamagedFile, RomError
from rom.rows import as_slice
from rom.snapshots import Snapshots
from rom.space import Field, Space, euclidean


def read(
    path: str | Path,
    space: Space | None = None,
    *,
    mus: np.ndarray | None = None,
    comm: Any = None,
    memory_budget: float | str | None = None,
) -> Snapshots:
    """The snapshots of a store; a trajectory gives one column per time.

    space : where they live, row-distributed as its `numbers` say; by default R^N with the
        Euclidean product, in blocks over `comm`
    mus : (m, p), these in this order; by default all that are done, in the order planned
    memory_budget : bytes, or "256MiB": above it `u` stays on disk and is read by blocks of
        rows and columns
    Every file's digest is verified first. Raises BadInput where nothing is done or a parameter
    is missing, DamagedFile naming the file.
    """
    store = open_store(path)
    records = _choose(store, mus)
    size = records[0]["size"]
    if space is None:
        space = _default_space(store, size, comm)
    elif space.size != size:
        raise BadInput(
            f"{path} holds solutions of {size} dofs, the space has {space.size}; "
            "give the space they were solved in"
        )
    u = _read_columns(store, records, space, memory_budget)
    steps = [record["columns"] for record in records]
    mu = np.array([record["mu"] for record in records], dtype=float)
    t = None if store.times is None else np.tile(store.times, len(records))
    return Snapshots(space, np.repeat(mu, steps, axis=0), u, t)


def _read_columns(
    store: Store, records: list[Record], space: Space, memory_budget: float | str | None
) -> Any:
    """The columns in memory, or on disk beyond the budget; every digest is verified."""
    budget = np.inf if memory_budget is None else nbytes(memory_budget)
    entries = [entry for record in records for entry in record["files"]]
    at_once = space.comm is None and all("steps" in entry for entry in entries)
    _verify(store, [] if at_once else entries, _row_files(entries), space.comm)
    u = _columns(store, records, space)
    stays = any(talk(space.comm, bool(u.nbytes > budget)))
    if at_once and not stays:
        return _read_verified(u, records)
    _verify(store, entries if at_once else [], [], space.comm)
    return replace(u, budget=budget) if stays else u[:, :]


def _default_space(store: Store, size: int, comm: Any) -> Space:
    """R^N in blocks of consecutive dofs over the ranks."""
    numbers = np.arange(size)
    if comm is not None:
        numbers = np.array_split(numbers, comm.Get_size())[comm.Get_rank()]
    return euclidean(numbers, comm, _local_fields(store.fields, numbers))


def _local_fields(fields: tuple[Field, ...], numbers: np.ndarray) -> tuple[Field, ...]:
    """Fields in global numbers, restricted to a block of consecutive ones."""
    first = int(numbers[0]) if numbers.size else 0
    local = []
    for field in fields:
        is_inside = (field.rows >= first) & (field.rows < first + numbers.size)
        nodes = field.nodes
        if nodes is not None:
            nodes = nodes[is_inside[:: field.components]]
        local.append(replace(field, rows=field.rows[is_inside] - first, nodes=nodes))
    return tuple(local)


def _choose(store: Store, mus: np.ndarray | None) -> list[Record]:
    """The records of parameters mus, or of all that is done.

    Raises BadInput, DamagedFile.
    """
    manifest = store.manifest
    if mus is not None:
        mus = real(mus, "mus")
        if mus.ndim != 2:
            raise BadInput(f"mus has shape {mus.shape}; give one row per parameter: (m, p)")
        keys = store.keys(mus)
    else:
        keys = list(manifest.order)
        keys += [key for key in manifest.lost if key not in manifest.done]
    if not keys:
        raise BadInput(_nothing_to_read(store))
    for k, key in enumerate(keys):
        if key in manifest.done:
            continue
        if key in manifest.lost:
            raise DamagedFile(
                f"{store.path}/samples/{manifest.lost[key][0]} is missing or cut short; "
                "collect again to repair the store"
            )
        why = "was not solved"
        if key in manifest.failed:
            why = f"failed: {manifest.failed[key][-1]['reason']}"
        raise BadInput(
            f"row {k}, mu = {np.asarray(mus)[k]}, {why}; collect it into {store.path} first, "
            "or leave it out"
        )
    return [manifest.done[key] for key in keys]


def _nothing_to_read(store: Store) -> str:
    failed = store.manifest.failed
    first = ""
    for records in failed.values():
        record = records[-1]
        first = f": mu = {record.get('mu')}: {record['reason']}"
        break
    return (
        f"{store.path} holds no finished sample ({len(failed)} failed{first}); collect at least one"
    )


def _row_files(entries: list[Record]) -> list[str]:
    """The files that hold the numbers of rows."""
    return sorted({entry["rows"] for entry in entries} - {ALL_ROWS})


def _verify(store: Store, entries: list[Record], rows: list[str], comm: Any) -> None:
    """Verifies the digests of samples and of files of rows, shared out over the ranks.

    Raises DamagedFile on all of them.
    """
    files: list[tuple[str, str | None]] = []
    files += sorted({(entry["name"], entry["sha256"]) for entry in entries})
    files += [(name, None) for name in rows]
    if comm is not None:
        files = files[comm.Get_rank() :: comm.Get_size()]
    problem = ""
    for name, digest in files:
        try:
            open_archive(store.path / "samples" / name, digest, follow=False).close()
        except RomError as error:
            problem = problem or f"{error}; then collect again"
    problems = [text for text in talk(comm, problem) if text]
    if problems:
        raise DamagedFile(problems[0])


def _columns(store: Store, records: list[Record], space: Space) -> Columns:
    """The columns of all records on this rank's rows. Raises DamagedFile."""
    folder = store.path / "samples"
    picks: Picks = {}
    lengths: dict[str, int] = {}
    entries = [entry for record in records for entry in record["files"]]
    for rows in sorted({entry["rows"] for entry in entries}):
        picks[rows], lengths[rows] = _pick(folder, rows, records[0]["size"], space)
    samples, where = [], []
    for sample, record in enumerate(records):
        parts = tuple(_part(folder, entry) for entry in record["files"])
        local_rows = sum(picks[part.rows][0].size for part in parts)
        shapes = [(record["columns"], lengths[part.rows]) for part in parts]
        if local_rows != space.n or [part.steps.shape for part in parts] != shapes:
            raise DamagedFile(
                f"{parts[0].path} does not hold the dofs and times that the journal says; "
                "delete it and collect again"
            )
        samples.append(parts)
        where += [(sample, step) for step in range(record["columns"])]
    return Columns(space.n, tuple(samples), np.array(where), picks)


def _read_verified(columns: Columns, records: list[Record]) -> np.ndarray:
    """All columns in memory; each file is read once, and its digest verified."""
    U = np.empty(columns.shape, columns.dtype, order="F")
    slices = {}
    for name, (mine, theirs) in columns.picks.items():
        slices[name] = as_slice(mine), as_slice(theirs)
    buffer, column = bytearray(), 0
    for parts, record in zip(columns.samples, records, strict=True):
        target = U[:, column : column + record["columns"]]
        column += record["columns"]
        for part, entry in zip(parts, record["files"], strict=True):
            if len(buffer) < entry["bytes"]:
                buffer = bytearray(entry["bytes"])
            try:
                read_sealed(part.path, entry["sha256"], memoryview(buffer)[: entry["bytes"]])
            except RomError as error:
                raise DamagedFile(f"{error}; then collect again") from error
            steps = part.steps
            count = steps.shape[0] * steps.shape[1]
            values = np.frombuffer(buffer, steps.dtype, count, steps.offset).reshape(steps.shape)
            mine, theirs = slices[part.rows]
            target[mine] = values[:, theirs].T
    return U


def _pick(
    folder: Path, rows: str, size: int, space: Space
) -> tuple[tuple[np.ndarray, np.ndarray], int]:
    """((local rows, which of a part), length of a part) of parts with these rows."""
    if rows == ALL_ROWS:
        return (np.arange(space.n), space.numbers), size
    theirs = load(folder / rows)
    place = np.searchsorted(theirs, space.numbers)
    is_theirs = np.append(theirs, -1)[place] == space.numbers
    mine = np.flatnonzero(is_theirs)
    return (mine, place[mine]), theirs.size


def _part(folder: Path, entry: Record) -> FilePart:
    path = f"{folder}/{entry['name']}"
    if "steps" in entry:
        return FilePart(path, sample_extent(entry), entry["rows"])
    with open(path, "rb") as raw:
        return FilePart(path, extents(raw, path)["steps"], entry["rows"])
