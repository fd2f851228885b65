"""A cooled turbine blade: a section with holes, swept along the span.

The section is meshed in the plane; the sweep twists and tapers it. Section: the NACA 65-series half
thickness y_65(s) tau / 0.1 + s e / 2, normal to a circular-arc camber line of turning theta, with a
blunt trailing edge e: the form of blades tested in cascade by Herrig, Emery & Erwin (1957).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.interpolate import PchipInterpolator

from rom.errors import BadInput, MissingExtra, NotConverged
from rom.mesh import Mesh
from solvers.elements import DIMENSION, nodes, shapes

# ordinates of the 65-010 basic thickness form [% chord]
STATIONS = [
    0,
    0.5,
    0.75,
    1.25,
    2.5,
    5,
    7.5,
    10,
    15,
    20,
    25,
    30,
    35,
    40,
    45,
    50,
    55,
    60,
    65,
    70,
    75,
    80,
    85,
    90,
    95,
    100,
]
ORDINATES = [
    0, 0.772, 0.932, 1.169, 1.574, 2.177, 2.647, 3.040, 3.666, 4.143, 4.503, 4.760, 4.924,
    4.996, 4.963, 4.812, 4.530, 4.146, 3.682, 3.156, 2.584, 1.987, 1.385, 0.810, 0.306, 0,
]  # fmt: skip
NACA65 = PchipInterpolator(np.sqrt(np.array(STATIONS) / 100), np.array(ORDINATES) / 100)


@dataclass(frozen=True, eq=False)
class Blade:
    """Lengths [m], angles [degree], fractions of the chord of a cooled blade.

    Thickness, trailing edge and channels are fractions. x axial, y tangential, z radial: the axis
    of rotation is x and the platform lies at z = hub_radius.

    taper : tip over hub chord
    channels : position along the camber line and radius over the local half thickness of each hole
    """

    chord: float = 0.06
    span: float = 0.10
    hub_radius: float = 0.30
    root_height: float = 0.03
    margin: float = 0.08
    thickness: float = 0.20
    trailing_edge: float = 0.03
    turning: float = 75.0
    stagger: float = -30.0
    twist: float = -18.0
    taper: float = 0.8
    channels: tuple[tuple[float, float], ...] = ((0.16, 0.5), (0.36, 0.55), (0.56, 0.55))

    def __post_init__(self) -> None:
        lengths = (
            self.chord,
            self.span,
            self.hub_radius,
            self.root_height,
            self.margin,
            self.thickness,
            self.trailing_edge,
        )
        if min(lengths) <= 0 or not 0 < self.taper <= 1 or not 0 < self.turning < 170:
            raise BadInput("lengths must be positive, 0 < taper <= 1 and 0 < turning < 170 degrees")
        rings = [self.ring(*channel) for channel in self.channels]
        for i, (centre, radius) in enumerate(rings):
            if not 0 < self.channels[i][1] < 0.9 or not 0.05 < self.channels[i][0] < 0.9:
                raise BadInput(
                    f"channel {i} at {self.channels[i]} leaves the wall; "
                    "keep 0.05 < position < 0.9 and radius < 0.9"
                )
            if any(np.linalg.norm(centre - c) < 1.1 * (radius + r) for c, r in rings[:i]):
                raise BadInput(
                    f"channel {i} meets another; move it along the chord or make it thinner"
                )

    def half_thickness(self, s: np.ndarray) -> np.ndarray:
        """y_t(s) over the chord.

        The table is interpolated in sqrt(s), in which a round nose is smooth.
        """
        table = self.thickness / 0.1 * NACA65(np.sqrt(s))
        return np.asarray(table + 0.5 * s * self.trailing_edge)

    def camber(self, s: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """Points and unit normals (k, 2) of the arc over a chord of 1, s in [0, 1]."""
        half = np.radians(self.turning) / 2
        phi, radius = (2 * np.asarray(s) - 1) * half, 0.5 / np.sin(half)
        normal = np.stack([np.sin(phi), np.cos(phi)], axis=-1)
        return radius * normal + [0.5, -radius * np.cos(half)], normal

    def placed(self, x: np.ndarray) -> np.ndarray:
        """Points of the unit section at the hub, staggered about mid-camber [m]."""
        a = np.radians(self.stagger)
        turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
        return np.asarray(self.chord * (x - self.camber(0.5)[0]) @ turn.T)

    def sides(self, k: int = 60) -> tuple[np.ndarray, np.ndarray]:
        """Suction and pressure side (k, 2) [m] at the hub.

        From the leading to the trailing edge.
        """
        s = 0.5 * (1 - np.cos(np.pi * np.linspace(0, 1, k)))
        (line, normal), y = self.camber(s), self.half_thickness(s)[:, None]
        return self.placed(line + y * normal), self.placed(line - y * normal)

    def ring(self, position: float, size: float) -> tuple[np.ndarray, float]:
        """Centre (2,) and radius [m] of a channel at the hub."""
        return self.placed(self.camber(position)[0]), float(
            self.chord * size * self.half_thickness(np.asarray(position))
        )

    def swept(self, x: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Section points x (k, 2) at heights z (l,) over the platform [m], (l, k, 3).

        Taper and twist act above the platform, neither below.
        """
        share = np.clip(z / self.span, 0.0, None)
        a, scale = np.radians(self.twist) * share, 1 + (self.taper - 1) * share
        turn = scale[:, None, None] * np.moveaxis(
            np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]), 2, 0
        )
        flat = np.einsum("lij,kj->lki", turn, x)
        height = np.broadcast_to((z + self.hub_radius)[:, None, None], (len(z), len(x), 1))
        return np.concatenate([flat, height], axis=2)


