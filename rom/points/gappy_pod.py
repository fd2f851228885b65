"""Gappy POD: g ~ V B^+ g[dofs], B = V[dofs].

References: Everson & Sirovich (1995); points by pivoted QR: Drmac & Gugercin (2016); oversampling: Peherstorfer et al. (2020).
"""

from __future__ import annotations

import numpy as np
import scipy.linalg as la

from rom.basis import Basis
from rom.errors import BadInput, Singular
from rom.rule import Interpolation


def gappy_points(
    basis: Basis, given: np.ndarray, condition: float = 20.0, most: int = 200
) -> np.ndarray:
    """Global numbers to add to `given` so that cond(V[points]) <= condition: those of a pivoted QR of V^T first where `given` leaves B
    without full rank, then, one at a time, the row that sees most of the direction that B sees least. At most `most`."""
    V = basis.space.gather(basis.modes)
    points = np.asarray(given, dtype=np.int64)
    if not condition > 1.0:
        raise BadInput(f"condition = {condition:g} must exceed 1")
    added: list[int] = []
    if _condition(V[points]) > 1e8:
        pivots = la.qr(V.T, mode="r", pivoting=True)[1][: V.shape[1]]
        added = [int(i) for i in pivots if i not in points]
    while len(added) < most:
        B = V[np.concatenate([points, np.array(added, dtype=np.int64)])]
        _, s, Wt = la.svd(B, full_matrices=False)
        if s[-1] > 0 and s[0] / s[-1] <= condition:
            break
        seen = np.abs(V @ Wt[-1])
        seen[np.concatenate([points, np.array(added, dtype=np.int64)])] = -1.0
        added.append(int(np.argmax(seen)))
    return np.array(added, dtype=np.int64)


def gappy(basis: Basis, dofs: np.ndarray) -> Interpolation:
    """The reconstruction from values at global numbers `dofs`. Raises Singular where they do not determine the modes."""
    B = basis.space.take(basis.modes, dofs)
    if _condition(B) > 1e10:
        raise Singular(
            f"{len(dofs)} points do not determine {B.shape[1]} modes; add those of gappy_points"
        )
    return Interpolation(basis.modes, np.asarray(dofs), B)


def _condition(B: np.ndarray) -> float:
    if B.shape[0] < B.shape[1]:
        return np.inf
    s = la.svdvals(B)
    return float(s[0] / s[-1]) if s[-1] > 0 else np.inf
