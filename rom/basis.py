"""Reduced bases."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rom.errors import BadInput
from rom.space import Space


@dataclass(frozen=True, eq=False)
class Basis:
    """u ~ offset + V a with V^H X V = I.

    modes : (n, r), this rank's rows; offset : 0.0 or (n,)
    s : singular values of what was compressed (all that are known), or empty
    rank_asked, tol_asked : what was asked for; reason : why r modes were delivered; error : relative projection error of the training set
    """

    space: Space
    modes: np.ndarray
    offset: Any = 0.0
    s: np.ndarray | None = None
    rank_asked: int | None = None
    tol_asked: float | None = None
    reason: str = ""
    error: float = float("nan")

    def __post_init__(self) -> None:
        if (
            not isinstance(self.modes, np.ndarray)
            or self.modes.ndim != 2
            or self.modes.shape[0] != self.space.n
        ):
            shape = getattr(self.modes, "shape", type(self.modes).__name__)
            raise BadInput(
                f"modes have shape {shape}; the space needs ({self.space.n}, r): give one row per dof"
            )
        if self.modes.dtype.kind not in "fc" or isinstance(self.modes, np.ma.MaskedArray):
            raise BadInput(
                f"modes are {self.modes.dtype}, or masked; give an array of floating-point or complex numbers"
            )
        flat = self.modes.ravel(order="K")
        if not np.isfinite(np.vdot(flat, flat).real):
            where = tuple(
                int(k) for k in np.unravel_index(np.argmax(np.abs(self.modes)), self.modes.shape)
            )
            raise BadInput(
                f"modes hold NaN, Inf or numbers beyond 1e154 at {where}; give modes orthonormal in the space, as pod does"
            )

    @property
    def r(self) -> int:
        """Number of modes delivered."""
        return self.modes.shape[1]

    def coefficients(self, u: np.ndarray) -> np.ndarray:
        """a = V^H X (u - offset), (r,) or (r, m)."""
        return self.space.inner(self.modes, u - self._offset(u.ndim))

    def lift(self, a: np.ndarray) -> np.ndarray:
        """offset + V a, (n,) or (n, m)."""
        return self.modes @ a + self._offset(np.ndim(a))

    def spread(self, std: np.ndarray) -> np.ndarray:
        """Pointwise standard deviation sqrt(sum_k V_ik^2 std_k^2) of uncorrelated coefficients, (n,) or (n, m)."""
        return np.sqrt(np.abs(self.modes) ** 2 @ np.square(std))

    def truncate(self, r: int) -> Basis:
        """The first r modes."""
        if not 0 < r <= self.r:
            raise BadInput(f"cannot keep {r} of {self.r} modes")
        tail = (
            float("nan")
            if self.s is None
            else float(np.sqrt(np.sum(self.s[r:] ** 2) / np.sum(self.s**2)))
        )
        return replace(
            self,
            modes=self.modes[:, :r],
            rank_asked=r,
            tol_asked=None,
            reason=f"truncated to {r}",
            error=tail,
        )

    def to_serial(self) -> Basis:
        """The same basis on one rank."""
        offset = (
            self.offset if np.ndim(self.offset) == 0 else self.space.gather(np.asarray(self.offset))
        )
        return replace(
            self, space=self.space.to_serial(), modes=self.space.gather(self.modes), offset=offset
        )

    def _offset(self, ndim: int) -> Any:
        return (
            self.offset
            if ndim == 1 or np.ndim(self.offset) == 0
            else np.asarray(self.offset)[:, None]
        )


@dataclass(frozen=True, eq=False)
class LocalBases:
    """u ~ V_k a on cluster k, with V_k = V W_k inside one hull V (n, R): online, clusters meet as small matrices.

    hull : V, orthonormal in X, without offset; rotations : W_k (R, r_k), W_k^H W_k = I; labels : (m,) cluster of each training sample
    centres : (R, K) hull coordinates of one representative of each cluster, of norm one
    errors : (m, K) relative projection error of training sample i on basis k, its own held out where it is a member, or None
    classifier : mu (m, p) -> probabilities (m, K), or None; inputs may be reduced features of a field instead of mu
    """

    hull: Basis
    rotations: tuple[np.ndarray, ...]
    labels: np.ndarray
    centres: np.ndarray
    errors: np.ndarray | None = None
    classifier: Any = None

    def __post_init__(self) -> None:
        K = len(self.rotations)
        if K == 0 or any(np.ndim(W) != 2 or W.shape[0] != self.hull.r for W in self.rotations):
            raise BadInput(
                f"rotations have shapes {[np.shape(W) for W in self.rotations]}; the hull needs ({self.hull.r}, r_k)"
            )
        if np.ndim(self.hull.offset) > 0 or np.shape(self.centres) != (self.hull.r, K):
            raise BadInput(
                f"the hull takes no offset, and centres have shape {np.shape(self.centres)}, not ({self.hull.r}, {K})"
            )
        if np.size(self.labels) and not 0 <= np.min(self.labels) <= np.max(self.labels) < K:
            raise BadInput(f"labels must lie in 0..{K - 1}")

    @property
    def K(self) -> int:
        """Number of clusters."""
        return len(self.rotations)

    def basis(self, k: int) -> Basis:
        """V_k = V W_k."""
        return replace(
            self.hull,
            modes=self.hull.modes @ self.rotations[k],
            s=None,
            reason=f"cluster {k} of {self.K}",
        )

    def change(self, j: int, k: int) -> np.ndarray:
        """T_jk = V_j^H X V_k: coefficients on basis k -> coefficients on basis j, (r_j, r_k)."""
        return self.rotations[j].conj().T @ self.rotations[k]

    def misses(self, u: np.ndarray) -> np.ndarray:
        """|u - V_k V_k^H X u|_X / |u|_X on every cluster, (m, K) for columns u (n, m)."""
        c = self.hull.coefficients(u)
        outside = np.square(self.hull.space.norm(u - self.hull.lift(c)))
        inside = [np.sum(np.abs(c - W @ (W.conj().T @ c)) ** 2, axis=0) for W in self.rotations]
        return (
            np.sqrt(outside[:, None] + np.stack(inside, axis=1)) / self.hull.space.norm(u)[:, None]
        )

    def nearest(self, c: np.ndarray) -> np.ndarray:
        """argmin_k sin(c, centre_k) = argmax_k |centre_k^H c| for hull coordinates c (R, m)."""
        return np.argmax(np.abs(self.centres.conj().T @ c), axis=0)


def spectral_tail(s: np.ndarray) -> np.ndarray:
    """t_r = sum_{i > r} s_i^2, r = 0..len(s): the energy that r modes leave out."""
    squares = s[::-1] ** 2
    sums = np.cumsum(squares)[::-1]
    return np.append(sums, 0.0)


def gram_schmidt(
    space: Space, U: np.ndarray, against: np.ndarray | None = None, block: int = 32
) -> tuple[np.ndarray, np.ndarray]:
    """U = [against, Q] T by block Gram-Schmidt in X with re-orthogonalisation; directions below round-off are dropped.

    against : (n, k) X-orthonormal columns that come first, none by default. Returns Q (n, l), X-orthogonal to them, and T (k + l, m).
    Reference: Buhr et al. (2014).
    """
    first = 0 if against is None else against.shape[1]
    dtype = U.dtype if against is None else np.result_type(against, U)
    V, T = (
        np.empty((space.n, first + U.shape[1]), dtype=dtype, order="F"),
        np.zeros((first + U.shape[1], U.shape[1]), dtype=dtype),
    )
    if against is not None:
        V[:, :first] = against
    sizes, k = space.norm(U), first
    for start in range(0, U.shape[1], block):
        W = U[:, start : start + block].astype(dtype)
        for _ in range(2):
            C = space.inner(V[:, :k], W)
            W = W - V[:, :k] @ C
            T[:k, start : start + block] += C
        done = k
        for j, w in enumerate(W.T, start):
            w, size = _against(space, V[:, :k], w, T[:, j], done)
            if size > 4 * np.finfo(float).eps * sizes[j] and size > 0:
                T[k, j], V[:, k], k = size, w / size, k + 1
    return V[:, first:k], T[:k]


def _against(
    space: Space, V: np.ndarray, w: np.ndarray, t: np.ndarray, done: int
) -> tuple[np.ndarray, float]:
    """w less its part in V, added to t, orthogonal already to the first `done` columns; all again where it shrank much."""
    size, begin = space.norm(w), done
    for _ in range(3):
        c = space.inner(V[:, begin:], w[:, None])[:, 0]
        w = w - V[:, begin:] @ c
        t[begin : V.shape[1]] += c
        before, size, begin = size, space.norm(w), 0
        if size > 0.5 * before:
            break
    return w, size
