"""Nouns of hyper-reduced solids: what is trained, and a run under one loading.

References: Casenave and Akkari (2019).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rom.bands import Indicator
from rom.basis import Basis
from rom.errors import BadInput
from rom.history import State
from rom.loading import Loading
from rom.mesh import Mesh
from rom.model import Asks, Model, Question
from rom.prediction import Known, Place, Prediction, Quantity
from rom.rule import Cubature
from rom.solids.answers import answer_solid
from rom.solids.weighted import WeightedModel

RESIDUALS = (
    "gappy residual of p",
    "gappy residual of stress",
    "equilibrium residual at the second cubature",
)
FEATURES = (*RESIDUALS, *(f"largest {name} so far" for name in RESIDUALS))
SIZE_OF_P, SIZE_OF_STRESS = 0, 1  # entries of RunState.sizes
SIZE_OF_RESIDUAL = [SIZE_OF_P, SIZE_OF_STRESS, SIZE_OF_STRESS]  # what each is relative to


@dataclass(frozen=True, eq=False)
class Tolerances:
    """Relative errors of the bases of u, p and stress, and of the cubature.

    tests : modes beyond the basis that watch equilibrium
    condition : of the gappy rules, at most
    """

    u: float = 1e-3
    p: float = 1e-3
    stress: float = 1e-3
    cubature: float = 1e-3
    tests: int = 12
    condition: float = 20.0


@dataclass(frozen=True, eq=False)
class SolidModel(Model):
    """A hyper-reduced model, and all that enrichment adds to.

    basis : of u; strain : (g, 6, r) of its modes
    tests : (n, q) displacements beyond the basis; watch : (g, 6, q) their strains, of unit norm
    rows : (k, g) compressed contributions; p, stress : bases of the dual fields
    rule, second : cubature of the model and, disjoint from it, that of the watch
    seen : (k, 6, q) strains of the tests at the points of the second cubature
    moves : (n, L) orthonormal prescribed displacements, moves_strain : (g, 6, L) theirs, or None
    indicators : of the errors of u, p and stress, by name; stress_unit : of the stress
    mesh : of the displacements
    """

    basis: Basis
    strain: np.ndarray
    tests: np.ndarray
    watch: np.ndarray
    rows: np.ndarray
    p: Basis
    stress: Basis
    rule: Cubature
    second: Cubature
    tol: Tolerances
    model: WeightedModel
    seen: Any = None
    moves: Any = None
    moves_strain: Any = None
    indicators: dict[str, Indicator] = field(default_factory=dict)
    stress_unit: str = "Pa"
    mesh: Mesh | None = None

    @property
    def known(self) -> Known:
        """Conformal bands where indicators were calibrated, otherwise nothing."""
        return Known.CONFORMAL if self.indicators else Known.NOTHING

    @property
    def asks(self) -> Asks:
        """A loading of the whole body."""
        return Asks(loading=True)

    @property
    def tells(self) -> tuple[Quantity, ...]:
        """u at the nodes, p and stress (Mandel) at the points of integration."""
        fields = self.basis.space.fields
        u = Quantity("u", "m")
        if len(fields) == 1:
            u = Quantity("u", fields[0].unit, fields[0].components, Place.NODES)
        p = Quantity("p", "1", place=Place.INTEGRATION)
        return u, p, Quantity("stress", self.stress_unit, 6, Place.INTEGRATION)

    def answer(self, question: Question) -> Prediction:
        """u, p and stress at the times after the first, by reduced steps alone.

        Raises BadInput for a loading that does not fit, NotConverged where a step fails.
        """
        return answer_solid(self, question)


@dataclass(frozen=True, eq=False)
class RunState:
    """A model under one loading, at time t.

    trained : the model; reduced : the loading on its basis; tested : (q, Q) on its tests
    now : reduced state at t; whole : the last full state, at t_whole
    since : accepted (t, a) after it
    sizes : largest |p| and |stress| expected of the run, or None where nobody watches it
    residuals : (3,) of the last step, zero after a full one
    largest : (3,) of all steps; full ones do not undo what the errors before them left
    """

    trained: SolidModel
    loading: Loading
    reduced: Loading
    tested: np.ndarray
    now: State
    whole: State
    t_whole: float
    since: tuple[tuple[float, np.ndarray], ...] = ()
    sizes: np.ndarray | None = None
    residuals: np.ndarray = field(default_factory=lambda: np.zeros(len(RESIDUALS)))
    largest: np.ndarray = field(default_factory=lambda: np.zeros(len(RESIDUALS)))

    @property
    def features(self) -> np.ndarray:
        """The last and the largest residuals (6,) over the expected sizes of p and stress.

        Raises BadInput where the run is not watched.
        """
        if self.sizes is None:
            raise BadInput(
                "this run is not watched; follow it with a watch, be it without indicators: "
                "follow(..., watch=Watch())"
            )
        residuals = np.concatenate([self.residuals, self.largest])
        sizes = np.maximum(self.sizes, 1e-300)[[*SIZE_OF_RESIDUAL, *SIZE_OF_RESIDUAL]]
        return np.asarray(residuals / sizes)

    def p(self) -> np.ndarray:
        """Plastic strain p (g,) on the whole mesh, by gappy POD."""
        return self.trained.model.dual("p", self.now.p)

    def stress(self) -> np.ndarray:
        """Stress (g, 6) on the whole mesh, by gappy POD."""
        return self.trained.model.dual("stress", self.now.stress.ravel()).reshape(-1, 6)

    def u(self) -> np.ndarray:
        """Displacements u (n,), what is prescribed included."""
        return self.trained.basis.lift(self.now.u) + self.loading.prescribed(self.t)

    @property
    def t(self) -> float:
        """Where the run has come to [s]."""
        return self.since[-1][0] if self.since else self.t_whole
