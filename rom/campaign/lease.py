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
import time
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
    heart = _heart()
    heart.add(mine, expiry / BEATS)
    try:
        yield mine
    finally:
        heart.drop(mine)
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
            file.write(json.dumps([host(), pid, _heart().start, _place(folder)]))
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
    leases, start = [], f"{key}."
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            number = entry.name.removeprefix(start)
            if number != entry.name and number.isdecimal() and not entry.is_dir():
                leases.append(int(number))
    return sorted(leases)


def _place(folder: Path) -> str:
    """Where the leases of a store lie; another place is another store."""
    return os.path.realpath(folder)


def _generation(path: Path) -> int:
    return int(path.suffix[1:])


class _Heart:
    """The thread that beats all claims of this process; it sleeps between."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.start = start_time(self.pid)
        self.claims: dict[Path, float] = {}  # path -> seconds between its beats
        self.wake = threading.Condition()
        self.due = float("inf")  # of the next beat, by the monotonic clock
        threading.Thread(target=self._run, daemon=True).start()

    def add(self, path: Path, every: float) -> None:
        """Beats a claim from now on."""
        with self.wake:
            self.claims[path] = every
            if time.monotonic() + every < self.due:
                self.due = time.monotonic() + every
                self.wake.notify()

    def drop(self, path: Path) -> None:
        """Beats it no more: once this returns, its file may be another's."""
        with self.wake:
            del self.claims[path]

    def _run(self) -> None:
        while True:
            with self.wake:
                while (rest := self.due - time.monotonic()) > 0:
                    self.wake.wait(None if rest == float("inf") else rest)
                for path in self.claims:
                    with suppress(OSError):
                        os.utime(path)
                self.due = time.monotonic() + min(self.claims.values(), default=float("inf"))


def _heart() -> _Heart:
    """The heart of this process; a fork has its own."""
    if not HEARTS or HEARTS[-1].pid != os.getpid():
        HEARTS[:] = [_Heart()]
    return HEARTS[-1]


HEARTS: list[_Heart] = []


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
