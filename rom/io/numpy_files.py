"""Arrays in files of numpy that others wrote: no pickle, no size believed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, ZipInfo

import numpy as np

from rom.errors import BadInput

SPARE, GROWTH = 2**26, 64  # bytes of an array besides, and per byte of a packed file
STARTS = {b"\x93NUMPY\x01\x00": 2, b"\x93NUMPY\x02\x00": 4}  # bytes of the header's length
HEAD = re.compile(
    rb"\{'descr': '([<>|=](?:f[248]|c8|c16|[iu][1248]|b1))', "
    rb"'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,18},? ?){0,8})\), \} *\n"
)
LONGEST = 2**16  # bytes of a header


def read_npy(path: Path) -> np.ndarray:
    """The array of a .npy file; BadInput where it is no whole array of numbers."""
    with _named(path), open(path, "rb") as raw:
        return _array(raw, path.stat().st_size, path.name)


def npz_names(path: Path) -> list[str]:
    """The names of the arrays of a .npz file; BadInput where it is none."""
    with _named(path), ZipFile(path) as pack:
        return [member.filename.removesuffix(".npy") for member in pack.infolist()]


def read_npz(path: Path, name: str) -> np.ndarray:
    """One array of a .npz file; BadInput where it is no whole array of numbers."""
    with _named(path), ZipFile(path) as pack:
        member = _member(pack, name)
        if member.file_size > SPARE + GROWTH * path.stat().st_size:
            raise BadInput(f"{path.name}: {name} unpacks to {member.file_size} bytes; save it anew")
        with pack.open(member) as raw:
            return _array(raw, member.file_size, f"{path.name}: {name}")


def _member(pack: ZipFile, name: str) -> ZipInfo:
    names = pack.namelist()
    return pack.getinfo(f"{name}.npy" if f"{name}.npy" in names else name)


def _array(raw: Any, size: int, what: str) -> np.ndarray:
    """The array of an open file of `size` bytes.

    Its header must be of the one form that numpy writes, and say just that size.
    """
    start = raw.read(8)
    head = b""
    if start in STARTS:
        head = raw.read(min(int.from_bytes(raw.read(STARTS[start]), "little"), LONGEST))
    match = HEAD.fullmatch(head)
    if match is None:
        raise BadInput(f"{what} is no whole .npy file of numbers; write them with numpy.save")
    kind = np.dtype(match[1].decode())
    shape = tuple(int(digits) for digits in re.findall(rb"\d+", match[3]))
    left = size - raw.tell()
    if math.prod(shape) * kind.itemsize != left:
        raise BadInput(
            f"{what} holds {left} bytes after a header that says {shape} of {kind}; it was not "
            "written to its end, save it again"
        )
    flat = np.frombuffer(raw.read(left), kind)
    return flat.reshape(shape, order="F" if match[2] == b"True" else "C")


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """What numpy and zipfile raise, as BadInput with the name of the file."""
    try:
        yield
    except (OSError, ValueError, EOFError, SyntaxError, TypeError, KeyError, BadZipFile) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{path.name} holds no array of numbers: {error}") from error
    except (NotImplementedError, RuntimeError, RecursionError) as error:
        raise BadInput(f"{path.name} is packed in a way that is not read: {error}") from error
