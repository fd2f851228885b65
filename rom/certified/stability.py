"""Lower bounds of coercivity constants: min-theta, successive constraints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh, splu

from rom.affine import Affine
from rom.arrays import POINTS, array_of, check_members, first_bad, function, gate, real
from rom.errors import BadInput, NotConverged
from rom.space import Space

SYMMETRY = 1e-10  # of the largest entry: asymmetry that counts as round-off
EIGENVALUE_TOL = 1e-10


@dataclass(frozen=True, eq=False)
class MinTheta:
    """alpha(mu) >= constant min_q theta_q(mu) / theta_q(mu_ref).

    For symmetric A_q >= 0 and theta_q > 0.
    theta : coefficient functions; mu_ref : (p,)
    constant : coercivity constant at mu_ref (1 where X = A(mu_ref))
    Raises BadInput where a theta_q is not positive: then use the successive constraint method.
    """

    theta: Callable[[np.ndarray], np.ndarray]
    mu_ref: np.ndarray
    constant: float = 1.0

    def __post_init__(self) -> None:
        check_members(self, theta=function, mu_ref=array_of("()", "(p,)"))

    @cached_property
    def _reference(self) -> np.ndarray:
        return self.theta(np.asarray(self.mu_ref, dtype=float))

    def __call__(self, mu: np.ndarray) -> np.ndarray:
        mu = real(mu, "mu")
        if mu.ndim not in (1, 2):
            raise BadInput(f"mu has shape {mu.shape}; give (p,) or (m, p)")
        if not np.isfinite(mu).all():
            raise BadInput(
                f"mu holds NaN or Inf at {first_bad(mu)}; give finite parameters, or leave that "
                "row out"
            )
        reference, theta = self._reference, self.theta(mu)
        if (reference <= 0).any() or (theta <= 0).any():
            least = min(theta.min(), reference.min())
            raise BadInput(
                f"min-theta needs positive coefficient functions, theta reaches {least:g}; "
                "use scm(A, space, train) instead"
            )
        alpha: np.ndarray = self.constant * np.min(theta / reference, axis=-1)
        return alpha


@dataclass(frozen=True, eq=False)
class SuccessiveConstraints:
    """alpha(mu) >= min theta(mu) . y, a linear program over y.

    The constraints are low <= y <= high and theta(mu_j) . y >= alpha_j for all j.
    low, high : (Q,) ranges of the Rayleigh quotients of A_q in X
    theta_j : (J, Q); alpha_j : (J,) exact constants
    y_j : (J, Q) quotients at the minimisers: they give the upper bound min_j theta(mu) . y_j
    Reference: Huynh, Rozza, Sen, Patera (2007).
    """

    theta: Callable[[np.ndarray], np.ndarray]
    low: np.ndarray
    high: np.ndarray
    theta_j: np.ndarray
    alpha_j: np.ndarray
    y_j: np.ndarray

    def __call__(self, mu: np.ndarray) -> np.ndarray:
        mu = np.asarray(mu, dtype=float)
        bounds = [self._lower(theta) for theta in np.atleast_2d(self.theta(mu))]
        return np.array(bounds if mu.ndim == 2 else bounds[0])

    def upper(self, mu: np.ndarray) -> np.ndarray:
        """Upper bounds (m,)."""
        theta = np.atleast_2d(self.theta(np.asarray(mu, dtype=float)))
        return np.asarray(np.min(theta @ self.y_j.T, axis=1))

    def _lower(self, theta: np.ndarray) -> float:
        from scipy.optimize import linprog

        box = np.column_stack([self.low, self.high])
        program = linprog(theta, A_ub=-self.theta_j, b_ub=-self.alpha_j, bounds=box, method="highs")
        if not program.success:
            raise NotConverged(
                f"the stability program failed ({program.message}); rebuild with scm() on a finer "
                "training set"
            )
        return float(program.fun)


@gate(A=Affine, space=Space, train=POINTS)
def scm(
    A: Affine, space: Space, train: np.ndarray, *, tol: float = 0.5, max_constraints: int = 50
) -> SuccessiveConstraints:
    """Greedy choice of the mu_j until 1 - alpha_LB / alpha_UB <= tol on train (m, p).

    A : full affine sum with symmetric terms; dofs that no term touches count as fixed and are
        left out. Eigenproblems are solved on gathered matrices.
    Raises BadInput for terms that are not symmetric, NotConverged with the ratio reached where
    `max_constraints` do not suffice.
    """
    X, terms = _free_matrices(A, space)
    for q, term in enumerate(terms):
        _check_symmetry(q, term)
    ranges = np.array([_quotient_range(term, X) for term in terms])
    theta = A.theta(train)
    distance = np.linalg.norm(theta - theta.mean(axis=0), axis=1)
    chosen = [int(np.argmin(distance))]
    alpha: list[float] = []
    quotients: list[list[float]] = []
    while True:
        mu_theta = theta[chosen[-1]]
        operator = sum(c * term for c, term in zip(mu_theta, terms, strict=True))
        value, v = _smallest_eigenpair(operator, X)
        alpha.append(value)
        quotients.append([float(v @ (term @ v)) for term in terms])
        bound = SuccessiveConstraints(
            theta=A.theta,
            low=ranges[:, 0],
            high=ranges[:, 1],
            theta_j=theta[chosen],
            alpha_j=np.array(alpha),
            y_j=np.array(quotients),
        )
        gap = 1.0 - bound(train) / bound.upper(train)
        worst = int(np.argmax(gap))
        if gap[worst] <= tol:
            return bound
        if len(chosen) >= max_constraints or worst in chosen:
            raise NotConverged(
                f"1 - LB/UB = {gap[worst]:.2e} > {tol:g} with {len(chosen)} constraints; "
                "allow more of them"
            )
        chosen.append(worst)


def _free_matrices(A: Affine, space: Space) -> tuple[Any, list[Any]]:
    """X and the terms, assembled, at the dofs that some term touches."""
    terms = [space.matrix(term).tocsc() for term in A.terms]
    touched = sum(abs(term).sum(axis=0) for term in terms)
    free = np.flatnonzero(touched)
    share = space.product if sp.issparse(space.product) else sp.diags_array(space.product)
    X = space.matrix(share).tocsc()
    return X[free][:, free], [term[free][:, free] for term in terms]


def _check_symmetry(q: int, term: Any) -> None:
    if abs(term - term.T).max() > SYMMETRY * abs(term).max():
        raise BadInput(
            f"term {q} of the operator is not symmetric; give its symmetric part, whose quotients "
            "bound coercivity"
        )


def _quotient_range(term: Any, X: Any) -> tuple[float, float]:
    """[min, max] of v^T A_q v / v^T X v, widened by the eigenvalue residuals."""
    return -_largest_eigenvalue(-term, X), _largest_eigenvalue(term, X)


def _largest_eigenvalue(A: Any, X: Any) -> float:
    """The largest eigenvalue of A v = lambda X v, plus its residual."""
    if A.nnz == 0:
        return 0.0
    solve = splu(X).solve
    inverse = LinearOperator(X.shape, solve)
    start = np.ones(X.shape[0])
    try:
        value, v = eigsh(A, 1, M=X, Minv=inverse, which="LA", v0=start, tol=EIGENVALUE_TOL)
    except ArpackNoConvergence as error:
        raise NotConverged(
            f"extreme eigenvalue of a term not found: {error}; scale the terms alike"
        ) from error
    residual = A @ v[:, 0] - value[0] * (X @ v[:, 0])
    return float(value[0] + _dual_norm(residual, solve))


def _smallest_eigenpair(A: Any, X: Any) -> tuple[float, np.ndarray]:
    """The smallest eigenvalue of A v = lambda X v less its residual, and v.

    v^T X v = 1.
    """
    value, vectors = eigsh(A.tocsc(), 1, M=X, sigma=0.0, which="LM", v0=np.ones(X.shape[0]))
    v = vectors[:, 0]
    v = v / np.sqrt(v @ (X @ v))
    residual = A @ v - value[0] * (X @ v)
    return float(value[0] - _dual_norm(residual, splu(X).solve)), v


def _dual_norm(residual: np.ndarray, solve: Callable[[np.ndarray], np.ndarray]) -> float:
    """(r^T X^{-1} r)^{1/2}."""
    return float(np.sqrt(max(residual @ solve(residual), 0.0)))
