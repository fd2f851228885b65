"""Curves of line cells: walks along them, arc length, curves that match."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from rom.errors import BadInput
from rom.mesh import Mesh
from rom.shapes.facets import facets

Names = tuple[str, ...]


def chain(edges: np.ndarray) -> np.ndarray:
    """Nodes along a curve of edges (k, 2); once each where it is closed.

    It starts at the end where the first edge points away, or at the first node where it is closed.
    Raises BadInput for no edges, or where the curve branches.
    """
    from scipy.sparse.csgraph import depth_first_order

    if not len(edges):
        raise BadInput("the mesh has no line cells; give a curve as cells={'line': (k, 2)}")
    count = np.bincount(edges.ravel())
    most = int(count.max())
    if most > 2:
        node = int(np.argmax(count))
        raise BadInput(f"node {node} has {most} edges; a curve does not branch")
    ends = np.flatnonzero(count == 1)
    start = _start(edges, ends)
    if not len(ends):
        edges = _open_loop(edges, start)
    n = len(count)
    ones = np.ones(len(edges))
    graph = sp.csr_array((ones, tuple(edges.T)), shape=(n, n))
    walk = depth_first_order(graph, start, directed=False, return_predecessors=False)
    return np.asarray(walk, dtype=np.int64)


def _start(edges: np.ndarray, ends: np.ndarray) -> int:
    """The node from which a curve is walked."""
    points_away = np.isin(ends, edges[:, 0])
    away = ends[points_away]
    if len(away):
        return int(away[0])
    if len(ends):
        return int(ends[0])
    return int(edges[0, 0])


def _open_loop(edges: np.ndarray, start: int) -> np.ndarray:
    """A loop without its last edge, so that it is walked along its first."""
    elsewhere = (edges != start).all(axis=1)
    return np.vstack([edges[:1], edges[elsewhere]])


def arc_length(x: np.ndarray) -> np.ndarray:
    """0, |x_1 - x_0|, |x_1 - x_0| + |x_2 - x_1|, ... (n,) of points x (n, d)."""
    steps = np.diff(x, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    sums = np.cumsum(lengths)
    return np.concatenate([[0.0], sums])


def boundary_loop(points: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Nodes of the boundary loop of triangles, counter-clockwise as the triangles are.

    Raises BadInput where there are holes.
    """
    sides = [cells[:, [0, 1]], cells[:, [1, 2]], cells[:, [2, 0]]]
    directed = np.concatenate(sides)
    edge, _ = facets(cells)
    boundary = {frozenset(pair) for pair in edge.tolist()}
    rows = [frozenset(pair) in boundary for pair in directed.tolist()]
    loop = directed[rows]
    order = chain(loop)
    if len(order) != len(loop):
        raise BadInput(
            f"the boundary has more than one loop ({len(order)} of {len(loop)} edges in the "
            "first); a disk has no holes: use Radial"
        )
    if points.shape[1] == 2 and not _counter_clockwise(points[order]):
        return order[::-1]
    return order


def _counter_clockwise(loop: np.ndarray) -> bool:
    """Whether the area inside a plane loop (n, 2) is positive."""
    x, y = loop.T
    next_x = np.roll(x, -1)
    next_y = np.roll(y, -1)
    area = np.sum(x * next_y - next_x * y)
    return bool(area > 0)


def farthest(x: np.ndarray, arc: np.ndarray) -> float:
    """Arc length of the point of a curve farthest from the middle of its ends.

    By a parabola through three nodes: a leading edge.
    """
    middle = (x[0] + x[-1]) / 2
    distance = np.linalg.norm(x - middle, axis=1)
    last = len(x) - 1
    i = int(np.clip(np.argmax(distance), 1, last - 1))
    around = slice(i - 1, i + 2)
    s = arc[around]
    here = arc[i]
    bend, slope, _ = np.polyfit(s - here, distance[around], 2)
    if bend >= 0:
        return float(here)
    top = here - slope / (2 * bend)
    return float(np.clip(top, s[0], s[-1]))


