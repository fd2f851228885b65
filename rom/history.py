"""States with memory and histories of them, on the full mesh or at chosen points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class State:
    """u (n,) [m] or reduced coefficients (r,), stress (g, 6) and internal state (g, k) at one time: all that a restart needs."""

    u: np.ndarray
    stress: np.ndarray
    state: np.ndarray


@dataclass(frozen=True, eq=False)
class History:
    """States at times t (m,): u (n, m), stress (g, 6, m), p (g, m); `last` to go on from; iterations (m,) of Newton."""

    t: np.ndarray
    u: np.ndarray
    stress: np.ndarray
    p: np.ndarray
    last: State
    iterations: np.ndarray


def history(t: np.ndarray, states: Sequence[State], iterations: Sequence[int]) -> History:
    """States at times t (m,) as one history."""
    u, stress = (np.stack([getattr(s, name) for s in states], axis=-1) for name in ("u", "stress"))
    p = np.stack([s.state[:, 0] for s in states], axis=-1)
    return History(np.asarray(t, dtype=float), u, stress, p, states[-1], np.array(iterations))