@dataclass(frozen=True, eq=False)
class Section:
    """A plane mesh of the section.

    points (k, 2); cells (c, 3 or 4) counter-clockwise; `profile` (c,) true inside the blade;
    `holes` (k,) true on channel walls
    """

    points: np.ndarray
    cells: np.ndarray
    profile: np.ndarray
    holes: np.ndarray


def blade_mesh(size: int = 6_000, blade: Blade | None = None, cells: str = "tetra") -> Mesh:
    """About `size` nodes of "tetra", "wedge" or "hexahedron" cells.

    Volumes "blade", "root"; surfaces "gas", "channels", "fixed", "free". The same arguments give
    the same mesh. Raises MissingExtra without gmsh, BadInput for sizes too small for the section.
    """
    blade = blade or Blade()
    if cells not in ("tetra", "wedge", "hexahedron"):
        raise BadInput(
            f"cells of type {cells!r} are not made here; choose tetra, wedge or hexahedron"
        )
    if size < 1_000:
        raise BadInput(f"{size} nodes cannot resolve the section; ask for at least 1000")
    h = 0.6 * (blade.chord * blade.chord * (blade.span + blade.root_height) / size) ** (1 / 3)
    with _gmsh() as gmsh:
        for _ in range(12):
            part = section(gmsh, blade, h, quads=cells == "hexahedron")
            low, high = _layers(blade, h)
            count = len(part.points) * len(low) + np.unique(part.cells[part.profile]).size * (
                len(high) - 1
            )
            if abs(count / size - 1) < 0.08:
                return sweep(blade, part, low, high, cells)
            h *= float(np.clip((count / size) ** 0.4, 0.5, 2.0))
    raise NotConverged(
        f"no mesh of about {size} nodes: {count} at {1e3 * h:.2f} mm; "
        "ask for more nodes or fewer channels"
    )


def _layers(blade: Blade, h: float) -> tuple[np.ndarray, np.ndarray]:
    """Heights of the layers below and above the platform, about 2 h apart."""
    low = np.linspace(-blade.root_height, 0.0, max(3, round(blade.root_height / (2 * h)) + 1))
    return low, np.linspace(0.0, blade.span, max(8, round(blade.span / (2 * h)) + 1))


@contextmanager
def _gmsh() -> Iterator[Any]:
    try:
        import gmsh
    except (ImportError, OSError) as error:
        raise MissingExtra(
            f"the blade is meshed with gmsh ({error}); run: pip install 'rom-platform[fem]'"
        ) from error
    gmsh.initialize(["-noenv"], readConfigFiles=False, interruptible=False)
    try:
        for name, value in (
            ("General.Terminal", 0),
            ("General.NumThreads", 1),
            ("Mesh.Algorithm", 6),
            ("Mesh.RandomSeed", 1),
        ):
            gmsh.option.setNumber(name, value)
        yield gmsh
    finally:
        gmsh.finalize()


