"""Several laws in one body."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from solvers.laws.elastic import Answer, Elastic


@dataclass(frozen=True, eq=False)
class Regions:
    """Several laws, one per point; states are as wide as the widest law's.

    which : (g,) number of the law of each point
    """

    laws: tuple[Elastic, ...]
    which: np.ndarray

    @property
    def width(self) -> int:
        """Columns of a state."""
        return max(law.width for law in self.laws)

    def restrict(self, points: np.ndarray | slice) -> Regions:
        """The same laws at few points."""
        return replace(self, which=self.which[points])

    def __call__(self, strain: np.ndarray, T: np.ndarray, state: np.ndarray, dt: float) -> Answer:
        """Stress (g, 6), tangent (g, 6, 6) and new state; see `solvers.laws`."""
        stress, tangent, new = np.empty_like(strain), np.empty((*strain.shape, 6)), state.copy()
        for k, law in enumerate(self.laws):
            here = self.which == k
            if here.all():
                stress, tangent, new[:, : law.width] = law(strain, T, state[:, : law.width], dt)
            elif here.any():
                width = law.width
                stress[here], tangent[here], new[here, :width] = law(
                    strain[here], T[here], state[here, :width], dt
                )
        return stress, tangent, new
