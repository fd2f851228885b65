"""Nodes of a CGNS tree in HDF5.

Reference: CGNS, Mapping to HDF5 (2023).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

LENGTHS = {  # LengthUnits of the standard -> unit here, and its factor to that
    "Meter": ("m", 1.0), "Centimeter": ("m", 1e-2), "Millimeter": ("mm", 1.0),
    "Foot": ("m", 0.3048), "Inch": ("m", 0.0254),
}  # fmt: skip
UNITS = "Units"  # a text of this package below a base: lines of name, tab, unit
LINK = " link"  # below a node that stands for another
WIDTH = 32  # characters of a name
LENGTH, ANGLE = 1, 4  # places of units in DimensionalUnits: mass, length, time, heat, angle


class CgnsNode:
    """A node: its name, label, nodes below and numbers, read when they are asked for."""

    def __init__(self, group: Any, name: str = "") -> None:
        self.group = group
        self.name = name

    @cached_property
    def label(self) -> str:
        """What kind of node it is."""
        value = self.group.attrs.get("label", b"")
        return value.decode() if isinstance(value, bytes) else str(value)

    @cached_property
    def below(self) -> dict[str, CgnsNode]:
        """The nodes below, by name; a link is the node that it leads to."""
        nodes = {}
        for name, part in self.group.items():
            if not name.startswith(" ") and hasattr(part, "items"):
                nodes[name] = CgnsNode(part.get(LINK, part), name)
        return nodes

    @property
    def data(self) -> np.ndarray:
        """The numbers of the node."""
        return np.asarray(self.group[" data"])

    def __contains__(self, name: str) -> bool:
        return name in self.below

    def __getitem__(self, name: str) -> CgnsNode:
        return self.below[name]


def children(node: CgnsNode, label: str) -> list[CgnsNode]:
    """The nodes of one label below a node."""
    return [child for child in node.below.values() if child.label == label]


def node_text(node: CgnsNode) -> str:
    """The text of a node."""
    return node.data.astype(np.uint8).tobytes().decode("ascii", "replace").strip(" \0")


def units_of_arrays(bases: list[CgnsNode]) -> dict[str, str]:
    """Name of an array -> its unit, as a text below the bases says."""
    units: dict[str, str] = {}
    for base in bases:
        if UNITS in base:
            lines = base[UNITS].data.astype(np.uint8).tobytes().decode(errors="replace")
            pairs = (line.partition("\t") for line in lines.strip("\0").split("\n"))
            units |= {name: unit for name, _, unit in pairs if unit}
    return units


def node_names(node: CgnsNode) -> list[str]:
    """Names of 32 characters each, one after the other."""
    text = node.data.astype(np.uint8).tobytes().decode("ascii", "replace")
    return [text[k : k + WIDTH].strip(" \0") for k in range(0, len(text), WIDTH)]


def tree_units(*nodes: CgnsNode) -> tuple[str, float, str]:
    """Unit of length or "", factor to it, unit of angle; the last node wins."""
    length, factor, angle = "", 1.0, ""
    for node in nodes:
        for units in children(node, "DimensionalUnits_t"):
            names = node_names(units)
            if len(names) > ANGLE:
                length, factor = LENGTHS.get(names[LENGTH], (length, factor))
                angle = names[ANGLE] if names[ANGLE] in ("Degree", "Radian") else angle
    return length, factor, angle