def section(gmsh: Any, blade: Blade, h: float, quads: bool = False) -> Section:
    """The rectangle of the root with the profile inside it, less the channels.

    h : mesh width [m]
    """
    gmsh.clear()
    geo, (suction, pressure) = gmsh.model.geo, blade.sides()
    tag = {}
    for name, line in (("s", suction), ("p", pressure[1:])):
        tag[name] = [
            geo.addPoint(*point, 0.0, min(h, 0.5 * blade.chord * blade.thickness)) for point in line
        ]
    rims = [
        geo.addSpline(tag["s"]),
        geo.addLine(tag["s"][-1], tag["p"][-1]),
        -geo.addSpline([tag["s"][0], *tag["p"]]),
    ]
    profile = geo.addCurveLoop(rims)
    rings = [
        _circle(geo, *blade.ring(*channel), h, 4 if quads else 8) for channel in blade.channels
    ]
    low = np.vstack([suction, pressure]).min(axis=0) - blade.margin * blade.chord
    high = np.vstack([suction, pressure]).max(axis=0) + blade.margin * blade.chord
    box = [
        geo.addPoint(x, y, 0.0, h)
        for x, y in ((low[0], low[1]), (high[0], low[1]), high, (low[0], high[1]))
    ]
    frame = geo.addCurveLoop([geo.addLine(box[i], box[(i + 1) % 4]) for i in range(4)])
    loops = [geo.addCurveLoop(ring) for ring in rings]
    outer, inner = geo.addPlaneSurface([frame, profile]), geo.addPlaneSurface([profile, *loops])
    geo.synchronize()
    gmsh.option.setNumber("Mesh.RecombineAll", int(quads))
    gmsh.option.setNumber("Mesh.SubdivisionAlgorithm", int(quads))
    gmsh.model.mesh.generate(2)
    return _read(
        gmsh, outer, inner, [abs(curve) for ring in rings for curve in ring], 4 if quads else 3
    )


def _circle(geo: Any, centre: np.ndarray, radius: float, h: float, least: int) -> list[int]:
    around = [(1, 0), (0, 1), (-1, 0), (0, -1)]
    middle = geo.addPoint(*centre, 0.0)
    tags = [
        geo.addPoint(*(centre + radius * np.array(e)), 0.0, min(h, 2 * np.pi * radius / least))
        for e in around
    ]
    return [geo.addCircleArc(tags[i], middle, tags[(i + 1) % 4]) for i in range(4)]


def _read(gmsh: Any, outer: int, inner: int, rings: list[int], corners: int) -> Section:
    tags, xyz, _ = gmsh.model.mesh.getNodes()
    parts = [gmsh.model.mesh.getElements(2, surface) for surface in (outer, inner)]
    if any(len(kinds) != 1 for kinds, _, _ in parts):
        raise NotConverged(
            "the section was not meshed with one cell type; change the size a little"
        )
    conn = [np.asarray(numbers[0], dtype=np.int64).reshape(-1, corners) for _, _, numbers in parts]
    used, cells = np.unique(np.concatenate(conn), return_inverse=True)
    place = np.argsort(tags)[np.searchsorted(np.sort(tags), used)]
    points, cells = xyz.reshape(-1, 3)[place, :2], cells.reshape(-1, corners)
    a, b, c = (points[cells[:, i]] for i in (0, 1, corners - 1))
    turned = (b - a)[:, 0] * (c - a)[:, 1] < (b - a)[:, 1] * (c - a)[:, 0]
    cells[turned] = cells[turned][:, ::-1]
    walls = np.unique(
        np.concatenate(
            [gmsh.model.mesh.getNodes(1, curve, includeBoundary=True)[0] for curve in rings]
        )
    )
    return Section(points, cells, np.arange(len(cells)) >= len(conn[0]), np.isin(used, walls))


def sweep(blade: Blade, part: Section, low: np.ndarray, high: np.ndarray, kind: str) -> Mesh:
    """Layers of the section along the span, and their surfaces with outward normals.

    The whole section below the platform, the profile above it.
    """
    k, inside = len(part.points), np.unique(part.cells[part.profile])
    numbers = np.full((len(low) + len(high) - 1, k), -1)
    numbers[: len(low)] = np.arange(len(low) * k).reshape(-1, k)
    numbers[len(low) :, inside] = len(low) * k + np.arange((len(high) - 1) * inside.size).reshape(
        -1, inside.size
    )
    points = blade.swept(part.points, np.concatenate([low, high[1:]]))[numbers >= 0]
    top, tip = len(low) - 1, len(numbers) - 1
    root, wing = (
        _solid(part.cells, numbers[: top + 1], kind),
        _solid(part.cells[part.profile], numbers[top:], kind),
    )
    frame, rim = _edges(part.cells), _edges(part.cells[part.profile])
    below, above = part.holes[frame].all(axis=1), part.holes[rim].all(axis=1)
    split = kind == "tetra"
    surfaces = {
        "gas": [
            *_walls(rim[~above], numbers[top:], split),
            numbers[tip][part.cells[part.profile]],
            numbers[top][part.cells[~part.profile]],
        ],
        "channels": [
            *_walls(frame[below], numbers[: top + 1], split),
            *_walls(rim[above], numbers[top:], split),
        ],
        "fixed": [numbers[0][part.cells[:, ::-1]]],
        "free": [*_walls(frame[~below], numbers[: top + 1], split)],
    }
    volume = {kind: np.concatenate([root, wing])}
    regions = {
        "root": {kind: np.arange(len(root))},
        "blade": {kind: len(root) + np.arange(len(wing))},
    }
    return Mesh(points, *_named(volume, regions, surfaces))


