"""Bulk data of Nastran: grid points in systems, elements, groups by property.

meshio reads neither systems nor includes, and knows no groups; so this reader is ours. Rigid
elements, springs, masses, connectors and boundary surfaces are no cells and are left out.
Reference: MSC Nastran 2021, Quick Reference Guide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rom.errors import BadInput, ForeignFile
from rom.io.bulk_cards import Card, read_cards
from rom.io.bulk_systems import BASIC, read_systems
from rom.io.content import Content, blocks_of, frame_of_content
from rom.io.frame import Frame
from rom.io.numbering import number_places
from rom.io.readers.meshio_formats import meshio_frames
from rom.io.regions import REGION
from rom.mesh import NODES, Mesh

LINE, TRIANGLE, QUAD = ("line",), ("triangle",), ("quad",)
TETRA, HEXA = ("tetra", "tetra10"), ("hexahedron", "hexahedron20")
PENTA, PYRAMID = ("wedge", "wedge15"), ("pyramid", "pyramid13")
# card -> cell types by number of nodes, those behind the element's number and its property
CELLS: dict[str, tuple[str, ...]] = {
    "CROD": LINE, "CTUBE": LINE, "CBAR": LINE, "CBEAM": LINE, "CBEND": LINE, "CBEAM3": ("line3",),
    "CTRIA3": TRIANGLE, "CTRIAR": TRIANGLE, "CTRIA6": ("triangle", "triangle6"), "CTRIAX6": (
        "triangle", "triangle6"),
    "CQUAD4": QUAD, "CQUADR": QUAD, "CSHEAR": QUAD, "CQUAD8": ("quad", "quad8"),
    "CQUAD": ("quad", "quad8", "quad9"),
    "CTETRA": TETRA, "CHEXA": HEXA, "CPENTA": PENTA, "CPYRAM": PYRAMID, "CPYRA": PYRAMID,
}  # fmt: skip
BARE = {"CONROD": LINE}  # no property, but nodes behind the number
REFUSED = (
    "CTRIAX", "CQUADX", "CTRAX3", "CTRAX6", "CQUADX4", "CQUADX8", "CPLSTN3", "CPLSTN4", "CPLSTN6",
    "CPLSTN8", "CPLSTS3", "CPLSTS4", "CPLSTS6", "CPLSTS8", "CRAC2D", "CRAC3D", "CIFHEX", "CIFPENT",
    "CIFQUAD", "CHACAB", "CHACBR", "CACINF3", "CACINF4", "CHEXCZ", "CPENTCZ",
)  # fmt: skip
# places in a row of the nodes in VTK's order: edges that rise stand before those of the top
VTK_ORDER = {
    "wedge15": [*range(9), 12, 13, 14, 9, 10, 11],
    "hexahedron20": [*range(12), 16, 17, 18, 19, 12, 13, 14, 15],
}
AROUND = [0, 2, 4, 1, 3, 5]  # places in a CTRIAX6, where corners and middles take turns
BULK = re.compile(rb"(?i)(?:^|[\r\n])[ \t]*(?:GRID\*?[ \t,]|BEGIN[ \t]+BULK)")


@dataclass(eq=False)
class _Elements:
    """Rows of nodes by cell type, and the property of each, 0 where it has none."""

    nodes: dict[str, list[list[int]]] = field(default_factory=dict)
    properties: dict[str, list[int]] = field(default_factory=dict)


def nastran_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """The mesh of the bulk data, which has no fields."""
    by_name: dict[str, list[Card]] = {}
    for card in read_cards(path):
        by_name.setdefault(card.name, []).append(card)
    absent = [name for name in REFUSED if name in by_name]
    if absent:
        raise BadInput(f"{path.name} has elements {absent[0]}; read are: {', '.join(CELLS)}")
    numbers, frames, points = _grid_points(by_name, path.name)
    numbering = number_places(numbers, f"{path.name}: GRID")
    systems = [card for name, cards in by_name.items() if name[:4] == "CORD" for card in cards]
    x = read_systems(systems, numbering, frames, points).basic_points()
    elements = _Elements()
    for name in (*CELLS, *BARE):
        for card in by_name.get(name, ()):
            _add_element(elements, card)
    if not elements.nodes:
        raise ForeignFile(f"{path.name} has no elements; is it bulk data of Nastran?")
    cells = [
        (kind, numbering.require(np.array(rows), f"{path.name}: an element"))
        for kind, rows in elements.nodes.items()
    ]
    content = Content(blocks_of(x, cells), {}, _regions(elements))
    yield frame_of_content(content, None, unit)


def _grid_points(
    by_name: dict[str, list[Card]], file: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers (n,), systems (n,) and coordinates (n, 3) of the grid points."""
    common = by_name.get("GRDSET", [Card("GRDSET")])[0].whole(1, BASIC)
    rows: dict[int, tuple[int, float, float, float]] = {}
    for card in by_name.get("GRID", ()):
        number = card.whole(0)
        row = (card.whole(1, common), card.real(2), card.real(3), card.real(4))
        if rows.setdefault(number, row) != row:
            raise ForeignFile(f"{file}: GRID {number} stands twice, at different places")
    if not rows:
        raise ForeignFile(f"{file} has no GRID; is it bulk data of Nastran?")
    table = np.array(list(rows.values()), dtype=float)
    return np.array(list(rows)), table[:, 0].astype(np.int64), table[:, 1:]


def _add_element(elements: _Elements, card: Card) -> None:
    kinds = CELLS.get(card.name) or BARE[card.name]
    has_property = card.name not in (*BARE, "CTRIAX6")  # which have a material there
    row = _nodes(card, NODES[kinds[-1]])
    most = len(row)
    count = most - next((k for k, node in enumerate(reversed(row)) if node), most)
    fitting = [kind for kind in kinds if NODES[kind] == count]
    if not fitting or 0 in row[:count]:
        raise BadInput(
            f"{card.name} {card.text(0)} has {sum(map(bool, row))} of its nodes; give those of "
            f"{' or '.join(str(NODES[kind]) for kind in kinds)}"
        )
    kind = fitting[0]
    nodes = [row[k] for k in VTK_ORDER.get(kind, range(count))]
    own = card.whole(1, card.whole(0)) if has_property else 0
    elements.nodes.setdefault(kind, []).append(nodes)
    elements.properties.setdefault(kind, []).append(own)


def _nodes(card: Card, most: int) -> list[int]:
    """The nodes of an element, corners first, 0 where there is none."""
    first = 1 if card.name in BARE else 2
    row = [card.whole(first + k, 0) for k in range(most)]
    return [row[k] for k in AROUND] if card.name == "CTRIAX6" else row


def _regions(elements: _Elements) -> dict[str, np.ndarray]:
    own = np.concatenate([np.array(rows) for rows in elements.properties.values()])
    numbers = [number for number in np.unique(own).tolist() if number]
    return {f"{REGION}property {number}": own == number for number in numbers}


def data_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """A .dat, of Nastran if it has grid points, else of what meshio takes it for."""
    is_bulk = BULK.search(path.read_bytes()) is not None
    return nastran_frames(path, unit) if is_bulk else meshio_frames(path, unit)


LIBRARIES = ("meshio",)  # loaded once for all files
SUFFIXES = dict.fromkeys((".bdf", ".nas", ".fem"), nastran_frames) | {".dat": data_frames}
