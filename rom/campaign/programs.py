"""Solvers that are programs: started per task in an empty folder, and watched.

Their answer is a .npy file of plain numbers.
"""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from rom.errors import SolveFailed

MAGIC = b"\x93NUMPY\x01\x00"
HEAD = re.compile(
    rb"\{'descr': '([<>|=](?:f[248]|c8|c16|[iu][1248]|b1))', "
    rb"'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,18},? ?){0,8})\), \} *\n"
)
TAIL = 600  # bytes of stderr that a message repeats


def program(
    words: Sequence[str], answer: str, limit: float = 86400.0, folder: str | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """mu -> u of a program, run in a new empty folder.

    answer : the .npy file that it leaves there
    words : of its command line; {mu} stands for all parameters, {0}, {1}, ... for one
    limit [s] : of one run, after which it and its children are ended
    folder : where the empty folders are made, the system's by default
    The function raises SolveFailed with the exit code and the last lines of stderr, or
    TimeoutError.
    """

    def solve(mu: np.ndarray) -> np.ndarray:
        """u of one run of the program."""
        command = _command(words, mu)
        with tempfile.TemporaryDirectory(dir=folder) as place, tempfile.TemporaryFile() as stderr:
            code = _run(command, place, stderr, limit)
            if code:
                how = f"exit code {code}"
                if code < 0:
                    how = f"killed by {signal.Signals(-code).name}"
                raise SolveFailed(f"{command[0]}: {how}; its last words: {_tail(stderr)}")
            return _read_answer(Path(place) / answer, _tail(stderr))

    return solve


def _command(words: Sequence[str], mu: np.ndarray) -> list[str]:
    values = [repr(float(x)) for x in mu]
    command: list[str] = []
    for word in words:
        command += values if word == "{mu}" else [word.format(*values)]
    return command


def _run(command: list[str], place: str, stderr: BinaryIO, limit: float) -> int:
    """The exit code of a command; all its children are ended with it."""
    try:
        child = subprocess.Popen(
            command,
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )
    except OSError as error:
        raise SolveFailed(
            f"{command[0]} cannot be started ({error.strerror}): "
            "it is not installed, or not executable"
        ) from error
    try:
        return child.wait(limit)
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"{command[0]} gave no answer within {limit:g} s") from error
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _read_answer(path: Path, last_words: str) -> np.ndarray:
    """The array in a .npy file whose header is of the one form that numpy writes.

    Raises SolveFailed where it is not, or its size is not what the header says.
    """
    if path.is_symlink() or not path.is_file():
        raise SolveFailed(f"the solver left no file {path.name}; its last words: {last_words}")
    with open(path, "rb") as raw:
        start = raw.read(10)
        head = b""
        if start[:8] == MAGIC:
            head = raw.read(int.from_bytes(start[8:10], "little"))
        match = HEAD.fullmatch(head)
        if match is None:
            raise SolveFailed(
                f"{path.name} is no whole .npy file of numbers; its last words: {last_words}"
            )
        kind = match[1].decode()
        by_columns = match[2] == b"True"
        shape = tuple(int(digits) for digits in re.findall(rb"\d+", match[3]))
        size, left = math.prod(shape), path.stat().st_size - raw.tell()
        if size * np.dtype(kind).itemsize != left:
            raise SolveFailed(
                f"{path.name} holds {left} bytes after a header that says {shape} of {kind}; "
                "it was not written to its end"
            )
        u = np.fromfile(raw, kind, size)
        return u.reshape(shape, order="F" if by_columns else "C")


def _tail(file: BinaryIO, size: int = TAIL) -> str:
    end = file.seek(0, os.SEEK_END)
    file.seek(max(end - size, 0))
    return file.read().decode(errors="replace").strip()
