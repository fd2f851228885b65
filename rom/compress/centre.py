"""The mean of snapshots that come and go, and their scatter about it.

sum_j (u_j - m)(u_j - m)^H of two sets is the sum of their own scatters and of d d^H,
d = sqrt(w_1 w_2 / (w_1 + w_2)) (m_2 - m_1): one column more keeps the scatter exact.
Reference: Chan, Golub and LeVeque (1983).
"""

from __future__ import annotations

import numpy as np

from rom.errors import BadInput


def join_means(
    first: tuple[np.ndarray | None, float], second: tuple[np.ndarray, float]
) -> tuple[np.ndarray, np.ndarray, float]:
    """d (n,), mean (n,) and weight of two sets of (mean, weight).

    d = 0 where the first set is empty.
    """
    (m, w), (mean, weight) = first, second
    if m is None or not w > 0:
        return np.zeros_like(mean), mean, weight
    total = w + weight
    gap = mean - m
    return np.sqrt(w * weight / total) * gap, m + (weight / total) * gap, total


def centred_columns(
    B: np.ndarray, mean: np.ndarray | None, weight: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """[d, B Q] (n, k), and mean and weight with B (n, k).

    B Q Q^H B^H is the scatter of B.
    Q (k, k - 1) orthonormal with Q^H 1 = 0: all but the first column of the reflection that takes
    1 to -sqrt(k) e_1. So no column depends on the others, as those of B less its mean do.
    """
    k = B.shape[1]
    v = np.full(k, 1.0 / np.sqrt(k))
    v[0] += 1.0
    v /= np.linalg.norm(v)
    columns = np.asfortranarray(B - np.outer(2.0 * (B @ v), v))
    own = columns[:, 0] / -np.sqrt(k)
    d, joint, total = join_means((mean, weight), (own, float(k)))
    columns[:, 0] = d
    return columns, joint, total


def leave_mean(
    u: np.ndarray, mean: np.ndarray | None, weight: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """d (n,) and mean and weight without u (n,): the scatter loses d d^H.

    Raises BadInput where nothing would be left.
    """
    if mean is None or not weight > 1.0:
        raise BadInput("this is the only snapshot; without it there is no mean, start again")
    d = np.sqrt(weight / (weight - 1.0)) * (u - mean)
    return d, mean - (u - mean) / (weight - 1.0), weight - 1.0
