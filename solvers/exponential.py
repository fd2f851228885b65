"""Exponential time differencing of order 4 for Fourier modes: stiff part exact, the rest explicit.

v' = l v + N(v) for each mode, l diagonal and complex; coefficients by means over a contour, which
stay complex, as waves need.

Reference: Cox and Matthews (2002); Kassam and Trefethen (2005).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Modes = Callable[[np.ndarray], np.ndarray]
CONTOUR = np.exp(2j * np.pi * (np.arange(32) + 0.5) / 32)  # of radius one around each l dt


def march_modes(
    linear: np.ndarray, bend: Modes, start: np.ndarray, *, step: float, every: int, count: int
) -> np.ndarray:
    """Modes (k, m, count + 1) of v' = linear v + bend(v), kept every so many steps.

    linear (k,); start (k, m), complex; bend : (k, m) -> (k, m)
    """
    full, half = np.exp(step * linear)[:, None], np.exp(0.5 * step * linear)[:, None]
    z = step * linear[:, None] + CONTOUR
    e = np.exp(z)
    weights = (
        (np.exp(z / 2) - 1) / z,
        (-4 - z + e * (4 - 3 * z + z**2)) / z**3,
        (2 + z + e * (z - 2)) / z**3,
        (-4 - 3 * z - z**2 + e * (4 - z)) / z**3,
    )
    inner, first, middle, last = (step * np.mean(w, axis=1)[:, None] for w in weights)
    v, states = start, [start]
    for number in range(1, every * count + 1):
        n0 = bend(v)
        a = half * v + inner * n0
        na = bend(a)
        nb = bend(half * v + inner * na)
        nc = bend(half * a + inner * (2 * nb - n0))
        v = full * v + first * n0 + 2 * middle * (na + nb) + last * nc
        if number % every == 0:
            states.append(v)
    return np.stack(states, axis=-1)
