"""Grids with missing cells: conjugate gradients with a preconditioner that bounds the condition number whatever is missing.

With D the mask, K = K_1 x ... x K_d = Z Z^T + E, Z the eigenfunctions with eigenvalues above c nugget, |E| <= c nugget: then
D Z Z^T D + nugget I is within a factor 1 + c of D K D + nugget I, for any mask, and its inverse is a dense matrix of rank(Z) by Woodbury.
An inverse of the full grid is no such thing: it misses a low-rank change of the size of what is missing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import scipy.linalg as la

from rom.errors import NotConverged, Singular
from rom.gp.tensors import apply_along, eigen, outer

KEEP = 0.1
log = logging.getLogger("rom")


@dataclass(frozen=True, eq=False)
class Preconditioner:
    """r -> (D Z Z^T D + nugget I)^{-1} r by (r - D Z (nugget I + Z^T D Z)^{-1} Z^T D r) / nugget; rank 0: plain conjugate gradients.

    K, V : matrices and eigenvectors of the axes; index : multi-index of each kept eigenfunction; root : their square roots of eigenvalues
    """

    K: tuple[np.ndarray, ...]
    V: tuple[np.ndarray, ...]
    index: tuple[np.ndarray, ...]
    root: np.ndarray
    factor: np.ndarray
    nugget: float
    observed: np.ndarray

    @property
    def rank(self) -> int:
        """Number of eigenfunctions held."""
        return len(self.root)

    def apply(self, r: np.ndarray) -> np.ndarray:
        """The approximate inverse on a tensor that is zero where nothing is observed."""
        if not self.rank:
            return r / self.nugget
        c = self.root * apply_along([V.T for V in self.V], r)[self.index]
        spread = np.zeros(r.shape)
        spread[self.index] = self.root * la.cho_solve((self.factor, True), c, check_finite=False)
        return (r - self.observed * apply_along(self.V, spread)) / self.nugget

    def forward(self, x: np.ndarray) -> np.ndarray:
        """D (K + nugget I) D x."""
        return self.observed * apply_along(self.K, x) + self.nugget * x


def missing_preconditioner(
    K: list[np.ndarray], nugget: float, observed: np.ndarray, most: int = 4000
) -> Preconditioner:
    """Holds all eigenvalues above a tenth of the nugget, or the `most` largest; costs rank^2 n + rank^3 / 3, memory rank^2.

    The condition number is at most 1 + (largest eigenvalue left out) / nugget. Raises Singular where the inner matrix is not definite.
    """
    pairs = [eigen(matrix) for matrix in K]
    lam = outer([w for w, _ in pairs])
    order = np.argsort(lam, axis=None)[::-1]
    rank = min(int(np.sum(lam > KEEP * nugget)), most)
    if rank == most:
        log.info("%d eigenfunctions are kept of those above a tenth of the nugget", most)
    index = tuple(part for part in np.unravel_index(order[:rank], lam.shape))
    root = np.sqrt(lam[index])
    V = tuple(V for _, V in pairs)
    factor = np.zeros((0, 0))
    if rank:
        inner = root[:, None] * _gram(V, index, observed.astype(float)) * root
        inner[np.diag_indices(rank)] += nugget
        try:
            factor = la.cholesky(inner, lower=True, overwrite_a=True, check_finite=False)
        except la.LinAlgError as error:
            raise Singular(
                f"nugget {nugget:.1e} is below round-off of the eigenvalues ({root[0] ** 2:.1e}); raise it"
            ) from error
    return Preconditioner(tuple(K), V, index, root, factor, nugget, observed)


def _gram(V: tuple[np.ndarray, ...], index: tuple[np.ndarray, ...], mask: np.ndarray) -> np.ndarray:
    """U^T D U of the chosen products of eigenvectors U: pairs on the first axis, dense products on the rest; never N x rank."""
    first, rest = V[0], mask.reshape(len(V[0]), -1)
    if len(V) == 1:
        U = first[:, index[0]]
        return (U.T * mask) @ U
    shape = tuple(v.shape[1] for v in V[1:])
    flat, place = np.unique(np.ravel_multi_index(index[1:], shape), return_inverse=True)
    R = np.ones((1, flat.size))
    for v, k in zip(V[1:], np.unravel_index(flat, shape), strict=True):
        R = (R[:, None, :] * v[:, k][None]).reshape(-1, flat.size)
    groups = [(i, np.flatnonzero(index[0] == i)) for i in np.unique(index[0])]
    G = np.empty((len(index[0]), len(index[0])))
    for a, (i, rows) in enumerate(groups):
        weights = (first[:, [i]] * first[:, [k for k, _ in groups[a:]]]).T @ rest
        left = R[:, place[rows]].T
        for (_, columns), w in zip(groups[a:], weights, strict=True):
            G[np.ix_(rows, columns)] = (left * w) @ R[:, place[columns]]
            G[np.ix_(columns, rows)] = G[np.ix_(rows, columns)].T
    return G


def solve_missing(
    conditioner: Preconditioner, b: np.ndarray, tol: float = 1e-8, most: int = 2000
) -> tuple[np.ndarray, int]:
    """(x, iterations): D (K + nugget I) D x = D b to a relative residual of tol by preconditioned conjugate gradients.

    Raises NotConverged after `most` iterations. Reference: Hestenes, Stiefel (1952).
    """
    b = conditioner.observed * b
    x, r, goal = np.zeros_like(b), b.copy(), tol * np.linalg.norm(b)
    z = conditioner.apply(r)
    p, rz = z, np.vdot(r, z)
    for step in range(most):
        if np.linalg.norm(r) <= goal:
            return x, step
        q = conditioner.forward(p)
        length = rz / np.vdot(p, q)
        x, r = x + length * p, r - length * q
        z = conditioner.apply(r)
        rz, before = np.vdot(r, z), rz
        p = z + (rz / before) * p
    raise NotConverged(
        f"residual {np.linalg.norm(r) / np.linalg.norm(b):.1e} after {most} iterations; hold more eigenfunctions or raise the nugget"
    )
