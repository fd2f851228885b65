"""Gmsh's .msh of versions 2 and 4, text and binary: groups, parts, views.

Gmsh's own library is under the GPL, meshio's reader takes data in the order of the file in place
of by number; so this one is ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rom.errors import BadInput, ForeignFile
from rom.io.content import Content, blocks_of, frame_of_content, spread_rows
from rom.io.cursor import Cursor
from rom.io.frame import AT_CELLS, AT_POINTS, Frame
from rom.io.gmsh_cells import (
    VTK_ORDER,
    ElementBlock,
    Entity,
    elements_2,
    elements_4,
    entities_4,
    nodes_2,
    nodes_4,
    parametric_nodes_2,
)  # fmt: skip
from rom.io.gmsh_views import ELEMENT_NODE, NODE, VIEWS, View, read_views, steps_of
from rom.io.numbering import Numbering, number_places
from rom.io.readers.meshio_formats import meshio_frames
from rom.io.regions import DIMENSION, REGION
from rom.mesh import NODES, Mesh

VERSIONS = ((2, 0), (2, 1), (2, 2), (4, 0), (4, 1))
NODE_SECTIONS = ("Nodes", "ParametricNodes")
PLACES = ("point", "curve", "surface", "volume")  # what groups without a name are called after


@dataclass(eq=False)
class _File:
    """What the sections of a file hold."""

    version: int = 0
    minor: int = 0
    names: dict[tuple[int, int], str] = field(default_factory=dict)
    entities: dict[tuple[int, int], Entity] = field(default_factory=dict)
    numbers: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    points: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    blocks: list[ElementBlock] = field(default_factory=list)
    views: list[View] = field(default_factory=list)


def msh_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """Mesh and frame at every step of the views of a .msh, or once."""
    content = path.read_bytes()
    if content.lstrip().startswith(b"("):  # of Fluent
        yield from meshio_frames(path, unit)
        return
    file = _read_sections(Cursor(content, path.name))
    mesh = None
    place = number_places(file.numbers, f"{path.name}: nodes")
    blocks = _unique_blocks(file.blocks)
    cells = [(block.kind, _vtk_nodes(block, place, path.name)) for block in blocks]
    masks = _group_masks(file, blocks)
    for t, views in steps_of(file.views):
        whole = Content(blocks_of(file.points, cells), {}, dict(masks))
        other, frame = frame_of_content(_attach(whole, views, place, blocks), t, unit)
        mesh = other if mesh is None else mesh
        yield mesh, frame


def _read_sections(cursor: Cursor) -> _File:
    """All sections of a file; those of no meaning here are passed over."""
    file = _File()
    while cursor.place < len(cursor.content):
        title = cursor.line()
        if not title.startswith("$") or title.startswith("$End"):
            if title and not file.version:
                raise ForeignFile(f"{cursor.name} is no .msh of Gmsh: no $MeshFormat leads it")
            continue
        _read_section(cursor, file, title[1:])
        end = cursor.content.find(f"$End{title[1:]}".encode(), cursor.place)
        if end < 0:
            raise ForeignFile(f"{cursor.name} is cut short: it has no $End{title[1:]}")
        cursor.place = end
        cursor.line()
    if not file.version:
        raise ForeignFile(f"{cursor.name} is no .msh of Gmsh: no $MeshFormat leads it")
    return file


def _read_section(cursor: Cursor, file: _File, title: str) -> None:
    if title == "MeshFormat":
        _read_format(cursor, file)
    elif not file.version:
        raise ForeignFile(f"{cursor.name} is no .msh of Gmsh: no $MeshFormat leads it")
    elif title == "PhysicalNames":
        for _ in range(int(cursor.line())):
            dim, tag, name = cursor.line().split(None, 2)
            file.names[int(dim), int(tag)] = name.strip().strip('"')
    elif title in VIEWS:
        file.views += read_views(cursor, title)
    elif title in ("Entities", "PartitionedEntities", *NODE_SECTIONS, "Elements"):
        count = int(cursor.line()) if file.version == 2 else 0
        part = cursor if cursor.is_binary else cursor.section(f"$End{title}".encode())
        _read_numbers(part, file, title, count)


def _read_format(cursor: Cursor, file: _File) -> None:
    version, kind, size = cursor.line().split()[:3]
    major, _, minor = version.partition(".")
    file.version, file.minor = int(major), int(minor or 0)
    if (file.version, file.minor) not in VERSIONS:
        raise BadInput(
            f"{cursor.name} is of version {version} of Gmsh's format; save it as 4.1 or 2.2"
        )
    cursor.is_binary = kind == "1"
    if size != "8":
        raise BadInput(f"{cursor.name} has numbers of {size} bytes; save it with 8")
    if cursor.is_binary and cursor.content[cursor.place : cursor.place + 4] == b"\0\0\0\1":
        cursor.order = ">"


def _read_numbers(cursor: Cursor, file: _File, title: str, count: int) -> None:
    if title in NODE_SECTIONS:
        if file.version == 2:
            read = nodes_2 if title == "Nodes" else parametric_nodes_2
            numbers, points = read(cursor, count)
        else:
            numbers, points = nodes_4(cursor, file.minor)
        again = len(file.numbers) > 0
        if again and not (
            np.array_equal(numbers, file.numbers) and np.array_equal(points, file.points)
        ):
            raise BadInput(f"{cursor.name} holds several meshes; save one per file")
        file.numbers, file.points = numbers, points
    elif title == "Elements":
        is_old = file.version == 2
        blocks = elements_2(cursor, count) if is_old else None
        file.blocks = elements_4(cursor, file.minor, file.entities) if blocks is None else blocks
    else:
        is_part = title == "PartitionedEntities"
        file.entities |= entities_4(cursor, file.minor, is_part)


def _vtk_nodes(block: ElementBlock, place: Numbering, name: str) -> np.ndarray:
    """Places of the nodes of elements, in VTK's order."""
    nodes = place.require(block.nodes, f"{name}: an element")
    return nodes[:, VTK_ORDER[block.kind]] if block.kind in VTK_ORDER else nodes


