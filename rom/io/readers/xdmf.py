"""XDMF of versions 2 and 3: series, several functions, blocks, sets.

meshio takes the first mesh of a series for that of all times and reads bytes in one order only;
so this reader is ours. Grids on the same geometry share their points.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rom.errors import BadInput, ForeignFile
from rom.io.content import (
    Cells,
    Content,
    Data,
    append_blocks,
    blocks_of,
    frame_of_content,
    spread_rows,
)
from rom.io.frame import AT_CELLS, Frame
from rom.io.regions import NODE_SET, REGION
from rom.io.xdmf_functions import element_values
from rom.io.xdmf_grids import read_grid
from rom.io.xdmf_items import Document, open_document
from rom.mesh import Mesh

Grids = dict[str, Any]  # name -> uniform grid
log = logging.getLogger("rom")


@dataclass(eq=False)
class _Cover:
    """Cells and arrays on one geometry: topology -> (first cell, count)."""

    points: np.ndarray
    cells: list[tuple[str, np.ndarray]] = field(default_factory=list)
    places: dict[int, tuple[int, int, str]] = field(default_factory=dict)
    count: int = 0
    point_data: Data = field(default_factory=dict)
    cell_parts: dict[str, list[tuple[int, np.ndarray]]] = field(default_factory=dict)


def xdmf_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """Mesh and frame at every time, or once."""
    document = open_document(path)
    states = _states(document)
    cache: dict[tuple[int, int], tuple[np.ndarray, Cells]] = {}
    mesh, last = None, None
    for t, grids in states:
        content, key = _content(document, grids, cache)
        other, frame = frame_of_content(content, t, unit)
        mesh = mesh if mesh is not None and key == last else other
        last = key
        yield mesh, frame


def _states(document: Document) -> list[tuple[float | None, Grids]]:
    """Times in their order, and the grids of each."""
    fixed: Grids = {}
    moving: dict[float, Grids] = {}
    domains = document.root.findall("Domain")
    tops = [document.follow(grid) for domain in domains for grid in domain.findall("Grid")]
    for k, grid in enumerate(tops):
        name = grid.get("Name") or f"grid {k}"
        if _is_temporal(grid):
            children = grid.findall("Grid")
            times = _times(document, grid, len(children))
            for j, child in enumerate(children):
                t = times[j] if j < len(times) else _time(document, child)
                if t is None:
                    raise ForeignFile(f"{document.path.name}: step {j} of {name!r} has no time")
                _collect(document, moving.setdefault(t, {}), document.follow(child), name)
        else:
            _collect(document, fixed, grid, name)
    if moving:
        return [(t, fixed | moving[t]) for t in sorted(moving)]
    return [(_first_time(document, fixed), fixed)]


def _first_time(document: Document, fixed: Grids) -> float | None:
    """The first time of grids, or None. Raises ForeignFile for no grid."""
    if not fixed:
        raise ForeignFile(f"{document.path.name} holds no grid; is it complete?")
    times = [t for t in (_time(document, grid) for grid in fixed.values()) if t is not None]
    return times[0] if times else None


def _is_temporal(grid: Any) -> bool:
    kind = grid.get("GridType", "Uniform").lower()
    return kind == "collection" and grid.get("CollectionType", "Spatial").lower() == "temporal"


def _collect(document: Document, grids: Grids, grid: Any, name: str) -> None:
    """Uniform grids under their paths."""
    kind = grid.get("GridType", "Uniform").lower()
    if kind == "uniform":
        grids[name if name not in grids else f"{name} {len(grids)}"] = grid
    elif kind in ("collection", "tree"):
        for k, child in enumerate(grid.findall("Grid")):
            part = child.get("Name") or f"grid {k}"
            _collect(document, grids, document.follow(child), f"{name}/{part}")
    else:
        raise BadInput(f"{document.path.name}: grid {name!r} is a {kind}; write it as uniform")


def _time(document: Document, grid: Any) -> float | None:
    for time in document.children(grid, "Time"):
        if time.get("Value") is not None:
            return float(time.get("Value"))
        item = time.find("DataItem")
        if item is not None:
            return float(document.numbers(item).ravel()[0])
    return None


def _times(document: Document, grid: Any, n: int) -> list[float]:
    """The times that a collection gives its n grids, if it does."""
    time = grid.find("Time")
    item = None if time is None else time.find("DataItem")
    if item is None:
        return []
    numbers = document.numbers(item).ravel()
    kind = time.get("TimeType", "Single").lower()
    if kind == "hyperslab":
        start, step, count = numbers[:3]
        return [float(start + step * k) for k in range(int(count))]
    if kind == "range":
        return [float(t) for t in np.linspace(numbers[0], numbers[1], n)]
    return [float(number) for number in numbers]


def _content(
    document: Document, grids: Grids, cache: dict[tuple[int, int], tuple[np.ndarray, Cells]]
) -> tuple[Content, tuple[Any, ...]]:
    """The grids of one time as one content, and what its mesh is made of."""
    covers: dict[int, tuple[str, _Cover]] = {}
    used = []
    for name, grid in grids.items():
        topology = _only(document, grid, "Topology", name)
        geometry = _only(document, grid, "Geometry", name)
        key = (id(topology), id(geometry))
        if key not in cache:
            cache[key] = read_grid(document, topology, geometry)
        points, cells = cache[key]
        _, cover = covers.setdefault(id(geometry), (name, _Cover(points)))
        if id(topology) not in cover.places:
            size = sum(len(nodes) for _, nodes in cells)
            cover.places[id(topology)] = (cover.count, size, name)
            cover.cells += cells
            cover.count += size
        used.append(key)
        _read_attributes(document, grid, cover, cells, id(topology))
    parts = {name: _cover_content(cover) for name, cover in covers.values()}
    return append_blocks(parts), tuple(used)


def _only(document: Document, grid: Any, tag: str, name: str) -> Any:
    parts = document.children(grid, tag)
    if not parts:
        raise ForeignFile(f"{document.path.name}: grid {name!r} has no {tag}")
    return parts[0]


def _read_attributes(
    document: Document, grid: Any, cover: _Cover, cells: Cells, topology: int
) -> None:
    """Fields and sets of a grid, at nodes or at its own cells."""
    start, size, _ = cover.places[topology]
    for attribute in document.children(grid, "Attribute"):
        name = attribute.get("Name", "field")
        place, table = _attribute_values(document, attribute, cells, len(cover.points))
        if table.shape[1] == 1:
            table = table[:, 0]
        if place == "node":
            cover.point_data[name] = table
        elif place == "cell":
            cover.cell_parts.setdefault(name, []).append((start, table))
    for group in document.children(grid, "Set"):
        numbers = document.numbers(group.find("DataItem")).astype(np.int64).ravel()
        kind, name = group.get("SetType", "Node").lower(), group.get("Name", "set")
        if kind == "node":
            cover.point_data[NODE_SET + name] = np.isin(np.arange(len(cover.points)), numbers)
        elif kind == "cell":
            mask = np.isin(np.arange(size), numbers)
            cover.cell_parts.setdefault(REGION + name, []).append((start, mask))
        else:
            log.warning("%s: set %r of %ss is left out", document.path.name, name, kind)


def _attribute_values(
    document: Document, attribute: Any, cells: Cells, n: int
) -> tuple[str, np.ndarray]:
    """Place and values (rows, c) of an attribute; no rows where it is at neither."""
    name, center = attribute.get("Name", "field"), attribute.get("Center", "Node").lower()
    kind = attribute.get("ItemType")
    if kind == "FiniteElementFunction":
        return element_values(document, attribute, cells, n)
    if kind:
        raise BadInput(
            f"{document.path.name}: {name!r} is a {kind}; write it with XDMFFile.write, at nodes "
            "or cells"
        )
    if center not in ("node", "cell"):
        log.warning("%s: %r stands at each %s, and is left out", document.path.name, name, center)
        return center, np.zeros((0, 0))
    values = document.numbers(attribute.find("DataItem"))
    rows = n if center == "node" else sum(len(nodes) for _, nodes in cells)
    if not rows or values.size % rows:
        raise ForeignFile(
            f"{document.path.name}: {name!r} has {values.size} numbers at {rows} {center}s"
        )
    return center, values.reshape(rows, -1)


def _cover_content(cover: _Cover) -> Content:
    """Cells of all topologies on one geometry, a region each where there are several."""
    data: Data = {}
    masks = {}
    for name, parts in cover.cell_parts.items():
        rows = np.concatenate([start + np.arange(len(values)) for start, values in parts])
        values = np.concatenate([values for _, values in parts])
        if name.startswith(REGION):
            mask = np.zeros(cover.count, dtype=bool)
            mask[rows] = values.astype(bool)
            data[name] = mask
            continue
        data[name], mask = spread_rows(rows, values, cover.count)
        if not mask.all():
            masks[f"{AT_CELLS}:{name}"] = mask
    if len(cover.places) > 1:
        for start, size, name in cover.places.values():
            mask = np.zeros(cover.count, dtype=bool)
            mask[start : start + size] = True
            data.setdefault(REGION + name, mask)
    return Content(blocks_of(cover.points, cover.cells), cover.point_data, data, masks)


LIBRARIES = ("h5py",)  # loaded once for all files
SUFFIXES = dict.fromkeys((".xdmf", ".xmf", ".xdmf2", ".xdmf3"), xdmf_frames)
