"""Points, cells, named regions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np

from rom.arrays import first_bad, real
from rom.brief import brief, brief_html
from rom.errors import BadInput

NODES = {
    "vertex": 1, "line": 2, "line3": 3, "triangle": 3, "triangle6": 6, "quad": 4, "quad8": 8,
    "quad9": 9, "tetra": 4, "tetra10": 10, "hexahedron": 8, "hexahedron20": 20,
    "hexahedron27": 27, "wedge": 6, "wedge15": 15, "wedge18": 18, "pyramid": 5, "pyramid13": 13,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Mesh:
    """Points (n, d) [unit] and cells: meshio type -> (k, nodes).

    regions : name -> {cell type: cell numbers}; nodes : name -> node numbers
    Raises BadInput for unknown cell types, nodes out of range, NaN points, regions that name
    cells that do not exist.
    """

    __repr__ = brief
    _repr_html_ = brief_html

    points: np.ndarray
    cells: dict[str, np.ndarray]
    regions: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    nodes: dict[str, np.ndarray] = field(default_factory=dict)
    unit: str = "m"

    def __post_init__(self) -> None:
        points = real(self.points, "points")
        if points.ndim != 2 or points.shape[1] not in (1, 2, 3):
            raise BadInput(f"points have shape {points.shape}; give (n, 1), (n, 2) or (n, 3)")
        if not np.isfinite(points).all():
            raise BadInput(
                f"points hold NaN or Inf at {first_bad(points)}; repair the coordinates, or drop "
                "the cells of that point"
            )
        object.__setattr__(self, "points", points)
        for kind, cells in self.cells.items():
            _check_cells(kind, cells, len(points))
        for name, parts in self.regions.items():
            self._check_region(name, parts)
        for name, numbers in self.nodes.items():
            if len(numbers) and np.max(numbers) >= len(points):
                raise BadInput(
                    f"node set {name!r} names node {int(np.max(numbers))} of {len(points)}"
                )

    def _check_region(self, name: str, parts: dict[str, np.ndarray]) -> None:
        for kind, numbers in parts.items():
            count = len(self.cells.get(kind, ()))
            too_large = len(numbers) and np.max(numbers) >= count
            if kind not in self.cells or too_large:
                raise BadInput(f"region {name!r} names {kind} cells that the mesh does not have")

    @property
    def digest(self) -> str:
        """sha256 of points, cells and names, in the order in which values follow cells."""
        h = hashlib.sha256(np.ascontiguousarray(self.points).tobytes())
        for kind in self.cells:
            h.update(kind.encode() + _bytes(self.cells[kind]))
        for name in sorted(self.regions):
            for kind in sorted(self.regions[name]):
                h.update(f"{name}/{kind}".encode() + _bytes(self.regions[name][kind]))
        for name in sorted(self.nodes):
            h.update(name.encode() + _bytes(self.nodes[name]))
        return h.hexdigest()

    def region(self, name: str) -> dict[str, np.ndarray]:
        """Cells of a named region. Raises BadInput listing the names there are."""
        if name not in self.regions:
            names = ", ".join(sorted(self.regions)) or "none"
            raise BadInput(f"no region {name!r} in the mesh; it has: {names}")
        return self.regions[name]


def _check_cells(kind: str, cells: np.ndarray, n: int) -> None:
    if kind not in NODES:
        raise BadInput(f"unknown cell type {kind!r}; known: {', '.join(NODES)}")
    if cells.ndim != 2 or cells.shape[1] != NODES[kind]:
        raise BadInput(f"{kind} cells have shape {cells.shape}; give (k, {NODES[kind]})")
    if cells.size and (cells.min() < 0 or cells.max() >= n):
        first = int(np.argwhere((cells < 0) | (cells >= n))[0, 0])
        raise BadInput(
            f"{kind} cell {first} names a node outside the {n} points; give all points, and "
            "count cells' nodes from 0"
        )


def _bytes(numbers: np.ndarray) -> bytes:
    return np.ascontiguousarray(numbers, dtype=np.int64).tobytes()
