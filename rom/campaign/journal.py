"""What a campaign has acknowledged: journals, and their union, the manifest.

A journal is a file of append-only JSON lines, each with its CRC; every writing process has its
own.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import stat
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from rom.archive.files import plain_file, sync
from rom.campaign.records import Record, check_plan, check_sample
from rom.errors import DamagedFile, ForeignFile, NotWritten

MAX_LINE = 2**28  # bytes
NOT_A_RECORD = (AttributeError, KeyError, TypeError, ValueError, OverflowError, OSError)


def new_journal(path: Path, token: str = "", pid: int = 0) -> Path:
    """A journal of one process in the store at `path`, not written yet.

    token : that tells it from others of that pid, drawn by default; pid : by default this one's
    """
    name = f"{socket.gethostname()}-{pid or os.getpid()}-{token or secrets.token_hex(4)}.jsonl"
    return path / "journal" / name


def journals(path: Path) -> list[Path]:
    """The journals of the store at `path`; a folder is none, whatever its name."""
    with suppress(FileNotFoundError), os.scandir(path / "journal") as entries:
        files = [
            entry.path for entry in entries if entry.name.endswith(".jsonl") and not entry.is_dir()
        ]
        return [Path(file) for file in sorted(files)]
    return []


def append_record(path: Path, record: Record) -> None:
    """Adds one line, durably.

    Raises NotWritten where the disk refuses; a torn line is then ignored by every reader.
    """
    text = json.dumps(record, allow_nan=False).encode()
    line = memoryview(_checksum(text) + b" " + text + b"\n")
    is_new = not path.exists()
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            while line:
                count = os.write(handle, line)
                line = line[count:]
            os.fsync(handle)
        finally:
            os.close(handle)
        if is_new:
            sync(path.parent)
    except OSError as error:
        raise NotWritten(
            f"cannot write {path}: {error.strerror}; free space and run again, "
            "what was committed is safe"
        ) from error


def read_lines(path: Path, start: int = 0) -> list[tuple[int, Record | None]]:
    """(byte after the line, record) of every complete line from byte `start`.

    The record is None where its CRC does not agree. Raises ForeignFile for a line longer than
    any record, and for one that is no JSON although its CRC agrees.
    """
    records: list[tuple[int, Record | None]] = []
    with plain_file(path) as raw:
        raw.seek(start)
        end = start
        while line := raw.readline(MAX_LINE):
            if not line.endswith(b"\n"):
                if len(line) == MAX_LINE:
                    raise ForeignFile(
                        f"{path}: the line at byte {end} is longer than any record; remove the file"
                    )
                break
            end += len(line)
            try:
                records.append((end, _parse(line)))
            except (ValueError, RecursionError) as error:
                raise ForeignFile(
                    f"{path}: the line before byte {end} is no record of this package; "
                    "remove the file"
                ) from error
    return records


def _parse(line: bytes) -> Record | None:
    """The record of a line, None where its CRC does not agree.

    Raises ValueError for no JSON.
    """
    crc, _, text = line[:-1].partition(b" ")
    if crc != _checksum(text):
        return None
    record: Record = json.loads(text.decode())
    return record


def _checksum(text: bytes) -> bytes:
    return b"%08x" % zlib.crc32(text)


@dataclass(frozen=True, eq=False)
class Manifest:
    """The records of a store; `refresh` reads what was appended since the last time.

    done : key -> record of the sample
    failed : key -> records of the attempts that failed
    plans : journal:byte -> {"time", "keys", "mus"}
    lost : key -> files that a record names and the folder lacks
    seen : journal -> bytes that are read
    longest : journal -> seconds of its longest solve
    authors : key -> journal of the record in `done`
    """

    path: Path
    done: dict[str, Record] = field(default_factory=dict)
    failed: dict[str, list[Record]] = field(default_factory=dict)
    plans: dict[str, Record] = field(default_factory=dict)
    lost: dict[str, list[str]] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    longest: dict[str, float] = field(default_factory=dict)
    authors: dict[str, str] = field(default_factory=dict)

    @property
    def plan(self) -> dict[str, list[float]]:
        """key -> parameters of all tasks, the earliest plan first."""
        tasks: dict[str, list[float]] = {}
        for plan in sorted(self.plans.values(), key=lambda plan: (plan["time"], plan["keys"])):
            tasks.update(zip(plan["keys"], plan["mus"], strict=True))
        return tasks

    @property
    def order(self) -> list[str]:
        """Keys of what is done, as planned; then what nobody planned, by parameters."""
        plan = self.plan
        rest = [key for key in self.done if key not in plan]
        rest.sort(key=lambda key: self.done[key]["mu"])
        return [key for key in plan if key in self.done] + rest


def refresh(manifest: Manifest) -> Manifest:
    """Reads what was appended since the last time, into the manifest itself.

    Raises DamagedFile for a line whose CRC does not agree, ForeignFile for no record.
    """
    for path in journals(manifest.path):
        start = manifest.seen.get(path.name, 0)
        if path.stat().st_size == start:
            continue
        for end, record in read_lines(path, start):
            if record is None:
                raise DamagedFile(
                    f"{path}: the line before byte {end} is damaged; "
                    f"call rom.campaign.rebuild({str(manifest.path)!r})"
                )
            try:
                _enter(manifest, record, path.name, end)
            except NOT_A_RECORD as error:
                raise ForeignFile(
                    f"{path}: the line before byte {end} is no record of this package "
                    f"({error!r}); remove the file"
                ) from error
            manifest.seen[path.name] = end
    return manifest


def _enter(manifest: Manifest, record: Record, journal: str, end: int) -> None:
    """Enters one record. Raises one of NOT_A_RECORD for what no campaign writes."""
    state = record["state"]
    if state == "plan":
        manifest.plans[f"{journal}:{end}"] = check_plan(record)
    elif state == "failed":
        attempts = manifest.failed.setdefault(record["key"], [])
        attempts.append({"reason": str(record["reason"]), **record})
    else:
        _enter_sample(manifest, record, journal)


def _enter_sample(manifest: Manifest, record: Record, journal: str) -> None:
    """Enters a sample as done, or as lost where the folder lacks a file of it."""
    check_sample(record)
    key, samples = record["key"], manifest.path / "samples"
    absent = []
    for entry in record["files"]:
        if not _is_whole(f"{samples}/{entry['name']}", entry["bytes"]):
            absent.append(entry["name"])
    if absent:
        manifest.lost.setdefault(key, []).extend(absent)
        return
    seconds = float(record.get("seconds", 0.0))
    manifest.longest[journal] = max(manifest.longest.get(journal, 0.0), seconds)
    earlier = manifest.done.get(key)
    if earlier is None or _first_name(record) < _first_name(earlier):
        manifest.done[key], manifest.authors[key] = record, journal


def _first_name(record: Record) -> str:
    name: str = record["files"][0]["name"]
    return name


def _is_whole(path: str, size: int) -> bool:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path} is a link or no file")
    return status.st_size == size
