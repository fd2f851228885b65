"""Kronecker algebra: matrices along the axes of a tensor, and spectra of grids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MIN_SYMMETRIC = 32  # points from which on a symmetric grid is worth the splitting
SYMMETRY_TOL = 1e-14


def apply_along(matrices: Sequence[np.ndarray | None], U: np.ndarray) -> np.ndarray:
    """(M_1 x M_2 x ... x M_d) U: each matrix along its own axis.

    M_j (q_j, n_j), U (n_1, ..., n_d); the product is (q_1, ..., q_d). None leaves an axis
    alone.
    """
    for j, M in enumerate(matrices):
        if M is not None:
            U = _mode_product(M, U, j)
    return U


def _mode_product(M: np.ndarray, U: np.ndarray, j: int) -> np.ndarray:
    if U.ndim != 2:
        product = np.tensordot(M, U, axes=(1, j))
        return np.moveaxis(product, 0, j)
    if j == 0:
        return np.asarray(M @ U)
    return np.asarray(U @ M.T)


def unfold(U: np.ndarray, j: int) -> np.ndarray:
    """U_(j) (n_j, N / n_j): the tensor as a matrix whose rows run along axis j."""
    return np.moveaxis(U, j, 0).reshape(U.shape[j], -1)


def outer(vectors: Sequence[np.ndarray]) -> np.ndarray:
    """v_1 x v_2 x ... x v_d as a tensor (n_1, ..., n_d)."""
    total = np.ones(())
    for v in vectors:
        total = total[..., None] * v
    return total


@dataclass(frozen=True, eq=False)
class GridSpectrum:
    """K_1 x ... x K_d + nugget I = V diag(S) V^T, V = V_1 x ... x V_d.

    w, V : eigenvalues (n_j,) and eigenvectors (n_j, n_j) of each axis
    S : eigenvalues of the whole, (n_1, ..., n_d)
    """

    w: tuple[np.ndarray, ...]
    V: tuple[np.ndarray, ...]
    S: np.ndarray

    def project(self, U: np.ndarray) -> np.ndarray:
        """V^T U."""
        return apply_along([V.T for V in self.V], U)

    def lift(self, P: np.ndarray) -> np.ndarray:
        """V P."""
        return apply_along(self.V, P)

    def solve(self, b: np.ndarray) -> np.ndarray:
        """(K + nugget I)^{-1} b."""
        return self.lift(self.project(b) / self.S)

    def ones(self) -> np.ndarray:
        """V^T 1."""
        return outer([V.sum(axis=0) for V in self.V])

    def mean(self, P: np.ndarray) -> float:
        """The mean of y by generalised least squares, from P = V^T y."""
        one = self.ones()
        weighted = np.sum(one * P / self.S)
        weight = np.sum(one * one / self.S)
        return float(weighted / weight)


def grid_spectrum(matrices: Sequence[np.ndarray], nugget: float) -> GridSpectrum:
    """The spectrum of symmetric K_j (n_j, n_j), one per axis, and a nugget."""
    pairs = [eigen(K) for K in matrices]
    w = tuple(values for values, _ in pairs)
    V = tuple(vectors for _, vectors in pairs)
    return GridSpectrum(w, V, outer(w) + nugget)


def eigen(K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(w, V) of a symmetric K = V diag(w) V^T; negative w of round-off are zero.

    Where K commutes with the flip of its points (an evenly spaced or symmetric grid and
    a stationary kernel) its even and odd parts are solved apart, for a quarter of the work.
    Reference: Cantoni, Butler (1976).
    """
    if len(K) < MIN_SYMMETRIC or not _commutes_with_flip(K):
        w, V = np.linalg.eigh(K)
    else:
        w, V = _split_eigen(K)
    return np.maximum(w, 0.0), V


def _commutes_with_flip(K: np.ndarray) -> bool:
    asymmetry = np.abs(K - K[::-1, ::-1]).max()
    return not asymmetry > SYMMETRY_TOL * np.abs(K[0, 0])


def _split_eigen(K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenpairs of the even part of K, then those of its odd part."""
    n = len(K)
    h = n // 2
    near = K[:h, :h]
    far = K[:h, : n - h - 1 : -1]
    even, E = np.linalg.eigh(_with_middle(near + far, K, h))
    odd, W = np.linalg.eigh(near - far)
    half_even = E[:h] / np.sqrt(2)
    half_odd = W / np.sqrt(2)
    V = np.zeros((n, n))
    V[:h, : n - h] = half_even
    V[n - h :, : n - h] = half_even[::-1]
    if n % 2:
        V[h, : n - h] = E[h]
    V[:h, n - h :] = half_odd
    V[n - h :, n - h :] = -half_odd[::-1]
    return np.concatenate([even, odd]), V


def _with_middle(even: np.ndarray, K: np.ndarray, h: int) -> np.ndarray:
    """The even part, bordered by the middle point of an odd number of points."""
    if len(K) % 2 == 0:
        return even
    side = np.sqrt(2) * K[:h, h : h + 1]
    middle = K[h : h + 1, h : h + 1]
    return np.block([[even, side], [side.T, middle]])
