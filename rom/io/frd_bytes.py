"""Blocks of CalculiX' .frd as bytes, as *NODE OUTPUT writes them.

Reference: Wittig, CalculiX GraphiX user's manual, result format (2023).
"""

from __future__ import annotations

import numpy as np

from rom.errors import BadInput, ForeignFile
from rom.io.cursor import Cursor
from rom.mesh import NODES

TYPES = {
    1: "hexahedron", 2: "wedge", 3: "tetra", 4: "hexahedron20", 5: "wedge15", 6: "tetra10",
    7: "triangle", 8: "triangle6", 9: "quad", 10: "quad8", 11: "line", 12: "line3",
}  # fmt: skip
REALS = {2: "f4", 3: "f8"}  # by format
HEAD = 4  # numbers before the nodes of an element: its own, type, group, material
COUNT = slice(24, 36)  # of a head: how many nodes or elements


def count_of(file: str, head: bytes) -> int:
    """How many nodes or elements a head announces."""
    text = head[COUNT].strip()
    if not text.isdigit():
        raise ForeignFile(f"{file} has a block of {text.decode(errors='replace')!r} entries")
    return int(text)


def node_rows(cursor: Cursor, head: bytes, form: int, c: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (n,) and values (n, c) at nodes."""
    numbers, values = cursor.records([("i4", 1), (REALS[form], c)], count_of(cursor.name, head))
    return numbers[:, 0], values


def element_rows(cursor: Cursor, head: bytes) -> list[tuple[str, list[int]]]:
    """Cell type and nodes of every element, in the order of the file."""
    rows = []
    for _ in range(count_of(cursor.name, head)):
        kind = kind_of_code(cursor.name, int(cursor.take("i4", HEAD)[1]))
        rows.append((kind, cursor.take("i4", NODES[kind]).tolist()))
    return rows


def kind_of_code(file: str, code: int) -> str:
    """The cell type of an element of CalculiX. Raises BadInput for others."""
    if code not in TYPES:
        raise BadInput(f"{file} has elements of type {code}; known: {TYPES}")
    return TYPES[code]
