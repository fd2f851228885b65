"""The other evaluations of a residual's dual norm, behind the interface of ResidualBound: to compare with, and to know their floors.

    E1  assemble the residual, represent it, take its norm          accurate; costs O(n) online
    E2  y^H G y with G = R^H X^{-1} R                                a cancelling sum: floor sqrt(eps) |f|
    E3  sum_i lambda_i E1(mu_i)^2, sum_i lambda_i X(mu_i) = X(mu)    X = all products y_i conj(y_j), random mu_i
    E4  the same with mu_i and rows of X chosen by EIM               floor sqrt(eps) max_i E1(mu_i)

The default, ResidualBound, orthonormalises the images and squares nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import lu_factor, solve_triangular

from rom.affine import Affine
from rom.basis import Basis
from rom.certified.residual import ResidualBound, images, residual_bound, residual_coordinates
from rom.errors import BadInput

Theta = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class FullResidual:
    """E1: |X^{-1} (f(mu) - A(mu) u_r)|_X from the full A and f. Reference: Casenave, Ern, Lelievre (2014)."""

    A: Affine
    f: Affine
    basis: Basis
    stability: Theta

    def residual(self, mu: np.ndarray, a: np.ndarray) -> np.ndarray:
        """|r|_{X'} for mu (m, p) and coefficients a (m, r)."""
        space = self.basis.space
        r = np.stack(
            [self.f(row) - self.A(row) @ self.basis.lift(c) for row, c in zip(mu, a, strict=True)],
            axis=1,
        )
        return np.atleast_1d(space.norm(space.represent(r)))

    def __call__(self, mu: np.ndarray, a: np.ndarray) -> np.ndarray:
        """Bounds (m,)."""
        return self.residual(mu, a) / self.stability(mu)


@dataclass(frozen=True, eq=False)
class GramResidual:
    """E2: (y^H G y)^{1/2}, G = R^H X^{-1} R (K, K); squares below zero, which round-off makes, count as zero."""

    G: np.ndarray
    theta_A: Theta
    theta_f: Theta
    stability: Theta
    shift: bool = False

    def residual(self, mu: np.ndarray, a: np.ndarray) -> np.ndarray:
        """|r|_{X'} for mu (m, p) and coefficients a (m, r)."""
        y = residual_coordinates(self, mu, a)
        return np.sqrt(np.maximum(np.sum(y.conj() * (y @ self.G.T), axis=1).real, 0.0))

    def __call__(self, mu: np.ndarray, a: np.ndarray) -> np.ndarray:
        """Bounds (m,)."""
        return self.residual(mu, a) / self.stability(mu)


@dataclass(frozen=True, eq=False)
class SampledResidual:
    """E3 and E4: (sum_i lambda_i V_i)^{1/2}, V_i = E1(mu_i)^2, X_k(mu_i) lambda = X_k(mu) at the rows k chosen.

    rows : (d,) of the products X; lower, upper, order : factors of X_k(mu_i), rows in this order; squares : V (d,)
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
        """|r|_{X'} for mu (m, p) and coefficients a (m, r)."""
        x = products(residual_coordinates(self, mu, a))[:, self.rows].T
        c = solve_triangular(self.lower, x[self.order], lower=True, unit_diagonal=True)
        return np.sqrt(np.maximum(self.squares @ solve_triangular(self.upper, c), 0.0))

    def __call__(self, mu: np.ndarray, a: np.ndarray) -> np.ndarray:
        """Bounds (m,)."""
        return self.residual(mu, a) / self.stability(mu)


def products(y: np.ndarray) -> np.ndarray:
    """X = all y_i conj(y_j), i <= j, as real numbers (m, sigma): |R y|^2 is linear in them."""
    i, j = np.triu_indices(y.shape[1])
    x = y[:, i] * y[:, j].conj()
    return np.concatenate([x.real, x.imag[:, i < j]], axis=1) if np.iscomplexobj(y) else x


def bound_by(
    form: str, A: Affine, f: Affine, basis: Basis, stability: Theta, dtype: Any = None
) -> Any:
    """The bound of a reduced model with its residual norm evaluated as "images" (the default elsewhere), "full" (E1) or "gram" (E2)."""
    if form == "images":
        return residual_bound(A, f, basis, stability, dtype=dtype)
    if form == "full":
        return FullResidual(A, f, basis, stability)
    if form != "gram":
        raise BadInput(
            f"no evaluation {form!r}; choose images, full or gram, or call sampled() for E3 and E4"
        )
    R, shift = images(A, f, basis)
    return GramResidual(
        basis.space.pair(R, basis.space.represent(R)), A.theta, f.theta, stability, shift
    )


def sampled_residual(
    full: FullResidual, bound: ResidualBound, mu: np.ndarray, a: np.ndarray, rule: Any = None
) -> SampledResidual:
    """E4 where `rule` interpolates (such as eim), E3 without: then there must be as many random mu (m, p) as products.

    a : (m, r) the reduced solutions at mu; rule : sample (sigma, m) -> Interpolation with the columns it picked
    Reference: Casenave, Ern, Lelievre (2014).
    """
    X = products(residual_coordinates(bound, mu, a)).T
    if rule is not None:
        made = rule(X)
        rows, chosen, order, lower = made.dofs, made.picked, np.arange(made.d), made.matrix
        upper = np.triu(
            solve_triangular(lower, X[np.ix_(rows, chosen)], lower=True, unit_diagonal=True)
        )
    elif X.shape[0] != X.shape[1]:
        raise BadInput(
            f"E3 needs {X.shape[0]} parameters, one for each product, not {X.shape[1]}; or give a rule"
        )
    else:
        rows = chosen = np.arange(len(X))
        factors, swaps = lu_factor(X)
        order = lu_order(swaps)
        lower, upper = np.tril(factors, -1) + np.eye(len(X)), np.triu(factors)
    squares = full.residual(mu[chosen], a[chosen]) ** 2
    return SampledResidual(
        rows,
        lower,
        upper,
        order,
        squares,
        bound.theta_A,
        bound.theta_f,
        bound.stability,
        bound.shift,
    )


def lu_order(swaps: np.ndarray) -> np.ndarray:
    """The permutation that LAPACK's successive row swaps make."""
    order = np.arange(len(swaps))
    for i, j in enumerate(swaps):
        order[[i, j]] = order[[j, i]]
    return order
