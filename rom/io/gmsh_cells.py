"""Nodes and elements of Gmsh's files .msh, of versions 2 and 4.

Reference: Geuzaine and Remacle, Gmsh reference manual, file formats (2024).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rom.errors import BadInput, ForeignFile
from rom.io.cursor import Cursor
from rom.mesh import NODES

TYPES = {  # type of an element -> cell type
    1: "line", 2: "triangle", 3: "quad", 4: "tetra", 5: "hexahedron", 6: "wedge", 7: "pyramid",
    8: "line3", 9: "triangle6", 10: "quad9", 11: "tetra10", 12: "hexahedron27", 13: "wedge18",
    15: "vertex", 16: "quad8", 17: "hexahedron20", 18: "wedge15", 19: "pyramid13",
}  # fmt: skip
# places in the file of the nodes in VTK's order, where Gmsh has another
VTK_ORDER = {
    "tetra10": [*range(8), 9, 8],
    "hexahedron20": [*range(8), 8, 11, 13, 9, 16, 18, 19, 17, 10, 12, 14, 15],
    "hexahedron27": [
        *range(8), 8, 11, 13, 9, 16, 18, 19, 17, 10, 12, 14, 15, 22, 23, 21, 24, 20, 25, 26
    ],
    "wedge15": [*range(6), 6, 9, 7, 12, 14, 13, 8, 10, 11],
    "wedge18": [*range(6), 6, 9, 7, 12, 14, 13, 8, 10, 11, 15, 17, 16],
    "pyramid13": [*range(5), 5, 8, 10, 6, 7, 9, 11, 12],
}  # fmt: skip
PARAMETERS = {1: 1, 2: 2}  # of a node on a part of that dimension


@dataclass(frozen=True, eq=False)
class Entity:
    """Physical groups and partition of a part of the geometry; 0 is no partition."""

    groups: tuple[int, ...]
    partition: int = 0


@dataclass(frozen=True, eq=False)
class ElementBlock:
    """Elements of one type: numbers (k,), nodes (k, ...) by number, dimension.

    groups : group -> mask (k,); partition (k,) : 0 is none; entity (k,) : part of the geometry
    copies : number of every element of the file -> its row, where some stood twice
    """

    kind: str
    numbers: np.ndarray
    nodes: np.ndarray
    entity: np.ndarray
    groups: dict[int, np.ndarray] = field(default_factory=dict)
    partition: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    copies: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.int64))


def cell_type(code: int, name: str) -> str:
    """The cell type of a type of Gmsh. Raises BadInput where it is not known here."""
    if code not in TYPES:
        raise BadInput(
            f"{name} has elements of Gmsh's type {code}; known: "
            f"{', '.join(f'{key} ({kind})' for key, kind in TYPES.items())}"
        )
    return TYPES[code]


def nodes_2(cursor: Cursor, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (n,) and points (n, 3) of version 2."""
    numbers, points = cursor.records([("i4", 1), ("f8", 3)], count)
    return numbers[:, 0], points