def _unique_blocks(blocks: list[ElementBlock]) -> list[ElementBlock]:
    """Blocks by type, no element twice: version 2 repeats one for each group."""
    kinds: dict[str, list[ElementBlock]] = {}
    for block in blocks:
        kinds.setdefault(block.kind, []).append(block)
    return [_join_blocks(parts) for parts in kinds.values()]


def _join_blocks(parts: list[ElementBlock]) -> ElementBlock:
    nodes = np.concatenate([part.nodes for part in parts])
    entity = np.concatenate([part.entity for part in parts])
    numbers = np.concatenate([part.numbers for part in parts])
    partition = np.concatenate([part.partition for part in parts])
    groups = {}
    for group in {group for part in parts for group in part.groups}:
        none = [np.zeros(len(part.numbers), dtype=bool) for part in parts]
        flags = [part.groups.get(group, no) for part, no in zip(parts, none, strict=True)]
        groups[group] = np.concatenate(flags)
    key = np.column_stack([entity, nodes])
    _, first, copy = np.unique(key, axis=0, return_index=True, return_inverse=True)
    origin = first[copy.ravel()]  # the first element like this one
    stay = np.sort(first)
    copies = np.column_stack([numbers, np.searchsorted(stay, origin)])
    for group, mask in groups.items():
        whole = np.zeros(len(mask), dtype=bool)
        whole[origin[mask]] = True
        groups[group] = whole[stay]
    kind = parts[0].kind
    return ElementBlock(
        kind, numbers[stay], nodes[stay], entity[stay], groups, partition[stay], copies
    )


def _group_masks(file: _File, blocks: list[ElementBlock]) -> dict[str, np.ndarray]:
    """'region:NAME' -> mask over all cells, and their partitions where there are some."""
    sizes = [len(block.numbers) for block in blocks]
    starts = np.cumsum([0, *sizes])
    masks: dict[str, np.ndarray] = {}
    for block, start in zip(blocks, starts, strict=False):
        dim = DIMENSION[block.kind]
        for group, mask in block.groups.items():
            name = REGION + file.names.get((dim, group), f"{PLACES[dim]} {group}")
            whole = masks.setdefault(name, np.zeros(starts[-1], dtype=bool))
            whole[start : start + len(mask)] |= mask
    if any(block.partition.any() for block in blocks):
        masks["partition"] = np.concatenate([block.partition for block in blocks])
    return masks


def _attach(
    content: Content, views: list[View], place: Numbering, blocks: list[ElementBlock]
) -> Content:
    """The content with the values of views, each at the node or element that it names."""
    cell_place, n_cells = _places_of_elements(blocks)
    joined: dict[tuple[str, str], list[View]] = {}
    for view in views:
        joined.setdefault((view.place, view.name), []).append(view)
    for (where, name), parts in joined.items():
        at_nodes = where == NODE
        table = place if at_nodes else cell_place
        rows = table.find(np.concatenate([part.numbers for part in parts]))
        values = np.concatenate([part.values for part in parts])
        n = len(place.numbers) if at_nodes else n_cells
        if where == ELEMENT_NODE:
            values = _vtk_values(values, rows, blocks)
        whole, mask = spread_rows(rows[rows >= 0], values[rows >= 0], n)
        data, key = (content.point_data, AT_POINTS) if at_nodes else (content.cell_data, AT_CELLS)
        data[name] = whole[:, 0] if whole.shape[1] == 1 else whole
        if not mask.all():
            content.known[f"{key}:{name}"] = mask
    return content


def _places_of_elements(blocks: list[ElementBlock]) -> tuple[Numbering, int]:
    """The place of every number of an element among all cells, and how many there are."""
    ends = np.cumsum([0, *(len(block.numbers) for block in blocks)])
    copies = [np.zeros((0, 2), np.int64)]
    for block, start in zip(blocks, ends, strict=False):
        copies.append(block.copies + np.array([0, start]))
    numbers, rows = np.concatenate(copies).T
    table = number_places(numbers, "elements")
    return Numbering(table.numbers, rows[table.place]), int(ends[-1])


def _vtk_values(values: np.ndarray, rows: np.ndarray, blocks: list[ElementBlock]) -> np.ndarray:
    """Values (k, nodes * c) of elements at their nodes, nodes in VTK's order."""
    ends = np.cumsum([len(block.numbers) for block in blocks])
    ordered = values.copy()
    for j, block in enumerate(blocks):
        its = (rows < ends[j]) & (rows >= ends[j] - len(block.numbers))
        if block.kind in VTK_ORDER and its.any():
            by_node = values[its].reshape(int(its.sum()), NODES[block.kind], -1)
            ordered[its] = by_node[:, VTK_ORDER[block.kind]].reshape(int(its.sum()), -1)
    return ordered


LIBRARIES = ()
SUFFIXES = {".msh": msh_frames}