def _named(
    cells: dict[str, np.ndarray],
    regions: dict[str, dict[str, np.ndarray]],
    surfaces: dict[str, list[np.ndarray]],
) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
    """Surface cells by type, numbered one region after the other."""
    for corners, kind in ((3, "triangle"), (4, "quad")):
        lists = {
            name: [c for c in parts if c.shape[1] == corners] for name, parts in surfaces.items()
        }
        groups = {name: np.concatenate(parts) for name, parts in lists.items() if parts}
        if groups:
            cells[kind] = np.concatenate(list(groups.values()))
            ends = np.cumsum([len(c) for c in groups.values()])
            for (name, c), end in zip(groups.items(), ends, strict=True):
                regions.setdefault(name, {})[kind] = np.arange(end - len(c), end)
    return cells, regions


def _solid(cells: np.ndarray, numbers: np.ndarray, kind: str) -> np.ndarray:
    """Section cells (c, k) between successive layers, as solid cells.

    A prism with v0 < v1 < v2 splits into three tetrahedra, alike on both sides of every face, as
    each diagonal rises from the lower section node to the higher.
    """
    if kind != "tetra":
        return np.concatenate([np.hstack([b[cells], t[cells]]) for b, t in pairwise(numbers)])
    v = np.sort(cells, axis=1)
    odd = np.linalg.det(np.eye(3)[np.argsort(np.argsort(cells, axis=1), axis=1)]) < 0
    tets = []
    for b, t in pairwise(numbers):
        for corners in (
            [b[v[:, 0]], b[v[:, 1]], b[v[:, 2]], t[v[:, 2]]],
            [b[v[:, 0]], t[v[:, 1]], b[v[:, 1]], t[v[:, 2]]],
            [b[v[:, 0]], t[v[:, 0]], t[v[:, 1]], t[v[:, 2]]],
        ):
            tet = np.column_stack(corners)
            tet[odd] = tet[odd][:, [1, 0, 2, 3]]
            tets.append(tet)
    return np.concatenate(tets)


def _edges(cells: np.ndarray) -> np.ndarray:
    """Directed boundary edges (e, 2), the body on their left.

    Of counter-clockwise cells.
    """
    pairs = np.concatenate([cells[:, [i, (i + 1) % cells.shape[1]]] for i in range(cells.shape[1])])
    _, index, count = np.unique(
        np.sort(pairs, axis=1), axis=0, return_index=True, return_counts=True
    )
    return np.asarray(pairs[np.sort(index[count == 1])])


def _walls(edges: np.ndarray, numbers: np.ndarray, split: bool) -> Iterator[np.ndarray]:
    """Outward faces over directed edges, layer by layer.

    split : as triangles, with the diagonals of `_solid`
    """
    i, j = edges.T
    for b, t in pairwise(numbers):
        quads = np.column_stack([b[i], b[j], t[j], t[i]])
        if not split:
            yield quads
            continue
        up = (i < j)[:, None]
        yield np.where(up, quads[:, [0, 1, 2]], quads[:, [0, 1, 3]])
        yield np.where(up, quads[:, [0, 2, 3]], quads[:, [1, 2, 3]])


def least_jacobian(mesh: Mesh) -> float:
    """min over cells and their nodes of det J / (|J_1| |J_2| |J_3|).

    J_i are the columns: 1 at a right angle, at most 0 inside out.
    """
    least = np.inf
    for kind, cells in mesh.cells.items():
        if DIMENSION[kind] == mesh.points.shape[1]:
            J = np.einsum(
                "ekc,qkd->eqcd", mesh.points[cells], shapes(kind, nodes(kind))[1], optimize=True
            )
            least = min(
                least, float((np.linalg.det(J) / np.prod(np.linalg.norm(J, axis=2), axis=2)).min())
            )
    return least
