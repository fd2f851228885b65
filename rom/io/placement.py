"""Cells and points of integration of another code: orientation and order."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rom.arrays import NUMBER, POINTS, gate, number_array
from rom.errors import BadInput
from rom.io.regions import DIMENSION
from rom.mesh import Mesh

# simplices at the corners of cells whose signed volumes must be positive
CORNERS: dict[str, list[tuple[int, ...]]] = {
    "triangle": [(0, 1, 2)],
    "quad": [(0, 1, 3), (1, 2, 0), (2, 3, 1), (3, 0, 2)],
    "tetra": [(0, 1, 2, 3)],
    "wedge": [(0, 1, 2, 3), (1, 2, 0, 4), (2, 0, 1, 5), (3, 5, 4, 0), (4, 3, 5, 1), (5, 4, 3, 2)],
    "pyramid": [(0, 1, 3, 4), (1, 2, 0, 4), (2, 3, 1, 4), (3, 0, 2, 4)],
    "hexahedron": [
        (0, 1, 3, 4), (1, 2, 0, 5), (2, 3, 1, 6), (3, 0, 2, 7),
        (4, 7, 5, 0), (5, 4, 6, 1), (6, 5, 7, 2), (7, 6, 4, 3),
    ],
}  # fmt: skip
SLACK = 1e-6  # of the largest extent of a cell: by so much a point may lie outside it


def check_cells(mesh: Mesh, path: str | Path) -> Mesh:
    """The mesh, if it has cells. Raises BadInput where it has none."""
    if not mesh.cells:
        raise BadInput(f"{Path(path).name} holds no cells; is it complete?")
    return mesh


def check_orientation(mesh: Mesh, path: str | Path) -> Mesh:
    """The mesh, if the corners of all cells that fill the space turn as VTK's do.

    Raises BadInput that names the first cell that does not.
    """
    for kind, cells in _filling_cells(mesh).items():
        for corners in CORNERS.get(kind.rstrip("0123456789"), []):
            x = mesh.points[cells[:, corners]]
            edges = x[:, 1:] - x[:, :1]
            bad = np.linalg.det(edges) <= 0
            if bad.any():
                raise BadInput(
                    f"{Path(path).name}: {kind} cell {int(np.argmax(bad))} is turned inside out; "
                    "reverse its nodes, or let them be turned (--turn)"
                )
    return mesh


def _filling_cells(mesh: Mesh) -> dict[str, np.ndarray]:
    """Cells by type that have the dimension of the space."""
    d = mesh.points.shape[1]
    return {kind: cells for kind, cells in mesh.cells.items() if DIMENSION[kind] == d}


def check_inside(x: np.ndarray, mesh: Mesh, what: str) -> np.ndarray:
    """Points of integration (e, q, d) of the cells that fill the space, as (g, d).

    Raises BadInput that names the first cell in whose bounds its points do not lie.
    """
    corners = [mesh.points[cells] for cells in _filling_cells(mesh).values()]
    low = np.concatenate([np.min(part, axis=1) for part in corners])[:, None]
    high = np.concatenate([np.max(part, axis=1) for part in corners])[:, None]
    slack = SLACK * (high - low).max()
    beyond = (x < low - slack) | (x > high + slack)
    outside = beyond.any(axis=(1, 2))
    if outside.any():
        raise BadInput(
            f"{what}: the points of integration of cell {int(np.argmax(outside))} lie outside it; "
            "their unit, or the order of cells, points or coordinates, is another"
        )
    return x.reshape(-1, x.shape[2])


@gate(theirs=POINTS, ours=POINTS)
def reorder(
    values: np.ndarray, theirs: np.ndarray, ours: np.ndarray, *, tol: float = 1e-6
) -> np.ndarray:
    """Values (g, ...) at points `theirs` (g, d) in the order of `ours` (g, d).

    Codes number the points of a cell differently; their positions say how.
    tol : distance of partners, relative to the extent of the points
    Raises BadInput where a point has no partner.
    """
    from scipy.spatial import cKDTree

    values = number_array(values, "values", NUMBER)
    if not values.ndim:
        raise BadInput("values is one number; give one per point (g, ...)")
    if theirs.shape != ours.shape or len(values) != len(theirs):
        raise BadInput(
            f"{len(values)} values at {theirs.shape} points cannot be put at {ours.shape}; "
            "is it the same rule of integration?"
        )
    distance, place = cKDTree(theirs).query(ours)
    size = float(np.ptp(ours, axis=0).max())
    if distance.max() > tol * size or len(np.unique(place)) != len(place):
        worst = int(np.argmax(distance))
        raise BadInput(
            f"point {worst} lies {distance[worst]:.2g} from any of the file's; "
            "units, mesh or rule of integration differ"
        )
    ordered: np.ndarray = values[place]
    return ordered
