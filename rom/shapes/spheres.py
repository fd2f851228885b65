"""Charts of closed surfaces: the unit sphere, seen from the centre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rom.errors import BadInput, Folded
from rom.mesh import Mesh
from rom.shapes.facets import facets
from rom.shapes.simplex import simplices, volumes

TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Sphere:
    """x -> (x - c) / |x - c|, c the centre of a closed surface by area.

    Shapes are compared in the axes of their files: bring them to common axes first.
    Raises BadInput for meshes that are no closed surfaces, Folded naming a cell that faces the
    centre: the surface must be star-shaped.
    """

    def __call__(self, mesh: Mesh, reference: Mesh) -> np.ndarray:
        """The nodes of the mesh on the unit sphere (n, 3)."""
        cells = simplices(mesh)
        x = mesh.points
        if cells.shape[1] != 3 or x.shape[1] != 3:
            raise BadInput("a sphere chart needs a closed surface of triangles in space")
        rim, _ = facets(cells)
        if len(rim):
            raise BadInput(
                f"the surface has {len(rim)} boundary edges; a sphere chart needs a closed one: "
                "take disk"
            )
        area = volumes(x, cells)
        centre = area @ x[cells].mean(axis=1) / area.sum()
        y = x - centre
        size = np.linalg.norm(y, axis=1, keepdims=True)
        _check_star(y, cells)
        return np.asarray(y / np.maximum(size, TINY))


def _check_star(y: np.ndarray, cells: np.ndarray) -> None:
    """Raises Folded naming the cell of y (n, 3) that is seen from the other side."""
    solid = np.linalg.det(y[cells])
    facing = solid * np.sign(np.median(solid))
    worst = int(np.argmin(facing))
    if facing[worst] <= 0:
        place = y[cells[worst]].mean(axis=0)
        raise Folded(
            f"cell {worst} with nodes {cells[worst].tolist()}, {place} from the centre, faces it; "
            "a sphere chart needs a star-shaped surface: cut it open and take disk"
        )
