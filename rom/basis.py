"""Reduced bases."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rom.arrays import (
    COLUMNS,
    NUMBER,
    array_of,
    check_members,
    check_noun,
    each,
    integers,
    number_array,
)
from rom.brief import brief, brief_html
from rom.errors import BadInput
from rom.space import Space

ROUND_OFF = 4 * float(np.finfo(float).eps)  # of a column's norm: a smaller rest is no direction
FEEBLE = 1e-140  # of a column's norm: its square is near the smallest number
MAX_SWEEPS = 3  # of re-orthogonalisation


OFFSET = array_of("()", "(n,)", kinds=NUMBER, empty=True)
SINGULAR = array_of("(k,)", most=np.inf, empty=True)


@dataclass(frozen=True, eq=False)
class Basis:
    """u ~ offset + V a with V^H X V = I.

    modes : (n, r), this rank's rows; offset : 0.0 or (n,)
    s : singular values of what was compressed (all that are known), or empty
    rank_asked, tol_asked : what was asked for; reason : why r modes were delivered
    error : relative projection error of the training set
    Raises BadInput for modes of another shape, not floating-point, masked, or with NaN or Inf.
    """

    __repr__ = brief
    _repr_html_ = brief_html

    space: Space
    modes: np.ndarray
    offset: Any = 0.0
    s: np.ndarray | None = None
    rank_asked: int | None = None
    tol_asked: float | None = None
    reason: str = ""
    error: float = float("nan")

    def __post_init__(self) -> None:
        space, modes = self.space, self.modes
        n = space.n if isinstance(space, Space) else check_noun(space, "space", Space).n
        if type(modes) is not np.ndarray or modes.dtype != float:
            modes = number_array(modes, "modes", NUMBER)
            modes = modes if modes.dtype.kind in "fc" else modes.astype(float)
            object.__setattr__(self, "modes", modes)
        if modes.ndim != 2 or modes.shape[0] != n:
            raise BadInput(
                f"modes have shape {modes.shape}; the space needs ({n}, r): give one row per dof"
            )
        checks = {} if isinstance(self.offset, (int, float)) else {"offset": OFFSET}
        if self.s is not None:
            checks["s"] = SINGULAR
        if checks:
            check_members(self, **checks)
        if np.ndim(self.offset) and self.offset.shape != (n,):
            raise BadInput(f"offset has shape {self.offset.shape}; give ({n},), one per dof")
        flat = modes.ravel(order="K")
        if not np.isfinite(np.vdot(flat, flat).real):
            largest = np.argmax(np.abs(modes))
            where = tuple(int(k) for k in np.unravel_index(largest, modes.shape))
            raise BadInput(
                f"modes hold NaN, Inf or numbers beyond 1e154 at {where}; give modes orthonormal "
                "in the space, as pod does"
            )

    @property
    def r(self) -> int:
        """Number of modes delivered."""
        return int(self.modes.shape[1])

    def coefficients(self, u: np.ndarray) -> np.ndarray:
        """a = V^H X (u - offset), (r,) or (r, m)."""
        return self.space.inner(self.modes, u - self._offset(u.ndim))

    def lift(self, a: np.ndarray) -> np.ndarray:
        """offset + V a, (n,) or (n, m)."""
        return np.asarray(self.modes @ a + self._offset(np.ndim(a)))

    def spread(self, std: np.ndarray) -> np.ndarray:
        """Pointwise deviation sqrt(sum_k V_ik^2 std_k^2), (n,) or (n, m).

        std : (r,) or (r, m) standard deviations of uncorrelated coefficients
        """
        variance = np.abs(self.modes) ** 2 @ np.square(std)
        return np.asarray(np.sqrt(variance))

    def truncate(self, r: int) -> Basis:
        """The first r modes. Raises BadInput where there are not as many."""
        if not 0 < r <= self.r:
            raise BadInput(f"cannot keep {r} of {self.r} modes")
        error = float("nan")
        if self.s is not None:
            lost = np.sum(self.s[r:] ** 2)
            error = float(np.sqrt(lost / np.sum(self.s**2)))
        return replace(
            self,
            modes=self.modes[:, :r],
            rank_asked=r,
            tol_asked=None,
            reason=f"truncated to {r}",
            error=error,
        )

    def to_serial(self) -> Basis:
        """The same basis on one rank."""
        space, offset = self.space, self.offset
        if np.ndim(offset) > 0:
            offset = space.gather(np.asarray(offset))
        return replace(self, space=space.to_serial(), modes=space.gather(self.modes), offset=offset)

    def _offset(self, ndim: int) -> Any:
        """The offset as a scalar, a vector, or a column beside columns."""
        if ndim == 1 or np.ndim(self.offset) == 0:
            return self.offset
        return np.asarray(self.offset)[:, None]


@dataclass(frozen=True, eq=False)
class LocalBases:
    """u ~ V_k a on cluster k, with V_k = V W_k inside one hull V (n, R).

    The bases meet online as small matrices.
    hull : V, orthonormal in X, without offset; rotations : W_k (R, r_k), W_k^H W_k = I
    labels : (m,) cluster of each training sample
    centres : (R, K) hull coordinates of the central sample of each cluster, of norm one
    errors : (m, K) relative projection error of training sample i on basis k, its own held out
        where it is a member, or None
    classifier : mu (m, p) -> probabilities (m, K), or None; inputs may be reduced features of a
        field instead of mu
    Raises BadInput where shapes disagree, the hull has an offset or a label is out of range.
    """

    hull: Basis
    rotations: tuple[np.ndarray, ...]
    labels: np.ndarray
    centres: np.ndarray
    errors: np.ndarray | None = None
    classifier: Any = None

    def __post_init__(self) -> None:
        check_members(self, hull=Basis, rotations=each(COLUMNS), labels=integers, centres=COLUMNS)
        object.__setattr__(self, "rotations", tuple(self.rotations))
        K, R = len(self.rotations), self.hull.r
        shapes = [np.shape(W) for W in self.rotations]
        if K == 0 or any(len(shape) != 2 or shape[0] != R for shape in shapes):
            raise BadInput(f"rotations have shapes {shapes}; the hull needs ({R}, r_k)")
        if np.ndim(self.hull.offset) > 0 or np.shape(self.centres) != (R, K):
            raise BadInput(
                f"the hull takes no offset, and centres have shape {np.shape(self.centres)}, "
                f"not ({R}, {K})"
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
        """T_jk = V_j^H X V_k (r_j, r_k): coefficients on basis k -> on basis j."""
        return np.asarray(self.rotations[j].conj().T @ self.rotations[k])

    def projection_errors(self, u: np.ndarray) -> np.ndarray:
        """|u - V_k V_k^H X u|_X / |u|_X on every cluster, (m, K) for u (n, m)."""
        space = self.hull.space
        c = self.hull.coefficients(u)
        outside = np.square(space.norm(u - self.hull.lift(c)))
        inside = []
        for W in self.rotations:
            rest = c - W @ (W.conj().T @ c)
            inside.append(np.sum(np.abs(rest) ** 2, axis=0))
        squares = outside[:, None] + np.stack(inside, axis=1)
        return np.asarray(np.sqrt(squares) / space.norm(u)[:, None])

    def nearest(self, c: np.ndarray) -> np.ndarray:
        """argmin_k |c - W_k W_k^H c|, the basis that misses c least (m,).

        c : hull coordinates (R, m)
        """
        inside = [np.sum(np.abs(W.conj().T @ c) ** 2, axis=0) for W in self.rotations]
        return np.asarray(np.argmax(inside, axis=0))


def spectral_tail(s: np.ndarray) -> np.ndarray:
    """t_r = sum_{i > r} s_i^2, r = 0..len(s): the energy that r modes leave out."""
    squares = s[::-1] ** 2
    sums = np.cumsum(squares)[::-1]
    return np.append(sums, 0.0)


def gram_schmidt(
    space: Space, U: np.ndarray, against: np.ndarray | None = None, *, block: int = 32
) -> tuple[np.ndarray, np.ndarray]:
    """U = [against, Q] T by block Gram-Schmidt in X, with re-orthogonalisation.

    against : (n, k) X-orthonormal columns that come first, none by default
    Returns Q (n, l), X-orthogonal to them, and T (k + l, m). Directions below round-off are
    dropped. Reference: Buhr et al. (2014).
    """
    with np.errstate(over="ignore", invalid="ignore"):
        sizes = space.norm(U)
    if not ((sizes > FEEBLE) & (sizes < 1 / FEEBLE)).all():
        return _scaled_gram_schmidt(space, U, against, block)
    m = U.shape[1]
    first = 0 if against is None else against.shape[1]
    dtype = U.dtype if against is None else np.result_type(against, U)
    V = np.empty((space.n, first + m), dtype=dtype, order="F")
    T = np.zeros((first + m, m), dtype=dtype)
    if against is not None:
        V[:, :first] = against
    k = first
    for start in range(0, m, block):
        columns = slice(start, start + block)
        W = U[:, columns].astype(dtype)
        for _ in range(2):
            C = space.inner(V[:, :k], W)
            W = W - V[:, :k] @ C
            T[:k, columns] += C
        before_block = k
        for j, w in enumerate(W.T, start):
            w, size = _orthogonalise(space, V[:, :k], w, T[:, j], before_block)
            if size > ROUND_OFF * sizes[j] and size > 0:
                T[k, j] = size
                V[:, k] = w / size
                k += 1
    return V[:, first:k], T[:k]


def _scaled_gram_schmidt(
    space: Space, U: np.ndarray, against: np.ndarray | None, block: int
) -> tuple[np.ndarray, np.ndarray]:
    """The same where squares of columns would overflow: each to size one before."""
    unit = powers_of_two(space, U)
    V = U / unit
    sizes = space.norm(V)
    zero = sizes <= FEEBLE
    Q, T = gram_schmidt(space, V[:, ~zero], against, block=block)
    whole = np.zeros((len(T), U.shape[1]), dtype=T.dtype)
    whole[:, ~zero] = T * unit[~zero]
    return Q, whole


def powers_of_two(space: Space, U: np.ndarray) -> np.ndarray:
    """About the largest entry of each column, (k,): to divide by it loses no digit."""
    largest = space.sum(np.abs(U).max(axis=0, initial=0.0).astype(float))
    exponents = np.frexp(np.where(largest > 0, largest, 1.0))[1]
    return np.asarray(np.ldexp(1.0, np.clip(exponents, -1021, 1021)))


def _orthogonalise(
    space: Space, V: np.ndarray, w: np.ndarray, t: np.ndarray, start: int
) -> tuple[np.ndarray, float]:
    """w less its part in V, and its norm; the part is added to t.

    w is orthogonal already to the first `start` columns; where it shrinks much, all columns are
    taken again.
    """
    size = space.norm(w)
    for _ in range(MAX_SWEEPS):
        c = space.inner(V[:, start:], w[:, None])[:, 0]
        w = w - V[:, start:] @ c
        t[start : V.shape[1]] += c
        before, size, start = size, space.norm(w), 0
        if size > 0.5 * before:
            break
    return w, size
