"""What a campaign has acknowledged: append-only JSON lines, each with its CRC, one file per writing process."""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rom.archive.files import plain_file, sync
from rom.errors import DamagedFile, ForeignFile, NotWritten

log = logging.getLogger("rom")
Record = dict[str, Any]
LONGEST = 2**28


@dataclass(frozen=True, eq=False)
class Manifest:
    """The union of the journals of a store: done (key -> record), failed (key -> records), planned (key -> parameters, in order).

    Filled by `refresh`, which reads only what was appended since; lost : files that a record names and the folder lacks; longest : journal -> seconds of its longest solve.
    """

    path: Path
    done: dict[str, Record] = field(default_factory=dict)
    failed: dict[str, list[Record]] = field(default_factory=dict)
    plans: dict[str, Record] = field(default_factory=dict)
    lost: dict[str, list[str]] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    longest: dict[str, float] = field(default_factory=dict)

    @property
    def planned(self) -> dict[str, list[float]]:
        """key -> parameters, the earliest plan first."""
        plans = sorted(self.plans.values(), key=lambda plan: (plan["time"], plan["keys"]))
        return {
            key: mu for plan in plans for key, mu in zip(plan["keys"], plan["mus"], strict=True)
        }

    @property
    def order(self) -> list[str]:
        """Keys of what is done, as planned; then what nobody planned, by parameters."""
        planned = self.planned
        rest = sorted(
            (key for key in self.done if key not in planned), key=lambda key: self.done[key]["mu"]
        )
        return [key for key in planned if key in self.done] + rest


def journal(path: Path) -> Path:
    """A journal of this process's own, not written yet."""
    return path / "journal" / f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"


def append(path: Path, record: Record) -> None:
    """Adds one line, durably. Raises NotWritten where the disk refuses; a torn line is then ignored by every reader."""
    text = json.dumps(record, allow_nan=False).encode()
    line = memoryview(b"%08x %s\n" % (zlib.crc32(text), text))
    new = not path.exists()
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            while line:
                line = line[os.write(handle, line) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        if new:
            sync(path.parent)
    except OSError as error:
        raise NotWritten(
            f"cannot write {path}: {error.strerror}; free space and run again, what was committed is safe"
        ) from error


def read_lines(path: Path, start: int = 0) -> Iterator[tuple[int, Record | None]]:
    """(byte after the line, record) of every complete line from `start`; the record is None where its CRC does not agree.

    Raises ForeignFile for a line longer than any record, and for one that is no JSON although its CRC agrees.
    """
    with plain_file(path) as raw:
        raw.seek(start)
        while line := raw.readline(LONGEST):
            if not line.endswith(b"\n"):
                if len(line) == LONGEST:
                    raise ForeignFile(
                        f"{path}: the line at byte {start} is longer than any record; remove the file"
                    )
                return
            start += len(line)
            crc, _, text = line[:-1].partition(b" ")
            try:
                yield (
                    start,
                    json.loads(text.decode()) if crc == b"%08x" % zlib.crc32(text) else None,
                )
            except (ValueError, RecursionError) as error:
                raise ForeignFile(
                    f"{path}: the line before byte {start} is no record of this package; remove the file"
                ) from error


def torn(path: Path) -> bool:
    """Whether the last line was cut short, as a kill or a full disk does."""
    with open(path, "rb") as raw:
        size = raw.seek(0, os.SEEK_END)
        raw.seek(max(size - 1, 0))
        return size > 0 and raw.read(1) != b"\n"


def journals(path: Path) -> list[Path]:
    """The journals of a store."""
    return sorted((path / "journal").glob("*.jsonl"))


def refresh(manifest: Manifest) -> Manifest:
    """Reads what was appended since the last time. Raises DamagedFile for a line whose CRC does not agree."""
    for path in journals(manifest.path):
        start = manifest.seen.get(path.name, 0)
        if path.stat().st_size == start:
            continue
        for end, record in read_lines(path, start):
            if record is None:
                raise DamagedFile(
                    f"{path}: the line before byte {end} is damaged; call rom.campaign.repair.rebuild({str(manifest.path)!r})"
                )
            try:
                _enter(manifest, record, f"{path.name}:{end}")
            except (
                AttributeError,
                KeyError,
                TypeError,
                ValueError,
                OverflowError,
                OSError,
            ) as error:
                raise ForeignFile(
                    f"{path}: the line before byte {end} is no record of this package ({error!r}); remove the file"
                ) from error
            manifest.seen[path.name] = end
    return manifest


def _enter(manifest: Manifest, record: Record, place: str) -> None:
    if record["state"] == "plan":
        mus = [[float(x) for x in mu] for mu in record["mus"]]
        keys = [key for key in record["keys"] if isinstance(key, str)]
        if not len(keys) == len(record["keys"]) == len(mus):
            raise ValueError(f"{len(record['keys'])} keys, {len(mus)} parameters")
        manifest.plans[place] = {"time": float(record["time"]), "keys": keys, "mus": mus}
    elif record["state"] == "failed":
        manifest.failed.setdefault(record["key"], []).append(
            {"reason": str(record["reason"]), **record}
        )
    else:
        names = [name for f in record["files"] for name in (f["name"], f["rows"], f["sha256"])]
        if (
            not names
            or not [float(x) for x in record["mu"]]
            or not all(isinstance(record[name], int) for name in ("size", "columns"))
            or not isinstance(float(record.get("seconds", 0.0)), float)
            or any(name != Path(name).name for name in names)
            or not record["size"] > 0 < record["columns"]
        ):
            raise ValueError(f"files {names}")
        absent = [
            f["name"]
            for f in record["files"]
            if not _there(manifest.path / "samples" / f["name"], f["bytes"])
        ]
        if absent:
            manifest.lost.setdefault(record["key"], []).extend(absent)
            return
        name, seconds = place.rpartition(":")[0], float(record.get("seconds", 0.0))
        manifest.longest[name] = max(manifest.longest.get(name, 0.0), seconds)
        known = manifest.done.get(record["key"])
        if known is None or record["files"][0]["name"] < known["files"][0]["name"]:
            manifest.done[record["key"]] = record


def _there(path: Path, size: int) -> bool:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{path} is a link or no file")
    return found.st_size == size
