"""What laws with plastic flow share: columns of their states, and their tangent."""

from __future__ import annotations

import numpy as np

from solvers.mandel import DEV, SPHERE

FLOW = slice(1, 7)  # columns of a state: the (visco)plastic strain
BACK = slice(7, 13)  # columns of a state: the back strain a of kinematic hardening


def consistent_tangent(
    kappa: np.ndarray,
    mu: np.ndarray,
    N: np.ndarray,
    *,
    m: np.ndarray,
    ratio: np.ndarray,
    Z: np.ndarray,
) -> np.ndarray:
    """d stress / d strain (g, 6, 6) of a return along N.

    kappa I(x)I + 2 mu I_dev - 2 mu { N(x)m + ratio [ 2 mu I_dev + Z(x)m
    - 2/3 N (x) (2 mu N + (N:Z) m) ] }, ratio = 1.5 dp / J
    """
    two: np.ndarray = 2 * mu[:, None]
    inner = two * N + np.sum(N * Z, axis=1, keepdims=True) * m
    along, across = two * (m - 2 / 3 * ratio[:, None] * inner), two * ratio[:, None] * m
    shear = (2 * mu * (1 - 2 * mu * ratio))[:, None, None] * DEV
    tangent: np.ndarray = kappa[:, None, None] * SPHERE + shear
    tangent -= N[:, :, None] * along[:, None, :]
    tangent -= Z[:, :, None] * across[:, None, :]
    return tangent
