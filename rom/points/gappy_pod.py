"""Gappy POD: g ~ V B^+ g[dofs], B = V[dofs].

References: Everson and Sirovich (1995); points by pivoted QR: Drmac and Gugercin (2016);
oversampling: Peherstorfer et al. (2020).
"""

from __future__ import annotations

import numpy as np
import scipy.linalg as la

from rom.arrays import gate, integers
from rom.basis import Basis
from rom.errors import BadInput, Singular
from rom.rule import Interpolation

RANK_DEFICIENT = 1e8  # condition from which the given points are said to lack rank
SINGULAR = 1e10  # condition from which a reconstruction is refused


@gate(basis=Basis, given=integers)
def gappy_points(
    basis: Basis, given: np.ndarray, condition: float = 20.0, *, max_points: int = 200
) -> np.ndarray:
    """Global numbers to add to `given` so that cond(V[points]) <= condition.

    given : global numbers of points; max_points : at most so many are added
    Where `given` leaves B without full rank, the pivots of a QR of V^T come first; then, one at
    a time, the row that sees most of the direction that B sees least.
    Raises BadInput for a condition of 1 or less.
    """
    if not condition > 1.0:
        raise BadInput(f"condition = {condition:g} must exceed 1")
    _check_dofs(given, basis)
    V = basis.space.gather(basis.modes)
    points = given
    added: list[int] = []
    if _condition(V[points]) > RANK_DEFICIENT:
        added = _pivots(V, points)
    while len(added) < max_points:
        rows = np.concatenate([points, np.array(added, dtype=np.int64)])
        _, s, Wt = la.svd(V[rows], full_matrices=False)
        if s[-1] > 0 and s[0] / s[-1] <= condition:
            break
        sight = np.abs(V @ Wt[-1])
        sight[rows] = -1.0
        added.append(int(np.argmax(sight)))
    return np.array(added, dtype=np.int64)


@gate(basis=Basis, dofs=integers)
def gappy(basis: Basis, dofs: np.ndarray) -> Interpolation:
    """The reconstruction g ~ V B^+ g[dofs] from values at global numbers `dofs`.

    Raises Singular where they do not determine the modes.
    """
    _check_dofs(dofs, basis)
    B = basis.space.take(basis.modes, dofs)
    if _condition(B) > SINGULAR:
        raise Singular(
            f"{len(dofs)} points do not determine {B.shape[1]} modes; add those of gappy_points"
        )
    return Interpolation(basis.modes, np.asarray(dofs), B)


def _check_dofs(dofs: np.ndarray, basis: Basis) -> None:
    """BadInput for numbers that the space does not have."""
    outside = np.flatnonzero((dofs < 0) | (dofs >= basis.space.size))
    if outside.size:
        raise BadInput(f"point {dofs[outside[0]]} is not one of 0..{basis.space.size - 1}")


def _pivots(V: np.ndarray, points: np.ndarray) -> list[int]:
    """As many pivots of a QR of V^T as there are modes, without `points`."""
    _, order = la.qr(V.T, mode="r", pivoting=True)
    leading = order[: V.shape[1]]
    return [int(i) for i in leading if i not in points]


def _condition(B: np.ndarray) -> float:
    """s_1 / s_r of B (k, r); infinite for fewer rows than columns."""
    if B.shape[0] < B.shape[1]:
        return np.inf
    s = la.svdvals(B)
    if not s[-1] > 0:
        return np.inf
    return float(s[0] / s[-1])
