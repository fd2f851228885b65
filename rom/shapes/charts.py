"""Charts: curves on an interval, surfaces of disk type on the unit disk or square."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import depth_first_order
from scipy.sparse.linalg import splu

from rom.errors import BadInput
from rom.mesh import Mesh
from rom.shapes.simplex import facets, simplices


@dataclass(frozen=True, eq=False)
class Same:
    """Nodes correspond already: node a of every mesh lies on node a of the reference, or of what the reference was refined from.

    Raises BadInput for other node counts.
    """

    def __call__(self, mesh: Mesh, reference: Mesh) -> np.ndarray:
        coarse = (
            reference.points[reference.nodes["coarse"]]
            if "coarse" in reference.nodes
            else reference.points
        )
        if mesh.points.shape in (coarse.shape, reference.points.shape):
            return coarse if mesh.points.shape == coarse.shape else reference.points
        raise BadInput(
            f"points {mesh.points.shape} do not correspond to the reference's {reference.points.shape}; choose another morphing"
        )


@dataclass(frozen=True, eq=False)
class ArcLength:
    """s in [0, k]: arc length along an open or cut curve of line cells, k pieces between landmarks, each of length one.

    landmarks : node sets of the mesh between the ends, in order along the curve; leading : the node farthest from the ends is one
    A closed curve is cut at its first node. Returns (n, 1).
    """

    landmarks: tuple[str, ...] = ()
    leading: bool = False

    def __call__(self, mesh: Mesh, reference: Mesh) -> np.ndarray:
        order = chain(mesh.cells.get("line", np.zeros((0, 2), np.int64)))
        x = mesh.points[order]
        arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(x, axis=0), axis=1))])
        knots = [
            0.0,
            *(arc[np.flatnonzero(order == self._node(mesh, name))[0]] for name in self.landmarks),
            arc[-1],
        ]
        if self.leading:
            knots = sorted([*knots, farthest(x, arc)])
        if (np.diff(knots) <= 0).any():
            raise BadInput(
                f"landmarks lie at {knots} along the curve; they must be distinct and in order"
            )
        s = np.empty(len(mesh.points))
        s[order] = np.interp(arc, knots, np.arange(len(knots)))
        return s[:, None]

    def _node(self, mesh: Mesh, name: str) -> int:
        if name not in mesh.nodes or len(mesh.nodes[name]) != 1:
            raise BadInput(
                f"landmark {name!r} must be a node set of one node; the mesh has {', '.join(mesh.nodes) or 'none'}"
            )
        return int(mesh.nodes[name][0])


@dataclass(frozen=True, eq=False)
class Chart:
    """x -> the unit disk or square: boundary by arc length, interior node = weighted mean of its neighbours.

    shape : "disk" or "square"; weights : "tutte" (equal), "floater" (mean value) or "harmonic" (cotangent)
    landmarks : node sets of one boundary node each, counter-clockwise; they share the boundary equally (four for a square)
    Without landmarks the boundary starts at its lowest node in x, then y. Folds are impossible for tutte and floater.
    Reference: Tutte (1963), Floater (1997, 2003).
    """

    shape: str = "disk"
    weights: str = "tutte"
    landmarks: tuple[str, ...] = ()

    def __call__(self, mesh: Mesh, reference: Mesh) -> np.ndarray:
        if self.shape not in ("disk", "square") or self.weights not in (
            "tutte",
            "floater",
            "harmonic",
        ):
            raise BadInput(
                f"no chart {self.shape!r} with weights {self.weights!r}; known: disk, square; tutte, floater, harmonic"
            )
        cells = simplices(mesh)
        if cells.shape[1] != 3:
            raise BadInput("a disk chart needs triangles; volumes are morphed by Radial or Elastic")
        loop = boundary_loop(mesh.points, cells)
        place = _on_boundary(self._fractions(mesh, loop), self.shape)
        y = np.zeros((len(mesh.points), 2))
        y[loop] = place
        inner = np.setdiff1d(np.unique(cells), loop)
        W = spring_weights(mesh.points, cells, self.weights)
        A = sp.csr_array(sp.diags_array(W.sum(axis=1)) - W)
        y[inner] = splu(sp.csc_array(A[inner][:, inner])).solve(-(A[inner][:, loop] @ place))
        return y

    def _fractions(self, mesh: Mesh, loop: np.ndarray) -> np.ndarray:
        """Position in [0, 1) of the boundary nodes along the loop."""
        x = mesh.points[loop]
        arc = np.concatenate(
            [[0.0], np.cumsum(np.linalg.norm(np.diff(x, axis=0, append=x[:1]), axis=1))]
        )
        if not self.landmarks:
            start = np.lexsort((x[:, 1], np.round(x[:, 0], 12)))[0]
            return (arc[:-1] - arc[start]) / arc[-1] % 1.0
        at = []
        for name in self.landmarks:
            if (
                name not in mesh.nodes
                or len(mesh.nodes[name]) != 1
                or mesh.nodes[name][0] not in loop
            ):
                raise BadInput(
                    f"landmark {name!r} must be a node set of one boundary node; the mesh has {', '.join(mesh.nodes) or 'none'}"
                )
            at.append(arc[np.flatnonzero(loop == mesh.nodes[name][0])[0]])
        along = (arc[:-1] - at[0]) % arc[-1]
        knots = [*((np.array(at) - at[0]) % arc[-1]), arc[-1]]
        if (np.diff(knots) <= 0).any():
            raise BadInput(
                f"landmarks {self.landmarks} are not in counter-clockwise order along the boundary"
            )
        return np.interp(along, knots, np.linspace(0.0, 1.0, len(knots)))


def _on_boundary(s: np.ndarray, shape: str) -> np.ndarray:
    if shape == "disk":
        return np.column_stack([-np.cos(2 * np.pi * s), -np.sin(2 * np.pi * s)])
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    return np.column_stack([np.interp(4 * s, np.arange(5.0), corners[:, k]) for k in range(2)])


def spring_weights(points: np.ndarray, cells: np.ndarray, kind: str) -> sp.csr_array:
    """W (n, n): one per edge, cotangents of the opposite angles, or mean value coordinates."""
    rows, cols, data = [], [], []
    for a, b, c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        i, j, k = cells[:, a], cells[:, b], cells[:, c]
        e, f = points[j] - points[i], points[k] - points[i]
        lengths = np.linalg.norm(e, axis=1), np.linalg.norm(f, axis=1)
        cosine = np.clip(np.sum(e * f, axis=1) / (lengths[0] * lengths[1]), -1.0, 1.0)
        if kind == "harmonic":
            weight = [(j, k, 0.5 * cosine / np.sqrt(np.maximum(1 - cosine**2, 1e-24)))]
            weight += [(k, j, weight[0][2])]
        elif kind == "floater":
            half = np.tan(0.5 * np.arccos(cosine))
            weight = [(i, j, half / lengths[0]), (i, k, half / lengths[1])]
        else:
            weight = [(i, j, np.ones(len(i))), (i, k, np.ones(len(i)))]
        for row, col, value in weight:
            rows.append(row)
            cols.append(col)
            data.append(value)
    n = len(points)
    W = sp.csr_array(
        sp.coo_array(
            (np.concatenate(data), (np.concatenate(rows), np.concatenate(cols))), shape=(n, n)
        )
    )
    if kind == "tutte":
        W.data[:] = 1.0
    return W


def boundary_loop(points: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """The nodes of the longest boundary loop of triangles, counter-clockwise as the triangles are. Raises BadInput for holes."""
    directed = np.concatenate([cells[:, [0, 1]], cells[:, [1, 2]], cells[:, [2, 0]]])
    edge, _ = facets(cells)
    on = {tuple(e) for e in np.sort(edge, axis=1).tolist()}
    loop = directed[[tuple(sorted(e)) in on for e in directed.tolist()]]
    order = chain(loop)
    if len(order) != len(loop):
        raise BadInput(
            f"the boundary has more than one loop ({len(order)} of {len(loop)} edges in the first); a disk has no holes: use Radial"
        )
    if points.shape[1] == 2:
        x, y = points[order].T
        order = order if np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) > 0 else order[::-1]
    return order


def chain(edges: np.ndarray) -> np.ndarray:
    """Nodes along a curve of edges (k, 2), from the end where the first edge points away, or from its first node where closed."""
    if not len(edges):
        raise BadInput("the mesh has no line cells; give a curve as cells={'line': (k, 2)}")
    count = np.bincount(edges.ravel())
    if count.max() > 2:
        raise BadInput(
            f"node {int(np.argmax(count))} has {int(count.max())} edges; a curve does not branch"
        )
    ends = np.flatnonzero(count == 1)
    first = ends[np.isin(ends, edges[:, 0])]
    start = int(first[0] if len(first) else ends[0] if len(ends) else edges[0, 0])
    if not len(
        ends
    ):  # a loop is walked along its first edge: without its others at the start it is open
        edges = np.vstack([edges[:1], edges[(edges != start).all(axis=1)]])
    graph = sp.csr_array(
        (np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(len(count), len(count))
    )
    return depth_first_order(graph, start, directed=False, return_predecessors=False).astype(
        np.int64
    )


def farthest(x: np.ndarray, arc: np.ndarray) -> float:
    """Arc length of the point farthest from the middle of the two ends, by a parabola through three nodes: a leading edge."""
    r = np.linalg.norm(x - (x[0] + x[-1]) / 2, axis=1)
    i = int(np.clip(np.argmax(r), 1, len(r) - 2))
    c2, c1, _ = np.polyfit(arc[i - 1 : i + 2] - arc[i], r[i - 1 : i + 2], 2)
    return (
        float(np.clip(arc[i] - c1 / (2 * c2), arc[i - 1], arc[i + 1])) if c2 < 0 else float(arc[i])
    )
