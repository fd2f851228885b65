"""Exodus II, .e .g .exo: nodes as they stand, blocks, node and side sets, times.

VTK adds displacements to coordinates and loses variables beside sets; so this reader is ours. A
side set is the node set of its sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rom.errors import BadInput, ForeignFile
from rom.io.content import Content, Data, blocks_of, frame_of_content, spread_rows
from rom.io.exodus_cells import (
    VTK_ORDER,
    exodus_kind,
    join_components,
    plain_text,
    side_nodes,
)
from rom.io.frame import AT_CELLS, Frame
from rom.io.netcdf import NetCdf
from rom.io.regions import NODE_SET, REGION
from rom.mesh import Mesh

MANY = ("NSIDED", "NFACED")  # polygons and polyhedra
Block = tuple[int, str, str, np.ndarray]  # number of the block, type, cell type, nodes as written


def exodus_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """Mesh and frame at every time of the file, or once."""
    file = NetCdf(path)
    points = _points(file, path)
    blocks = list(_blocks(file, path))
    cells = [
        (kind, nodes[:, VTK_ORDER[kind]] if kind in VTK_ORDER else nodes)
        for _, _, kind, nodes in blocks
    ]
    point_data = _node_sets(file, points, blocks)
    regions = _regions(file, blocks)
    times = file.array("time_whole").ravel().tolist() if "time_whole" in file else []
    mesh = None
    for k, t in enumerate(times or [None]):
        content = Content(blocks_of(points, cells), dict(point_data), dict(regions))
        if times:
            _attach(file, content, blocks, k)
        other, frame = frame_of_content(content, t, unit)
        mesh = other if mesh is None else mesh
        yield mesh, frame


def _points(file: NetCdf, path: Path) -> np.ndarray:
    axes = [file.array(f"coord{axis}") for axis in "xyz" if f"coord{axis}" in file]
    if "coord" in file:
        axes = list(file.array("coord"))
    if not axes:
        raise ForeignFile(f"{path.name} has no coordinates; is it a file of Exodus?")
    return np.column_stack(axes).astype(float)


def _blocks(file: NetCdf, path: Path) -> Iterator[Block]:
    number = 1
    count = len(file.array("eb_prop1")) if "eb_prop1" in file else 0
    while number <= count or f"connect{number}" in file:
        key = f"connect{number}"
        if key in file:
            nodes = file.array(key).astype(np.int64) - 1
            text = file.text(key, "elem_type")
            if text.upper() in MANY:
                raise BadInput(
                    f"{path.name} has elements {text!r} of any number of nodes, which are not "
                    "read of Exodus; write them as VTK, CGNS or MED"
                )
            if len(nodes):
                yield number, text, exodus_kind(text, nodes.shape[1], path.name), nodes
        number += 1


def _names(file: NetCdf, names: str, numbers: str, what: str) -> list[str]:
    """Names of blocks or sets, or else what they are and their numbers."""
    ids = file.array(numbers).ravel().tolist() if numbers in file else []
    texts = [plain_text(row).strip() for row in file.array(names)] if names in file else []
    texts += [""] * (len(ids) - len(texts))
    return [text or f"{what} {number}" for text, number in zip(texts, ids, strict=False)]


def _regions(file: NetCdf, blocks: list[Block]) -> Data:
    """Every block as a region, where there are several or it has a name."""
    names = _names(file, "eb_names", "eb_prop1", "block")
    sizes = [len(nodes) for *_, nodes in blocks]
    ends = np.cumsum([0, *sizes])
    regions: Data = {}
    for j, (number, *_) in enumerate(blocks):
        name = names[number - 1] if number <= len(names) else f"block {number}"
        if len(blocks) == 1 and name.startswith("block "):
            continue
        mask = regions.setdefault(REGION + name, np.zeros(ends[-1], dtype=bool))
        mask[ends[j] : ends[j + 1]] = True
    return regions


def _node_sets(file: NetCdf, points: np.ndarray, blocks: list[Block]) -> Data:
    """Masks of node sets, and of the nodes of side sets."""
    masks: Data = {}
    for k, name in enumerate(_names(file, "ns_names", "ns_prop1", "node set"), 1):
        if f"node_ns{k}" in file:
            masks[NODE_SET + name] = _mask(file.array(f"node_ns{k}") - 1, len(points))
    ends = np.cumsum([0, *(len(nodes) for *_, nodes in blocks)])
    for k, name in enumerate(_names(file, "ss_names", "ss_prop1", "side set"), 1):
        if f"elem_ss{k}" not in file:
            continue
        places: list[int] = []
        pairs = zip(file.array(f"elem_ss{k}") - 1, file.array(f"side_ss{k}"), strict=True)
        for cell, side in pairs:
            j = int(np.searchsorted(ends, cell, side="right")) - 1
            _, text, kind, nodes = blocks[j]
            row = nodes[cell - ends[j]]
            row = row[VTK_ORDER[kind]] if kind in VTK_ORDER else row
            places += row[side_nodes(kind, text, int(side), points.shape[1])].tolist()
        key = NODE_SET + name
        masks[f"{key} (sides)" if key in masks else key] = _mask(np.array(places), len(points))
    return masks


def _mask(places: np.ndarray, n: int) -> np.ndarray:
    mask = np.zeros(n, dtype=bool)
    mask[np.asarray(places, dtype=np.int64)] = True
    return mask


def _attach(file: NetCdf, content: Content, blocks: list[Block], k: int) -> None:
    """Puts the variables of time k into a content."""
    for name, numbers in join_components(_variables(file, "name_nod_var")).items():
        content.point_data[name] = _columns([_nodal(file, i, k) for i in numbers])
    ends = np.cumsum([0, *(len(nodes) for *_, nodes in blocks)])
    for name, numbers in join_components(_variables(file, "name_elem_var")).items():
        rows, parts = [], []
        for j, (number, *_) in enumerate(blocks):
            keys = [f"vals_elem_var{i + 1}eb{number}" for i in numbers]
            if all(key in file for key in keys):
                parts.append(_columns([file.row(key, k).astype(float) for key in keys]))
                rows.append(np.arange(ends[j], ends[j + 1]))
        if parts:
            whole, mask = spread_rows(np.concatenate(rows), np.concatenate(parts), int(ends[-1]))
            content.cell_data[name] = whole
            if not mask.all():
                content.known[f"{AT_CELLS}:{name}"] = mask


def _columns(columns: list[np.ndarray]) -> np.ndarray:
    return columns[0] if len(columns) == 1 else np.stack(columns, axis=1)


def _variables(file: NetCdf, key: str) -> list[str]:
    return [plain_text(row).strip() for row in file.array(key)] if key in file else []


def _nodal(file: NetCdf, i: int, k: int) -> np.ndarray:
    """Variable i at nodes at time k; old files have all in one array."""
    if f"vals_nod_var{i + 1}" in file:
        return file.row(f"vals_nod_var{i + 1}", k).astype(float)
    return file.row("vals_nod_var", k)[i].astype(float)


LIBRARIES = ("scipy.io", "h5py", "netCDF4")  # loaded once for all files
SUFFIXES = dict.fromkeys((".e", ".exo", ".ex2", ".exii", ".g", ".gen"), exodus_frames)
