"""Residual norms that survive round-off, and the error bounds made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rom.affine import Affine
from rom.arrays import function, gate
from rom.basis import Basis, gram_schmidt
from rom.errors import BadInput

EPS = float(np.finfo(float).eps)
GUARD = 4 * EPS  # of images orthonormalised in double precision
EXTENDED_GUARD = EPS  # of images orthonormalised in extended precision


@dataclass(frozen=True, eq=False)
class ResidualBound:
    """|u - u_r|_X <= |r(mu)|_{X'} / alpha(mu), with |r|_{X'} = |T y|.

    y = [theta_f; -theta_A (x) (1, a); -da/dt]: coordinates of the residual in its images, whose
    Riesz representers are Q T with Q X-orthonormal. No square of a small number is formed, so
    the bound has no floor at sqrt(eps). What round-off can still hide, guard sum_j |T_j| |y_j|,
    is added.

    T : (k, K); theta_A, theta_f : coefficient functions; stability : mu (m, p) -> alpha (m,)
    shift : whether the basis has an offset
    Reference: Buhr, Engwer, Ohlberger, Rave (2014).
    """

    T: np.ndarray
    theta_A: Callable[[np.ndarray], np.ndarray]
    theta_f: Callable[[np.ndarray], np.ndarray]
    stability: Callable[[np.ndarray], np.ndarray]
    shift: bool = False
    guard: float = GUARD

    @cached_property
    def _sizes(self) -> np.ndarray:
        return np.asarray(np.linalg.norm(self.T, axis=0))

    def norm(
        self, mu: np.ndarray, a: np.ndarray, rate: np.ndarray | None = None, load: Any = 1.0
    ) -> np.ndarray:
        """|T y| (m,), without what round-off can hide."""
        y = residual_coordinates(self, mu, a, rate, load)
        return np.asarray(np.linalg.norm(y @ self.T.T, axis=1))

    def residual(
        self, mu: np.ndarray, a: np.ndarray, rate: np.ndarray | None = None, load: Any = 1.0
    ) -> np.ndarray:
        """|r|_{X'} (m,) for mu (m, p) and coefficients a (m, r).

        rate : da/dt (m, r) of an unsteady problem; load : a factor of f
        """
        y = residual_coordinates(self, mu, a, rate, load)
        hidden = self.guard * (np.abs(y) @ self._sizes)
        return np.asarray(np.linalg.norm(y @ self.T.T, axis=1) + hidden)

    def __call__(self, mu: np.ndarray, a: np.ndarray) -> np.ndarray:
        """Bounds (m,) for mu (m, p) and coefficients a (m, r)."""
        return np.asarray(self.residual(mu, a) / self.stability(mu))


def residual_coordinates(
    form: Any, mu: np.ndarray, a: np.ndarray, rate: np.ndarray | None = None, load: Any = 1.0
) -> np.ndarray:
    """y(mu) (m, K) with r = R y, R = [f_q, A_q (offset, V), M V].

    form : offers theta_A, theta_f and shift
    """
    m = len(a)
    extended = np.concatenate([np.ones((m, 1)), a], axis=1) if form.shift else a
    count = len(form.theta_f(mu[0]))
    loads = np.broadcast_to(form.theta_f(mu) * load, (m, count))
    operators = form.theta_A(mu)[:, :, None] * extended[:, None, :]
    parts = [loads, -operators.reshape(m, -1)]
    if rate is not None:
        parts.append(-rate)
    return np.concatenate(parts, axis=1)


def has_offset(A: Affine, f: Affine, basis: Basis) -> bool:
    """Whether the basis has an offset.

    Raises BadInput where the terms do not have the rows of its space.
    """
    n = basis.space.n
    if any(np.shape(term)[0] != n for term in (*A.terms, *f.terms)):
        raise BadInput(f"operator and load terms must have the {n} rows of the space")
    return np.ndim(basis.offset) > 0 or bool(basis.offset != 0.0)


def images(
    A: Affine, f: Affine, basis: Basis, M: Any = None, *, dtype: Any = None
) -> tuple[np.ndarray, bool]:
    """R = [f_q, A_q (offset, V), M V] (n, K), and whether there is an offset.

    Raises BadInput where shapes disagree.
    """
    shift = has_offset(A, f, basis)
    V = basis.modes
    if shift:
        offset = np.broadcast_to(basis.offset, basis.space.n)
        V = np.column_stack([offset, V])
    if dtype is not None:
        V = V.astype(dtype)
    columns = [np.column_stack(list(f.terms))]
    columns.extend(term @ V for term in A.terms)
    if M is not None:
        columns.append(M @ V[:, int(shift) :])
    return np.column_stack(columns), shift


@gate(A=Affine, f=Affine, basis=Basis, stability=function)
def residual_bound(
    A: Affine,
    f: Affine,
    basis: Basis,
    stability: Callable[[np.ndarray], np.ndarray],
    M: Any = None,
    *,
    dtype: Any = None,
    T: np.ndarray | None = None,
) -> ResidualBound:
    """The bound of a reduced model of A u = f, or of M du/dt + A u = f.

    stability : mu (m, p) -> lower bounds (m,) of the coercivity (or inf-sup) constant in the
        norm of the basis's space
    dtype : np.longdouble orthonormalises in extended precision, offline: the floor falls from
        some 1e-14 of the load to 1e-16
    T : (k, K) triangular factor of the representers, where it was computed before
    Raises BadInput where shapes disagree.
    """
    shift = has_offset(A, f, basis)
    if T is None:
        R, _ = images(A, f, basis, M, dtype=dtype)
        _, T = gram_schmidt(basis.space, basis.space.represent(R))
    T = T.astype(complex if np.iscomplexobj(T) else float)
    rows = np.any(T != 0, axis=1)
    guard = GUARD if dtype is None else EXTENDED_GUARD
    return ResidualBound(T[rows], A.theta, f.theta, stability, shift, guard)
