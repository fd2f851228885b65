"""Fields of MED: times, modes, profiles, Gauss points, nodes of cells, units."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.errors import BadInput
from rom.io.content import Content, spread_rows
from rom.io.fields import label
from rom.io.frame import AT_CELLS, AT_POINTS
from rom.io.med_cells import MANY, kind_of, plain_array
from rom.io.steps import Entry

SECONDS = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0, "h": 3600.0}
STATIC = (-1, -1)


@dataclass(frozen=True, eq=False)
class MedBlock:
    """Cells of one type: rows among all cells, MED's place of every node (k, ...).

    Those of polygons and polyhedra have none.
    """

    kind: str
    rows: np.ndarray
    order: np.ndarray


@dataclass(frozen=True, eq=False)
class Leaf:
    """Values (k, c) of a field on cells of one type, or on nodes (kind "")."""

    kind: str
    what: str
    rows: np.ndarray
    values: np.ndarray


def field_entries(path: str, mesh: str) -> list[Entry]:
    """Every step of every field of a file on a mesh."""
    import medcoupling

    fields = medcoupling.MEDFileFields(path)
    entries = []
    for k in range(fields.getNumberOfFields()):
        series = fields[k]
        if series.getMeshName() != mesh:
            continue
        scale = SECONDS.get(series.getDtUnit().strip(), 1.0)
        for iteration, order, t in series.getTimeSteps():
            step = series.getTimeStep(iteration, order)
            entries.append(Entry(series.getName(), t * scale, (iteration, order), step))
    return entries


def attach_steps(content: Content, steps: list[Any], blocks: list[MedBlock], file: str) -> None:
    """Puts fields of one time into a content."""
    n_cells = sum(len(block.rows) for block in blocks)
    for step in steps:
        names = _component_names(step)
        for what, leaves in _by_place(step, blocks, file).items():
            c = int(step.getNumberOfComponents())
            groups = _same_width(leaves)
            for suffix, parts in groups.items():
                n = len(content.blocks.points) if what == "nodes" else n_cells
                rows = np.concatenate([leaf.rows for leaf in parts])
                values = np.concatenate([leaf.values for leaf in parts])
                whole, mask = spread_rows(rows, values, n)
                for key, columns in names.items():
                    chosen = whole.reshape(n, -1, c)[:, :, columns].reshape(n, -1)
                    _put(content, what, key + suffix, chosen, mask)


def _put(content: Content, what: str, text: str, values: np.ndarray, mask: np.ndarray) -> None:
    """One array under its name, or under that and its place where the name is taken."""
    at_nodes = what == "nodes"
    data = content.point_data if at_nodes else content.cell_data
    name = text if text not in data else f"{text} at {what}"
    data[name] = values[:, 0] if values.shape[1] == 1 else values
    if not mask.all():
        content.known[f"{AT_POINTS if at_nodes else AT_CELLS}:{name}"] = mask


def _component_names(step: Any) -> dict[str, list[int]]:
    """'name [unit]' -> its components: all, or each alone where their units differ."""
    parts = [re.fullmatch(r"(.*?)\s*(?:\[(.*)\])?", text.strip()) for text in step.getInfo()]
    pairs = [(match[1], match[2] or "") if match else ("", "") for match in parts]
    units = {unit for _, unit in pairs}
    name = step.getName()
    if len(units) == 1:
        return {label(name, units.pop()): list(range(len(pairs)))}
    return {label(f"{name} {part or k}", unit): [k] for k, (part, unit) in enumerate(pairs)}


def _by_place(step: Any, blocks: list[MedBlock], file: str) -> dict[str, list[Leaf]]:
    """Place -> leaves of a field at one time."""
    import medcoupling

    array = plain_array(step.getUndergroundDataArray())
    table = array.reshape(len(array), -1).astype(float)
    places: dict[str, list[Leaf]] = {}
    for code, entries in step.getFieldSplitedByType():
        for kind_of_field, (start, end), profile, _ in entries:
            values = table[start:end]
            chosen = plain_array(step.getProfile(profile)) if profile else None
            if kind_of_field == medcoupling.ON_NODES:
                rows = np.arange(len(values)) if chosen is None else chosen
                places.setdefault("nodes", []).append(Leaf("", "", rows, values))
                continue
            block = next(block for block in blocks if block.kind == kind_of(code, file))
            of_block = np.arange(len(block.rows)) if chosen is None else chosen
            if kind_of_field != medcoupling.ON_CELLS and block.kind in MANY.values():
                raise BadInput(
                    f"{file}: field {step.getName()!r} has several values in a {block.kind}; "
                    "write one for each cell"
                )
            by_cell = values.reshape(len(of_block), -1)
            what = "cells" if kind_of_field == medcoupling.ON_CELLS else "points of integration"
            if kind_of_field == medcoupling.ON_GAUSS_NE:
                what = "nodes of cells"
                by_node = values.reshape(len(of_block), -1, values.shape[1])
                order = block.order[of_block][:, :, None]
                by_cell = np.take_along_axis(by_node, order, axis=1).reshape(len(of_block), -1)
            leaf = Leaf(block.kind, what, block.rows[of_block], by_cell)
            places.setdefault(what, []).append(leaf)
    return places


def _same_width(leaves: list[Leaf]) -> dict[str, list[Leaf]]:
    """Leaves together, or by type of cell where they have different numbers of points."""
    if len({leaf.values.shape[1] for leaf in leaves}) == 1:
        return {"": leaves}
    groups: dict[str, list[Leaf]] = {}
    for leaf in leaves:
        groups.setdefault(f" on {leaf.kind}", []).append(leaf)
    return groups
