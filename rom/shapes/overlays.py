"""One mesh laid over another by a morphing, and the transfers that this makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rom.arrays import gate
from rom.errors import Folded
from rom.mesh import Mesh
from rom.shapes.location import Locator, locator
from rom.shapes.manifolds import onto
from rom.shapes.morphing import Morphing
from rom.shapes.simplex import determinants, simplices, volumes
from rom.shapes.straight import linear

Morph = Callable[[Mesh, Mesh], np.ndarray]


@gate(mesh=Mesh, reference=Mesh)
def overlay(mesh: Mesh, reference: Mesh, morph: Morph, at: Locator | None = None) -> Morphing:
    """A mesh laid over the reference, with transfers both ways.

    at : point location in the morphing's domain of the reference, from `locate`
    Raises Folded naming the first cell that the morphing turns over.
    """
    straight = linear(mesh)
    x = straight.points
    place = morph(straight, reference)
    if at is None:
        at = locate(reference, morph)
    cells = simplices(straight)
    det = orientation(x, place, cells)
    if det.min() <= 0:
        worst = int(np.argmin(det))
        nodes = cells[worst]
        centre = x[nodes].mean(axis=0)
        raise Folded(
            f"cell {worst} with nodes {nodes.tolist()} near {centre} is turned over by the"
            f" morphing (determinant {det[worst]:.2g}); name boundaries and landmarks that match,"
            " or choose another morphing"
        )
    to = locator(place, cells).matrix(at.points)
    back = at.matrix(place)
    return Morphing(to, back, to @ x, place, float(det.min()))


def locate(reference: Mesh, morph: Morph) -> Locator:
    """Point location where the morphing lays the reference itself."""
    place = np.asarray(morph(reference, reference), dtype=float)
    return locator(place, simplices(reference))


def orientation(points: np.ndarray, place: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Determinants of points -> place per cell (k,).

    Where dimensions differ: volumes in the chart, positive where most cells are.
    """
    q = place.shape[1]
    if points.shape[1] == q:
        return determinants(points, place, cells)
    if cells.shape[1] != q + 1:
        return determinants(place, place, cells)
    edges = place[cells[:, 1:]] - place[cells[:, :1]]
    size = np.linalg.det(edges)
    sign = np.sign(np.median(size))
    volume = volumes(points, cells)
    return np.asarray(size * sign / volume * volume.mean())


def shift_transfers(mesh: Mesh, morphing: Morphing, at: Locator, shift: np.ndarray) -> Morphing:
    """Transfers to and from the nodes of the reference moved by `shift` (N, q)."""
    cells = simplices(linear(mesh))
    moved = at.with_points(onto(at, at.points + shift))
    to = locator(morphing.place, cells).matrix(moved.points)
    back = moved.matrix(morphing.place)
    return replace(morphing, to=to, back=back)
