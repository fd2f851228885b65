"""Curves and surfaces that are mapped onto themselves: psi(x) = P(x + w(x)).

P is the nearest point of the polygon or polyhedron, or that on the ray from the centre (`stars`).
The measure of a cell under psi is signed: it is negative where the image runs against the curve, or
shows the surface's other side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rom.errors import BadInput
from rom.shapes.location import Locator
from rom.shapes.simplex import KINDS

TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Manifold:
    """A curve (q = 1) or a surface in space (q = 2) of simplices in dimension d.

    frames (k, d, q) : orthonormal, of each cell; sides (k, d) : tangents of a curve, normals of a
    surface
    """

    at: Locator
    frames: np.ndarray
    sides: np.ndarray

    def measure(self, F: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ratios of lengths or areas (k, m), and their derivatives in F (d, d, k, m).

        F : gradients of psi, [i, j] is d psi_i / d x_j; cell (m, N) : in which psi lies
        """
        E = np.einsum("ijkm,kjq->kmiq", F, self.frames)
        M = np.einsum("kmiq,kmip->kmqp", E, E)
        J = np.sqrt(np.maximum(np.linalg.det(M), TINY))
        slope = J[..., None, None] * (E @ np.linalg.inv(M + TINY * np.eye(M.shape[-1])))
        sign = self._signs(E, cell)
        force = sign[..., None, None] * np.einsum("kmiq,kjq->kmij", slope, self.frames)
        return sign * J, np.moveaxis(force, (2, 3), (0, 1))

    def _signs(self, E: np.ndarray, cell: np.ndarray) -> np.ndarray:
        """1 where the image of a cell lies as the domain does there, else -1 (k, m)."""
        side = self.sides[cell][:, self.at.cells].sum(axis=2)
        image = E[..., 0] if E.shape[-1] == 1 else np.cross(E[..., 0], E[..., 1])
        along = np.einsum("kmi,mki->km", image, side)
        return np.where(along > 0, 1.0, -1.0)


def manifold(at: Locator) -> Manifold | None:
    """The curve or surface of a point location; None where it fills its space.

    Raises BadInput where its cells do not all run the same way round.
    """
    points, cells = at.points, at.cells
    q, d = cells.shape[1] - 1, points.shape[1]
    if q == d:
        return None
    _check_alike(cells)
    edges = points[cells[:, 1:]] - points[cells[:, :1]]
    first = edges[:, 0] / np.linalg.norm(edges[:, 0], axis=1, keepdims=True)
    if q == 1:
        return Manifold(at, first[:, :, None], first)
    rest = edges[:, 1] - np.sum(edges[:, 1] * first, axis=1, keepdims=True) * first
    second = rest / np.linalg.norm(rest, axis=1, keepdims=True)
    normal = np.cross(first, second)
    return Manifold(at, np.stack([first, second], axis=2), normal)


def _check_alike(cells: np.ndarray) -> None:
    """Raises BadInput where a facet is passed twice in the same direction."""
    corners = cells.shape[1]
    pairs = [cells[:, [k, (k + 1) % corners]] for k in range(corners)]
    passed = np.concatenate(pairs) if corners == 3 else cells[:, :1]
    _, count = np.unique(passed, axis=0, return_counts=True)
    if count.max() > 1:
        raise BadInput(
            f"the {KINDS[corners]} cells of the reference do not all run the same way round; "
            "orient them alike to map along them"
        )


def onto(at: Locator, x: np.ndarray) -> np.ndarray:
    """P x (j, d) on a curve or surface; x where it fills its space."""
    if at.cells.shape[1] == at.points.shape[1] + 1:
        return x
    if at.star is not None:
        return at.star.onto(x)
    cell, w = at(x)
    return np.einsum("jk,jkd->jd", w, at.points[at.cells[cell]])


def signed_ratios(at: Locator, moved: np.ndarray) -> np.ndarray:
    """Ratios of lengths or areas (k,), signed, under nodes moved along (N, d)."""
    if at.star is not None:
        ratios, _ = at.star.measure(moved[None])
        return ratios[:, 0]
    surface = manifold(at)
    assert surface is not None
    cells = at.cells
    F = np.einsum("kaj,kai->ijk", at.gradients, moved[cells])
    cell, _ = at(moved)
    J, _ = surface.measure(F[..., None], cell[None])
    return np.asarray(J[:, 0])
