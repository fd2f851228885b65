"""Sparse tangents: assembled on a pattern that is found once, solved directly or by preconditioned Krylov iterations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from rom.errors import NotConverged, Singular
from solvers.linear import SMOOTH, STRENGTH, rigid_modes

DIRECT = 10_000


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
    """(K, b, left, tol) -> K^{-1} b over the free dofs, b zero elsewhere: on several ranks K is gathered.

    Up to DIRECT rows by SuperLU; beyond by GMRES on the true tangent, preconditioned by smoothed aggregation on the symmetric part
    of an earlier one, which is set up again when iterations grow. The forcing term follows Newton: no more digits than it can use.
    """

    def __init__(self, b: Any) -> None:
        self.space, self.fixed = b.space, b.fixed
        self.modes = rigid_modes(b.space.gather(b.mesh.points.reshape(-1, 1)).reshape(-1, b.d))
        self.precondition: Any = None
        self.worst = 0

    def __call__(self, K: Any, r: np.ndarray, left: float, tol: float) -> np.ndarray:
        space = self.space
        if space.comm is None or space.comm.Get_size() == 1:
            return self._solve(K, r, self.fixed, self.modes, left, tol)
        A = sp.bsr_array(space.matrix(K), blocksize=(3 if self.modes.shape[1] == 6 else 2,) * 2)
        flags = np.zeros(space.n)
        flags[self.fixed] = 1.0
        fixed = np.flatnonzero(space.gather(flags[:, None])[:, 0])
        return self._solve(A, space.gather(r[:, None])[:, 0], fixed, self.modes, left, tol)[space.numbers]

    def _solve(self, K: Any, r: np.ndarray, fixed: np.ndarray, modes: np.ndarray, left: float, tol: float) -> np.ndarray:
        A = clamped_blocks(K, fixed)
        if A.shape[0] <= DIRECT:
            return _direct(A)(r)
        accuracy = max(1e-10, min(0.5, 0.3 * tol / left), min(1e-4, 0.1 * left))
        for fresh in (False, True):
            if self.precondition is None or fresh or self.worst > 60:
                self.precondition, self.worst = _multigrid(A, _held(modes, fixed)), 0
            x, count = _krylov(A, r, self.precondition, accuracy)
            self.worst = max(self.worst, count)
            if np.linalg.norm(r - A @ x) <= 10 * accuracy * np.linalg.norm(r):
                return x
        raise NotConverged(f"the linear solver stopped after {count} iterations; halve the load step, check for slivers")


def clamped_blocks(K: Any, fixed: np.ndarray) -> sp.bsr_array:
    """K with rows and columns of fixed dofs replaced by those of its mean diagonal."""
    A = K.copy()
    keep = np.ones(K.shape[0])
    keep[fixed] = 0.0
    d = A.blocksize[0]
    rows = np.repeat(np.arange(len(A.indptr) - 1), np.diff(A.indptr))
    grid = keep.reshape(-1, d)
    A.data = A.data * grid[rows][:, :, None] * grid[A.indices][:, None, :]
    middle = np.flatnonzero(rows == A.indices)
    diagonal = np.abs(K.diagonal())
    A.data[middle[:, None], np.arange(d), np.arange(d)] += (1 - grid) * diagonal.mean()
    return A


def _direct(A: Any) -> Callable[[np.ndarray], np.ndarray]:
    try:
        return splu(A.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}).solve
    except RuntimeError as error:
        raise Singular(f"the tangent of {A.shape[0]} rows cannot be factorised ({error}); fix more dofs") from error


def _multigrid(A: Any, modes: np.ndarray) -> Any:
    import pyamg

    symmetric = sp.csr_matrix(0.5 * (A + A.T))
    d = A.blocksize[0]
    rows = sp.bsr_matrix(symmetric, blocksize=(d, d))
    state = np.random.get_state()  # noqa: NPY002 - the library draws from the global state; it is put back
    np.random.seed(0)  # noqa: NPY002
    try:
        levels = pyamg.smoothed_aggregation_solver(rows, B=modes, strength=STRENGTH, smooth=SMOOTH)
    finally:
        np.random.set_state(state)  # noqa: NPY002
    return levels.aspreconditioner(cycle="V")


def _held(modes: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Rigid modes, zero at the fixed dofs."""
    held = modes.copy()
    held[fixed] = 0.0
    return held


def _krylov(A: Any, b: np.ndarray, M: Any, tol: float) -> tuple[np.ndarray, int]:
    from scipy.sparse.linalg import gmres

    count = [0]

    def tick(_: Any) -> None:
        count[0] += 1

    matrix = sp.csr_matrix(A)
    x, _ = gmres(matrix, b, rtol=tol, restart=100, maxiter=4, M=M, callback=tick, callback_type="pr_norm")
    return x, count[0]
