"""Results of CalculiX, .frd as text or bytes: cells, fields at nodes, steps.

Values at nodes without a place, as those of networks, are left out.

Reference: Wittig, CalculiX GraphiX user's manual, result format (2023).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rom.errors import BadInput, ForeignFile
from rom.io.content import Content, blocks_of, frame_of_content, spread_rows
from rom.io.cursor import Cursor
from rom.io.frame import AT_POINTS, Frame
from rom.io.frd_bytes import REALS, element_rows, kind_of_code, node_rows
from rom.io.numbering import Numbering, number_places
from rom.io.steps import Entry, group_steps
from rom.mesh import NODES, Mesh

# places in a row of the nodes in VTK's order: edges that rise stand before those of the top
VTK_ORDER = {
    "wedge15": [*range(9), 12, 13, 14, 9, 10, 11],
    "hexahedron20": [*range(12), 16, 17, 18, 19, 12, 13, 14, 15],
}
WIDTH = 12  # characters of a number
SHORT, LONG = (5, 15), (10, 10)  # by format: characters of a node, nodes in a line
FORMATS = {0: SHORT, 1: LONG}
END = b"\n -3"
NAME, COUNT_OF_PARTS = slice(5, 13), slice(13, 18)  # in the line of a field
NO_TIME = (-1,)


def frd_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """Mesh and frame at every step."""
    data = path.read_bytes()
    if not data[:80].strip().startswith(b"1C"):
        raise ForeignFile(f"{path.name} is no .frd of CalculiX: no line 1C leads it")
    numbers, points, cells, entries = _read_blocks(Cursor(data, path.name))
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
    rows = place.find(numbers)
    if len(rows) and (rows < 0).all():
        raise ForeignFile(f"{name} stands at no node of the mesh; is the file complete?")
    whole, mask = spread_rows(rows[rows >= 0], values[rows >= 0], len(place.numbers))
    content.point_data[name] = whole[:, 0] if whole.shape[1] == 1 else whole
    if not mask.all():
        content.known[f"{AT_POINTS}:{name}"] = mask


def _read_blocks(cursor: Cursor) -> tuple[Any, Any, Any, list[Entry]]:
    """Numbers and points of nodes, cells, and fields with their time and step."""
    numbers, points = np.zeros(0, np.int64), np.zeros((0, 3))
    cells: list[tuple[str, np.ndarray]] = []
    entries: list[Entry] = []
    last = b""
    while cursor.place < len(cursor.content):
        head = _line(cursor)
        key = head[:6].strip()
        last = key or last
        if key == b"2C":
            numbers, points = _values(cursor, head, 3)
        elif key == b"3C":
            cells = _elements(cursor, head)
        elif head[2:6] == b"100C":
            entries.append(_field(cursor, head))
    if last != b"9999":
        raise ForeignFile(f"{cursor.name} is cut short: it does not end with 9999")
    return numbers, points, cells, entries


def _line(cursor: Cursor) -> bytes:
    """The next line with the blanks before it."""
    end = cursor.content.find(b"\n", cursor.place)
    end = len(cursor.content) if end < 0 else end
    line = cursor.content[cursor.place : end].rstrip(b"\r")
    cursor.place = end + 1
    return line


def _format(file: str, head: bytes) -> int:
    """How a block is written, by the last number of its head."""
    code = int(head.split()[-1])
    if code not in FORMATS and code not in REALS:
        raise BadInput(f"{file} has a block of format {code}; known: {[*FORMATS, *REALS]}")
    return code


def _body(cursor: Cursor) -> list[bytes]:
    """The lines of a block of text."""
    end = cursor.content.find(END, cursor.place - 1)
    if end < 0:
        raise ForeignFile(f"{cursor.name} is cut short: a block has no end")
    text = cursor.content[cursor.place : max(end, cursor.place)]
    cursor.place = end + 1
    _line(cursor)
    return text.split(b"\n") if text else []


def _values(cursor: Cursor, head: bytes, c: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (n,) and values (n, c) of a block, whose values come next."""
    code = _format(cursor.name, head)
    if code in REALS:
        return node_rows(cursor, head, code, c)
    return _table(cursor.name, _body(cursor), FORMATS[code][0], c)


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


def _elements(cursor: Cursor, head: bytes) -> list[tuple[str, np.ndarray]]:
    code = _format(cursor.name, head)
    if code in REALS:
        rows = element_rows(cursor, head)
    else:
        rows = _element_lines(cursor.name, _body(cursor), FORMATS[code][0])
    runs: list[tuple[str, list[list[int]]]] = []
    for kind, nodes in rows:
        if len(nodes) != NODES[kind]:
            raise ForeignFile(
                f"{cursor.name}: a {kind} has not {NODES[kind]} nodes; is it complete?"
            )
        if not runs or runs[-1][0] != kind:
            runs.append((kind, []))
        runs[-1][1].append(nodes)
    cells = []
    for kind, parts in runs:
        table = np.array(parts)
        cells.append((kind, table[:, VTK_ORDER[kind]] if kind in VTK_ORDER else table))
    return cells


def _element_lines(file: str, lines: list[bytes], width: int) -> list[tuple[str, list[int]]]:
    rows: list[tuple[str, list[int]]] = []
    for raw in lines:
        line = raw.rstrip(b"\r")
        if line[:3] == b" -1":
            rows.append((kind_of_code(file, int(line[3 + width : 8 + width])), []))
        elif line[:3] == b" -2" and rows:
            body = line[3:].rstrip()
            rows[-1][1].extend(int(body[k : k + width]) for k in range(0, len(body), width))
    return rows


def _field(cursor: Cursor, head: bytes) -> Entry:
    """The field of one step: its name, its components, its values."""
    t, step = float(head[12:24]), int(head[58:63])
    line = _line(cursor)
    if line[:3] != b" -4" or not line[COUNT_OF_PARTS].strip().isdigit():
        raise ForeignFile(f"{cursor.name} is cut short: a field has no name or components")
    name = line[NAME].strip().decode(errors="replace")
    most = int(line[COUNT_OF_PARTS])
    parts: list[list[bytes]] = []
    while len(parts) < most and cursor.content.startswith(b" -5", cursor.place):
        parts.append(_line(cursor).split())
    c = len([part for part in parts if b"ALL" not in (*part[1:2], *part[7:8])])
    if not c:
        raise ForeignFile(f"{cursor.name} has a field {name!r} without its components")
    numbers, values = _values(cursor, head, c)
    return Entry(name, t, (step,), (name, numbers, values))


SUFFIXES = {".frd": frd_frames}
