"""The other side of `rom.io.apart`: it loads libraries; copies of it read."""

from __future__ import annotations

import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import rom.io.readers as readers
from rom.errors import RomError
from rom.io.bases import basis_table
from rom.io.confinement import confine
from rom.io.frames import name_errors
from rom.io.messages import receive_message, send_message
from rom.io.readers.cgns import cgns_content
from rom.io.references import check_references, home_of
from rom.io.registry import choose_by_suffix

SPARE = 2**30  # bytes of memory besides
GROWTH = 64  # bytes of memory per byte of the files: text and packed numbers grow
SECONDS, PACE = 5, 2e5  # of the processor: besides, and bytes of the files per second
HERE = 0  # place of the size of a process in /proc/self/statm, in pages


def serve(first: socket.socket) -> None:
    """Copies of this process for every connection that comes, until `first` closes."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        suffix, connections, _, _ = socket.recv_fds(first, 16, 1)
        if not connections:
            return
        _load(suffix.decode().strip())
        if not os.fork():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            first.close()
            with suppress(OSError, EOFError):
                _answer(socket.socket(fileno=connections[0]))
            os._exit(0)
        os.close(connections[0])


def _load(suffix: str) -> None:
    """Imports what the reader of a suffix needs, for all copies that come."""
    reader = choose_by_suffix(readers, Path("a" + suffix))
    for library in getattr(sys.modules[reader.__module__], "LIBRARIES", ()):
        with suppress(ImportError):
            import_module(library)


def _answer(connection: socket.socket) -> None:
    """Its number; for each request a note, ("value", ...), ("end", None) or an error."""
    function, path, unit, places = receive_message(connection)
    readers.__path__ = list(places)  # those of who asks
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chdir(home_of(Path(path)))
    steps = {"frames": _frames, "cgns": _cgns, "basis": _basis}[function](Path(path), unit)
    connection.recv(1)
    send_message(connection, ("pid", os.getpid()))
    messages: list[tuple[str, Any]] = []
    logging.getLogger("rom").addHandler(_Notes(messages))
    while connection.recv(1):
        if not messages:
            answer = _next_value(steps)
            messages.append(answer)
        send_message(connection, messages.pop(0))


class _Notes(logging.Handler):
    """What a reader logs, for who asks."""

    def __init__(self, messages: list[tuple[str, Any]]) -> None:
        super().__init__()
        self.messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        """Appends the words."""
        self.messages.append(("note", record.getMessage()))


def _next_value(steps: Iterator[Any]) -> tuple[str, Any]:
    """The next value of a reader, its end, or its error by name."""
    try:
        return "value", next(steps)
    except StopIteration:
        return "end", None
    except RomError as error:
        return type(error).__name__, str(error)


def _limit(size: int) -> None:
    """Bounds address space and processor time by the bytes that are read."""
    seconds = SECONDS + int(size / PACE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
        pages = int(Path("/proc/self/statm").read_text().split()[HERE])
        limit = pages * resource.getpagesize() + SPARE + GROWTH * size
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def _frames(path: Path, unit: str) -> Iterator[Any]:
    """Mesh and frame at every time; None for a mesh that is that of before."""
    reader = choose_by_suffix(readers, path)
    mesh = None
    with name_errors(path):
        _limit(path.stat().st_size)
        _limit(check_references(path))
        confine(path)
        for other, frame in reader(path, unit):
            yield (None if other is mesh else other), frame
            mesh = other


def _cgns(path: Path, unit: str) -> Iterator[Any]:
    """The content of a CGNS file."""
    with name_errors(path):
        _limit(path.stat().st_size)
        _limit(check_references(path))
        confine(path)
        yield cgns_content(path, unit)


def _basis(path: Path, _unit: str) -> Iterator[Any]:
    """Modes and singular values of another program."""
    with name_errors(path):
        _limit(path.stat().st_size)
        _limit(check_references(path))
        confine(path)
        yield basis_table(path)
