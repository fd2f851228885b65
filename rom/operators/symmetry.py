"""Symmetries of an operator, G(g a) = g G(a): finite groups and shifts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rom.arrays import POINTS, gate, real
from rom.errors import BadInput

NEAR = 1e-6  # of the extent of the points: nodes nearer than it are one
FEEBLE = 1e-6  # of a field's size: a first Fourier mode below it has no phase
MAPS = {
    "identity": ((1, 0), (0, 1)),
    "mirror x": ((-1, 0), (0, 1)),
    "mirror y": ((1, 0), (0, -1)),
    "half turn": ((-1, 0), (0, -1)),
    "transpose": ((0, 1), (1, 0)),
    "other transpose": ((0, -1), (-1, 0)),
    "quarter turn": ((0, -1), (1, 0)),
    "three quarter turn": ((0, 1), (-1, 0)),
}
GROUPS = {
    "square": tuple(MAPS),
    "rectangle": ("identity", "mirror x", "mirror y", "half turn"),
    "turns": ("identity", "quarter turn", "half turn", "three quarter turn"),
    "transpose": ("identity", "transpose"),
    "mirror x": ("identity", "mirror x"),
    "mirror y": ("identity", "mirror y"),
    "half turn": ("identity", "half turn"),
}


@dataclass(frozen=True, eq=False)
class Symmetry:
    """A finite group that exchanges values: (g a)_i = signs[g, i] a[places[g, i]].

    places_in, signs_in (g, n_in) : on inputs; places_out, signs_out (g, n_out) : on outputs
    The first element is the identity. Raises BadInput for what is no group.
    """

    name: str
    places_in: np.ndarray
    signs_in: np.ndarray
    places_out: np.ndarray
    signs_out: np.ndarray

    def __post_init__(self) -> None:
        for side in ("in", "out"):
            places = real(getattr(self, f"places_{side}"), f"places_{side}", int)
            signs = real(getattr(self, f"signs_{side}"), f"signs_{side}")
            if places.ndim != 2 or places.shape != signs.shape or not places.size:
                raise BadInput(
                    f"places_{side} {places.shape} and signs_{side} {signs.shape}; "
                    "give both (g, n): one row for each element of the group"
                )
            in_order = (np.sort(places, axis=1) == np.arange(places.shape[1])).all()
            if not in_order or not (np.abs(signs) == 1).all():
                raise BadInput(
                    f"places_{side} of the symmetry {self.name!r} must hold each value once, and "
                    f"signs_{side} only 1 and -1"
                )
            object.__setattr__(self, f"places_{side}", places)
            object.__setattr__(self, f"signs_{side}", signs)
        if len(self.places_in) != len(self.places_out):
            raise BadInput(
                f"the symmetry {self.name!r} has {len(self.places_in)} elements on inputs and "
                f"{len(self.places_out)} on outputs; give as many"
            )
        _ = self.table

    @property
    def size(self) -> int:
        """Number of elements."""
        return len(self.places_in)

    @cached_property
    def table(self) -> np.ndarray:
        """(g, g) : number of the element g h. Raises BadInput where there is none."""
        numbers = {self._key(g, None): g for g in range(self.size)}
        if len(numbers) < self.size or numbers.get(self._key(0, 0)) != 0:
            raise BadInput(
                f"the symmetry {self.name!r} must begin with the identity and hold no element twice"
            )
        table = np.empty((self.size, self.size), dtype=np.int64)
        for g in range(self.size):
            for h in range(self.size):
                number = numbers.get(self._key(g, h))
                if number is None:
                    raise BadInput(
                        f"the symmetry {self.name!r} is no group: element {g} after {h} is none "
                        "of its elements; add it"
                    )
                table[g, h] = number
        return table

    @property
    def inverses(self) -> np.ndarray:
        """(g,) : number of the inverse of each element."""
        return np.argmin(self.table, axis=1)

    def act_in(self, g: int, a: np.ndarray) -> np.ndarray:
        """g a of inputs (n_in, m)."""
        return np.asarray(self.signs_in[g][:, None] * a[self.places_in[g]])

    def act_out(self, g: int, u: np.ndarray) -> np.ndarray:
        """g u of outputs (n_out, m)."""
        return np.asarray(self.signs_out[g][:, None] * u[self.places_out[g]])

    def _key(self, g: int, h: int | None) -> bytes:
        """Of the element g, or of g after h: what it does to all values."""
        parts = []
        pairs = ((self.places_in, self.signs_in), (self.places_out, self.signs_out))
        for places, signs in pairs:
            where, sign = places[g], signs[g]
            if h is not None:
                where, sign = places[h][places[g]], signs[g] * signs[h][places[g]]
            parts += [where.astype(np.int64).tobytes(), sign.astype(float).tobytes()]
        return b"".join(parts)


@gate(points=POINTS)
def point_symmetry(
    points: np.ndarray, name: str = "square", *, points_out: Any = None, odd: bool = False
) -> Symmetry:
    """The symmetry of scalar fields on points (n, 2) about the middle of their box.

    name : square (8 elements), rectangle, turns (4 each), transpose, mirror x, mirror y, half turn
    points (n, 1), (n, 2) or (n, 3) : a map acts on the first two coordinates
    points_out : of the outputs, by default the same
    odd : whether mirrors change the sign of inputs and outputs, as u(x) -> -u(-x)
    Raises BadInput for another name, and for points that a map does not carry onto each other.
    """
    if name not in GROUPS:
        raise BadInput(f"no symmetry {name!r} of points; known: {', '.join(GROUPS)}")
    outside = points if points_out is None else np.asarray(real(points_out, "points_out"))
    maps = [np.array(MAPS[key], dtype=float) for key in GROUPS[name]]
    places = [
        np.array([_places(side, matrix, name) for matrix in maps]) for side in (points, outside)
    ]
    sign = np.array([np.linalg.det(matrix) if odd else 1.0 for matrix in maps]).round()
    signs = [np.repeat(sign[:, None], len(side), axis=1) for side in (points, outside)]
    return Symmetry(name, places[0], signs[0], places[1], signs[1])


def _places(points: np.ndarray, matrix: np.ndarray, name: str) -> np.ndarray:
    """Of each point x the number of the point M x, about the middle of the box."""
    from scipy.spatial import cKDTree

    centred = points - 0.5 * (points.max(axis=0) + points.min(axis=0))
    extent = max(float(np.ptp(points, axis=0).max()), np.finfo(float).tiny)
    images = centred.copy()
    axes = min(2, points.shape[1])
    if axes == 1 and matrix[0, 1]:
        raise BadInput(f"the symmetry {name!r} is of points in a plane; these lie on a line")
    images[:, :axes] = centred[:, :axes] @ matrix[:axes, :axes]
    gaps, places = cKDTree(centred).query(images)
    if gaps.max() > NEAR * extent:
        worst = int(gaps.argmax())
        raise BadInput(
            f"the mesh has no node where the symmetry {name!r} takes node {worst} "
            f"(nearest {gaps.max():.2g} away); give another symmetry, or a mesh that has it"
        )
    return np.asarray(places)


@dataclass(frozen=True, eq=False)
class Translation:
    """Shifts of periodic fields of `nodes` equally spaced values, or rows of them.

    Each input is brought into its canonical frame, where its first Fourier mode has phase zero; the
    answer is shifted back. Shifts are by Fourier series: exact for what the nodes resolve.
    """

    nodes: int

    def __post_init__(self) -> None:
        if isinstance(self.nodes, bool) or not isinstance(self.nodes, int | np.integer):
            raise BadInput(f"nodes = {self.nodes!r} of a translation; give a whole number")
        if self.nodes < 3:
            raise BadInput(f"nodes = {self.nodes}: no shift of fewer than three nodes is told")
        object.__setattr__(self, "nodes", int(self.nodes))

    def angles(self, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(angles (m,) that bring inputs (n_in, m) into their frame, whether any do)."""
        first = np.fft.rfft(self._rows(a).sum(axis=0), axis=0)[1]
        size = np.linalg.norm(a, axis=0)
        clear = np.abs(first) > FEEBLE * np.maximum(size, np.finfo(float).tiny)
        return np.where(clear, -np.angle(first), 0.0), clear

    def shift(self, fields: np.ndarray, angles: np.ndarray) -> np.ndarray:
        """u(x + angle L / (2 pi)) of fields (n, m).

        The highest mode of an even number of nodes stays.
        """
        rows = self._rows(fields)
        k = np.arange(self.nodes // 2 + 1)
        turn = np.exp(1j * k[:, None] * angles)
        if self.nodes % 2 == 0:
            turn[-1] = 1.0
        moved = np.fft.irfft(turn * np.fft.rfft(rows, axis=1), self.nodes, axis=1)
        return np.asarray(moved.reshape(fields.shape))

    def _rows(self, fields: np.ndarray) -> np.ndarray:
        """(rows, nodes, m) of fields (rows x nodes, m). Raises BadInput."""
        if len(fields) % self.nodes:
            raise BadInput(
                f"a field of {len(fields)} values is no rows of {self.nodes} periodic nodes; give "
                "Translation(nodes) of the periodic direction, which comes last"
            )
        return fields.reshape(-1, self.nodes, fields.shape[1])
