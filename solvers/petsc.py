"""PETSc as a preconditioner: smoothed aggregation (GAMG) with rigid modes.

The rigid modes are its near-nullspace, on a distributed matrix of blocks. Reference: Balay et al.,
PETSc users manual (2026); Adams, Bayraktar, Keaveny & Papadopoulos (2004).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp

from rom.errors import MissingExtra
from rom.space import Space
from solvers.linear import rigid_modes
from solvers.schwarz import constrain


def gamg(
    space: Space, K: sp.bsr_array, points: np.ndarray, fixed: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """r -> M^{-1} r by one V-cycle, of shares K (n, n) whose rows `fixed` are held.

    At the nodes `points` (n / d, d) of this rank. Takes the arguments of `solvers.schwarz.schwarz`,
    in whose place it stands; every rank gives PETSc its own share, which sums them. Raises
    MissingExtra without petsc4py.
    """
    try:
        import petsc4py

        petsc4py.init([], comm=space.comm)
        from petsc4py import PETSc
    except ImportError as error:
        raise MissingExtra(
            f"multigrid on ranks needs petsc4py ({error}); run: "
            "make petsc, which compiles for 20 minutes"
        ) from error
    comm, d, mine = space.comm or PETSc.COMM_SELF, K.blocksize[0], np.flatnonzero(space.owned)
    counts = [mine.size] if space.comm is None else space.comm.allgather(mine.size)
    first = 0 if space.comm is None else sum(counts[: space.comm.Get_rank()])
    numbers = np.zeros(space.n)
    numbers[mine] = first + np.arange(mine.size)
    numbers = np.round(space.gather(numbers)).astype(PETSc.IntType)[space.numbers]
    share = sp.coo_array(constrain(K, fixed))
    A = PETSc.Mat().create(comm=comm)
    A.setSizes(((mine.size, space.size), (mine.size, space.size)))
    A.setType(PETSc.Mat.Type.AIJ)
    A.setBlockSize(d)
    A.setPreallocationCOO(numbers[share.row], numbers[share.col])
    A.setValuesCOO(share.data)
    A.setNearNullSpace(_floating(PETSc, comm, space, points, fixed, mine, d))
    pc = PETSc.PC().create(comm=comm)
    pc.setOperators(A)
    pc.setType(PETSc.PC.Type.GAMG)
    pc.setUp()
    x, y = A.createVecRight(), A.createVecLeft()

    def precondition(r: np.ndarray) -> np.ndarray:
        x.getArray()[:] = r[mine]
        pc.apply(x, y)
        correction = np.zeros(space.n)
        correction[mine] = y.getArray()
        return space.whole(correction)

    return precondition


def _floating(
    PETSc: Any,
    comm: Any,
    space: Space,
    points: np.ndarray,
    fixed: np.ndarray,
    mine: np.ndarray,
    d: int,
) -> Any:
    """Rigid modes, zero where held and orthonormal in l2."""
    owned = points[mine[::d] // d]
    modes = rigid_modes(points, space.sum(owned.sum(axis=0)) * d / space.size)
    modes[fixed] = 0.0
    modes = modes[mine]
    modes = la.solve_triangular(la.cholesky(space.sum(modes.T @ modes)), modes.T, trans="T").T
    vectors = [
        PETSc.Vec().createWithArray(np.ascontiguousarray(m), bsize=d, comm=comm) for m in modes.T
    ]
    return PETSc.NullSpace().create(vectors=vectors, comm=comm)