def parametric_nodes_2(cursor: Cursor, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (n,) and points (n, 3) of version 2 with places on the geometry.

    Behind them stand the dimension and number of a part, then a parameter on a curve, two on a
    surface.
    """
    if count < 0:
        raise ForeignFile(f"{cursor.name} counts {count} nodes; write it again")
    numbers, points = [], []
    for _ in range(count):
        numbers.append(cursor.one("i4"))
        points.append(cursor.take("f8", 3))
        dim, _ = cursor.take("i4", 2)
        cursor.take("f8", PARAMETERS.get(int(dim), 0))
    return np.array(numbers, np.int64), np.array(points).reshape(-1, 3)


def nodes_4(cursor: Cursor, minor: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (n,) and points (n, 3) of version 4.0 or 4.1, entity after entity."""
    n_blocks = cursor.one("u8")
    cursor.take("u8", 3 if minor else 1)
    numbers, points = [], []
    for _ in range(n_blocks):
        first, second, parametric = cursor.take("i4", 3)
        count = cursor.one("u8")
        extra = int(first if minor else second) if parametric else 0
        if minor:
            numbers.append(cursor.take("u8", count))
            points.append(cursor.rows("f8", count, 3 + extra)[:, :3])
        else:
            tags, rows = cursor.records([("i4", 1), ("f8", 3 + extra)], count)
            numbers.append(tags[:, 0])
            points.append(rows[:, :3])
    if not numbers:
        return np.zeros(0, np.int64), np.zeros((0, 3))
    return np.concatenate(numbers), np.concatenate(points)


def elements_4(
    cursor: Cursor, minor: int, entities: dict[tuple[int, int], Entity]
) -> list[ElementBlock]:
    """Elements of version 4.0 or 4.1, entity after entity."""
    n_blocks = cursor.one("u8")
    cursor.take("u8", 3 if minor else 1)
    blocks = []
    for _ in range(n_blocks):
        first, second, code = (int(number) for number in cursor.take("i4", 3))
        dim, tag = (first, second) if minor else (second, first)
        count = cursor.one("u8")
        kind = cell_type(code, cursor.name)
        rows = cursor.rows("u8" if minor else "i4", count, 1 + NODES[kind])
        entity = entities.get((dim, tag), Entity(()))
        every = np.ones(count, dtype=bool)
        groups = {abs(group): every for group in entity.groups}
        partition = np.full(count, entity.partition)
        number = np.full(count, tag)
        blocks.append(ElementBlock(kind, rows[:, 0], rows[:, 1:], number, groups, partition))
    return blocks


def entities_4(cursor: Cursor, minor: int, is_partition: bool) -> dict[tuple[int, int], Entity]:
    """(dimension, tag) -> groups and partition, of $Entities or $PartitionedEntities."""
    if is_partition:
        cursor.take("u8", 1)
        cursor.take("i4", 2 * cursor.one("u8"))
    counts = cursor.take("u8", 4)
    entities = {}
    for dim, count in enumerate(counts):
        for _ in range(int(count)):
            tag, partition = cursor.one("i4"), 0
            if is_partition:
                cursor.take("i4", 2)
                parts = cursor.take("i4", cursor.one("u8" if minor else "u4"))
                partition = int(parts[0]) if len(parts) else 0
            cursor.take("f8", 3 if dim == 0 and minor else 6)
            groups = cursor.take("i4", cursor.one("u8"))
            if dim:
                cursor.take("i4", cursor.one("u8"))
            entities[dim, tag] = Entity(tuple(groups.tolist()), partition)
    return entities


def elements_2(cursor: Cursor, count: int) -> list[ElementBlock]:
    """Elements of version 2, of text or bytes."""
    blocks = []
    left = count
    while left > 0:
        if cursor.tokens is None:
            code, number, n_tags = (int(value) for value in cursor.take("i4", 3))
            width = 1 + n_tags + NODES[cell_type(code, cursor.name)]
            rows = cursor.rows("i4", number, width)
        else:
            rows, code, n_tags = _rows_of_one_type(cursor, left)
        if not len(rows):
            raise ForeignFile(f"{cursor.name} announces {left} elements more than it holds")
        left -= len(rows)
        blocks.append(_block_2(cell_type(code, cursor.name), rows, n_tags))
    return blocks


def _rows_of_one_type(cursor: Cursor, left: int) -> tuple[np.ndarray, int, int]:
    """The next elements of text of one type and number of tags: number, tags, nodes."""
    assert cursor.tokens is not None
    start = cursor.place
    _, code, n_tags = (int(number) for number in cursor.take("i4", 3))
    width = 3 + n_tags + NODES[cell_type(code, cursor.name)]
    cursor.place = start
    count, limit = 0, 64
    if n_tags < 0:
        raise ForeignFile(f"{cursor.name} has an element with {n_tags} tags")
    while count < left:
        size = min(limit, left - count, (len(cursor.tokens) - cursor.place) // width - count)
        part = cursor.tokens[start + count * width :][: size * width].reshape(size, width)
        same = (part[:, 1] == code) & (part[:, 2] == n_tags)
        run = size if same.all() else int(np.argmin(same))
        count, limit = count + run, 2 * limit
        if run < size or not size:
            break
    rows = cursor.rows("i4", max(count, 1), width)
    return np.delete(rows, (1, 2), axis=1), code, n_tags


def _block_2(kind: str, rows: np.ndarray, n_tags: int) -> ElementBlock:
    """A block of rows: number, tags (group, part of the geometry, partitions), nodes."""
    none = np.zeros(len(rows), dtype=np.int64)
    physical = np.abs(rows[:, 1]) if n_tags else none
    entity = rows[:, 2] if n_tags > 1 else none
    partition = rows[:, 4] if n_tags > 3 else none
    groups = {int(tag): physical == tag for tag in np.unique(physical) if tag}
    return ElementBlock(kind, rows[:, 0], rows[:, 1 + n_tags :], entity, groups, partition)
