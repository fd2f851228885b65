"""Claims on tasks: files that only one process can create and that die with it.

A lease is the file KEY.g of the highest generation g, made with O_EXCL. A dead one is succeeded
by g + 1, never removed under another's feet. On one host it dies with its process, or `expiry`
seconds after the last heartbeat of one that was stopped; across hosts, and in a store that was
moved or copied, `expiry` seconds after the last heartbeat by the file system's own clock; a
heartbeat of tomorrow is none. Reference: Gray and Cheriton (1989).
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rom.errors import NotWritten

BEATS = 8  # heartbeats in the time after which a lease expires
NEWBORN = 2.0  # [s] that a lease without readable content counts as alive


@contextmanager
def lease(folder: Path, key: str, expiry: float) -> Iterator[Path | None]:
    """The claim of this process on task `key` during the block, or None.

    None where another holds the task. expiry [s] : see the module.
    Raises NotWritten where the claim cannot be written.
    """
    mine = _claim(folder, key, expiry)
    if mine is None:
        yield None
        return
    stop = threading.Event()
    beat = threading.Thread(target=_beat, args=(mine, stop, expiry / BEATS), daemon=True)
    beat.start()
    try:
        yield mine
    finally:
        stop.set()
        beat.join()
        _release(folder, key, _generation(mine))


def valid(mine: Path) -> bool:
    """Whether a claim was not succeeded while its holder was stopped or cut off."""
    generations = _generations(mine.parent, mine.stem)
    return bool(generations) and generations[-1] == _generation(mine)


def alive(path: Path, expiry: float) -> bool:
    """Whether the holder of a lease still works on it."""
    try:
        text, age = path.read_text(), _age(path)
    except FileNotFoundError:  # released this moment
        return False
    try:
        holder, pid, start, *place = json.loads(text)
    except (ValueError, TypeError):  # created this moment, or cut short by a kill
        return age < NEWBORN
    if holder != host() or place not in ([], [_place(path.parent)]):
        return age < expiry
    if start_time(pid) != start:
        return False
    return age < expiry or not stands_still(pid)


def _claim(folder: Path, key: str, expiry: float) -> Path | None:
    """A new lease of this process, or None where another holds the task."""
    generations = _generations(folder, key)
    if generations and alive(folder / f"{key}.{generations[-1]}", expiry):
        return None
    if _generations(folder, key) != generations:  # released this moment: look again
        return None
    path = folder / f"{key}.{generations[-1] + 1 if generations else 0}"
    pid = os.getpid()
    try:
        with open(path, "x") as file:
            file.write(json.dumps([host(), pid, start_time(pid), _place(folder)]))
    except FileExistsError:
        return None
    except OSError as error:
        raise NotWritten(
            f"cannot write {path}: {error.strerror}; free space and run again, "
            "what was committed is safe"
        ) from error
    return path


def _release(folder: Path, key: str, generation: int) -> None:
    """Removes the lease of that generation and those before it."""
    for old in _generations(folder, key):
        if old <= generation:
            (folder / f"{key}.{old}").unlink(missing_ok=True)


def _generations(folder: Path, key: str) -> list[int]:
    """The generations of a task's leases, without KEY.tmp or a folder KEY.7."""
    leases = []
    for path in folder.glob(f"{key}.*"):
        if path.suffix[1:].isdecimal() and not path.is_dir():
            leases.append(_generation(path))
    return sorted(leases)


def _place(folder: Path) -> str:
    """Where the leases of a store lie; another place is another store."""
    return os.path.realpath(folder)


def _generation(path: Path) -> int:
    return int(path.suffix[1:])


def _beat(path: Path, stop: threading.Event, every: float) -> None:
    while not stop.wait(every):
        with suppress(OSError):
            os.utime(path)


def _age(path: Path) -> float:
    """Seconds between now and the last heartbeat, by the clock of the file system."""
    return abs(_now(path.parent) - path.stat().st_mtime)


def _now(folder: Path) -> float:
    """Time of the file system [s]; the file that tells it is of this call alone."""
    clock = folder / f".clock-{secrets.token_hex(8)}"
    try:
        with open(clock, "xb") as file:
            return os.fstat(file.fileno()).st_mtime
    finally:
        clock.unlink(missing_ok=True)


def host() -> str:
    """Host and process namespace: within one of these, process ids mean the same."""
    with suppress(OSError):
        return f"{socket.gethostname()} {os.readlink('/proc/self/ns/pid')}"
    return socket.gethostname()


def stands_still(pid: int, states: str = "Tt") -> bool:
    """Whether a process stands still under SIGSTOP (T) or a tracer (t)."""
    try:
        return _status(pid)[0] in states
    except OSError:
        return False


def start_time(pid: int) -> str | None:
    """When a living process began, so that a re-used id is told apart; else None."""
    with suppress(OSError):
        state, *rest = _status(pid)
        return None if state in "ZX" else rest[18]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return "" if not Path("/proc/self/stat").exists() else None


def _status(pid: int) -> list[str]:
    """The state of a process and the numbers after it, from /proc."""
    text = Path(f"/proc/{pid}/stat").read_text()
    return text.rpartition(")")[2].split()
