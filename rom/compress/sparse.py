"""Truncated SVD of a sparse matrix that grows by rows.

New directions stay "sparse minus low rank"; the old ones are never multiplied out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp

from rom.arrays import as_it_is, gate, stream
from rom.compress.directions import (
    DIRECTIONS,
    Search,
    narrow,
    sparse_rows,
)
from rom.compress.orthonormal import EPS
from rom.errors import BadInput, Singular

TINY = 1e-280  # of an energy
ILL_CONDITIONED = 1e3  # entries of K^{-1}: beyond, the factors are multiplied out


@dataclass(frozen=True, eq=False)
class SparseSvd:
    """A ~ U diag(s) V^T: U (M, k), V (N, k).

    energy : |A|_F^2
    unseen : |A - A'|_F^2, where the new rows of A' have only the directions that the method kept
    missing : |A - U diag(s) V^T|_F^2 from all rows, or None where all directions were kept
    A' = U U^T A' + ..., hence |A' - U diag(s) V^T|_F^2 = |A'|_F^2 - sum s_i^2 exactly, and
    |A - U diag(s) V^T|_F <= error |A|_F.
    """

    U: np.ndarray
    s: np.ndarray
    V: np.ndarray
    energy: float
    unseen: float
    missing: float | None = None

    @property
    def error(self) -> float:
        """|A - U diag(s) V^T| / |A|, Frobenius norms: a bound; NaN if above 1.

        Without `missing` it is (sqrt(|A'|^2 - sum s_i^2) + |A - A'|) / |A|.
        """
        round_off = 64 * EPS * self.energy
        if self.missing is None:
            captured = float(np.sum(self.s**2))
            lost = max(self.energy - self.unseen - captured, 0.0)
            bound = np.sqrt(lost + round_off) + np.sqrt(self.unseen)
        else:
            bound = np.sqrt(max(self.missing, 0.0) + round_off)
        relative = float(bound / np.sqrt(self.energy))
        return relative if relative < 1.0 else np.nan


@gate(blocks=stream(as_it_is))
def extend_svd(
    A: Any,
    blocks: Iterable[Any],
    rank: int,
    *,
    method: str = "exact",
    width: int = 10,
    sweeps: int = 2,
    rng: int | np.random.Generator = 0,
) -> SparseSvd:
    """SVD of A (M, N) with blocks of sparse rows (s, N) appended one after the other.

    rank : k; method : "exact" keeps all new directions, "lanczos" (Golub-Kahan) and "power"
        (random, `sweeps` sweeps) keep `width` of them, for tall blocks
    Each block touches only the columns where it is not zero: cost O(nnz k + (k + s) (k + width)^2)
    and no N k^2. Where directions are left out all rows are kept to the end, to measure the error.
    Raises BadInput for blocks of another width, NaN, or a rank out of range.
    References: Deng et al. (2024); Golub and Kahan (1965); Halko et al. (2011).
    """
    from scipy.sparse.linalg import svds

    if method not in DIRECTIONS:
        raise BadInput(f"unknown method {method!r}; choose {', '.join(DIRECTIONS)}")
    A = sparse_rows(A, None)
    largest = min(A.shape) - 1
    if not 0 < rank <= largest:
        raise BadInput(f"rank = {rank} must lie in 1..{largest} for a matrix of shape {A.shape}")
    energy = float(np.sum(A.data**2))
    if not energy > TINY:
        raise BadInput("the matrix is zero, or its squares vanish; give one that is not")
    generator = np.random.default_rng(rng)
    U, s, Vt = svds(A, rank, rng=generator)
    growing = _GrowingSvd(U[:, ::-1], s[::-1].copy(), Vt[::-1].T.copy(), energy)
    if method != "exact":
        growing.rows = [(slice(None), A)]
    search = Search(DIRECTIONS[method], width, sweeps, generator)
    for block in blocks:
        rows = sparse_rows(block, A.shape[1])
        growing.append(rows, search)
    return growing.factors()


class _GrowingSvd:
    """U = [U_0; U_1; ...] K_u and V = V' K_v while rows are appended."""

    def __init__(self, U: np.ndarray, s: np.ndarray, V: np.ndarray, energy: float):
        self.k = s.size
        self.s = s
        self.V = V
        self.energy = energy
        self.unseen = 0.0
        self.parts = [np.ascontiguousarray(U)]
        self.Ku = np.eye(self.k)
        self.Kv = np.eye(self.k)
        self.rows: list[tuple[Any, Any]] | None = None  # (columns, entries) of each block

    def append(self, E: sp.csr_array, search: Search) -> None:
        """[A; E] by the SVD of [[diag s, 0], [C^T, R^T]], C = V^T E^T.

        (I - V V^T) E^T ~ Q R, Q = (I - V V^T) E^T P.
        """
        k = self.k
        touched, B = narrow(E)
        if self.rows is not None:
            self.rows.append((touched, B))
        C = ((B @ self.V[touched]) @ self.Kv).T
        P, R = search.directions(B, C)
        core = self._core(C, R)
        F, s, Gt = np.linalg.svd(core, full_matrices=False)
        F, G = F[:, :k], Gt[:k].T
        self.s = s[:k]
        self._count(B, C, R)
        new = P @ G[k:]
        self.Ku = self.Ku @ F[:k]
        self.Kv = self.Kv @ (G[:k] - C @ new)
        both = np.stack([self.Ku, self.Kv])
        try:
            inverses = np.linalg.inv(both)
        except np.linalg.LinAlgError as error:
            raise Singular(
                f"the matrix has fewer than {k} independent rows; ask for a smaller rank"
            ) from error
        self.V[touched] += B.T @ (new @ inverses[1])
        self.parts.append(F[k:] @ inverses[0])
        if np.abs(inverses).max() > ILL_CONDITIONED:
            self._multiply_out()

    def factors(self) -> SparseSvd:
        """The SVD so far, multiplied out, and how much of all rows it misses."""
        self._multiply_out()
        U, missing = self.parts[0], None
        if self.rows is not None:
            missing = self._missing(U * self.s, self.rows)
        return SparseSvd(U, self.s, self.V, self.energy, self.unseen, missing)

    def _missing(self, left: np.ndarray, rows: list[tuple[Any, Any]]) -> float:
        """|A - L V^T|^2 = |A|^2 - 2 <A V, L> + <L^T L, V^T V>, left = L = U diag(s)."""
        common, start = 0.0, 0
        for touched, B in rows:
            part = left[start : start + B.shape[0]]
            common += float(np.sum((B @ self.V[touched]) * part))
            start += len(part)
        own = float(np.sum((left.T @ left) * (self.V.T @ self.V)))
        return self.energy - 2.0 * common + own

    def _core(self, C: np.ndarray, R: np.ndarray) -> np.ndarray:
        """[[diag s, 0], [C^T, R^T]]."""
        k = self.k
        core = np.zeros((k + C.shape[1], k + len(R)))
        core[range(k), range(k)] = self.s
        core[k:, :k] = C.T
        core[k:, k:] = R.T
        return core

    def _count(self, B: Any, C: np.ndarray, R: np.ndarray) -> None:
        """Adds the energy of B, and what of it neither V nor Q has."""
        entries = B if isinstance(B, np.ndarray) else B.data
        added = float(np.vdot(entries, entries))
        captured = float(np.vdot(C, C) + np.vdot(R, R))
        self.energy += added
        self.unseen += max(added - captured, 0.0)

    def _multiply_out(self) -> None:
        """K = I again, V orthonormal again."""
        Q, T = la.qr(self.V @ self.Kv, mode="economic", check_finite=False)
        F, s, Gt = la.svd(self.s[:, None] * T.T, check_finite=False)
        rows = np.vstack(self.parts)
        self.parts = [rows @ (self.Ku @ F)]
        self.V = Q @ Gt.T
        self.s = s
        self.Ku = np.eye(self.k)
        self.Kv = np.eye(self.k)
