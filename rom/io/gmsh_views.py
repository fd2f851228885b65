"""Data of Gmsh's files .msh: views of nodes and elements, step after step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rom.errors import BadInput, ForeignFile
from rom.io.cursor import Cursor
from rom.io.fields import label, unlabel

NODE, ELEMENT, ELEMENT_NODE = "NodeData", "ElementData", "ElementNodeData"
VIEWS = (NODE, ELEMENT, ELEMENT_NODE)
COMPONENTS = (1, 3, 9)
N_TAGS = 3  # whole numbers of a view at least: step, components, entries


@dataclass(frozen=True, eq=False)
class View:
    """Values (k, ...) of one view and step at nodes or elements by number (k,)."""

    place: str
    name: str
    t: float
    step: int
    numbers: np.ndarray
    values: np.ndarray


def read_views(cursor: Cursor, place: str) -> list[View]:
    """The view of a section, at the nodes of elements one for each number of nodes.

    Raises BadInput where it brings a basis of its own.
    """
    texts = [cursor.line().strip('"') for _ in range(_count(cursor))]
    reals = [float(cursor.line()) for _ in range(_count(cursor))]
    whole = [int(cursor.line()) for _ in range(_count(cursor))]
    if len(whole) < N_TAGS:
        raise ForeignFile(f"a view of {cursor.name} names no components and entries")
    step, c, count = whole[:3]
    if c not in COMPONENTS:
        raise BadInput(
            f"{cursor.name}: view {texts[:1]} has {c} numbers a place, a scheme of interpolation "
            "of its own; save it by node or by element"
        )
    part = cursor if cursor.is_binary else cursor.section(f"$End{place}".encode())
    name, t = texts[0] if texts else place, reals[0] if reals else 0.0
    if place != ELEMENT_NODE:
        tags, values = part.records([("i4", 1), ("f8", c)], count)
        return [View(place, name, t, step, tags[:, 0], values)]
    groups = _by_element_node(part, count, c)
    if len(groups) == 1:
        return [View(place, name, t, step, *rows) for rows in groups.values()]
    plain, unit = unlabel(name)
    return [
        View(place, label(f"{plain} on cells of {size} nodes", unit), t, step, *rows)
        for size, rows in groups.items()
    ]


def _count(cursor: Cursor) -> int:
    count = int(cursor.line())
    if not 0 <= count <= 64:
        raise ForeignFile(f"{cursor.name} announces {count} tags of a view; write it again")
    return count


def _by_element_node(
    cursor: Cursor, count: int, c: int
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Number of nodes -> numbers (k,) and values (k, nodes * c), node after node."""
    groups: dict[int, list[tuple[int, np.ndarray]]] = {}
    for _ in range(count):
        number, size = (int(value) for value in cursor.take("i4", 2))
        groups.setdefault(size, []).append((number, cursor.take("f8", size * c)))
    return {
        size: (np.array([number for number, _ in rows], np.int64), np.array([v for _, v in rows]))
        for size, rows in (groups or {0: []}).items()
    }


def steps_of(views: list[View]) -> list[tuple[float | None, list[View]]]:
    """Views by time, in the order of time.

    A view with several steps at one time, as modes, has a state for each. A single step 0 at
    time 0 is no time.
    """
    if not views:
        return [(None, [])]
    states: dict[tuple[str, str, float], set[int]] = {}
    for view in views:
        states.setdefault((view.place, view.name, view.t), set()).add(view.step)
    several = any(len(steps) > 1 for steps in states.values())
    groups: dict[tuple[float, int], list[View]] = {}
    for view in views:
        groups.setdefault((view.t, view.step if several else 0), []).append(view)
    if len(groups) == 1 and not any(view.t or view.step for view in views):
        return [(None, views)]
    return [(key[0], groups[key]) for key in sorted(groups)]
