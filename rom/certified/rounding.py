"""What round-off leaves between representers and the images that they represent.

    |R_j - X Q T_j|_{X'} <= |R_j - X S_j|_{X'} + |S_j - Q T_j|_X,  S_j ~ X^{-1} R_j

The first residual is formed in extended precision, so that the condition of X, of which the
solution S_j suffers, is in the number.
"""

from __future__ import annotations

import numpy as np

from rom.basis import powers_of_two
from rom.errors import Singular
from rom.space import Space

CONTRACTION = 0.1  # of a residual by one more solve with X: else its factors have no digit left
SAFETY = 2.0  # of measured round-off
DEFECT = 1e-13  # of orthonormality: below it a norm keeps its digits


def representer_slack(
    space: Space, R: np.ndarray, S: np.ndarray, Q: np.ndarray, T: np.ndarray
) -> np.ndarray:
    """Bounds of |R_j - X Q T_j|_{X'}, (K,).

    R : (n, K) images, better in extended precision; S : their representers, about Q T
    Raises Singular where the condition of X leaves no digit of a representer.
    """
    if not R.shape[1]:
        return np.zeros(0)
    wide = np.result_type(R, np.longdouble)
    rest = (R - space.apply(S.astype(wide))).astype(np.result_type(Q, float))
    size = _dual_norms(space, rest)
    worst = rest[:, [int(np.argmax(size))]]
    again = worst - space.apply(space.represent(worst))
    if _dual_norms(space, again)[0] > CONTRACTION * size.max():
        raise Singular(
            "the inner product is so ill-conditioned that no digit of a residual's representer is "
            "left; scale the unknowns alike, or choose another product"
        )
    gap = (S - Q @ T.astype(Q.dtype)).astype(rest.dtype)
    unit = powers_of_two(space, gap)
    return np.asarray(SAFETY * (size + space.norm(gap / unit) * unit))


def orthonormality_defect(space: Space, Q: np.ndarray, new: np.ndarray) -> float:
    """|[Q, new]^H X new - [0, I]| in the Frobenius norm, X new formed in extended precision."""
    image = space.apply(new.astype(np.result_type(new, np.longdouble))).astype(new.dtype)
    own = space.pair(image, new) - np.eye(new.shape[1])
    cross = space.pair(image, Q)
    return float(np.sqrt(np.sum(np.abs(own) ** 2) + 2 * np.sum(np.abs(cross) ** 2)))


def stretch(defect: float) -> float:
    """By how much |Q c|_X may exceed |c|, 1 where that is round-off of the norm itself."""
    if not defect < 1.0:
        raise Singular(
            "the inner product is so ill-conditioned that representers cannot be orthonormalised; "
            "scale the unknowns alike, or choose another product"
        )
    return float(np.sqrt(1.0 + defect)) if defect > DEFECT else 1.0


def _dual_norms(space: Space, F: np.ndarray) -> np.ndarray:
    """|F_j|_{X'}, (K,)."""
    unit = powers_of_two(space, F)
    scaled = F / unit
    x = space.represent(scaled)
    squares = space.sum(np.sum(scaled.conj() * x, axis=0).real)
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)) * unit)
