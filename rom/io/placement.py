"""Where cells and points of integration of another code lie: orientation of cells, order of points."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rom.errors import BadInput
from rom.io.grid import DIMENSION
from rom.mesh import Mesh

# simplices at the corners of cells whose signed volumes must be positive
CORNERS: dict[str, list[tuple[int, ...]]] = {
    "triangle": [(0, 1, 2)], "quad": [(0, 1, 3), (1, 2, 0), (2, 3, 1), (3, 0, 2)], "tetra": [(0, 1, 2, 3)],
    "wedge": [(0, 1, 2, 3), (1, 2, 0, 4), (2, 0, 1, 5), (3, 5, 4, 0), (4, 3, 5, 1), (5, 4, 3, 2)],
    "pyramid": [(0, 1, 3, 4), (1, 2, 0, 4), (2, 3, 1, 4), (3, 0, 2, 4)],
    "hexahedron": [(0, 1, 3, 4), (1, 2, 0, 5), (2, 3, 1, 6), (3, 0, 2, 7), (4, 7, 5, 0), (5, 4, 6, 1), (6, 5, 7, 2), (7, 6, 4, 3)],
}  # fmt: skip


def check_orientation(mesh: Mesh, path: str | Path) -> Mesh:
    """The mesh, if the corners of all cells that fill the space turn as VTK's do; BadInput names the first cell that does not."""
    if not mesh.cells:
        raise BadInput(f"{Path(path).name} holds no cells; is it complete?")
    for kind, cells in mesh.cells.items():
        for corners in (
            CORNERS.get(kind.rstrip("0123456789"), [])
            if DIMENSION[kind] == mesh.points.shape[1]
            else []
        ):
            x = mesh.points[cells[:, corners]]
            bad = np.linalg.det(x[:, 1:] - x[:, :1]) <= 0
            if bad.any():
                raise BadInput(
                    f"{Path(path).name}: {kind} cell {int(np.argmax(bad))} is turned inside out; reverse its nodes"
                )
    return mesh


def within(x: np.ndarray, mesh: Mesh, what: str) -> np.ndarray:
    """Points of integration (e, q, d) of the cells that fill the space, as (g, d); BadInput names the first cell that does not hold its own."""
    cells = [c for kind, c in mesh.cells.items() if DIMENSION[kind] == mesh.points.shape[1]]
    low, high = (
        np.concatenate([f(mesh.points[c], axis=1) for c in cells])[:, None]
        for f in (np.min, np.max)
    )
    slack = 1e-6 * (high - low).max()
    outside = ((x < low - slack) | (x > high + slack)).any(axis=(1, 2))
    if outside.any():
        raise BadInput(
            f"{what}: the points of integration of cell {int(np.argmax(outside))} lie outside it; their unit, or the order of cells,"
            " points or coordinates, is another"
        )
    return x.reshape(-1, x.shape[2])


def reorder(
    values: np.ndarray, theirs: np.ndarray, ours: np.ndarray, tol: float = 1e-6
) -> np.ndarray:
    """Values (g, ...) at integration points `theirs` (g, d) put in the order of `ours` (g, d), which lie at the same places.

    Codes number the points of a cell differently; their positions say how. Raises BadInput where a point has no partner.
    """
    from scipy.spatial import cKDTree

    if theirs.shape != ours.shape or len(values) != len(theirs):
        raise BadInput(
            f"{len(values)} values at {theirs.shape} points cannot be put at {ours.shape}; is it the same rule of integration?"
        )
    distance, place = cKDTree(theirs).query(ours)
    size = float(np.ptp(ours, axis=0).max())
    if distance.max() > tol * size or len(np.unique(place)) != len(place):
        worst = int(np.argmax(distance))
        raise BadInput(
            f"point {worst} lies {distance[worst]:.2g} from any of the file's; units, mesh or rule of integration differ"
        )
    return values[place]
