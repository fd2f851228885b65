"""Numbers of OpenFOAM's files in double precision; VTK keeps single.

Reference: OpenFOAM v1912, user guide, basic input and output file format (2019).
"""

from __future__ import annotations

import gzip
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from rom.io.content import Content
from rom.io.pieces import PIECE_OF

FIELD = rb"internalField\s+(?:nonuniform\s+List<(\w+)>\s*(\d+)\s*([({])|uniform\s+([^;]*);)"
POINTS = rb"\n\s*(\d+)\s*\("
COMPONENTS = {"scalar": 1, "vector": 3, "symmTensor": 6, "tensor": 9, "sphericalTensor": 1}
VTK_ORDER = [0, 3, 5, 1, 4, 2]  # xx yy zz xy yz xz of the file's xx xy xz yy yz zz
SINGLE = 1e-6  # a relative difference that single precision makes


def sharpen(content: Content, home: Path, t: float | None) -> Content:
    """Points and cell fields of a case at time t as its files have them.

    What differs from the content by more than single precision, or has another length, stands in
    another order there, as in cases of several regions, and stays as it is.
    """
    parts = sorted(home.glob("processor*"), key=_number) or [home]
    if (home / "constant" / "polyMesh").is_dir():
        parts = [home]
    data = dict(content.cell_data)
    rows = data.get(PIECE_OF)
    for name, values in data.items():
        files = [_file_of(part, t, name) for part in parts]
        if name != PIECE_OF and all(files):
            exact = _join([_field(file) for file in files if file], len(values))
            data[name] = _agreeing(exact, np.asarray(values), rows)
    blocks = content.blocks
    if len(parts) == 1:
        points = _points(parts[0] / "constant" / "polyMesh" / "points")
        blocks = replace(blocks, points=_agreeing(points, blocks.points, None))
    return replace(content, blocks=blocks, cell_data=data)


def _number(folder: Path) -> int:
    digits = re.sub(r"\D", "", folder.name)
    return int(digits) if digits else -1


def _file_of(part: Path, t: float | None, name: str) -> Path | None:
    """The file of a field at a time, packed or not."""
    for folder in part.iterdir():
        try:
            is_now = t is not None and float(folder.name) == t
        except ValueError:
            continue
        if is_now:
            return next((f for f in (folder / name, folder / f"{name}.gz") if f.is_file()), None)
    return None


def _bytes(file: Path) -> bytes:
    if file.suffix == ".gz":
        with gzip.open(file) as raw:
            return raw.read()
    return file.read_bytes()


def _field(file: Path) -> np.ndarray | None:
    """Values (n, c) inside, (c,) of a uniform field; None for other forms."""
    data = _bytes(file)
    match = re.search(FIELD, data)
    if match is None:
        return None
    if match[4] is not None:
        return _words(match[4])
    c = COMPONENTS.get(match[1].decode(), 0)
    if match[3] == b"{" or not c:
        return None
    return _list(data, match.end(), int(match[2]), c)


def _points(file: Path) -> np.ndarray | None:
    plain = file if file.is_file() else file.with_name(f"{file.name}.gz")
    if not plain.is_file():
        return None
    data = _bytes(plain)
    match = re.search(POINTS, data)
    return None if match is None else _list(data, match.end(), int(match[1]), 3)


def _list(data: bytes, start: int, n: int, c: int) -> np.ndarray | None:
    """The n entries of c numbers behind a bracket, as bytes or text."""
    head = data[: data.find(b"}") + 1]
    if re.search(rb"format\s+binary", head):
        if b"scalar=32" in head or b"MSB" in head or len(data) - start < 8 * n * c:
            return None
        return np.frombuffer(data, "<f8", n * c, start).reshape(n, c)
    end = data.find(b";", start)
    values = _words(data[start : data.rfind(b")", start, end if end >= 0 else len(data))])
    return None if values is None or values.size != n * c else values.reshape(n, c)


def _words(text: bytes) -> np.ndarray | None:
    try:
        return np.array(text.replace(b"(", b" ").replace(b")", b" ").split(), dtype=float)
    except ValueError:
        return None


def _join(parts: list[np.ndarray | None], n: int) -> np.ndarray | None:
    """The values of all parts below each other, or the same everywhere."""
    whole = [part for part in parts if part is not None]
    if len(whole) < len(parts):
        return None
    if all(part.ndim == 1 and np.array_equal(part, whole[0]) for part in whole):
        return np.tile(whole[0], (n, 1))
    if any(part.ndim == 1 for part in whole) or len({part.shape[1] for part in whole}) > 1:
        return None
    return np.concatenate(whole)


def _agreeing(exact: np.ndarray | None, values: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
    """Exact values where they are those of single precision, else these."""
    if exact is None:
        return values
    if rows is not None and len(exact) > int(rows.max(initial=0)) and len(exact) != len(values):
        exact = exact[rows]
    flat = values.reshape(len(values), -1)
    if exact.shape[1] == len(VTK_ORDER):
        exact = exact[:, VTK_ORDER]
    if len(exact) > len(flat) or exact.shape[1] != flat.shape[1]:
        return values
    old, scale = flat[: len(exact)], np.abs(exact).max(initial=0.0)
    if not np.allclose(old, exact, rtol=SINGLE, atol=SINGLE**2 * scale):
        return values
    whole = flat.astype(float)
    whole[: len(exact)] = exact
    return whole.reshape(values.shape)
