"""Other evaluations of a residual's dual norm, to compare with ResidualBound.

    E1  assemble the residual, represent it, take its norm     accurate; costs O(n) online
    E2  y^H G y with G = R^H X^{-1} R                          a cancelling sum: floor sqrt(eps) |f|
    E3  sum_i lambda_i E1(mu_i)^2, sum_i lambda_i X(mu_i) = X(mu)
                                        X = all products y_i conj(y_j), random mu_i
    E4  the same with mu_i and rows of X chosen by EIM         floor sqrt(eps) max_i E1(mu_i)

The default, ResidualBound, orthonormalises the images and squares nothing.

Reference: Casenave, Ern, Lelievre (2014).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import lu_factor, solve_triangular

from rom.affine import Affine
from rom.arrays import COLUMNS, POINTS, check_lengths, function, gate
from rom.basis import Basis
from rom.certified.residual import (
    ResidualBound,
    divide,
    images,
    residual_bound,
    residual_coordinates,
    stability_at,
)
from rom.errors import BadInput

Theta = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class FullResidual:
    """E1: |X^{-1} (f(mu) - A(mu) u_r)|_X from the full A and f."""

    A: Affine
    f: Affine
    basis: Basis
    stability: Theta

    def residual(self, mu: np.ndarray, a: np.ndarray) -> np.ndarray:
        """|r|_{X'} (m,) for mu (m, p) and coefficients a (m, r)."""
        columns = []
        for row, c in zip(mu, a, strict=True):
            columns.append(self.f(row) - self.A(row) @ self.basis.lift(c))
        space = self.basis.space
        representers = space.represent(np.stack(columns, axis=1))
        return np.atleast_1d(space.norm(representers))

    def __call__(self, mu: np.ndarray, a: np.ndarray) -> np.ndarray:
        """Bounds (m,)."""
        return divide(self.residual(mu, a), stability_at(self.stability, mu))


@dataclass(frozen=True, eq=False)
class GramResidual:
    """E2: (y^H G y)^{1/2} with G = R^H X^{-1} R (K, K).

    Squares below zero, which round-off makes, count as zero.
    """

    G: np.ndarray
    theta_A: Theta
    theta_f: Theta
    stability: Theta
    shift: bool = False

    def residual(self, mu: np.ndarray, a: np.ndarray) -> np.ndarray:
        """|r|_{X'} (m,) for mu (m, p) and coefficients a (m, r)."""
        y = residual_coordinates(self, mu, a)
        square = np.sum(y.conj() * (y @ self.G.T), axis=1).real
        return np.asarray(np.sqrt(np.maximum(square, 0.0)))

    def __call__(self, mu: np.ndarray, a: np.ndarray) -> np.ndarray:
        """Bounds (m,)."""
        return divide(self.residual(mu, a), stability_at(self.stability, mu))


@dataclass(frozen=True, eq=False)
class SampledResidual:
    """E3, E4: (sum_i lambda_i V_i)^{1/2}, V_i = E1(mu_i)^2.

    X_k(mu_i) lambda = X_k(mu) at the rows k chosen.
    rows : (d,) of the products X; squares : V (d,)
    lower, upper, order : factors of X_k(mu_i), rows in this order
    """

    rows: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    order: np.ndarray
    squares: np.ndarray
    theta_A: Theta
    theta_f: Theta
    stability: Theta
    shift: bool = False

    def residual(self, mu: np.ndarray, a: np.ndarray) -> np.ndarray:
        """|r|_{X'} (m,) for mu (m, p) and coefficients a (m, r)."""
        y = residual_coordinates(self, mu, a)
        x = coordinate_products(y)[:, self.rows].T
        c = solve_triangular(self.lower, x[self.order], lower=True, unit_diagonal=True)
        square = self.squares @ solve_triangular(self.upper, c)
        return np.asarray(np.sqrt(np.maximum(square, 0.0)))

    def __call__(self, mu: np.ndarray, a: np.ndarray) -> np.ndarray:
        """Bounds (m,)."""
        return divide(self.residual(mu, a), stability_at(self.stability, mu))


def coordinate_products(y: np.ndarray) -> np.ndarray:
    """X = all y_i conj(y_j), i <= j, as real numbers (m, sigma).

    |R y|^2 is linear in them.
    """
    i, j = np.triu_indices(y.shape[1])
    x: np.ndarray = y[:, i] * y[:, j].conj()
    if not np.iscomplexobj(y):
        return x
    return np.concatenate([x.real, x.imag[:, i < j]], axis=1)


@gate(A=Affine, f=Affine, basis=Basis, stability=function)
def bound_by(
    A: Affine, f: Affine, basis: Basis, stability: Theta, *, form: str, dtype: Any = None
) -> Any:
    """The bound of a reduced model whose residual norm is evaluated by `form`.

    form : "images" (ResidualBound), "full" (E1) or "gram" (E2)
    Raises BadInput for another form.
    """
    if form == "images":
        return residual_bound(A, f, basis, stability, dtype=dtype)
    if form == "full":
        return FullResidual(A, f, basis, stability)
    if form != "gram":
        raise BadInput(
            f"no evaluation {form!r}; choose images, full or gram, or call sampled_residual for "
            "E3 and E4"
        )
    R, shift = images(A, f, basis)
    G = basis.space.pair(R, basis.space.represent(R))
    return GramResidual(G, A.theta, f.theta, stability, shift)


@gate(full=FullResidual, bound=ResidualBound, mu=POINTS, a=COLUMNS)
def sampled_residual(
    full: FullResidual, bound: ResidualBound, mu: np.ndarray, a: np.ndarray, *, rule: Any = None
) -> SampledResidual:
    """E4 where `rule` interpolates (such as eim), E3 without.

    a : (m, r) reduced solutions at mu (m, p)
    rule : sample (sigma, m) -> Interpolation with the columns it picked
    Raises BadInput where E3 has not as many random mu as products.
    """
    check_lengths("parameter", mu=mu, a=a)
    if a.shape[1] != full.basis.r:
        raise BadInput(f"a has shape {a.shape}; give (m, {full.basis.r}) coefficients")
    X = coordinate_products(residual_coordinates(bound, mu, a)).T
    if rule is not None:
        factors = _interpolate(rule, X)
    elif X.shape[0] == X.shape[1]:
        factors = _factorise(X)
    else:
        raise BadInput(
            f"E3 needs {X.shape[0]} parameters, one for each product, not {X.shape[1]}; "
            "or give a rule"
        )
    rows, columns, order, lower, upper = factors
    return SampledResidual(
        rows=rows,
        lower=lower,
        upper=upper,
        order=order,
        squares=full.residual(mu[columns], a[columns]) ** 2,
        theta_A=bound.theta_A,
        theta_f=bound.theta_f,
        stability=bound.stability,
        shift=bound.shift,
    )


def _interpolate(rule: Any, X: np.ndarray) -> tuple[np.ndarray, ...]:
    """Rows, columns, order and triangular factors of the part of X that a rule picks."""
    interpolation = rule(X)
    rows, columns = interpolation.dofs, interpolation.picked
    lower = interpolation.matrix
    part = X[np.ix_(rows, columns)]
    upper = np.triu(solve_triangular(lower, part, lower=True, unit_diagonal=True))
    return rows, columns, np.arange(interpolation.d), lower, upper


def _factorise(X: np.ndarray) -> tuple[np.ndarray, ...]:
    """The same for all rows and columns of a square X."""
    every = np.arange(len(X))
    factors, swaps = lu_factor(X)
    lower = np.tril(factors, -1) + np.eye(len(X))
    return every, every, _row_order(swaps), lower, np.triu(factors)


def _row_order(swaps: np.ndarray) -> np.ndarray:
    """The permutation that LAPACK's successive row swaps make."""
    order = np.arange(len(swaps))
    for i, j in enumerate(swaps):
        order[[i, j]] = order[[j, i]]
    return order
