"""What a program leaves as its answer: plain numbers, or fields in a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from rom.errors import BadInput, RomError, SolveFailed
from rom.io.frame import Frame
from rom.io.frames import read_frames
from rom.io.numpy_files import read_npy
from rom.mesh import Mesh

Read = Callable[[Path], np.ndarray]
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


def read_array(path: Path) -> np.ndarray:
    """The array in a .npy file. Raises SolveFailed where it is no whole one."""
    if path.is_symlink() or not path.is_file():
        raise SolveFailed(f"no file {path.name}, or a link; leave the array itself there")
    try:
        return read_npy(path)
    except BadInput as error:
        raise SolveFailed(str(error)) from error
