"""Solvers that are programs of their own: started per task in an empty folder, watched, and their answer read as plain numbers."""

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

import numpy as np

from rom.errors import SolveFailed

HEAD = re.compile(
    rb"\{'descr': '([<>|=](?:f[248]|c8|c16|[iu][1248]|b1))', 'fortran_order': (True|False), 'shape': \(((?:\d{1,18},? ?){0,8})\), \} *\n"
)


def program(
    words: Sequence[str], answer: str, limit: float = 86400.0, folder: str | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """mu -> u of a program: `words` with {mu} (all parameters) or {0}, {1}, ... put in, run in a new empty folder, leaving `answer`, a .npy file.

    limit [s] : of one run, after which it and its children are ended; folder : where the empty folders are made, the system's by default
    The function raises SolveFailed with the exit code and the last lines of stderr, or TimeoutError.
    """

    def solve(mu: np.ndarray) -> np.ndarray:
        values = [repr(float(x)) for x in mu]
        made = [
            word
            for part in words
            for word in (values if part == "{mu}" else [part.format(*values)])
        ]
        with tempfile.TemporaryDirectory(dir=folder) as place, tempfile.TemporaryFile() as told:
            try:
                child = subprocess.Popen(
                    made,
                    cwd=place,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=told,
                    start_new_session=True,
                )
            except OSError as error:
                raise SolveFailed(
                    f"{made[0]} cannot be started ({error.strerror}): it is not installed, or not executable"
                ) from error
            try:
                code = child.wait(limit)
            except subprocess.TimeoutExpired as error:
                raise TimeoutError(f"{made[0]} gave no answer within {limit:g} s") from error
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
            if code:
                how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
                raise SolveFailed(f"{made[0]}: {how}; its last words: {_tail(told)}")
            return _array(Path(place) / answer, _tail(told))

    return solve


def _array(path: Path, told: str) -> np.ndarray:
    """The array in a .npy file whose header is of the one form that numpy writes, and whose size is what the header says."""
    if path.is_symlink() or not path.is_file():
        raise SolveFailed(f"the solver left no file {path.name}; its last words: {told}")
    with open(path, "rb") as raw:
        start = raw.read(10)
        head = (
            raw.read(int.from_bytes(start[8:10], "little"))
            if start[:8] == b"\x93NUMPY\x01\x00"
            else b""
        )
        found = HEAD.fullmatch(head)
        if found is None:
            raise SolveFailed(
                f"{path.name} is no whole .npy file of numbers; its last words: {told}"
            )
        kind, columns, shape = (
            found[1].decode(),
            found[2] == b"True",
            tuple(int(k) for k in re.findall(rb"\d+", found[3])),
        )
        size, left = math.prod(shape), path.stat().st_size - raw.tell()
        if size * np.dtype(kind).itemsize != left:
            raise SolveFailed(
                f"{path.name} holds {left} bytes after a header that says {shape} of {kind}; it was not written to its end"
            )
        return np.fromfile(raw, kind, size).reshape(shape, order="F" if columns else "C")


def _tail(file: object, size: int = 600) -> str:
    file.seek(0, os.SEEK_END)  # type: ignore[attr-defined]
    file.seek(max(file.tell() - size, 0))  # type: ignore[attr-defined]
    return file.read().decode(errors="replace").strip()  # type: ignore[attr-defined]
