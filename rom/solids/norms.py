"""Norms of tensor fields at points of integration."""

from __future__ import annotations

import numpy as np

from rom.space import Space


def componentwise(points: Space) -> Space:
    """(sigma, tau) = int sigma:tau of six components a point, point-major."""
    rows = points.numbers[:, None] * 6 + np.arange(6)
    return Space(np.repeat(points.product, 6), rows.ravel(), points.comm)


def tensor_norms(points: Space, fields: np.ndarray) -> np.ndarray:
    """|a_m| in L2 (m,) of tensor fields (g, 6, m)."""
    squares = np.einsum("gcm,gcm,g->m", fields, fields, points.product)
    return np.asarray(np.sqrt(points.sum(squares)))
