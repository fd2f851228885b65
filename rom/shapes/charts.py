"""Charts: curves on an interval, surfaces of disk type on the unit disk or square."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from rom.errors import BadInput
from rom.mesh import Mesh
from rom.shapes.curves import LEADING, Names, arc_length, boundary_loop, chain, one_node
from rom.shapes.simplex import simplices
from rom.shapes.springs import WEIGHTS, spring_weights

SHAPES = ("disk", "square")
SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])


@dataclass(frozen=True, eq=False)
class Same:
    """Node a of every mesh corresponds to node a of the reference.

    Or of what the reference was refined from. Raises BadInput for other node counts.
    """

    def __call__(self, mesh: Mesh, reference: Mesh) -> np.ndarray:
        """The reference's nodes (n, d) in the order of the mesh's."""
        fine = reference.points
        coarse = fine[reference.nodes["coarse"]] if "coarse" in reference.nodes else fine
        shape = mesh.points.shape
        if shape == coarse.shape:
            return coarse
        if shape == fine.shape:
            return fine
        raise BadInput(
            f"points {shape} do not correspond to the reference's {fine.shape}; "
            "choose another morphing"
        )


@dataclass(frozen=True, eq=False)
class ArcLength:
    """s in [0, k]: arc length along a curve of line cells, each piece of length one.

    landmarks : node sets of one node between the ends, in order along the curve
    leading : a leading edge is a landmark too, by `rule`
    rule : "apex", the point farthest from the middle of the ends by a parabola; "node", the node
        farthest from it, so that fields with a kink at a node keep it; "bend", the centre of
        sharpest bending
    A closed curve is cut at its first node. Returns (n, 1). Raises BadInput for another rule.
    """

    landmarks: tuple[str, ...] = ()
    leading: bool = False
    rule: str = "apex"

    def __call__(self, mesh: Mesh, reference: Mesh) -> np.ndarray:
        """s (n, 1) at the nodes of the mesh."""
        lines = mesh.cells.get("line", np.zeros((0, 2), np.int64))
        order = chain(lines)
        x = mesh.points[order]
        arc = arc_length(x)
        knots = [0.0]
        for name in self.landmarks:
            place = order == self._node(mesh, name)
            knots.append(arc[np.flatnonzero(place)[0]])
        knots.append(arc[-1])
        if self.leading:
            knots = sorted([*knots, self._leading_edge(x, arc)])
        if (np.diff(knots) <= 0).any():
            raise BadInput(
                f"landmarks lie at {knots} along the curve; they must be distinct and in order"
            )
        s = np.empty(len(mesh.points))
        s[order] = np.interp(arc, knots, np.arange(len(knots)))
        return s[:, None]

    def _leading_edge(self, x: np.ndarray, arc: np.ndarray) -> float:
        """Arc length of the leading edge. Raises BadInput for an unknown rule."""
        if self.rule not in LEADING:
            raise BadInput(f"no rule {self.rule!r} of a leading edge; known: {', '.join(LEADING)}")
        return LEADING[self.rule](x, arc)

    def _node(self, mesh: Mesh, name: str) -> int:
        """The node of a landmark. Raises BadInput where it is not one."""
        node = one_node(mesh, name)
        if node is None:
            names = ", ".join(mesh.nodes) or "none"
            raise BadInput(
                f"landmark {name!r} must be a node set of one node; the mesh has {names}"
            )
        return node


@dataclass(frozen=True, eq=False)
class Chart:
    """x -> the unit disk or square: interior nodes are means of their neighbours.

    shape : "disk" or "square"; the boundary goes there by arc length
    weights : "tutte" (equal), "floater" (mean value) or "harmonic" (cotangent)
    landmarks : node sets of one boundary node each, counter-clockwise; they share the boundary
        equally (four for a square). Without them it starts at its lowest node in x, then y
    Folds are impossible for tutte and floater. Raises BadInput where the mesh does not fit.
    References: Tutte (1963), Floater (1997, 2003).
    """

    shape: str = "disk"
    weights: str = "tutte"
    landmarks: tuple[str, ...] = ()

    def __call__(self, mesh: Mesh, reference: Mesh) -> np.ndarray:
        """The nodes of the mesh on the disk or square (n, 2)."""
        self._check_options()
        cells = simplices(mesh)
        if cells.shape[1] != 3:
            raise BadInput("a disk chart needs triangles; volumes are morphed by Radial or Elastic")
        loop = boundary_loop(mesh.points, cells)
        x = mesh.points[loop]
        s = _equal_pieces(x, loop, mesh, self.landmarks) if self.landmarks else _from_lowest(x)
        rim = _on_boundary(s, self.shape)
        inner = np.setdiff1d(np.unique(cells), loop)
        W = spring_weights(mesh.points, cells, self.weights)
        A = sp.csr_array(sp.diags_array(W.sum(axis=1)) - W)
        rows = A[inner]
        solve = splu(sp.csc_array(rows[:, inner])).solve
        y = np.zeros((len(mesh.points), 2))
        y[loop] = rim
        y[inner] = solve(-(rows[:, loop] @ rim))
        return y

    def _check_options(self) -> None:
        """Raises BadInput for another shape or other weights."""
        if self.shape in SHAPES and self.weights in WEIGHTS:
            return
        shapes, weights = ", ".join(SHAPES), ", ".join(WEIGHTS)
        raise BadInput(
            f"no chart {self.shape!r} with weights {self.weights!r}; known: {shapes}; {weights}"
        )


def _loop_length(x: np.ndarray) -> tuple[np.ndarray, float]:
    """Arc length at the nodes of a closed loop (n,), and all around it."""
    closed = np.concatenate([x, x[:1]])
    arc = arc_length(closed)
    return arc[:-1], arc[-1]


def _from_lowest(x: np.ndarray) -> np.ndarray:
    """Position in [0, 1) of boundary nodes along the loop, from the lowest node."""
    arc, total = _loop_length(x)
    order = np.lexsort((x[:, 1], np.round(x[:, 0], 12)))
    start = arc[order[0]]
    positions: np.ndarray = (arc - start) / total % 1.0
    return positions


def _equal_pieces(x: np.ndarray, loop: np.ndarray, mesh: Mesh, landmarks: Names) -> np.ndarray:
    """Position in [0, 1) along the loop, with landmarks at equal distances."""
    arc, total = _loop_length(x)
    places = np.array([arc[_place(loop, mesh, name)] for name in landmarks])
    along = (arc - places[0]) % total
    knots = [*((places - places[0]) % total), total]
    if (np.diff(knots) <= 0).any():
        raise BadInput(
            f"landmarks {landmarks} are not in counter-clockwise order along the boundary"
        )
    shares = np.linspace(0.0, 1.0, len(knots))
    return np.asarray(np.interp(along, knots, shares))


def _place(loop: np.ndarray, mesh: Mesh, name: str) -> int:
    """Which node of the loop a landmark is."""
    node = one_node(mesh, name)
    places = np.flatnonzero(loop == node)
    if node is None or not places.size:
        names = ", ".join(mesh.nodes) or "none"
        raise BadInput(
            f"landmark {name!r} must be a node set of one boundary node; the mesh has {names}"
        )
    return int(places[0])


def _on_boundary(s: np.ndarray, shape: str) -> np.ndarray:
    """Points (n, 2) of the disk's or the square's boundary at positions s in [0, 1)."""
    if shape == "disk":
        angle = 2 * np.pi * s
        return np.column_stack([-np.cos(angle), -np.sin(angle)])
    corner = np.arange(5.0)
    x, y = SQUARE.T
    return np.column_stack([np.interp(4 * s, corner, x), np.interp(4 * s, corner, y)])
