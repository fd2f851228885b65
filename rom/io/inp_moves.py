"""Where a deck of Abaqus puts its nodes: systems and moves of instances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rom.errors import BadInput


@dataclass(frozen=True, eq=False)
class Move:
    """x -> R x + shift."""

    R: np.ndarray
    shift: np.ndarray

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Moved points (n, 3)."""
        turned = points if np.array_equal(self.R, np.eye(3)) else points @ self.R.T
        moved: np.ndarray = turned + self.shift
        return moved


def move_of_instance(rows: list[list[str]], file: str) -> Move:
    """A translation, then a turn by an angle [degree] about the line from a to b."""
    shift = _reals(rows[0], 3, file) if rows else np.zeros(3)
    move = Move(np.eye(3), shift)
    if len(rows) < 2:
        return move
    numbers = _reals(rows[1], 7, file)
    a, b, angle = numbers[:3], numbers[3:6], np.radians(numbers[6])
    length = np.linalg.norm(b - a)
    if not length:
        raise BadInput(f"{file}: an instance turns about an axis of length zero")
    R = _rotation((b - a) / length, float(angle))
    return Move(R, R @ (shift - a) + a)


def _rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    """Rodrigues' formula."""
    x, y, z = axis
    K = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turned: np.ndarray = np.eye(3) + np.sin(angle) * K + (1 - np.cos(angle)) * K @ K
    return turned


def local_system(rows: list[list[str]], file: str) -> Move | None:
    """*SYSTEM: an origin a, b on the local x axis, c in the local xy plane."""
    if not rows:
        return None
    numbers = _reals(rows[0], 6, file)
    a, b = numbers[:3], numbers[3:]
    if len(rows[0]) < 4:
        return Move(np.eye(3), a)
    # without c the plane is the global one
    c = _reals(rows[1], 3, file) if len(rows) > 1 else a + np.cross([0.0, 0.0, 1.0], b - a)
    x = _unit(b - a, file)
    z = _unit(np.cross(x, c - a), file)
    return Move(np.column_stack([x, np.cross(z, x), z]), a)


def _unit(vector: np.ndarray, file: str) -> np.ndarray:
    length = np.linalg.norm(vector)
    if not length:
        raise BadInput(f"{file}: the points of *SYSTEM span no plane")
    unit: np.ndarray = vector / length
    return unit


def to_cartesian(x: list[float], kind: str) -> list[float]:
    """Rectangular coordinates of (r, angle [degree], z) or of a sphere's."""
    if kind.startswith("R"):
        return x
    angle = np.radians(x[1])
    if kind.startswith("C"):
        return [float(x[0] * np.cos(angle)), float(x[0] * np.sin(angle)), x[2]]
    up = np.radians(x[2])
    flat = x[0] * np.cos(up)
    return [float(flat * np.cos(angle)), float(flat * np.sin(angle)), float(x[0] * np.sin(up))]


def _reals(row: list[str], count: int, file: str) -> np.ndarray:
    texts = (*row, *[""] * count)[:count]
    try:
        return np.array([float(text.lower().replace("d", "e")) if text else 0.0 for text in texts])
    except ValueError as error:
        raise BadInput(f"{file}: {', '.join(row)} are no {count} numbers") from error
