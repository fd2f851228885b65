"""Boxes of one cell type, with faces x0, x1, y0, ... and outward normals.

Laws of solvers are tested on them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rom.errors import BadInput
from rom.mesh import Mesh
from solvers.elements import CORNERS, DIMENSION, MEANS, SHAPE

# a cube in six tetrahedra round its diagonal, a square in two triangles
KUHN: dict[int, list[tuple[int, ...]]] = {
    2: [(0, 1, 2), (0, 2, 3)],
    3: [(0, 1, 2, 6), (0, 2, 3, 6), (0, 3, 7, 6), (0, 7, 4, 6), (0, 4, 5, 6), (0, 5, 1, 6)],
}
SIDES: dict[str, list[tuple[int, ...]]] = {
    "quad": [(0, 1), (1, 2), (2, 3), (3, 0)],
    "triangle": [(0, 1), (1, 2), (2, 0)],
    "hexahedron": [
        (0, 3, 2, 1),
        (4, 5, 6, 7),
        (0, 1, 5, 4),
        (1, 2, 6, 5),
        (2, 3, 7, 6),
        (3, 0, 4, 7),
    ],
    "tetra": [(0, 2, 1), (0, 1, 3), (1, 2, 3), (2, 0, 3)],
}
FACE = {
    ("quad", 1): "line", ("quad", 2): "line3",
    ("hexahedron", 1): "quad", ("hexahedron", 2): "quad9",
    ("triangle", 1): "line", ("triangle", 2): "line3",
    ("tetra", 1): "triangle", ("tetra", 2): "triangle6",
}  # fmt: skip


def box(counts: tuple[int, ...], sizes: Any = 1.0, kind: str = "hexahedron") -> Mesh:
    """prod_i (0, sizes_i) in counts_i slices of one kind of cells.

    kind : "quad", "triangle", "triangle6", "hexahedron", "tetra" or "tetra10"
    """
    shape, d = SHAPE.get(kind, ""), len(counts)
    if shape not in SIDES or DIMENSION[kind] != d:
        raise BadInput(
            f"no box of {d} dimensions is made of {kind!r} cells; "
            f"choose among {', '.join(SIDES)} and their kin"
        )
    sizes = np.broadcast_to(np.asarray(sizes, dtype=float), d)
    axes = [np.linspace(0, s, c + 1) for c, s in zip(counts, sizes, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, d)
    stride = np.cumprod([1, *[c + 1 for c in counts[:0:-1]]])[::-1]
    origin = np.stack([i.ravel() for i in np.indices(counts)], axis=1)
    corners = CORNERS["hexahedron" if d == 3 else "quad"]
    cells = np.stack([(origin + np.array(corner)) @ stride for corner in corners], axis=1)
    if shape in ("tetra", "triangle"):
        cells = np.concatenate([cells[:, part] for part in KUHN[d]])
    return with_faces(*with_new_nodes(points, cells, kind), kind, sizes)


def with_new_nodes(
    points: np.ndarray, cells: np.ndarray, kind: str
) -> tuple[np.ndarray, np.ndarray]:
    """Points and cells of `kind` from cells of its corners.

    One new node for every mean of corners.
    """
    if kind not in MEANS:
        return points, cells
    columns = [cells]
    for group in MEANS[kind][1]:
        corners, place = np.unique(
            np.sort(cells[:, list(group)], axis=1), axis=0, return_inverse=True
        )
        columns.append((place + len(points))[:, None])
        points = np.vstack([points, points[corners].mean(axis=1)])
    return _merged(points, np.hstack(columns))


def _merged(points: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points that coincide become one."""
    scale = np.ptp(points, axis=0).max() * 1e-9
    _, first, place = np.unique(
        np.round(points / scale).astype(np.int64), axis=0, return_index=True, return_inverse=True
    )
    order = np.argsort(np.argsort(first))
    return points[np.sort(first)], order[place.ravel()][cells]


def with_faces(points: np.ndarray, cells: np.ndarray, kind: str, sizes: np.ndarray) -> Mesh:
    """The mesh with regions x0, x1, ... of the boundary of a box."""
    shape, order = SHAPE[kind], 1 if kind == SHAPE[kind] else 2
    face = FACE[shape, order]
    faces = []
    for side in SIDES[shape]:
        nodes = [list(side)]
        if order == 2:
            groups = {frozenset(g): i + len(CORNERS[shape]) for i, g in enumerate(MEANS[kind][1])}
            ring = (
                [side]
                if len(side) == 2
                else [(side[i], side[(i + 1) % len(side)]) for i in range(len(side))]
            )
            nodes.append([groups[frozenset(g)] for g in ring])
        faces.append(cells[:, [i for part in nodes for i in part]])
    every = np.concatenate(faces)
    regions: dict[str, dict[str, np.ndarray]] = {}
    faces_on, first = [], 0
    for axis, end in ((a, e) for a in range(len(sizes)) for e in (0, 1)):
        on = np.isclose(points[every][..., axis], end * sizes[axis], atol=1e-12 * sizes[axis]).all(
            axis=1
        )
        faces_on.append(every[on])
        regions["xyz"[axis] + str(end)] = {face: np.arange(first, first + on.sum())}
        first += int(on.sum())
    return Mesh(points, {kind: cells, face: np.concatenate(faces_on)}, regions)
