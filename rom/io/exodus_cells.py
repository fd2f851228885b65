"""Elements and sides of Exodus II.

Reference: Schoof and Yarberry, EXODUS II: a finite element data model, SAND92-2137 (1994).
"""

from __future__ import annotations

import re

import numpy as np

from rom.errors import BadInput
from rom.io.turning import nodes_of_face, parent_type

FAMILIES = {  # how a type begins -> number of nodes -> cell type
    "HEX": {8: "hexahedron", 20: "hexahedron20", 27: "hexahedron27"},
    "TET": {4: "tetra", 10: "tetra10"},
    "WED": {6: "wedge", 15: "wedge15"},
    "PEN": {6: "wedge", 15: "wedge15"},
    "PYR": {5: "pyramid", 13: "pyramid13"},
    "QUA": {4: "quad", 8: "quad8", 9: "quad9"},
    "SHE": {3: "triangle", 4: "quad", 6: "triangle6", 8: "quad8", 9: "quad9"},
    "TRI": {3: "triangle", 6: "triangle6"},
    "BAR": {2: "line", 3: "line3"}, "BEA": {2: "line", 3: "line3"},
    "TRU": {2: "line", 3: "line3"}, "ROD": {2: "line", 3: "line3"},
    "EDG": {2: "line", 3: "line3"}, "SPR": {2: "line"},
    "SPH": {1: "vertex"}, "CIR": {1: "vertex"}, "POI": {1: "vertex"},
}  # fmt: skip
# places in a row of the nodes in VTK's order, where the format has edges that rise before those
# of the top, and the middle of a solid before those of its faces
VTK_ORDER = {
    "wedge15": [*range(9), 12, 13, 14, 9, 10, 11],
    "hexahedron20": [*range(12), 16, 17, 18, 19, 12, 13, 14, 15],
    "hexahedron27": [*range(12), 16, 17, 18, 19, 12, 13, 14, 15, 23, 24, 25, 26, 21, 22, 20],
}
SIDES = {  # corners of sides 1, 2, ...
    "hexahedron": [
        [0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [0, 4, 7, 3], [0, 3, 2, 1], [4, 5, 6, 7],
    ],
    "tetra": [[0, 1, 3], [1, 2, 3], [0, 3, 2], [0, 2, 1]],
    "wedge": [[0, 1, 4, 3], [1, 2, 5, 4], [0, 3, 5, 2], [0, 2, 1], [3, 4, 5]],
    "pyramid": [[0, 1, 4], [1, 2, 4], [2, 3, 4], [0, 4, 3], [0, 3, 2, 1]],
    "quad": [[0, 1], [1, 2], [2, 3], [3, 0]],
    "triangle": [[0, 1], [1, 2], [2, 0]],
    "line": [[0], [1]],
}  # fmt: skip
FLAT = {"quad": 4, "triangle": 3}  # corners of cells whose first two sides may be both faces


def exodus_kind(text: str, size: int, file: str) -> str:
    """The cell type of a type of element of `size` nodes. Raises BadInput for others."""
    kind = FAMILIES.get(text.upper()[:3], {}).get(size)
    if kind is None:
        raise BadInput(
            f"{file} has elements {text!r} of {size} nodes, which are not known here; known "
            f"begin with {', '.join(FAMILIES)}"
        )
    return kind


def side_nodes(kind: str, text: str, side: int, d: int) -> list[int]:
    """Places of the nodes of a side; in space a shell's first two sides are its faces."""
    parent = parent_type(kind)
    sides = SIDES[parent]
    is_shell = parent in FLAT and (d == 3 or text.upper().startswith("SHE"))
    if is_shell:
        both = [list(range(FLAT[parent]))] * 2
        sides = [*both, *sides]
    if not 1 <= side <= len(sides):
        raise BadInput(f"a {kind} has no side {side}")
    return nodes_of_face(kind, sides[side - 1])


def join_components(names: list[str]) -> dict[str, list[int]]:
    """Field -> its variables: ...x, ...y, ...z are one, and so are ...xx to ...zx."""
    fields: dict[str, list[int]] = {}
    k = 0
    while k < len(names):
        for ends in (("xx", "yy", "zz", "xy", "yz", "zx"), ("x", "y", "z"), ("x", "y")):
            group = [name.lower() for name in names[k : k + len(ends)]]
            stem = group[0][: -len(ends[0])]
            if stem and group == [stem + end for end in ends]:
                fields[names[k][: -len(ends[0])]] = list(range(k, k + len(ends)))
                k += len(ends)
                break
        else:
            fields[names[k]] = [k]
            k += 1
    return fields


def plain_text(letters: np.ndarray) -> str:
    """Text out of an array of single bytes."""
    return re.sub(r"\0.*", "", np.asarray(letters).tobytes().decode(errors="replace"), flags=re.S)
