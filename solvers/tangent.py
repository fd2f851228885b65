"""Sparse tangents: assembled on a pattern that is found once, solved by preconditioned Krylov iterations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from rom.errors import NotConverged
from solvers.linear import factorised
from solvers.schwarz import gmres, held

DIRECT = 3_000


class Assembly:
    """sum_e L_e^T K_e L_e in blocks of d x d on the pattern of node pairs: the pattern is sorted once, entries are summed by bincount."""

    def __init__(self, cells: Sequence[np.ndarray], nodes: int, d: int) -> None:
        keys = np.concatenate([(c[:, :, None].astype(np.int64) * nodes + c[:, None, :]).ravel() for c in cells])
        pairs, self.place = np.unique(keys, return_inverse=True)
        self.d, self.nodes, self.count = d, nodes, len(pairs)
        self.indices = (pairs % nodes).astype(np.int32)
        self.indptr = np.searchsorted(pairs // nodes, np.arange(nodes + 1)).astype(np.int32)

    def __call__(self, blocks: Sequence[np.ndarray]) -> sp.bsr_array:
        """The matrix (n, n) of cell matrices (e, k d, k d), in the order of the cells."""
        d, data = self.d, np.zeros((self.count, self.d, self.d))
        first = 0
        for block in blocks:
            e, k = len(block), block.shape[1] // d
            split = block.reshape(e, k, d, k, d)
            place = self.place[first : first + e * k * k]
            for i in range(d):
                for j in range(d):
                    data[:, i, j] += np.bincount(place, split[:, :, i, :, j].ravel(), self.count)
            first += e * k * k
        return sp.bsr_array((data, self.indices, self.indptr), shape=(self.nodes * d, self.nodes * d))


class Linear:
    """(K, b, left, tol) -> K^{-1} b over the free dofs, b zero elsewhere; every rank holds its share of K and b in full.

    GMRES on the true tangent, not symmetric under kinematic hardening, preconditioned by the body's preconditioner of an earlier
    one, which is made again when iterations grow. The forcing term follows Newton: no more digits than it can use. Up to DIRECT rows in all
    every tangent is gathered and factorised, so that an answer does not depend on those before it. Raises NotConverged, Singular.
    """

    def __init__(self, b: Any) -> None:
        self.make = b.preconditioner
        self.space, self.points, self.fixed = b.space, b.mesh.points, b.fixed
        self.precondition: Any = None
        self.most = 0

    def __call__(self, K: Any, r: np.ndarray, left: float, tol: float) -> np.ndarray:
        if self.space.size <= DIRECT:
            flags = np.zeros(self.space.n)
            flags[self.fixed] = 1.0
            fixed = np.flatnonzero(self.space.gather(flags))
            A = sp.bsr_array(self.space.matrix(K), blocksize=K.blocksize)
            return factorised(sp.csr_array(held(A, fixed)))(self.space.gather(r))[self.space.numbers]
        accuracy = max(1e-10, min(0.5, 0.3 * tol / left), min(1e-4, 0.1 * left))
        free = np.ones(len(r))
        free[self.fixed] = 0.0

        def apply(x: np.ndarray) -> np.ndarray:
            return free * self.space.whole(K @ x)

        for fresh in (False, True):
            if self.precondition is None or fresh:
                self.precondition, self.most = self.make(self.space, K, self.points, self.fixed), 0
            allowed = 2 * self.most + 40 if self.most else 300
            x, count = gmres(self.space, apply, self.precondition, r, accuracy, allowed)
            if count < allowed:
                self.most = self.most or count
                return x
        raise NotConverged(f"the linear solver stopped after {count} iterations; halve the load step, check for slivers")
