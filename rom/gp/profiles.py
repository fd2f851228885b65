"""Radial profiles of stationary kernels, and distances of points; numpy or torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from rom.gp.algebra import namespace

FORMS = ("matern12", "matern32", "matern52", "rbf")
SCALES = {"matern12": 1.0, "matern32": 3.0, "matern52": 5.0}  # 2 nu
BLOCK = 8192  # numbers that stay in the cache


def radial(form: str, square: Any) -> Any:
    """g(d) from d^2."""
    return radial_profile(form, square)[0]


def radial_profile(form: str, square: Any) -> tuple[Any, Any]:
    """(g(d), h) from d^2, h = -2 dg/d(d^2), so dk/dlog l_j = h ((x_j - y_j) / l_j)^2."""
    xp = namespace(square)
    if form == "rbf":
        g = xp.exp(-0.5 * square)
        return g, g
    d = xp.sqrt(SCALES[form] * square)
    decay = xp.exp(-d)
    if form == "matern12":
        positive = xp.where(d > 0, d, d + 1)
        return decay, xp.where(d > 0, decay / positive, 0 * d)
    if form == "matern32":
        return (1 + d) * decay, 3 * decay
    straight = (1 + d) * decay
    return straight + (5 / 3) * square * decay, (5 / 3) * straight


def profile_pair(
    form: str, square: np.ndarray, block: int = BLOCK
) -> tuple[np.ndarray, np.ndarray]:
    """(g, h) of a long vector of d^2, which is used up, block by block."""
    g = np.empty_like(square)
    for start in range(0, len(square), block):
        part = slice(start, start + block)
        g[part], square[part] = radial_profile(form, square[part])
    return g, square


def squares(x: Any, y: Any, lengths: np.ndarray) -> Any:
    """sum_j ((x_j - y_j) / lengths_j)^2, (n, m)."""
    xp = namespace(x)
    if xp is np:
        return cdist(x / lengths, y / lengths, "sqeuclidean")
    scale = xp.as_tensor(lengths, dtype=x.dtype, device=x.device)
    total = 0
    for j in range(x.shape[1]):
        gap = x[:, None, j] - y[None, :, j]
        total = total + gap.div(scale[j]).square()
    return total


def phase(x: Any, y: Any, f: np.ndarray) -> Any:
    """2 pi f . (x - y), (n, m)."""
    total = 0
    for j in range(x.shape[1]):
        gap = x[:, None, j] - y[None, :, j]
        total = total + gap * float(f[j])
    return 2 * np.pi * total


def by_axis(x: Any, G: Any) -> np.ndarray:
    """sum_ij G_ij (x_i - x_j)^2 for each column of x, (p,)."""
    sums = []
    for j in range(x.shape[1]):
        moment = G * apart(x, j) ** 2
        sums.append(float(moment.sum()))
    return np.array(sums)


def apart(x: Any, j: int) -> Any:
    """x_j - y_j between all points of x, (n, n)."""
    return x[:, None, j] - x[None, :, j]
