"""Points and cells of the grids of XDMF, structured ones too."""

from __future__ import annotations

from typing import Any

import numpy as np

from rom.errors import BadInput, ForeignFile
from rom.io.content import Cells
from rom.io.xdmf_items import Document
from rom.mesh import NODES

TYPES = {  # name of a topology -> cell type
    "polyvertex": "vertex", "triangle": "triangle", "quadrilateral": "quad",
    "tetrahedron": "tetra", "pyramid": "pyramid", "wedge": "wedge", "hexahedron": "hexahedron",
    "edge_3": "line3", "triangle_6": "triangle6", "tri_6": "triangle6",
    "quadrilateral_8": "quad8", "quad_8": "quad8", "quadrilateral_9": "quad9", "quad_9": "quad9",
    "tetrahedron_10": "tetra10", "tet_10": "tetra10", "pyramid_13": "pyramid13",
    "wedge_15": "wedge15", "wedge_18": "wedge18", "hexahedron_20": "hexahedron20",
    "hex_20": "hexahedron20", "hexahedron_27": "hexahedron27", "hex_27": "hexahedron27",
}  # fmt: skip
CODES = {  # of a mixed topology
    4: "triangle", 5: "quad", 6: "tetra", 7: "pyramid", 8: "wedge", 9: "hexahedron",
    34: "line3", 35: "quad9", 36: "triangle6", 37: "quad8", 38: "tetra10", 39: "pyramid13",
    40: "wedge15", 41: "wedge18", 48: "hexahedron20", 50: "hexahedron27",
}  # fmt: skip
COUNTED = {1: "vertex", 2: "line", 3: ""}  # whose number of nodes stands behind the code
POLYGONS = {3: "triangle", 4: "quad"}
STRUCTURED = ("smesh", "rectmesh", "corectmesh")


def read_grid(document: Document, topology: Any, geometry: Any) -> tuple[np.ndarray, Cells]:
    """Points (n, 3) and cells of a grid."""
    name = (topology.get("TopologyType") or topology.get("Type") or "").lower()
    if name.endswith(STRUCTURED):
        return _structured(document, topology, geometry, name)
    return _points(document, geometry), list(_cells(document, topology, name))


def _points(document: Document, geometry: Any) -> np.ndarray:
    kind = (geometry.get("GeometryType") or geometry.get("Type") or "XYZ").upper()
    arrays = [document.numbers(item) for item in geometry.findall("DataItem")]
    if kind in ("X_Y_Z", "X_Y"):
        points = np.stack([array.ravel() for array in arrays], axis=1)
    elif kind in ("XYZ", "XY", "X"):
        points = arrays[0].reshape(-1, len(kind))
    else:
        raise BadInput(f"{document.path.name}: geometry {kind!r} is not known here")
    return np.pad(points.astype(float), ((0, 0), (0, 3 - points.shape[1])))


def _cells(document: Document, topology: Any, name: str) -> Cells:
    item = topology.find("DataItem")
    file = document.path.name
    if item is None and name == "polyvertex":
        count = int(topology.get("NumberOfElements") or topology.get("Dimensions") or "0")
        return [("vertex", np.arange(count)[:, None])]
    if item is None:
        raise ForeignFile(f"{file}: topology {name!r} has no numbers")
    numbers = document.numbers(item).astype(np.int64).ravel()
    if name == "mixed":
        cells = _mixed(numbers, file)
    else:
        cells = [_of_one_type(topology, numbers, name, file)]
    base = int(topology.get("BaseOffset", "0"))
    return [(kind, nodes - base) for kind, nodes in cells]


def _of_one_type(
    topology: Any, numbers: np.ndarray, name: str, file: str
) -> tuple[str, np.ndarray]:
    size = int(topology.get("NodesPerElement", "0"))
    kind = TYPES.get(name)
    if name == "polyline" and size in (0, 2):
        kind = "line"
    if name == "polygon":
        kind = POLYGONS.get(size)
    if kind is None or (name == "polyvertex" and size > 1):
        raise BadInput(
            f"{file}: topology {name!r} with {size} nodes is not known here; known: "
            f"{', '.join(TYPES)}"
        )
    return kind, numbers.reshape(-1, NODES[kind])


def _mixed(numbers: np.ndarray, file: str) -> Cells:
    """Runs of cells of one type out of code, nodes, code, nodes, ..."""
    runs: list[tuple[str, list[list[int]]]] = []
    values, place = numbers.tolist(), 0
    while place < len(values):
        code = values[place]
        kind, place = CODES.get(code, ""), place + 1
        if code in COUNTED and place < len(values):
            size, place = values[place], place + 1
            kind = COUNTED[code] or POLYGONS.get(size, "")
            if kind and NODES[kind] != size:
                kind = ""
        if not kind:
            raise BadInput(f"{file}: a cell of XDMF's type {code} is not known here")
        nodes = values[place : place + NODES[kind]]
        place += NODES[kind]
        if len(nodes) < NODES[kind]:
            raise ForeignFile(f"{file}: the last cell is cut short")
        if not runs or runs[-1][0] != kind:
            runs.append((kind, []))
        runs[-1][1].append(nodes)
    return [(kind, np.array(rows)) for kind, rows in runs]


def _structured(
    document: Document, topology: Any, geometry: Any, name: str
) -> tuple[np.ndarray, Cells]:
    """Quads or hexahedra of a grid whose dimensions are of its points, z y x."""
    text = topology.get("Dimensions") or topology.get("NumberOfElements") or ""
    shape = tuple(int(word) for word in text.split())
    kind = (geometry.get("GeometryType") or geometry.get("Type") or "XYZ").upper()
    arrays = [document.numbers(item).astype(float) for item in geometry.findall("DataItem")]
    if name.endswith("smesh"):
        points = _points(document, geometry)
    else:
        if kind.startswith("ORIGIN"):  # origin and steps, z y x
            origin, step = (array.ravel() for array in arrays)
            axes = [origin[k] + step[k] * np.arange(n) for k, n in enumerate(shape)]
        else:  # VXVYVZ: x, y, z
            axes = [array.ravel() for array in arrays][::-1]
        mesh = np.meshgrid(*axes, indexing="ij")
        points = np.stack([x.ravel() for x in mesh[::-1]], axis=1)
        points = np.pad(points, ((0, 0), (0, 3 - points.shape[1])))
    if len(points) != np.prod(shape):
        raise ForeignFile(f"{document.path.name}: {len(points)} points for a grid of {shape}")
    return points, [structured_cells(shape)]


def structured_cells(shape: tuple[int, ...]) -> tuple[str, np.ndarray]:
    """Lines, quads or hexahedra of a grid of points, the last axis fastest."""
    sizes = tuple(n for n in shape if n > 1)
    i = np.arange(int(np.prod(sizes))).reshape(sizes)
    if len(sizes) == 1:
        return "line", np.stack([i[:-1], i[1:]], axis=1)
    low = i[..., :-1, :]
    quad = [low[..., :-1], low[..., 1:], i[..., 1:, 1:], i[..., 1:, :-1]]
    if len(sizes) == 2:
        return "quad", np.stack([part.ravel() for part in quad], axis=1)
    corners = [part[:-1] for part in quad] + [part[1:] for part in quad]
    return "hexahedron", np.stack([part.ravel() for part in corners], axis=1)
