"""Claims on tasks: files that only one process can create and that die with it."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rom.errors import NotWritten


@contextmanager
def lease(folder: Path, key: str, expiry: float) -> Iterator[Path | None]:
    """The claim of this process on task `key` for the length of the block, or None where another holds it.

    A lease is the file `key.g` of the highest generation g, made with O_EXCL; a dead one is succeeded by g + 1, never removed under
    another's feet. On one host it dies with its process, or `expiry` seconds after the last heartbeat of one that was stopped; across
    hosts, `expiry` seconds after the last heartbeat by the file system's own clock. Reference: Gray, Cheriton (1989).
    """
    mine = _claimed(folder, key, expiry)
    if mine is None:
        yield None
        return
    stop = threading.Event()
    beat = threading.Thread(target=_beat, args=(mine, stop, expiry / 8), daemon=True)
    beat.start()
    try:
        yield mine
    finally:
        stop.set()
        beat.join()
        for old in _generations(folder, key):
            if old <= int(mine.suffix[1:]):
                (folder / f"{key}.{old}").unlink(missing_ok=True)


def valid(mine: Path) -> bool:
    """Whether a claim was not succeeded while its holder was stopped or cut off."""
    taken = _generations(mine.parent, mine.stem)
    return bool(taken) and taken[-1] == int(mine.suffix[1:])


def alive(path: Path, expiry: float) -> bool:
    """Whether the holder of a lease still works on it."""
    try:
        where, pid, start = json.loads(path.read_text())
        age = _now(path.parent) - path.stat().st_mtime
    except FileNotFoundError:
        return False
    except ValueError:  # created this moment, or cut short by a kill
        return _now(path.parent) - path.stat().st_mtime < 2.0
    if where != host():
        return age < expiry
    return start_time(pid) == start and (age < expiry or not is_stopped(pid))


def _claimed(folder: Path, key: str, expiry: float) -> Path | None:
    taken = _generations(folder, key)
    if taken and alive(folder / f"{key}.{taken[-1]}", expiry):
        return None
    path = folder / f"{key}.{taken[-1] + 1 if taken else 0}"
    try:
        with open(path, "x") as file:
            file.write(json.dumps([host(), os.getpid(), start_time(os.getpid())]))
    except FileExistsError:
        return None
    except OSError as error:
        raise NotWritten(
            f"cannot write {path}: {error.strerror}; free space and run again, what was committed is safe"
        ) from error
    return path


def _generations(folder: Path, key: str) -> list[int]:
    return sorted(int(path.suffix[1:]) for path in folder.glob(f"{key}.*"))


def _beat(path: Path, stop: threading.Event, every: float) -> None:
    while not stop.wait(every):
        with suppress(OSError):
            os.utime(path)


def _now(folder: Path) -> float:
    clock = folder / f".clock-{socket.gethostname()}-{os.getpid()}"
    clock.touch()
    try:
        return clock.stat().st_mtime
    finally:
        clock.unlink()


def host() -> str:
    """Host and process namespace: within one of these, process ids mean the same."""
    with suppress(OSError):
        return f"{socket.gethostname()} {os.readlink('/proc/self/ns/pid')}"
    return socket.gethostname()


def is_stopped(pid: int, how: str = "Tt") -> bool:
    """Whether a process stands still under SIGSTOP (T) or a tracer (t)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in how
    except OSError:
        return False


def start_time(pid: int) -> str | None:
    """When a living process began, so that a re-used id is not taken for it; None for a dead one."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if state in "ZX" else rest[18]
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return "" if not Path("/proc/self/stat").exists() else None
