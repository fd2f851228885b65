"""Blocks of a binary mesh of Z-set, .geo, whose counts fit the bytes.

Muscat asks for as many nodes and elements as a count says, one by one, before it reads them. It
fails at sets of points of integration, which are no part of a mesh.
"""

from __future__ import annotations

from collections.abc import Callable

from rom.errors import ForeignFile
from rom.io.cursor import Cursor

MAGIC = b"Z7BINARYGEOF\0"
FACE_NAME = 5  # bytes of the type of a face
MAX_NODES = 1000  # of an element
POINT_SETS = "ipset"


def plain_blocks(content: bytes, name: str) -> bytes:
    """The blocks of a file but those of points of integration.

    Raises ForeignFile where a count is more than the file holds, or a block is not known.
    """
    cursor = Cursor(content, name)
    cursor.order = ">"
    parts, tag = [], ""
    while tag != "return":
        start = cursor.place
        if content[start : start + len(MAGIC)] != MAGIC:
            raise ForeignFile(f"{name} is no complete mesh of Z-set: a block has no head")
        cursor.place += len(MAGIC)
        tag = _text(cursor)
        if tag not in BLOCKS:
            raise ForeignFile(f"{name} is no complete mesh of Z-set: block {tag!r} is not known")
        BLOCKS[tag](cursor)
        if tag != POINT_SETS:
            parts.append(content[start : cursor.place])
    return b"".join(parts)


def _text(cursor: Cursor) -> str:
    size = cursor.one("i4")
    _pass(cursor, size)
    return cursor.content[cursor.place - size : cursor.place - 1].decode(errors="replace")


def _pass(cursor: Cursor, size: int) -> None:
    """Moves on by bytes that have to be there."""
    if not 0 <= size <= len(cursor.content) - cursor.place:
        raise ForeignFile(
            f"{cursor.name} is no complete mesh of Z-set: {size} bytes are announced and "
            f"{len(cursor.content) - cursor.place} left; write it again"
        )
    cursor.place += size


def _nodes(cursor: Cursor) -> None:
    count, d = cursor.one("i4"), cursor.one("i4")
    if not 1 <= d <= 3:
        raise ForeignFile(f"{cursor.name} has nodes of {d} coordinates")
    _pass(cursor, count * (4 + 8 * d))


def _elements(cursor: Cursor) -> None:
    total, groups = cursor.one("i4"), cursor.one("i4")
    for _ in range(groups):
        count = cursor.one("i4")
        _text(cursor)
        size = cursor.one("i4")
        if not 0 < size <= MAX_NODES:
            raise ForeignFile(f"{cursor.name} has elements of {size} nodes")
        _pass(cursor, 4 * count * (2 + size))
        total -= count
    if total:
        raise ForeignFile(f"{cursor.name} announces {total} elements more than it holds")


def _sets(cursor: Cursor) -> None:
    for _ in range(cursor.one("i4")):
        _text(cursor)
        _pass(cursor, 4 * cursor.one("i4"))


def _faces(cursor: Cursor) -> None:
    for _ in range(cursor.one("i4")):
        _text(cursor)
        _text(cursor)
        for _ in range(cursor.one("i4")):
            _pass(cursor, 4 * cursor.one("i4") + FACE_NAME)


def _point_sets(cursor: Cursor) -> None:
    """Names, and for every element its number and those of its points."""
    for _ in range(cursor.one("i4")):
        _text(cursor)
        for _ in range(cursor.one("i4")):
            cursor.one("i4")
            _pass(cursor, 4 * cursor.one("i4"))


BLOCKS: dict[str, Callable[[Cursor], None]] = {
    "node": _nodes, "element": _elements, "nset": _sets, "elset": _sets, "bset": _faces,
    POINT_SETS: _point_sets, "return": lambda cursor: None,
}  # fmt: skip
