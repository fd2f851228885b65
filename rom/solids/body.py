"""The border with solvers of solids: a body, and the law of its material.

Strain and stress are in Mandel notation, a = (xx, yy, zz, r yz, r xz, r xy), r = sqrt 2, so
that a:b = a.b.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from rom.history import State
from rom.loading import Loading
from rom.space import Space


class Law(Protocol):
    """A material at integration points: strain, temperature, state -> stress, state.

    To store a model with its law, make the law a frozen dataclass at the level of a module;
    who loads it hands the class in.
    """

    @property
    def width(self) -> int:
        """Columns of a state; the first, CUMULATED, is the cumulated plastic strain p."""

    def __call__(
        self, strain: np.ndarray, T: np.ndarray, state: np.ndarray, dt: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Stress (g, 6), tangent d stress / d strain (g, 6, 6) and new state (g, width).

        strain : (g, 6); T : (g,) temperature; state : (g, width) before; dt : [s]
        """

    def restrict(self, points: Any) -> Law:
        """The same law at few points, a slice or places (k,)."""


class Solid(Protocol):
    """A body with a law at its points of integration: no operator, no assembly."""

    @property
    def law(self) -> Law:
        """The law at this rank's points."""

    @property
    def space(self) -> Space:
        """The space of displacements."""

    @property
    def points(self) -> Space:
        """The space of the points of integration; its product holds their weights."""

    def at(self, points: np.ndarray) -> Law:
        """The law at global numbers of points, the same on every rank."""

    def strain(self, U: np.ndarray) -> np.ndarray:
        """Strains (g, 6, r) of displacements U (n, r)."""

    def step(self, loading: Loading, t0: float, t1: float, start: State) -> tuple[State, int]:
        """One high-fidelity load step: the state at t1, and Newton's iterations."""
