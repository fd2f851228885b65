"""The airfoil of the parametric blade alone, from platform to tip.

With the curves by which one is laid over another.
"""

from __future__ import annotations

import numpy as np

from rom.errors import BadInput
from rom.mesh import Mesh
from rom.shapes.curves import chain
from rom.shapes.facets import facets
from solvers.blade_mesh import Blade, Section, _edges, _gmsh, _solid, section

# heights of the named curves are k / QUARTERS of the span
QUARTERS = 4


def curve_names(channels: int = 3) -> tuple[str, ...]:
    """Names of all curves, at each quarter of the span.

    Suction side, pressure side and every channel.
    """
    kinds = ("suction", "pressure", *(f"channel{c}_" for c in range(channels)))
    return tuple(f"{kind}{level}" for level in range(QUARTERS + 1) for kind in kinds)


def airfoil_mesh(blade: Blade, h: float, layers: int = 8) -> Mesh:
    """Tetrahedra of width h [m] in `layers` layers, with named surfaces and curves.

    Surfaces "gas", "channels", "base"; curves `curve_names` as line cells. Sides run from the
    leading to the trailing edge; channels are closed and start at the node set of their name.
    Raises BadInput unless the layers meet the quarters of the span, MissingExtra without gmsh.
    """
    if layers < QUARTERS or layers % QUARTERS:
        raise BadInput(
            f"{layers} layers miss the quarters of the span; give a multiple of {QUARTERS}"
        )
    with _gmsh() as gmsh:
        part = section(gmsh, blade, h)
    inside, flat = np.unique(part.cells[part.profile], return_inverse=True)
    cells, k = flat.reshape(-1, 3), len(inside)
    numbers = np.arange((layers + 1) * k).reshape(layers + 1, k)
    points = blade.swept(part.points[inside], np.linspace(0.0, blade.span, layers + 1)).reshape(
        -1, 3
    )
    tets = _solid(cells, numbers, "tetra")
    surface = facets(tets)[0]
    level, hole = surface // k, part.holes[inside][surface % k].all(axis=1)
    base, tip = (level == 0).all(axis=1), (level == layers).all(axis=1)
    regions = {"base": base, "channels": hole & ~base & ~tip, "gas": ~base & (tip | ~hole)}
    loops = _loops(blade, part, inside, cells)
    lines: list[np.ndarray] = []
    named, nodes, first = {}, {}, 0
    for name in curve_names(len(blade.channels)):
        kind, quarter = name[:-1], int(name[-1])
        order = loops[kind] + k * (quarter * layers // QUARTERS)
        lines.append(np.column_stack([order[:-1], order[1:]]))
        named[name] = {"line": np.arange(first, first + len(order) - 1)}
        first += len(order) - 1
        if order[0] == order[-1]:
            nodes[name] = order[:1]
    return Mesh(
        points,
        {"tetra": tets, "triangle": _outward(points, surface, tets), "line": np.concatenate(lines)},
        {**named, **{name: {"triangle": np.flatnonzero(mask)} for name, mask in regions.items()}},
        nodes,
    )


def _loops(
    blade: Blade, part: Section, inside: np.ndarray, cells: np.ndarray
) -> dict[str, np.ndarray]:
    """Curves of the section as node numbers in order.

    Closed ones have the first node again at the end.
    """
    x, rim = part.points[inside], _edges(cells)
    suction, pressure = blade.sides()
    walls = part.holes[inside][rim].all(axis=1)
    loop = chain(rim[~walls])
    at = [
        int(np.argmin(np.linalg.norm(x[loop] - end, axis=1)))
        for end in (suction[0], suction[-1], pressure[-1])
    ]
    around = np.roll(loop, -at[0])
    first, last = sorted((end - at[0]) % len(loop) for end in at[1:])
    there, back = around[: first + 1], np.append(around[last:], around[0])[::-1]
    turned = np.linalg.norm(x[there[-1]] - suction[-1]) > np.linalg.norm(
        x[there[-1]] - pressure[-1]
    )
    loops = {"suction": back if turned else there, "pressure": there if turned else back}
    left = rim[walls]
    for c, channel in enumerate(blade.channels):
        centre, radius = blade.ring(*channel)
        own = left[
            np.abs(np.linalg.norm(x[left[:, 0]] - centre, axis=1) - radius) < 1e-6 * blade.chord
        ]
        order = chain(own)
        order = np.roll(order, -int(np.argmax(x[order, 0])))
        loops[f"channel{c}_"] = np.append(order, order[0])
    return loops


def _outward(points: np.ndarray, surface: np.ndarray, tets: np.ndarray) -> np.ndarray:
    """Boundary triangles with their normals out of the body."""
    owner = facets(tets)[1]
    a, b, c = (points[surface[:, i]] for i in range(3))
    way = np.einsum("kd,kd->k", np.cross(b - a, c - a), a - points[tets[owner]].mean(axis=1))
    return np.where((way < 0)[:, None], surface[:, [0, 2, 1]], surface)
