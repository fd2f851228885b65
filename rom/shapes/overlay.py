"""One mesh laid over another by a morphing, and the transfers that this makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rom.errors import Folded
from rom.mesh import Mesh
from rom.shapes.morphing import Morphing
from rom.shapes.simplex import determinants, geometry, linear, simplices
from rom.shapes.transfer import Locator, locator

Morph = Callable[[Mesh, Mesh], np.ndarray]


def overlay(mesh: Mesh, reference: Mesh, morph: Morph, at: Locator | None = None) -> Morphing:
    """A mesh laid over the reference; `at` locates points in the morphing's domain of the reference and saves finding it again.

    Raises Folded naming the first cell that the morphing turns over.
    """
    straight = linear(mesh)
    place = morph(straight, reference)
    at = locate(reference, morph) if at is None else at
    cells = simplices(straight)
    det = orientation(straight.points, place, cells)
    if det.min() <= 0:
        worst = int(np.argmin(det))
        raise Folded(
            f"cell {worst} with nodes {cells[worst].tolist()} near {straight.points[cells[worst]].mean(axis=0)} is turned over by the"
            f" morphing (determinant {det[worst]:.2g}); name boundaries and landmarks that match, or choose another morphing"
        )
    to = locator(place, cells).matrix(at.points)
    return Morphing(to, at.matrix(place), to @ straight.points, place, float(det.min()))


def locate(reference: Mesh, morph: Morph) -> Locator:
    """Point location where the morphing lays the reference itself."""
    return locator(np.asarray(morph(reference, reference), dtype=float), simplices(reference))


def orientation(points: np.ndarray, place: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Determinants of points -> place per cell; where dimensions differ: volumes in the chart, positive where most cells are."""
    if points.shape[1] == place.shape[1]:
        return determinants(points, place, cells)
    if cells.shape[1] != place.shape[1] + 1:
        return determinants(place, place, cells)
    size = np.linalg.det(place[cells[:, 1:]] - place[cells[:, :1]])
    return (
        size
        * np.sign(np.median(size))
        / np.abs(geometry(points, cells)[0])
        * np.abs(geometry(points, cells)[0]).mean()
    )


def shift_transfers(mesh: Mesh, laid: Morphing, at: Locator, shift: np.ndarray) -> Morphing:
    """The transfers of a mesh to and from the reference's nodes, moved by `shift` in the domain of the morphing."""
    to = locator(laid.place, simplices(linear(mesh))).matrix(at.points + shift)
    return replace(laid, to=to, back=at.with_points(at.points + shift).matrix(laid.place))


def domain(points: np.ndarray, mesh: Mesh) -> Mesh:
    """The simplices of a mesh on points elsewhere, such as those of its chart."""
    cells = simplices(mesh)
    return Mesh(points, {{2: "line", 3: "triangle", 4: "tetra"}[cells.shape[1]]: cells})
