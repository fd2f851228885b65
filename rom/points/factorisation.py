"""QR factors of columns that come and go."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg as la

TINY = 1e-300


class QrFactors(NamedTuple):
    """Q (k, l) orthonormal and T (l, l) upper triangular: the columns are Q T."""

    Q: np.ndarray
    T: np.ndarray


def qr_factors(columns: np.ndarray) -> QrFactors:
    """Q T of columns (k, l); also of none."""
    k, count = columns.shape
    if count == 0:
        return QrFactors(np.zeros((k, 0)), np.zeros((0, 0)))
    Q, T = la.qr(columns, mode="economic")
    return QrFactors(Q, T)


def append_column(factors: QrFactors, column: np.ndarray) -> QrFactors:
    """Q T of one more column, by Gram-Schmidt with one repetition."""
    Q, T = factors
    c = Q.T @ column
    v = column - Q @ c
    again = Q.T @ v
    v = v - Q @ again
    length = max(float(np.linalg.norm(v)), TINY)
    size = len(c) + 1
    bordered = np.zeros((size, size))
    bordered[:-1, :-1] = T
    bordered[:-1, -1] = c + again
    bordered[-1, -1] = length
    return QrFactors(np.column_stack([Q, v / length]), bordered)


def drop_columns(factors: QrFactors, places: np.ndarray) -> QrFactors:
    """Q T without the columns at ascending places."""
    Q, T = factors
    for j in places[::-1]:
        Q, T = la.qr_delete(Q, T, int(j), which="col")
    count = T.shape[1]
    return QrFactors(Q[:, :count], T[:count])
