"""What a program leaves as its answer: plain numbers, or fields in a file."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rom.errors import RomError, SolveFailed
from rom.io.frame import Frame
from rom.io.frames import read_frames
from rom.mesh import Mesh

Read = Callable[[Path], np.ndarray]
MAGIC = b"\x93NUMPY\x01\x00"
HEAD = re.compile(
    rb"\{'descr': '([<>|=](?:f[248]|c8|c16|[iu][1248]|b1))', "
    rb"'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,18},? ?){0,8})\), \} *\n"
)
NEAR = 1e-5  # of the largest coordinate: .frd writes six digits of each


def fields_in(
    *names: str, mesh: Mesh | None = None, transient: bool = False, unit: str = "m"
) -> Read:
    """path -> fields of a result file, one after the other, node by node.

    The format follows the suffix, as for `rom.io.read_frames`; of a file with several times the
    last is taken, or all of them, (n, n_t), where `transient`.
    mesh : whose nodes the file must have, in their order; unit : of the file's coordinates
    The function raises SolveFailed where a field is missing, or a node is another.
    """

    def read(path: Path) -> np.ndarray:
        """The fields in a file."""
        try:
            theirs, frames = read_frames(path, unit)
            columns = [_column(frame, names, path) for frame in frames]
        except RomError as error:
            raise SolveFailed(f"the answer cannot be read: {error}") from error
        if mesh is not None:
            _check_nodes(theirs, mesh, path)
        return np.column_stack(columns) if transient else columns[-1]

    return read


def _column(frame: Frame, names: tuple[str, ...], path: Path) -> np.ndarray:
    """The fields at one time, (n,). Raises SolveFailed."""
    parts = []
    for name in names:
        places = [fields[name] for fields in (frame.points, frame.cells) if name in fields]
        if len(places) != 1:
            names_there = ", ".join([*frame.points, *frame.cells]) or "none"
            what = "no field" if not places else "nodes and cells have a field"
            raise SolveFailed(
                f"{path.name}: {what} {name!r} at t = {frame.t}; it holds: {names_there}"
            )
        parts.append(np.ravel(places[0][0]))
    return np.concatenate(parts)


def _check_nodes(theirs: Mesh, ours: Mesh, path: Path) -> None:
    """SolveFailed where the nodes of a file are not those of the mesh, in their order."""
    a, b = theirs.points, ours.points
    d = min(a.shape[1], b.shape[1])
    if len(a) != len(b) or np.ptp(a[:, d:], axis=0).any() or np.ptp(b[:, d:], axis=0).any():
        raise SolveFailed(
            f"{path.name} has {a.shape} coordinates of nodes, the mesh of the case {b.shape}; "
            "read the mesh from a result of the program"
        )
    gaps = np.linalg.norm(a[:, :d] - b[:, :d], axis=1)
    worst = int(np.argmax(gaps))
    if gaps[worst] > NEAR * float(np.abs(b).max()):
        raise SolveFailed(
            f"node {worst} of {path.name} is at {a[worst]}, that of the mesh at {b[worst]}: its "
            "order or unit is another; read the mesh from a result of the program"
        )


def read_npy(path: Path) -> np.ndarray:
    """The array in a .npy file whose header is of the one form that numpy writes.

    Raises SolveFailed where it is not, or its size is not what the header says.
    """
    if path.is_symlink() or not path.is_file():
        raise SolveFailed(f"no file {path.name}, or a link; leave the array itself there")
    with open(path, "rb") as raw:
        start = raw.read(10)
        head = b""
        if start[:8] == MAGIC:
            head = raw.read(int.from_bytes(start[8:10], "little"))
        match = HEAD.fullmatch(head)
        if match is None:
            raise SolveFailed(f"{path.name} is no whole .npy file of numbers")
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
