"""Residual norms that survive round-off, and the error bounds made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rom.affine import Affine, theta_rows, try_batch
from rom.arrays import function, gate
from rom.basis import Basis, gram_schmidt
from rom.certified.rounding import orthonormality_defect, representer_slack, stretch
from rom.errors import BadInput
from rom.prediction import Known

EPS = float(np.finfo(float).eps)
GUARD = 4 * EPS  # of images orthonormalised in double precision
SQUARES = (1e-250, 1e250)  # between them a sum of squares keeps its digits
CHUNK = 2**21  # numbers of residuals of trajectories at a time
EXTENDED_GUARD = EPS  # of images orthonormalised in extended precision


@dataclass(frozen=True, eq=False)
class ResidualBound:
    """|u - u_r|_X <= |r(mu)|_{X'} / alpha(mu), with |r|_{X'} = |T y|.

    y = [theta_f; -theta_A (x) (1, a); -da/dt]: coordinates of the residual in its images, whose
    Riesz representers are Q T with Q X-orthonormal. No square of a small number is formed, so
    the bound has no floor at sqrt(eps). What round-off can still hide,
    sum_j max(guard |T_j|, slack_j) |y_j|, is added.

    T : (k, K); theta_A, theta_f : coefficient functions; stability : mu (m, p) -> alpha (m,)
    shift : whether the basis has an offset
    slack : (K,) measured |R_j - X Q T_j|_{X'}, which grows with the condition of X; None in files
        of version 0.1.0
    Reference: Buhr, Engwer, Ohlberger, Rave (2014).
    """

    T: np.ndarray
    theta_A: Callable[[np.ndarray], np.ndarray]
    theta_f: Callable[[np.ndarray], np.ndarray]
    stability: Callable[[np.ndarray], np.ndarray]
    shift: bool = False
    guard: float = GUARD
    slack: np.ndarray | None = None

    @cached_property
    def sizes(self) -> np.ndarray:
        """|T_j|, (K,): of each image in X'."""
        return row_norms(self.T.T)

    @cached_property
    def hidden(self) -> np.ndarray:
        """What round-off may hide of each image, (K,)."""
        least = self.guard * self.sizes
        return least if self.slack is None else np.maximum(least, self.slack)

    def norm(self, mu: np.ndarray, a: np.ndarray) -> np.ndarray:
        """|T y| (m,), without what round-off can hide."""
        return row_norms(residual_coordinates(self, mu, a) @ self.T.T)

    def residual(self, mu: np.ndarray, a: np.ndarray) -> np.ndarray:
        """|r|_{X'} (m,) for mu (m, p) and coefficients a (m, r)."""
        y = residual_coordinates(self, mu, a)
        return np.asarray(row_norms(y @ self.T.T) + np.abs(y) @ self.hidden)

    def along(
        self, mu: np.ndarray, a: np.ndarray, rates: np.ndarray, loads: np.ndarray
    ) -> np.ndarray:
        """|r|_{X'} (k, m) of k states a (k, m, r) of each mu (m, p), without an offset.

        rates : da/dt, shaped like a; loads (k,) : factors of f
        The columns of T are summed over the terms once for each mu.
        """
        theta_A, theta_f = theta_rows(self.theta_A, mu), theta_rows(self.theta_f, mu)
        y = np.concatenate([a, rates], axis=-1).transpose(1, 2, 0)
        factors = np.broadcast_to(loads, (len(y), 1, len(a)))
        y = np.concatenate([factors, y], axis=1)
        norms = np.empty((len(mu), len(a)))
        count = max(1, CHUNK // (len(self.T) * max(y.shape[1:])))
        for first in range(0, len(mu), count):
            part = slice(first, first + count)
            columns = self._sum_terms(theta_A[part], theta_f[part], self.T)
            hidden = self._sum_terms(abs(theta_A[part]), abs(theta_f[part]), self.hidden[None])
            rows = np.swapaxes(columns @ y[part], 1, 2)
            norms[part] = row_norms(rows) + (np.abs(hidden) @ np.abs(y[part]))[:, 0]
        return norms.T

    def _sum_terms(self, theta_A: np.ndarray, theta_f: np.ndarray, T: np.ndarray) -> np.ndarray:
        """Columns [load, -state, -rate] of T (k, K), summed with theta, (m, k, 1 + 2 r)."""
        Q_f, Q_A, k = theta_f.shape[1], theta_A.shape[1], len(T)
        r = (T.shape[1] - Q_f) // (Q_A + 1)
        load, state, rate = np.split(T, [Q_f, Q_f + Q_A * r], axis=1)
        by_term = state.reshape(k, Q_A, r).swapaxes(0, 1).reshape(Q_A, k * r)
        columns = np.empty((len(theta_A), k, 1 + 2 * r), np.result_type(T, theta_A, theta_f))
        columns[..., 0] = theta_f @ load.T
        columns[..., 1 : 1 + r] = -(theta_A @ by_term).reshape(-1, k, r)
        columns[..., 1 + r :] = -rate
        return columns

    def __call__(self, mu: np.ndarray, a: np.ndarray) -> np.ndarray:
        """Bounds (m,) for mu (m, p) and coefficients a (m, r)."""
        return divide(self.residual(mu, a), stability_at(self.stability, mu))

    @property
    def known(self) -> Known:
        """Certified where the stability constant is: what is known of it."""
        return known_of(self.stability)


def stability_at(stability: Callable[[np.ndarray], np.ndarray], mu: np.ndarray) -> np.ndarray:
    """The stability constants (m,) at mu (m, p).

    A function that was written for one mu is called row by row.
    """
    if is_dataclass(stability):
        return np.asarray(stability(mu), dtype=float)
    batch = try_batch(stability, mu, (len(mu),))
    first, last = (try_batch(stability, row, (1,)) for row in (mu[:1], mu[-1:]))
    if batch is not None and first is not None and last is not None:
        rows = np.allclose(batch[[0, -1]], [first[0], last[0]], rtol=1e-10, atol=0.0)
        if rows:
            return batch
    return np.array([float(np.squeeze(stability(row))) for row in mu])


def divide(residual: np.ndarray, stability: np.ndarray) -> np.ndarray:
    """residual / stability, infinite where the constant is not positive."""
    bound = np.full(np.shape(residual), np.inf)
    return np.asarray(np.divide(residual, stability, out=bound, where=stability > 0))


def known_of(source: Any) -> Known:
    """What is known by a bound or a stability constant: certified by default."""
    return Known(getattr(source, "known", Known.CERTIFIED))


def residual_coordinates(form: Any, mu: np.ndarray, a: np.ndarray) -> np.ndarray:
    """y(mu) (m, K) with r = R y, R = [f_q, A_q (offset, V)].

    form : offers theta_A, theta_f and shift
    """
    m = len(a)
    extended = np.concatenate([np.ones((m, 1)), a], axis=1) if form.shift else a
    theta_f = theta_rows(form.theta_f, mu)
    operators = theta_rows(form.theta_A, mu)[:, :, None] * extended[:, None, :]
    return np.concatenate([theta_f, -operators.reshape(m, -1)], axis=1)


def has_offset(A: Affine, f: Affine, basis: Basis) -> bool:
    """Whether the basis has an offset.

    Raises BadInput where the terms do not have the rows of its space.
    """
    n = basis.space.n
    if any(np.shape(term)[0] != n for term in (*A.terms, *f.terms)):
        raise BadInput(f"operator and load terms must have the {n} rows of the space")
    return is_shifted(basis)


def is_shifted(basis: Basis) -> bool:
    """Whether a basis has an offset that is not zero."""
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
        V = V.astype(np.result_type(V, dtype))
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
    slack: np.ndarray | None = None,
) -> ResidualBound:
    """The bound of a reduced model of A u = f, or of M du/dt + A u = f.

    stability : mu (m, p) -> lower bounds (m,) of the coercivity (or inf-sup) constant in the
        norm of the basis's space
    dtype : np.longdouble orthonormalises in extended precision, offline: the floor falls from
        some 1e-14 of the load to 1e-16
    T : (k, K) triangular factor of the representers, where it was computed before, and its slack
    Raises BadInput where shapes disagree, Singular where the condition of X leaves no digit.
    """
    shift = has_offset(A, f, basis)
    if T is None:
        T, slack = _factor(A, f, basis, M, dtype)
    T = T.astype(complex if np.iscomplexobj(T) else float)
    rows = np.any(T != 0, axis=1)
    guard = GUARD if dtype is None else EXTENDED_GUARD
    return ResidualBound(T[rows], A.theta, f.theta, stability, shift, guard, slack)


def _factor(
    A: Affine, f: Affine, basis: Basis, M: Any, dtype: Any
) -> tuple[np.ndarray, np.ndarray]:
    """T of the representers, and its slack."""
    space = basis.space
    R, _ = images(A, f, basis, M, dtype=dtype)
    S = space.represent(R)
    Q, T = gram_schmidt(space, S)
    exact = R if A.is_applied else images(A, f, basis, M, dtype=np.longdouble)[0]
    slack = representer_slack(space, exact, S, Q, T)
    return T * stretch(orthonormality_defect(space, Q[:, :0], Q)), slack


def row_norms(rows: np.ndarray) -> np.ndarray:
    """|row| of each row (..., k), also where its squares vanish or overflow."""
    with np.errstate(over="ignore", under="ignore"):
        squares = np.einsum("...k,...k->...", rows, rows.conj()).real
    norms = np.asarray(np.sqrt(squares))
    rare = ~((squares > SQUARES[0]) & (squares < SQUARES[1]))
    if rare.any():
        some = np.atleast_2d(rows[rare])
        largest = np.abs(some).max(axis=-1, initial=0.0)
        usual = (largest > 0) & (largest < np.inf)
        exponents = np.clip(np.frexp(np.where(usual, largest, 1.0))[1], -1021, 1021)
        unit = np.ldexp(1.0, exponents)
        norms[rare] = np.linalg.norm(some / unit[:, None], axis=-1) * unit
    return norms
