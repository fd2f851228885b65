"""Journals: append-only JSON lines, each with its CRC, one file per process."""

from __future__ import annotations

import json
import os
import secrets
import socket
import zlib
from pathlib import Path
from typing import Any

from rom.archive.files import plain_file, sync
from rom.errors import ForeignFile, NotWritten

Record = dict[str, Any]
MAX_LINE = 2**28  # bytes


def new_journal(path: Path) -> Path:
    """A journal of this process's own in the store at `path`, not written yet."""
    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
    return path / "journal" / name


def journals(path: Path) -> list[Path]:
    """The journals of the store at `path`."""
    return sorted((path / "journal").glob("*.jsonl"))


def append(path: Path, record: Record) -> None:
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


def has_torn_end(path: Path) -> bool:
    """Whether the last line was cut short, as a kill or a full disk does."""
    with open(path, "rb") as raw:
        size = raw.seek(0, os.SEEK_END)
        raw.seek(max(size - 1, 0))
        return size > 0 and raw.read(1) != b"\n"


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
