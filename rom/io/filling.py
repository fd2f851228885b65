"""The cells of a mesh that fill it, without those of its faces, edges and corners."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rom.io.frame import AT_CELLS, Frame
from rom.io.regions import DIMENSION, cell_dimensions
from rom.mesh import Mesh


def lacks_faces_only(mesh: Mesh, frame: Frame, names: Iterable[str]) -> bool:
    """Whether fields on cells are unknown on faces and edges, there alone."""
    masks = [frame.known[f"{AT_CELLS}:{name}"] for name in names if f"{AT_CELLS}:{name}" in (
        frame.known
    )]  # fmt: skip
    dimension = cell_dimensions(mesh)
    inner = dimension == dimension.max()
    return bool(masks) and not inner.all() and all(mask[inner].all() for mask in masks)


def filling_part(mesh: Mesh) -> tuple[Mesh, np.ndarray]:
    """The mesh of the cells of the highest dimension, and their rows among all cells.

    Regions of other cells are node sets of their nodes.
    """
    dimension = cell_dimensions(mesh)
    top = int(dimension.max())
    cells = {kind: nodes for kind, nodes in mesh.cells.items() if DIMENSION[kind] == top}
    regions, nodes = {}, dict(mesh.nodes)
    for name, parts in mesh.regions.items():
        inner = {kind: rows for kind, rows in parts.items() if kind in cells}
        if inner or not parts:
            regions[name] = inner
        elif name not in nodes:
            its = [mesh.cells[kind][rows].ravel() for kind, rows in parts.items()]
            nodes[name] = np.unique(np.concatenate(its))
    part = Mesh(mesh.points, cells, regions, nodes, mesh.unit)
    return part, np.flatnonzero(dimension == top)