def farthest_node(x: np.ndarray, arc: np.ndarray) -> float:
    """Arc length of the node of a curve farthest from the middle of its ends."""
    middle = (x[0] + x[-1]) / 2
    distance = np.linalg.norm(x[1:-1] - middle, axis=1)
    return float(arc[1 + int(np.argmax(distance))])


def sharpest(x: np.ndarray, arc: np.ndarray) -> float:
    """Arc length of sharpest bending: the mean of s by the square of curvature."""
    steps = np.diff(x, axis=0)
    length = np.diff(arc)
    cosine = np.sum(steps[1:] * steps[:-1], axis=1) / (length[1:] * length[:-1])
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    weight = angle**2 / (length[1:] + length[:-1])
    if not weight.sum() > 0:
        return float(arc[-1] / 2)
    return float(np.sum(weight * arc[1:-1]) / weight.sum())


# landmark between the ends of a curve: x (n, d), arc length (n,) -> its arc length
LEADING = {
    "apex": farthest,
    "node": farthest_node,
    "bend": sharpest,
}


def one_node(mesh: Mesh, name: str) -> int | None:
    """The node of a node set of one node; None where there is no such set."""
    nodes = mesh.nodes.get(name, ())
    return int(np.asarray(nodes)[0]) if len(nodes) == 1 else None


def match_curves(
    mesh: Mesh, reference: Mesh, names: Names, max_points: int | None = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For every named curve its nodes (c, d), and where the reference has them (c, d).

    Points match that have the same share of arc length; max_points : thinned evenly to so many.
    """
    pairs = []
    for name in names:
        x, s = arc_fractions(mesh, name)
        y, t = arc_fractions(reference, name)
        images = np.column_stack([np.interp(s, t, column) for column in y.T])
        rows = _thin(len(x), max_points)
        pairs.append((x[rows], images[rows]))
    return pairs


def _thin(count: int, max_points: int | None) -> np.ndarray:
    """Numbers of at most max_points of the points, evenly."""
    if max_points is None:
        return np.arange(count)
    even = np.linspace(0, count - 1, min(max_points, count))
    return np.unique(np.round(even).astype(int))


def arc_fractions(mesh: Mesh, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Points of a named curve in order (c, d), and shares of arc length in [0, 1].

    Boundaries of triangles run with the domain on their left, other curves as their first cell
    does. Closed ones start at the node of the node set of the same name, or else at their lowest
    node in x, and end where they start.
    """
    if name not in mesh.regions:
        mesh.region(name)  # raises, and lists the names there are
    rows = mesh.regions[name]["line"]
    edges = mesh.cells["line"][rows]
    order = chain(edges)
    if _is_against(mesh, order):
        order = order[::-1]
    if len(order) == len(edges):
        order = _close(mesh, order, name)
    points = mesh.points[order]
    arc = arc_length(points)
    return points, arc / arc[-1]


def _close(mesh: Mesh, order: np.ndarray, name: str) -> np.ndarray:
    """A closed curve from its first node, with that node again at the end."""
    size = max(float(np.ptp(mesh.points)), 1e-300)
    x = np.round(mesh.points[order] / size, 9)
    nodes = mesh.nodes.get(name, ())
    named = np.flatnonzero(np.isin(order, nodes))
    first = named if named.size else np.lexsort(x.T[::-1])
    order = np.roll(order, -int(first[0]))
    return np.append(order, order[0])


def _is_against(mesh: Mesh, order: np.ndarray) -> bool:
    """Whether a boundary of triangles is walked with the domain on its right."""
    triangles = mesh.cells.get("triangle", np.zeros((0, 3), np.int64))
    following = np.roll(triangles, -1, axis=1)
    a, b = order[:2]
    backward = (triangles == b) & (following == a)
    forward = (triangles == a) & (following == b)
    return bool(backward.any() and not forward.any())
