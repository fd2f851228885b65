"""Darcy flow on the unit square: -div(a grad u) = 1, u = 0 on the boundary, by five points.

Fields are (n^2, m) columns of n x n nodes, boundary included. Faces have the harmonic mean of
their two nodes.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
import scipy.sparse as sp
from scipy.sparse.linalg import splu

ALPHA, TAU = 2.0, 3.0  # of the random field N(0, (-lap + tau^2)^-alpha), Neumann
LOW, HIGH = 3.0, 12.0  # where that field is negative, and where it is not


def permeabilities(n: int, m: int, *, rng: int | np.random.Generator = 0) -> np.ndarray:
    """Random two-valued fields a (n^2, m): 12 where a smooth random field is positive, else 3."""
    generator = np.random.default_rng(rng)
    k = np.pi * np.arange(n)
    scale = (k[:, None] ** 2 + k**2 + TAU**2) ** (-0.5 * ALPHA)
    scale[0, 0] = 0.0
    fields = np.empty((n * n, m))
    for j in range(m):
        smooth = scipy.fft.idctn(scale * generator.standard_normal((n, n)), norm="ortho")
        fields[:, j] = np.where(smooth >= 0, HIGH, LOW).ravel()
    return fields


def pressures(a: np.ndarray) -> np.ndarray:
    """u (n^2, m) of permeabilities a (n^2, m) at nodes."""
    n = round(np.sqrt(len(a)))
    fields = np.zeros(a.shape)
    for j, column in enumerate(a.T):
        fields[:, j] = _pressure(column.reshape(n, n)).ravel()
    return fields


def _pressure(a: np.ndarray) -> np.ndarray:
    """u (n, n) of one permeability a (n, n)."""
    n = len(a)
    across = 2 * a[1:] * a[:-1] / (a[1:] + a[:-1])
    along = 2 * a[:, 1:] * a[:, :-1] / (a[:, 1:] + a[:, :-1])
    north, south = across[1:, 1:-1], across[:-1, 1:-1]
    east, west = along[1:-1, 1:], along[1:-1, :-1]
    numbers = np.arange((n - 2) ** 2).reshape(n - 2, n - 2)
    pairs = [
        (numbers[:-1], numbers[1:], north[:-1]),
        (numbers[:, :-1], numbers[:, 1:], east[:, :-1]),
    ]
    rows = np.concatenate([first.ravel() for first, _, _ in pairs])
    columns = np.concatenate([second.ravel() for _, second, _ in pairs])
    values = -np.concatenate([value.ravel() for _, _, value in pairs])
    upper = sp.coo_array((values, (rows, columns)), shape=(numbers.size, numbers.size))
    A = upper + upper.T + sp.diags_array((north + south + east + west).ravel())
    factors = splu(A.tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
    u = np.zeros((n, n))
    u[1:-1, 1:-1] = factors.solve(np.full(numbers.size, (n - 1.0) ** -2)).reshape(n - 2, n - 2)
    return u


def every_node(fields: np.ndarray, step: int) -> np.ndarray:
    """Fields (n^2, m) at each `step`-th node of both directions."""
    n = round(np.sqrt(len(fields)))
    grid = fields.reshape(n, n, -1)[::step, ::step]
    return np.ascontiguousarray(grid.reshape(-1, fields.shape[1]))
