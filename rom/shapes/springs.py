"""Weights of the edges of triangles, as of springs between nodes."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from rom.shapes.simplex import scatter

WEIGHTS = ("tutte", "floater", "harmonic")
CORNERS = ((0, 1, 2), (1, 2, 0), (2, 0, 1))

Entries = list[tuple[np.ndarray, np.ndarray, np.ndarray]]


def spring_weights(points: np.ndarray, cells: np.ndarray, kind: str) -> sp.csr_array:
    """W (n, n) of the edges of triangles, by one of WEIGHTS.

    tutte : one; floater : mean value coordinates; harmonic : cotangents of the opposite angles
    """
    entries: Entries = []
    for corners in CORNERS:
        nodes = [cells[:, corner] for corner in corners]
        entries += _corner_weights(points, nodes, kind)
    rows, cols, data = (np.concatenate(part) for part in zip(*entries, strict=True))
    n = len(points)
    W = scatter(data, rows, cols, (n, n))
    if kind == "tutte":
        W.data[:] = 1.0
    return W


def _corner_weights(points: np.ndarray, nodes: list[np.ndarray], kind: str) -> Entries:
    """(rows, columns, values) by the angles at i between the edges to j and to k."""
    i, j, k = nodes
    if kind == "tutte":
        one = np.ones(len(i))
        return [(i, j, one), (i, k, one)]
    e = points[j] - points[i]
    f = points[k] - points[i]
    e_length = np.linalg.norm(e, axis=1)
    f_length = np.linalg.norm(f, axis=1)
    product = np.sum(e * f, axis=1)
    ratio = product / (e_length * f_length)
    cosine = np.clip(ratio, -1.0, 1.0)
    if kind == "harmonic":
        square = 1 - cosine**2
        sine = np.sqrt(np.maximum(square, 1e-24))
        cotangent = 0.5 * cosine / sine
        return [(j, k, cotangent), (k, j, cotangent)]
    half = np.tan(0.5 * np.arccos(cosine))
    return [(i, j, half / e_length), (i, k, half / f_length)]
