"""Radial profiles of stationary kernels, and distances between points; numpy or torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from rom.gp.algebra import namespace

FORMS = ("matern12", "matern32", "matern52", "rbf")


def radial(form: str, square: Any) -> Any:
    """g(d) from d^2."""
    return radial_profile(form, square)[0]


def radial_profile(form: str, square: Any) -> tuple[Any, Any]:
    """(g(d), h = -2 dg/d(d^2)) from d^2, so that dk/dlog l_j = h ((x_j - y_j) / l_j)^2."""
    xp = namespace(square)
    if form == "rbf":
        g = xp.exp(-0.5 * square)
        return g, g
    scale = {"matern12": 1.0, "matern32": 3.0, "matern52": 5.0}[form]
    d = xp.sqrt(scale * square)
    e = xp.exp(-d)
    if form == "matern12":
        return e, xp.where(d > 0, e / xp.where(d > 0, d, d + 1), 0 * d)
    if form == "matern32":
        return (1 + d) * e, 3 * e
    straight = (1 + d) * e
    return straight + (5 / 3) * square * e, (5 / 3) * straight


def profile_pair(form: str, square: np.ndarray, block: int = 8192) -> tuple[np.ndarray, np.ndarray]:
    """The profile of a long vector, which is used up, in blocks that stay in the cache."""
    g = np.empty_like(square)
    for part in (slice(k, k + block) for k in range(0, len(square), block)):
        g[part], square[part] = radial_profile(form, square[part])
    return g, square


def squares(x: Any, y: Any, lengths: np.ndarray) -> Any:
    """sum_j ((x_j - y_j) / lengths_j)^2, (n, m)."""
    xp = namespace(x)
    if xp is np:
        return cdist(x / lengths, y / lengths, "sqeuclidean")
    scale = xp.as_tensor(lengths, dtype=x.dtype, device=x.device)
    return sum((x[:, None, j] - y[None, :, j]).div(scale[j]).square() for j in range(x.shape[1]))


def phase(x: Any, y: Any, f: np.ndarray) -> Any:
    """2 pi f . (x - y), (n, m)."""
    return 2 * np.pi * sum((x[:, None, j] - y[None, :, j]) * float(f[j]) for j in range(x.shape[1]))


def by_axis(x: Any, G: Any) -> np.ndarray:
    """sum_ij G_ij (x_i - x_j)^2 for each column of x."""
    return np.array([float((G * apart(x, j) ** 2).sum()) for j in range(x.shape[1])])


def apart(x: Any, j: int) -> Any:
    """x_j - y_j between all points of x, (n, n)."""
    return x[:, None, j] - x[None, :, j]
