"""New directions of sparse rows: the leading ones of X = (I - V V^T) E^T.

X is never formed. E holds s new rows, B is E in the columns that it touches, and
C = V^T E^T (k, s). Each method gives P (s, l) and R (l, s) with Q = X P orthonormal and R = Q^T X.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp

from rom.arrays import POINTS, REAL
from rom.errors import BadInput

FEW = 16  # so few rows are multiplied as dense ones
SPARE = 4  # columns of a subspace beyond those that are kept
VISIBLE = 1e-10  # of the largest squared size; smaller directions are lost, and counted
TINY = 1e-300

Factors = tuple[np.ndarray, np.ndarray]
Method = Callable[[Any, np.ndarray, "Search"], Factors]


class Search(NamedTuple):
    """How to look for new directions: method, how many, power sweeps."""

    method: Method
    width: int
    sweeps: int
    rng: np.random.Generator

    def directions(self, B: Any, C: np.ndarray) -> Factors:
        """P (s, l) and R (l, s) of the new directions of B."""
        return self.method(B, C, self)


def sparse_rows(E: Any, width: int | None) -> sp.csr_array:
    """E as sparse rows of floats; BadInput for another width, NaN or Inf."""
    if not sp.issparse(E):
        E = POINTS(E, "a block")
    elif E.dtype.kind not in REAL or E.ndim != 2:
        raise BadInput(f"a sparse block holds {E.dtype} in {E.ndim} axes; give real rows (s, N)")
    if not isinstance(E, sp.csr_array) or E.dtype != float:
        E = sp.csr_array(E).astype(float)
    if E.shape[0] > FEW and not E.has_canonical_format:
        E = E.copy()  # few rows are summed where they are laid out densely
        E.sum_duplicates()
    if width is not None and E.shape[1] != width:
        raise BadInput(f"a block has {E.shape[1]} columns, the matrix {width}; rows are appended")
    if not np.isfinite(E.data).all():
        raise BadInput("a sparse block holds NaN or Inf; drop that row")
    return E


def narrow(E: sp.csr_array) -> tuple[np.ndarray, Any]:
    """The columns that E touches, and E in them; dense for few rows.

    Of few rows the overhead of sparse products would take most of the time.
    """
    touched, place = np.unique(E.indices, return_inverse=True)
    shape = (E.shape[0], touched.size)
    if E.shape[0] > FEW:
        columns = place.astype(E.indices.dtype)
        return touched, sp.csr_array((E.data, columns, E.indptr), shape=shape)
    counts = np.diff(E.indptr)
    row = np.repeat(np.arange(shape[0]), counts)
    position = row * touched.size + place
    size = shape[0] * touched.size
    dense = np.bincount(position, weights=E.data, minlength=size)
    return touched, dense.reshape(shape)


def _exact(B: Any, C: np.ndarray, search: Search) -> Factors:
    """All directions, from X^T X = E E^T - C^T C."""
    gram = B @ B.T
    if sp.issparse(gram):
        gram = gram.toarray()
    H = gram - C.T @ C
    squares, Z = np.linalg.eigh(H)
    energies = np.diag(H) + np.sum(C * C, axis=0)
    largest = max(float(np.max(energies)), TINY)
    visible = squares > VISIBLE * largest
    sizes = np.sqrt(squares[visible])
    Z = Z[:, visible]
    return Z / sizes, sizes[:, None] * Z.T


def _power(B: Any, C: np.ndarray, search: Search) -> Factors:
    """Leading directions by a randomised range finder, `sweeps` products with X^T X."""
    s = B.shape[0]
    columns = min(search.width + SPARE, s)
    Y = search.rng.standard_normal((s, columns))
    for _ in range(search.sweeps + 1):
        Y = _gram_times(B, C, Y)
        Y = la.qr(Y, mode="economic", check_finite=False)[0]
    return _ritz(B, C, Y, search.width)


def _lanczos(B: Any, C: np.ndarray, search: Search) -> Factors:
    """Leading directions in the Krylov space of X^T X, fully orthogonalised.

    It is the space that Golub-Kahan bidiagonalisation spans.
    """
    s = B.shape[0]
    columns = min(search.width + SPARE, s)
    Y = np.zeros((s, columns))
    start = search.rng.standard_normal(s)
    y = B @ (B.T @ start)
    for j in range(columns):
        before = Y[:, :j]
        for _ in range(2):
            y = y - before @ (before.T @ y)
        size = np.linalg.norm(y)
        if not size > 0:
            return _ritz(B, C, before, search.width)
        Y[:, j] = y / size
        y = _gram_times(B, C, Y[:, j])
    return _ritz(B, C, Y, search.width)


def _ritz(B: Any, C: np.ndarray, Y: np.ndarray, width: int) -> Factors:
    """The best directions X y with y in span Y: eigenvectors of Y^T X^T X Y."""
    Z = B.T @ Y
    D = C @ Y
    gram = Z.T @ Z - D.T @ D
    squares, W = la.eigh(gram, check_finite=False)
    energies = np.sum(Z * Z, axis=0)
    largest = float(np.max(energies, initial=TINY))
    visible = np.flatnonzero(squares > VISIBLE * largest)
    best = visible[-width:]
    P = Y @ (W[:, best] / np.sqrt(squares[best]))
    R = _gram_times(B, C, P)
    return P, R.T


def _gram_times(B: Any, C: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """X^T X Y = B B^T Y - C^T C Y."""
    outside = B @ (B.T @ Y)
    inside = C.T @ (C @ Y)
    return np.asarray(outside - inside)


DIRECTIONS: dict[str, Method] = {"exact": _exact, "lanczos": _lanczos, "power": _power}
