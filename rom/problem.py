"""The border with solvers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from rom.affine import Affine
from rom.history import State
from rom.loading import Loading
from rom.mesh import Mesh
from rom.parameters import Box
from rom.space import Space

Solve = Callable[[np.ndarray], np.ndarray]


class Law(Protocol):
    """A material at integration points: (strain (g, 6), temperature (g,), state (g, width), dt) -> (stress, tangent, new state).

    Strain and stress in Mandel notation; tangent = d stress / d strain (g, 6, 6); column 0 of a state is what is cumulated, p.
    `restrict(points)` is the same law at few points.
    """

    @property
    def width(self) -> int: ...

    def __call__(
        self, strain: np.ndarray, T: np.ndarray, state: np.ndarray, dt: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]: ...

    def restrict(self, points: Any) -> Law: ...


class Solid(Protocol):
    """A body with a law at its points of integration, as far as reduction needs it: no operator, no assembly.

    space : of displacements; points : of the points of integration, its product holds their weights
    at : global numbers of points -> the law there, the same on every rank; strain : U (n, r) -> (g, 6, r); step : one high-fidelity load step
    """

    @property
    def law(self) -> Law: ...

    @property
    def space(self) -> Space: ...

    @property
    def points(self) -> Space: ...

    def at(self, points: np.ndarray) -> Law: ...

    def strain(self, U: np.ndarray) -> np.ndarray: ...

    def step(self, loading: Loading, t0: float, t1: float, start: State) -> tuple[State, int]: ...


@dataclass(frozen=True, eq=False)
class Problem:
    """What a case offers the pipeline; only `solve` and `box` are needed.

    solve : mu (p,) -> u (n,), or (n, n_t) at `times`; version : changes when its answers do
    space, mesh : where u lives (by default R^n with the Euclidean product)
    A, f : affine operator and load of a(u, v; mu) = f(v; mu); M : mass matrix of an unsteady problem, initial : its u at times[0]
    stability : mu -> lower bound of the coercivity constant in the norm of `space`
    outputs : (u, mu) -> {"name [unit]": number}
    """

    solve: Solve
    box: Box
    space: Space | None = None
    mesh: Mesh | None = None
    A: Affine | None = None
    f: Affine | None = None
    M: Any = None
    stability: Callable[[np.ndarray], np.ndarray] | None = None
    times: np.ndarray | None = None
    outputs: Callable[[np.ndarray, np.ndarray], dict[str, float]] | None = None
    version: str = "1"
    initial: np.ndarray | None = None
