"""The border with solvers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from rom.affine import Affine
from rom.brief import brief, brief_html
from rom.mesh import Mesh
from rom.parameters import Box
from rom.space import Space

Solve = Callable[[np.ndarray], np.ndarray]


class Residual(Protocol):
    """N(u; mu), k rows of a nonlinear term, each of few unknowns.

    reads : (k, s) rows of u that each row reads, -1 for none
    """

    @property
    def reads(self) -> np.ndarray:
        """(k, s) rows of u."""

    def restrict(self, rows: np.ndarray) -> Residual:
        """Some of the rows."""

    def __call__(self, U: np.ndarray, mu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """N (k,) and dN/dU (k, s) of U = u[reads] (k, s)."""


@dataclass(frozen=True, eq=False)
class Problem:
    """What a case offers the pipeline; only `solve` is needed.

    solve : mu (p,) -> u (n,), or (n, n_t) at `times`; version : changes when its answers do
    box : the parameters, or None where a table names them
    space, mesh : where u lives (by default R^n with the Euclidean product)
    A, f : affine operator and load of a(u, v; mu) = f(v; mu)
    M : mass matrix of an unsteady problem; initial : its u at times[0]
    stability : mu -> lower bound of the coercivity constant in the norm of `space`
    outputs : (u, mu) -> {"name [unit]": number}
    rate : (u (n,), mu (p,)) -> du/dt (n,), of a problem whose state at `times` is `solve`
    term : N of M du/dt + A(mu) u + N(u; mu) = f(mu), its rows at few unknowns; A and f may be left
        out, M is then the identity; a steady problem has no times
    source : file -> digest of what the solver is made of, where it is known
    """

    __repr__ = brief
    _repr_html_ = brief_html

    solve: Solve
    box: Box | None
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
    rate: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    term: Residual | None = None
    source: Mapping[str, str] = field(default_factory=dict)
