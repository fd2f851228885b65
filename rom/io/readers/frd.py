"""Results of CalculiX, .frd as text: nodes, elements, fields at nodes, steps.

Reference: Wittig, CalculiX GraphiX user's manual, result format (2023).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rom.errors import BadInput, ForeignFile
from rom.io.content import Content, blocks_of, frame_of_content, spread_rows
from rom.io.frame import AT_POINTS, Frame
from rom.io.numbering import Numbering, number_places
from rom.io.steps import Entry, group_steps
from rom.mesh import NODES, Mesh

TYPES = {
    1: "hexahedron", 2: "wedge", 3: "tetra", 4: "hexahedron20", 5: "wedge15", 6: "tetra10",
    7: "triangle", 8: "triangle6", 9: "quad", 10: "quad8", 11: "line", 12: "line3",
}  # fmt: skip
# places in a row of the nodes in VTK's order: edges that rise stand before those of the top
VTK_ORDER = {
    "wedge15": [*range(9), 12, 13, 14, 9, 10, 11],
    "hexahedron20": [*range(12), 16, 17, 18, 19, 12, 13, 14, 15],
}
WIDTH = 12  # characters of a number
SHORT, LONG = (5, 15), (10, 10)  # by format: characters of a node, nodes in a line
FORMATS = {0: SHORT, 1: LONG}
END = b" -3"
NO_TIME = (-1,)


def frd_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """Mesh and frame at every step."""
    lines = path.read_bytes().split(b"\n")
    if not lines[0].strip().startswith(b"1C"):
        raise ForeignFile(f"{path.name} is no .frd of CalculiX: no line 1C leads it")
    numbers, points, cells, entries = _read_blocks(path.name, lines)
    place = number_places(numbers, f"{path.name}: nodes")
    placed = [(kind, place.require(rows, f"{path.name}: an element")) for kind, rows in cells]
    mesh = None
    for t, fields in group_steps(entries, NO_TIME):
        content = Content(blocks_of(points, placed))
        for name, its, values in fields:
            _attach(content, place, name, its, values)
        other, frame = frame_of_content(content, t, unit)
        mesh = other if mesh is None else mesh
        yield mesh, frame


def _attach(
    content: Content, place: Numbering, name: str, numbers: np.ndarray, values: np.ndarray
) -> None:
    rows = place.require(numbers, name)
    whole, mask = spread_rows(rows, values, len(place.numbers))
    content.point_data[name] = whole[:, 0] if whole.shape[1] == 1 else whole
    if not mask.all():
        content.known[f"{AT_POINTS}:{name}"] = mask


def _read_blocks(file: str, lines: list[bytes]) -> tuple[Any, Any, Any, list[Entry]]:
    """Numbers and points of nodes, cells, and fields with their time and step."""
    numbers, points = np.zeros(0, np.int64), np.zeros((0, 3))
    cells: list[tuple[str, np.ndarray]] = []
    entries: list[Entry] = []
    k, last = 0, b""
    while k < len(lines):
        head = lines[k]
        key = head[:6].strip()
        last = key or last
        if key == b"2C":
            width, end = _format(file, head), _end(file, lines, k)
            numbers, points = _table(file, lines[k + 1 : end], width[0], 3)
            k = end
        elif key == b"3C":
            end = _end(file, lines, k)
            cells = _elements(file, lines[k + 1 : end], _format(file, head))
            k = end
        elif head[2:6] == b"100C":
            end = _end(file, lines, k)
            entries += _field(file, lines[k:end], _format(file, head))
            k = end
        k += 1
    if last != b"9999":
        raise ForeignFile(f"{file} is cut short: it does not end with 9999")
    return numbers, points, cells, entries


def _format(file: str, head: bytes) -> tuple[int, int]:
    """Characters of a node and nodes in a line, by the last number of a head."""
    words = head.split()
    code = int(words[-1])
    if code not in FORMATS:
        raise BadInput(f"{file} holds bytes; write it as text (*NODE FILE, not OUTPUT=BINARY)")
    return FORMATS[code]


def _end(file: str, lines: list[bytes], start: int) -> int:
    for k in range(start + 1, len(lines)):
        if lines[k][:3] == END:
            return k
    raise ForeignFile(f"{file} is cut short: a block has no end")


def _table(file: str, lines: list[bytes], width: int, c: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (n,) and values (n, c) of lines of numbers of fixed width."""
    first = 3 + width
    rows = [line.rstrip(b"\r")[first:] for line in lines]
    heads = [line[3:first] for line in lines if line[:3] == b" -1"]
    per_row = -(-c // 6)
    if len(rows) != per_row * len(heads):
        raise ForeignFile(f"{file} has {len(rows)} lines for {len(heads)} nodes")
    whole = [b"".join(row.ljust(min(c, 6) * WIDTH) for row in rows[k : k + per_row])
        for k in range(0, len(rows), per_row)]  # fmt: skip
    texts = np.array([row[: c * WIDTH] for row in whole], dtype=f"S{c * WIDTH}")
    letters = texts.view(f"S{WIDTH}").reshape(len(heads), c)
    try:
        return np.array(heads).astype(np.int64), _floats(letters)
    except ValueError as error:
        raise ForeignFile(f"{file} is damaged ({error}); write it again") from error


def _floats(letters: np.ndarray) -> np.ndarray:
    """Numbers of texts; an exponent of three digits has no E before it."""
    try:
        return letters.astype(float)
    except ValueError:
        plain = [_repair(text) for text in letters.ravel().tolist()]
        return np.array(plain, dtype=float).reshape(letters.shape)


def _repair(text: bytes) -> float:
    word = text.strip().decode()
    if "E" not in word.upper() and "-" in word[1:]:
        cut = word.rindex("-")
        word = f"{word[:cut]}E{word[cut:]}"
    return float(word)


def _elements(file: str, lines: list[bytes], form: tuple[int, int]) -> list[tuple[str, np.ndarray]]:
    width, _ = form
    runs: list[tuple[str, list[list[int]]]] = []
    for raw in lines:
        line = raw.rstrip(b"\r")
        if line[:3] == b" -1":
            code = int(line[3 + width : 8 + width])
            if code not in TYPES:
                raise BadInput(f"{file} has elements of type {code}; known: {TYPES}")
            if not runs or runs[-1][0] != TYPES[code]:
                runs.append((TYPES[code], []))
            runs[-1][1].append([])
        elif line[:3] == b" -2" and runs:
            body = line[3:].rstrip()
            nodes = [int(body[k : k + width]) for k in range(0, len(body), width)]
            runs[-1][1][-1].extend(nodes)
    cells = []
    for kind, rows in runs:
        if any(len(row) != NODES[kind] for row in rows):
            raise ForeignFile(f"{file}: a {kind} has not {NODES[kind]} nodes; is it complete?")
        table = np.array(rows)
        cells.append((kind, table[:, VTK_ORDER[kind]] if kind in VTK_ORDER else table))
    return cells


def _field(file: str, lines: list[bytes], form: tuple[int, int]) -> list[Entry]:
    """The field of one step: a head, its name, its components, its values."""
    head = lines[0].rstrip(b"\r")
    t, step = float(head[12:24]), int(head[58:63])
    names = [line.split() for line in lines if line[:3] == b" -4"]
    parts = [line.split() for line in lines if line[:3] == b" -5"]
    c = len([words for words in parts if not (len(words) > 7 and words[7] == b"ALL")
        and words[1] != b"ALL"])  # fmt: skip
    rows = [line for line in lines if line[:3] in (b" -1", b" -2")]
    if not names or not c:
        raise ForeignFile(f"{file} has a field without a name or components")
    name = names[0][1].decode(errors="replace")
    numbers, values = _table(file, rows, form[0], c)
    return [Entry(name, t, (step,), (name, numbers, values))]


SUFFIXES = {".frd": frd_frames}
