"""Truncated SVD of a sparse matrix that grows by rows: new directions stay 'sparse minus low rank', the old ones are never multiplied out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp
from scipy.sparse.linalg import svds

from rom.errors import BadInput

EPS, FEW = float(np.finfo(float).eps), 16


@dataclass(frozen=True, eq=False)
class SparseSvd:
    """A ~ U diag(s) V^T: U (M, k), V (N, k).

    energy : |A|_F^2; unseen : |A - A'|_F^2, where the new rows of A' have only the directions that the method kept
    A' = U U^T A' + ..., hence |A' - U diag(s) V^T|_F^2 = |A'|_F^2 - sum s_i^2 exactly, and |A - U diag(s) V^T|_F <= error |A|_F.
    """

    U: np.ndarray
    s: np.ndarray
    V: np.ndarray
    energy: float
    unseen: float

    @property
    def error(self) -> float:
        """(sqrt(|A'|^2 - sum s_i^2) + |A - A'|) / |A|: a bound of the relative error in the Frobenius norm, in exact arithmetic."""
        lost = (
            max(self.energy - self.unseen - float(np.sum(self.s**2)), 0.0) + 64 * EPS * self.energy
        )
        return float((np.sqrt(lost) + np.sqrt(self.unseen)) / np.sqrt(self.energy))


def extend_svd(
    A: Any,
    blocks: Iterable[Any],
    rank: int,
    method: str = "exact",
    width: int = 10,
    sweeps: int = 2,
    rng: int | np.random.Generator = 0,
) -> SparseSvd:
    """SVD of A with blocks of sparse rows (s, N) appended one after the other, each touching only the columns it is non-zero in.

    method : "exact" keeps all new directions, "lanczos" (Golub-Kahan) and "power" (random, `sweeps` sweeps) `width` of them, for tall blocks
    Cost per block O(nnz k + (k + s) (k + width)^2) and no N k^2. Raises BadInput for other widths, NaN, or a rank out of range.
    Reference: Deng et al. (2024); Golub & Kahan (1965); Halko et al. (2011).
    """
    if method not in SPACES:
        raise BadInput(f"unknown method {method!r}; choose {', '.join(SPACES)}")
    A = _rows(A, None)
    if not 0 < rank < min(A.shape):
        raise BadInput(
            f"rank = {rank} must lie in 1..{min(A.shape) - 1} for a matrix of shape {A.shape}"
        )
    gen = np.random.default_rng(rng)
    U, s, Vt = svds(A, rank, rng=gen)
    following = _Following(U[:, ::-1], s[::-1].copy(), Vt[::-1].T.copy(), float(np.sum(A.data**2)))
    for block in blocks:
        following.append(_rows(block, A.shape[1]), SPACES[method], width, sweeps, gen)
    return following.frozen()


class _Following:
    """U = [U_0; U_1; ...] K_u and V = V' K_v while rows are appended."""

    def __init__(self, U: np.ndarray, s: np.ndarray, V: np.ndarray, energy: float):
        self.k, self.s, self.V, self.energy = s.size, s, V, energy
        self.parts, self.Ku, self.Kv = [np.ascontiguousarray(U)], np.eye(s.size), np.eye(s.size)
        self.unseen = 0.0

    def append(
        self, E: sp.csr_array, space: Any, width: int, sweeps: int, gen: np.random.Generator
    ) -> None:
        """[A; E] with X = (I - V V^T) E^T ~ Q R: SVD of [[diag s, 0], [C^T, R^T]], C = V^T E^T."""
        touched, B = _narrow(E)
        C = ((B @ self.V[touched]) @ self.Kv).T
        P, R = space(B, C, width, sweeps, gen)  # Q = (I - V V^T) E^T P
        core, k = np.zeros((self.k + E.shape[0], self.k + len(R))), self.k
        core[range(k), range(k)], core[k:, :k], core[k:, k:] = self.s, C.T, R.T
        F, t, Gt = np.linalg.svd(core, full_matrices=False)
        F, self.s, G = F[:, :k], t[:k], Gt[:k].T
        added = float(np.vdot(B, B) if isinstance(B, np.ndarray) else B.data @ B.data)
        self.energy, self.unseen = (
            self.energy + added,
            self.unseen + max(added - float(np.vdot(C, C) + np.vdot(R, R)), 0.0),
        )
        new = P @ G[k:]
        self.Ku, self.Kv = self.Ku @ F[:k], self.Kv @ (G[:k] - C @ new)
        inverses = np.linalg.inv(np.stack([self.Ku, self.Kv]))
        self.V[touched] += B.T @ (new @ inverses[1])
        self.parts.append(F[k:] @ inverses[0])
        if np.abs(inverses).max() > 1e3:
            self.multiplied_out()

    def multiplied_out(self) -> None:
        """K = I again, V orthonormal again."""
        Q, T = la.qr(self.V @ self.Kv, mode="economic", check_finite=False)
        F, s, Gt = la.svd(self.s[:, None] * T.T, check_finite=False)
        self.parts, self.V, self.s = [np.vstack(self.parts) @ (self.Ku @ F)], Q @ Gt.T, s
        self.Ku, self.Kv = np.eye(self.k), np.eye(self.k)

    def frozen(self) -> SparseSvd:
        self.multiplied_out()
        return SparseSvd(self.parts[0], self.s, self.V, self.energy, self.unseen)


def _narrow(E: sp.csr_array) -> tuple[np.ndarray, Any]:
    """The columns that E touches, and E in them; dense for few rows, where the overhead of sparse products would lead."""
    touched, place = np.unique(E.indices, return_inverse=True)
    s, t = E.shape[0], touched.size
    if s > FEW:
        return touched, sp.csr_array(
            (E.data, place.astype(E.indices.dtype), E.indptr), shape=(s, t)
        )
    row = np.repeat(np.arange(s), np.diff(E.indptr))
    return touched, np.bincount(row * t + place, weights=E.data, minlength=s * t).reshape(s, t)


def _exact(
    B: Any, C: np.ndarray, width: int, sweeps: int, gen: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """P, R with Q = X P, R = Q^T X from X^T X = E E^T - C^T C; directions below 1e-5 of the largest are lost, and counted."""
    H = B @ B.T
    H = (H.toarray() if sp.issparse(H) else H) - C.T @ C
    square, Z = np.linalg.eigh(H)
    kept = square > 1e-10 * max(float(np.max(np.diag(H) + np.sum(C * C, axis=0))), 1e-300)
    root = np.sqrt(square[kept])
    return Z[:, kept] / root, root[:, None] * Z[:, kept].T


def _power(
    B: Any, C: np.ndarray, width: int, sweeps: int, gen: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The leading directions of X by a randomised range finder: each sweep multiplies by X^T X, never formed."""
    s = B.shape[0]
    Y = gen.standard_normal((s, min(width + 4, s)))
    for _ in range(sweeps + 1):
        Y = B @ (B.T @ Y) - C.T @ (C @ Y)
        Y = la.qr(Y, mode="economic", check_finite=False)[0]
    return _ritz(B, C, Y, width)


def _lanczos(
    B: Any, C: np.ndarray, width: int, sweeps: int, gen: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The leading directions of X in the Krylov space of X^T X that Golub-Kahan bidiagonalisation spans, fully orthogonalised."""
    s = B.shape[0]
    Y = np.zeros((s, min(width + 4, s)))
    y = B @ (B.T @ gen.standard_normal(s))
    for j in range(Y.shape[1]):
        for _ in range(2):
            y = y - Y[:, :j] @ (Y[:, :j].T @ y)
        size = np.linalg.norm(y)
        if not size > 0:
            return _ritz(B, C, Y[:, :j], width)
        Y[:, j] = y / size
        y = B @ (B.T @ Y[:, j]) - C.T @ (C @ Y[:, j])
    return _ritz(B, C, Y, width)


def _ritz(B: Any, C: np.ndarray, Y: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """P, R of the best directions X y, y in span Y: eigenvectors of Y^T X^T X Y."""
    Z, D = B.T @ Y, C @ Y
    square, W = la.eigh(Z.T @ Z - D.T @ D, check_finite=False)
    scale = float(np.max(np.sum(Z * Z, axis=0), initial=1e-300))
    kept = np.flatnonzero(square > 1e-10 * scale)[-width:]
    P = Y @ (W[:, kept] / np.sqrt(square[kept]))
    return P, (B @ (B.T @ P) - C.T @ (C @ P)).T


def _rows(E: Any, width: int | None) -> sp.csr_array:
    if not isinstance(E, sp.csr_array) or E.dtype != float:
        E = sp.csr_array(E).astype(float)
    if (
        E.shape[0] > FEW and not E.has_canonical_format
    ):  # few rows are summed where they are laid out densely
        E = E.copy()
        E.sum_duplicates()
    if width is not None and E.shape[1] != width:
        raise BadInput(f"a block has {E.shape[1]} columns, the matrix {width}; rows are appended")
    if not np.isfinite(E.data).all():
        raise BadInput("a sparse block holds NaN or Inf; drop that row")
    return E


SPACES = {"exact": _exact, "lanczos": _lanczos, "power": _power}
