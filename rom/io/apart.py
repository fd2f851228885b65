"""Files of other programs, read in processes of their own.

The libraries that read them end the process, or take all memory, where a file declares what it
does not hold, or never end. So a first process loads the libraries once, and a copy of it reads one
file, with an address space of SPARE + GROWTH * (bytes of the file and of what it leads to), and
SECONDS + (bytes) / PACE of the processor. Reference:
Provos et al. (2003), privilege separation.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import rom.io.readers as readers
from rom import errors
from rom.errors import ForeignFile
from rom.io.messages import receive_message, send_message
from rom.io.registry import choose_by_suffix

START = (
    "import json, socket, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from rom.io.reading_process import serve; serve(socket.socket(fileno=int(sys.argv[1])))"
)
LOCK = threading.Lock()
log = logging.getLogger("rom")


def read_apart(function: str, path: Path, unit: str) -> Iterator[Any]:
    """What a function of `reading_process` yields of a file, on demand.

    Raises the errors of this package that it raises, ForeignFile where it ends without a word.
    """
    with _ask(Path(os.path.abspath(path)), function, unit) as connection:
        _, pid = _receive(connection, path)
        try:
            while True:
                kind, value = _receive(connection, path)
                if kind == "note":
                    log.warning("%s", value)
                    continue
                if kind == "end":
                    return
                if kind != "value":
                    problem: Exception = getattr(errors, kind)(value)
                    raise problem
                yield value
        finally:  # it may be deep in a library
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _receive(connection: socket.socket, path: Path) -> Any:
    """The next message; ForeignFile where the process that reads has ended."""
    try:
        connection.sendall(b"n")
        return receive_message(connection)
    except (EOFError, OSError) as error:
        raise ForeignFile(
            f"{path.name} ended the process that read it: it is damaged, or declares more "
            "than its bytes can hold; write it again"
        ) from error


def _ask(path: Path, function: str, unit: str) -> socket.socket:
    """A connection to a new process that reads a file."""
    ours, theirs = socket.socketpair()
    with theirs, LOCK:
        try:
            _hand_over(theirs, path)
        except OSError:  # that process was ended: begin anew
            _first_process.cache_clear()
            _hand_over(theirs, path)
    send_message(ours, (function, str(path), unit, list(readers.__path__)))
    return ours


def _hand_over(connection: socket.socket, path: Path) -> None:
    first = _first_process(os.getpid())
    suffix = path.suffix
    if path.is_dir():  # any suffix of the format brings its libraries
        suffix = next(iter(sys.modules[choose_by_suffix(readers, path).__module__].SUFFIXES))
    socket.send_fds(first, [suffix.encode()[:16].ljust(16)], [connection.fileno()])


@cache
def _first_process(pid: int) -> socket.socket:
    """The connection to the first process of process `pid`; it ends when that closes."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-I", "-c", START, str(theirs.fileno()), json.dumps(sys.path)]
    with theirs:
        process = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
        )
    atexit.register(_end, pid, ours, process)
    return ours


def _end(pid: int, connection: socket.socket, process: subprocess.Popen[bytes]) -> None:
    if os.getpid() != pid:
        return
    connection.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(1.0)
