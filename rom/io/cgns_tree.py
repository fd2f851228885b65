"""Nodes of a CGNS tree in HDF5.

Reference: CGNS, Mapping to HDF5 (2023).
"""

from __future__ import annotations

from typing import Any

import numpy as np

LENGTHS = {  # LengthUnits of the standard -> unit here, and its factor to that
    "Meter": ("m", 1.0), "Centimeter": ("m", 1e-2), "Millimeter": ("mm", 1.0),
    "Foot": ("m", 0.3048), "Inch": ("m", 0.0254),
}  # fmt: skip
UNITS = "Units"  # a text of this package below a base: lines of name, tab, unit
WIDTH = 32  # characters of a name
LENGTH, ANGLE = 1, 4  # places of units in DimensionalUnits: mass, length, time, heat, angle


def children(node: Any, label: str) -> list[Any]:
    """The nodes of one label below a node."""
    return [child for child in node.values() if plain_label(child.attrs.get("label", b"")) == label]


def node_data(node: Any) -> np.ndarray:
    """The numbers of a node."""
    return np.asarray(node[" data"])


def node_text(node: Any) -> str:
    """The text of a node."""
    return node_data(node).astype(np.uint8).tobytes().decode("ascii", "replace").strip(" \0")


def node_name(node: Any) -> str:
    """The name of a node."""
    path: str = node.name
    return path.rsplit("/", 1)[-1]


def units_of_arrays(bases: list[Any]) -> dict[str, str]:
    """Name of an array -> its unit, as a text below the bases says."""
    units: dict[str, str] = {}
    for base in bases:
        if UNITS in base:
            lines = node_data(base[UNITS]).astype(np.uint8).tobytes().decode(errors="replace")
            pairs = (line.partition("\t") for line in lines.strip("\0").split("\n"))
            units |= {name: unit for name, _, unit in pairs if unit}
    return units


def node_names(node: Any) -> list[str]:
    """Names of 32 characters each, one after the other."""
    text = node_data(node).astype(np.uint8).tobytes().decode("ascii", "replace")
    return [text[k : k + WIDTH].strip(" \0") for k in range(0, len(text), WIDTH)]


def plain_label(value: Any) -> str:
    """A label as text."""
    return value.decode() if isinstance(value, bytes) else str(value)


def tree_units(*nodes: Any) -> tuple[str, float, str]:
    """Unit of length or "", factor to it, unit of angle; the last node wins."""
    length, factor, angle = "", 1.0, ""
    for node in nodes:
        for units in children(node, "DimensionalUnits_t"):
            names = node_names(units)
            if len(names) > ANGLE:
                length, factor = LENGTHS.get(names[LENGTH], (length, factor))
                angle = names[ANGLE] if names[ANGLE] in ("Degree", "Radian") else angle
    return length, factor, angle
