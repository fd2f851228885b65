"""States with memory and histories of them, on the full mesh or at chosen points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CUMULATED = 0  # column of an internal state: the cumulated (visco)plastic strain p


@dataclass(frozen=True, eq=False)
class State:
    """u, stress and internal state at one time: all that a restart needs.

    u : (n,) [m], or reduced coefficients (r,); stress : (g, 6); state : (g, k)
    """

    u: np.ndarray
    stress: np.ndarray
    state: np.ndarray

    @property
    def p(self) -> np.ndarray:
        """Cumulated plastic strain p (g,)."""
        return self.state[:, CUMULATED]


@dataclass(frozen=True, eq=False)
class History:
    """States at times t (m,): u (n, m), stress (g, 6, m), p (g, m).

    last : state to go on from; iterations : (m,) of Newton
    """

    t: np.ndarray
    u: np.ndarray
    stress: np.ndarray
    p: np.ndarray
    last: State
    iterations: np.ndarray


def history(t: np.ndarray, states: Sequence[State], iterations: Sequence[int]) -> History:
    """States at times t (m,) as one history."""
    return History(
        t=np.asarray(t, dtype=float),
        u=np.stack([state.u for state in states], axis=-1),
        stress=np.stack([state.stress for state in states], axis=-1),
        p=np.stack([state.p for state in states], axis=-1),
        last=states[-1],
        iterations=np.array(iterations),
    )
