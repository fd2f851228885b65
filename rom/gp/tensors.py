"""Kronecker algebra: matrices along the axes of a tensor, and eigenpairs that use a grid's symmetry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def apply_along(matrices: Sequence[np.ndarray], U: np.ndarray) -> np.ndarray:
    """(M_1 x M_2 x ... x M_d) U: each matrix along its own axis of U."""
    for j, M in enumerate(matrices):
        U = (
            (M @ U if j == 0 else U @ M.T)
            if U.ndim == 2
            else np.moveaxis(np.tensordot(M, U, axes=(1, j)), 0, j)
        )
    return U


def outer(vectors: Sequence[np.ndarray]) -> np.ndarray:
    """v_1 x v_2 x ... x v_d as a tensor."""
    total = np.ones(())
    for v in vectors:
        total = total[..., None] * v
    return total


def eigen(K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(w, V) of a symmetric K = V diag(w) V^T; negative w of round-off are zero.

    Where K commutes with the flip J of its points (an evenly spaced or symmetric grid and a stationary kernel) its even and odd parts
    are solved apart, a quarter of the work. Reference: Cantoni, Butler (1976).
    """
    n = len(K)
    if n < 32 or np.abs(K - K[::-1, ::-1]).max() > 1e-14 * np.abs(K[0, 0]):
        w, V = np.linalg.eigh(K)
        return np.maximum(w, 0.0), V
    h = n // 2
    near, far = K[:h, :h], K[:h, : n - h - 1 : -1]
    (even, E), (odd, W) = np.linalg.eigh(_with_middle(near + far, K, h)), np.linalg.eigh(near - far)
    V = np.zeros((n, n))
    V[:h, : n - h], V[n - h :, : n - h] = E[:h] / np.sqrt(2), E[:h][::-1] / np.sqrt(2)
    if n % 2:
        V[h, : n - h] = E[h]
    V[:h, n - h :], V[n - h :, n - h :] = W / np.sqrt(2), -W[::-1] / np.sqrt(2)
    return np.maximum(np.concatenate([even, odd]), 0.0), V


def _with_middle(even: np.ndarray, K: np.ndarray, h: int) -> np.ndarray:
    """The even part, bordered by the middle point of an odd number of points."""
    if len(K) % 2 == 0:
        return even
    side = np.sqrt(2) * K[:h, h : h + 1]
    return np.block([[even, side], [side.T, K[h : h + 1, h : h + 1]]])
