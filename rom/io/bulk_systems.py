"""Coordinate systems of Nastran: rectangular, cylindrical, spherical; nested.

Reference: MSC Nastran 2021, Quick Reference Guide, CORD1R to CORD2S.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rom.errors import ForeignFile
from rom.io.bulk_cards import Card
from rom.io.numbering import Numbering

BASIC = 0
SIZE = 3  # points that say a system: its origin, one on its axis, one in its plane


@dataclass(frozen=True, eq=False)
class System:
    """x = origin + axes @ q, q the rectangular coordinates of a kind R, C or S."""

    kind: str
    origin: np.ndarray
    axes: np.ndarray

    def place(self, q: np.ndarray) -> np.ndarray:
        """Points (k, 3) in basic coordinates; angles are in degrees."""
        x: np.ndarray = self.origin + _rectangular(self.kind, q) @ self.axes.T
        return x


def _rectangular(kind: str, q: np.ndarray) -> np.ndarray:
    if kind == "R":
        return q
    r, second, third = q.T
    if kind == "C":
        angle = np.deg2rad(second)
        return np.column_stack([r * np.cos(angle), r * np.sin(angle), third])
    theta, phi = np.deg2rad(second), np.deg2rad(third)
    flat = r * np.sin(theta)
    return np.column_stack([flat * np.cos(phi), flat * np.sin(phi), r * np.cos(theta)])


@dataclass(eq=False)
class Systems:
    """Systems by number, and nodes (n,) in the systems (n,) that they are said in.

    points : (n, 3), as they are written
    """

    cards: dict[int, tuple[str, list[int] | np.ndarray, int]]
    numbers: Numbering
    frames: np.ndarray
    points: np.ndarray
    ready: dict[int, System] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)

    def system(self, number: int) -> System:
        """The system of a number. Raises ForeignFile if absent or said in itself."""
        if number not in self.ready:
            if number in self.asked:
                raise ForeignFile(f"coordinate system {number} is said in itself")
            if number not in self.cards:
                raise ForeignFile(f"there is no coordinate system {number}")
            self.asked.append(number)
            kind, says, reference = self.cards[number]
            corners = (
                self.system(reference).place(says)
                if isinstance(says, np.ndarray)
                else np.concatenate([self._node(node) for node in says])
            )
            self.ready[number] = _span(number, kind, corners)
            self.asked.pop()
        return self.ready[number]

    def _node(self, number: int) -> np.ndarray:
        k = int(self.numbers.require(np.array(number), "a coordinate system"))
        return self.system(int(self.frames[k])).place(self.points[k : k + 1])

    def basic_points(self) -> np.ndarray:
        """All nodes (n, 3) in basic coordinates."""
        x = np.empty_like(self.points)
        for number in np.unique(self.frames).tolist():
            rows = self.frames == number
            x[rows] = self.system(number).place(self.points[rows])
        return x


def read_systems(
    cards: list[Card], numbers: Numbering, frames: np.ndarray, points: np.ndarray
) -> Systems:
    """The systems of CORD1R, CORD1C, CORD1S, CORD2R, CORD2C and CORD2S."""
    by_number: dict[int, tuple[str, list[int] | np.ndarray, int]] = {}
    for card in cards:
        kind = card.name[-1]
        if card.name[:5] == "CORD1":
            for start in (0, 1 + SIZE):
                if card.text(start):
                    nodes = [card.whole(start + 1 + k) for k in range(SIZE)]
                    _add(by_number, card.whole(start), (kind, nodes, BASIC))
        elif card.name[:5] == "CORD2":
            corners = np.array([card.real(2 + k) for k in range(3 * SIZE)]).reshape(SIZE, 3)
            _add(by_number, card.whole(0), (kind, corners, card.whole(1, BASIC)))
    basic = System("R", np.zeros(3), np.eye(3))
    return Systems(by_number, numbers, frames, points, {BASIC: basic})


def _add(
    by_number: dict[int, tuple[str, list[int] | np.ndarray, int]],
    number: int,
    says: tuple[str, list[int] | np.ndarray, int],
) -> None:
    if number in by_number:
        raise ForeignFile(f"coordinate system {number} stands twice")
    by_number[number] = says


def _span(number: int, kind: str, corners: np.ndarray) -> System:
    """The system of an origin, a point on its z axis and a point in its x-z plane."""
    along, across = corners[1] - corners[0], corners[2] - corners[0]
    y = np.cross(along, across)
    if not np.linalg.norm(y) > 1e-12 * np.linalg.norm(along) * np.linalg.norm(across):
        raise ForeignFile(f"the three points of coordinate system {number} lie on a line")
    z, y = along / np.linalg.norm(along), y / np.linalg.norm(y)
    return System(kind, corners[0], np.column_stack([np.cross(y, z), y, z]))
