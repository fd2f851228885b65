"""Gradients of piecewise linear fields at nodes."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from rom.shapes.simplex import geometry
from rom.shapes.transfer import Locator


def nodal_gradient(at: Locator, v: np.ndarray) -> np.ndarray:
    """grad v of a piecewise linear v (N, c), averaged around each node by volume: (N, c, d)."""
    volume = np.abs(geometry(at.points, at.cells)[0])
    slope = np.einsum("kac,kad->kcd", v[at.cells], at.gradients) * volume[:, None, None]
    k, q = at.cells.shape
    around = sp.csr_array(
        (np.ones(k * q), (at.cells.ravel(), np.repeat(np.arange(k), q))), shape=(len(v), k)
    )
    weight = around @ volume
    return (around @ slope.reshape(k, -1)).reshape(len(v), *slope.shape[1:]) / np.where(
        weight > 0, weight, 1.0
    )[:, None, None]
