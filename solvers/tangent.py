"""Sparse tangents: assembled on a pattern that is found once.

Solved by preconditioned Krylov iterations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from rom.errors import NotConverged
from rom.space import Space
from solvers.linear import factorise
from solvers.schwarz import constrain, gmres

DIRECT = 3_000


class Assembly:
    """sum_e L_e^T K_e L_e in blocks of d x d on the pattern of node pairs.

    The pattern is sorted once: entries are summed by a matrix of ones.
    """

    def __init__(self, cells: Sequence[np.ndarray], nodes: int, d: int) -> None:
        keys = np.concatenate(
            [(c[:, :, None].astype(np.int64) * nodes + c[:, None, :]).ravel() for c in cells]
        )
        pairs, place = np.unique(keys, return_inverse=True)
        self.d, self.nodes = d, nodes
        self.indices = (pairs % nodes).astype(np.int32)
        self.indptr = np.searchsorted(pairs // nodes, np.arange(nodes + 1)).astype(np.int32)
        self.sums = sp.csr_array(
            sp.coo_array(
                (np.ones(len(keys)), (place, np.arange(len(keys)))), shape=(len(pairs), len(keys))
            )
        )

    def __call__(self, blocks: Sequence[np.ndarray]) -> sp.bsr_array:
        """The matrix (n, n) of cell matrices (e, k d, k d), in the order of the cells."""
        d, entries, first = self.d, np.empty((self.sums.shape[1], self.d**2)), 0
        for block in blocks:
            e, k = len(block), block.shape[1] // d
            part = entries[first : first + e * k * k].reshape(e, k, k, d, d)
            part[:] = block.reshape(e, k, d, k, d).swapaxes(2, 3)
            first += e * k * k
        data = (self.sums @ entries).reshape(-1, d, d)
        return sp.bsr_array(
            (data, self.indices, self.indptr), shape=(self.nodes * d, self.nodes * d)
        )


class Linear:
    """(K, b, left, tol) -> K^{-1} b over the free dofs, b zero elsewhere.

    Every rank holds its share of K and b in full. GMRES on the true tangent, not symmetric under
    kinematic hardening, preconditioned by the body's preconditioner of an earlier one, which is
    made again when iterations grow. The forcing term follows Newton: no more digits than it can
    use. Up to DIRECT rows in all the first tangent of a step is gathered and factorised, so that an
    answer does not depend on the steps before it. Raises NotConverged, Singular.
    """

    def __init__(self, b: Any) -> None:
        self.space, self.points, self.fixed = b.space, b.mesh.points, b.fixed
        self.make = gather if self.space.size <= DIRECT else b.preconditioner
        self.free = np.ones(self.space.n)
        self.free[self.fixed] = 0.0
        self.precondition: Any = None
        self.most = 0

    def anew(self) -> None:
        """A step begins: factors of a whole small system are forgotten."""
        if self.make is gather:
            self.precondition = None

    def __call__(self, K: Any, r: np.ndarray, left: float, tol: float) -> np.ndarray:
        accuracy = max(1e-10, min(0.5, 0.3 * tol / left), min(1e-2, 0.1 * left))

        def apply(x: np.ndarray) -> np.ndarray:
            return np.asarray(self.free * self.space.whole(K @ x))

        for fresh in (False, True):
            if self.precondition is None or fresh:
                self.precondition, self.most = self.make(self.space, K, self.points, self.fixed), 0
            allowed = 2 * self.most + 40 if self.most else 300
            x, count = gmres(self.space, apply, self.precondition, r, accuracy, allowed)
            if count < allowed:
                self.most = self.most or count
                return x
        raise NotConverged(
            f"the linear solver stopped after {count} iterations; "
            "halve the load step, check for slivers"
        )


def gather(
    space: Space, K: sp.bsr_array, points: np.ndarray, fixed: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """r -> K^{-1} r of a whole system, factorised on every rank.

    Arguments as `solvers.schwarz.schwarz` takes them.
    """
    flags = np.zeros(space.n)
    flags[fixed] = 1.0
    A = sp.bsr_array(space.matrix(K), blocksize=K.blocksize)
    solve = factorise(sp.csr_array(constrain(A, np.flatnonzero(space.gather(flags)))))
    return lambda r: solve(space.gather(r))[space.numbers]
