"""Elements of Abaqus and CalculiX by their types, and the nodes of their faces.

Reference: Abaqus 2024, Elements Guide; Dhondt, CalculiX CrunchiX user's manual (2023).
"""

from __future__ import annotations

import re
from typing import TypeVar

import numpy as np

from rom.errors import BadInput
from rom.io.turning import nodes_of_face

N = TypeVar("N", int, int | str)
SOLIDS = {
    4: "tetra", 5: "pyramid", 6: "wedge", 8: "hexahedron", 10: "tetra10", 13: "pyramid13",
    15: "wedge15", 20: "hexahedron20", 27: "hexahedron27",
}  # fmt: skip
PLANE = {2: "line", 3: "triangle", 4: "quad", 6: "triangle6", 8: "quad8", 9: "quad9"}
LINES = {2: "line", 3: "line3"}
FLUIDS = {3: "triangle", 4: "tetra", 6: "wedge", 8: "hexahedron"}  # of CalculiX; 3 is of Abaqus
ORDERS = {1: "line", 2: "line3", 3: "line"}  # of beams and shells of revolution by their digit
FAMILIES = (  # how a type begins, with its number -> cell types by that number
    (r"(?:D|DC|A|Q|E|F)?C3D(\d+)", SOLIDS),
    (r"(?:D|DC|A|Q|E|F)?C(?:PS|PE|PEG|AX|GAX|2D)(\d)", PLANE),
    (r"(?:DS|S|US|M3D|SFM3D|R3D|STRI)(\d)", PLANE),
    (r"F3D(\d)", FLUIDS),
    (r"(?:SC|CSS|DSC)(\d)", SOLIDS),
    (r"COH3D(\d)", SOLIDS),
    (r"COH(?:2D|AX)(\d)", PLANE),
    (r"(?:B|PIPE|ELBOW)[23](\d)", ORDERS),
    (r"(?:D?SAX|MAX|MGAX|SFMAX|SFMGAX)(\d)", ORDERS),
    (r"(?:T2D|T3D|DC1D|AC1D|R2D|RAX|RB2D|RB3D|CONN2D|CONN3D|F2D|FAX)(\d)", LINES),
)
SINGLE = {
    "MASS": "vertex", "ROTARYI": "vertex", "SPRING1": "vertex", "DASHPOT1": "vertex",
    "HEATCAP": "vertex", "CAPACITY": "vertex", "DCOUP3D": "vertex", "DCOUP2D": "vertex",
    "PC3D": "vertex", "PD3D": "vertex",
    "SPRING2": "line", "SPRINGA": "line", "DASHPOT2": "line", "DASHPOTA": "line",
    "GAPUNI": "line", "GAPUNIT": "line", "GAPCYL": "line", "GAPSPHER": "line", "DGAP": "line",
    "FRAME2D": "line", "FRAME3D": "line", "JOINTC": "line", "D": "line3",
}  # fmt: skip
NETWORK = "D"  # a pipe of CalculiX between two nodes, each 0 where it is open, with one between
SHELL = r"(?:DS|S|US|STRI|M3D|SFM3D)\d"  # whose faces are two, and then their edges
# places in a row of the nodes in VTK's order: middles of lines stand between their ends, the
# middle of a solid before those of its faces
VTK_ORDER = {
    "line3": [0, 2, 1],
    "hexahedron27": [*range(20), 26, 24, 23, 25, 21, 22, 20],
}
FACES: dict[str, list[list[int]]] = {  # corners of the faces S1, S2, ...
    "tetra": [[0, 1, 2], [0, 3, 1], [1, 3, 2], [2, 3, 0]],
    "hexahedron": [
        [0, 1, 2, 3], [4, 7, 6, 5], [0, 4, 5, 1], [1, 5, 6, 2], [2, 6, 7, 3], [3, 7, 4, 0],
    ],
    "wedge": [[0, 1, 2], [3, 5, 4], [0, 3, 4, 1], [1, 4, 5, 2], [2, 5, 3, 0]],
    "pyramid": [[0, 1, 2, 3], [0, 4, 1], [1, 4, 2], [2, 4, 3], [3, 4, 0]],
    "triangle": [[0, 1], [1, 2], [2, 0]],
    "quad": [[0, 1], [1, 2], [2, 3], [3, 0]],
    "line": [[0], [1]],
}  # fmt: skip


def cell_type_of(name: str, file: str) -> str:
    """The cell type of a type of element. Raises BadInput where it is not known here."""
    text = name.upper()
    if text in SINGLE:
        return SINGLE[text]
    for pattern, kinds in FAMILIES:
        match = re.match(pattern, text)
        if match is not None and int(match[1]) in kinds:
            return kinds[int(match[1])]
    raise BadInput(
        f"{file} has elements of type {name}, which are not known here; known are solid, plane, "
        "shell, membrane, beam, truss, rigid, cohesive, spring and mass elements"
    )


def is_shell(name: str) -> bool:
    """Whether a type of element is a shell or a membrane."""
    return re.match(SHELL, name.upper()) is not None


def order_nodes(name: str, kind: str, nodes: list[N]) -> tuple[str, list[N]]:
    """Cell type and nodes in VTK's order; a pipe with an open end is a line."""
    if name.upper() == NETWORK and 0 in nodes:
        return "line", [node for node in nodes if node != 0]
    return kind, [nodes[k] for k in VTK_ORDER.get(kind, range(len(nodes)))]


def face_nodes(kind: str, face: int) -> list[int]:
    """Places of the nodes of face S1, S2, ... of a cell, middle nodes too."""
    faces = FACES[kind.rstrip("0123456789")]
    if not 1 <= face <= len(faces):
        raise BadInput(f"a {kind} has no face {face}")
    return nodes_of_face(kind, faces[face - 1])


def free_faces(kind: str, cells: np.ndarray) -> list[tuple[int, int]]:
    """(row, face) of the faces that only one of the cells has."""
    rows_of: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    for face, corners in enumerate(FACES[kind.rstrip("0123456789")], 1):
        for row, nodes in enumerate(np.sort(cells[:, corners], axis=1).tolist()):
            rows_of.setdefault(tuple(nodes), []).append((row, face))
    return [places[0] for places in rows_of.values() if len(places) == 1]
