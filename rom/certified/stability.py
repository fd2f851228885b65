"""Lower bounds of coercivity constants: min-theta and the successive constraint method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh, splu

from rom.affine import Affine
from rom.errors import BadInput, NotConverged, first_bad, real
from rom.space import Space


@dataclass(frozen=True, eq=False)
class MinTheta:
    """alpha(mu) >= constant min_q theta_q(mu) / theta_q(mu_ref), for symmetric A_q >= 0 and theta_q > 0.

    theta : coefficient functions; mu_ref : (p,); constant : coercivity constant at mu_ref (1 where X = A(mu_ref))
    Raises BadInput where a theta_q is not positive: then use the successive constraint method.
    """

    theta: Callable[[np.ndarray], np.ndarray]
    mu_ref: np.ndarray
    constant: float = 1.0

    @cached_property
    def _reference(self) -> np.ndarray:
        return self.theta(np.asarray(self.mu_ref, dtype=float))

    def __call__(self, mu: np.ndarray) -> np.ndarray:
        mu = real(mu, "mu")
        if mu.ndim == 0:
            raise BadInput(f"mu = {mu} is one number; give (p,) or (m, p)")
        if not np.isfinite(mu).all():
            raise BadInput(
                f"mu holds NaN or Inf at {first_bad(mu)}; give finite parameters, or leave that row out"
            )
        reference, theta = self._reference, self.theta(mu)
        if (reference <= 0).any() or (theta <= 0).any():
            raise BadInput(
                f"min-theta needs positive coefficient functions, theta reaches {min(theta.min(), reference.min()):g}; use scm(A, space, train) instead"
            )
        return self.constant * np.min(theta / reference, axis=-1)


@dataclass(frozen=True, eq=False)
class SuccessiveConstraints:
    """alpha(mu) >= min { theta(mu) . y : low <= y <= high, theta(mu_j) . y >= alpha_j for all j }, a linear program.

    low, high : (Q,) ranges of the Rayleigh quotients of A_q in X; theta_j : (J, Q); alpha_j : (J,) exact constants;
    y_j : (J, Q) quotients at the minimisers, which give the upper bound min_j theta(mu) . y_j
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
        return np.min(np.atleast_2d(self.theta(np.asarray(mu, dtype=float))) @ self.y_j.T, axis=1)

    def _lower(self, theta: np.ndarray) -> float:
        box = np.column_stack([self.low, self.high])
        program = linprog(theta, A_ub=-self.theta_j, b_ub=-self.alpha_j, bounds=box, method="highs")
        if not program.success:
            raise NotConverged(
                f"the stability program failed ({program.message}); rebuild with scm() on a finer training set"
            )
        return float(program.fun)


def scm(
    A: Affine, space: Space, train: np.ndarray, tol: float = 0.5, most: int = 50
) -> SuccessiveConstraints:
    """Greedy choice of the mu_j until 1 - alpha_LB / alpha_UB <= tol over `train` (m, p).

    A : full affine sum with symmetric terms; dofs that no term touches are fixed ones and left out. Eigenproblems are solved on
    gathered matrices.
    Raises BadInput for terms that are not symmetric, NotConverged with the ratio reached when `most` constraints do not suffice.
    """
    terms = [space.matrix(term).tocsc() for term in A.terms]
    free = np.flatnonzero(sum(abs(term).sum(axis=0) for term in terms))
    X, terms = (
        space.matrix(_share(space)).tocsc()[free][:, free],
        [term[free][:, free] for term in terms],
    )
    for q, term in enumerate(terms):
        if abs(term - term.T).max() > 1e-10 * abs(term).max():
            raise BadInput(
                f"term {q} of the operator is not symmetric; give its symmetric part, whose quotients bound coercivity"
            )
    ranges = np.array([_range(term, X) for term in terms])
    theta = A.theta(train)
    chosen, alpha, quotients = (
        [int(np.argmin(np.linalg.norm(theta - theta.mean(axis=0), axis=1)))],
        [],
        [],
    )
    while True:
        mu_theta = theta[chosen[-1]]
        value, v = _smallest(sum(c * t for c, t in zip(mu_theta, terms, strict=True)), X)
        alpha.append(value)
        quotients.append([float(v @ (t @ v)) for t in terms])
        bound = SuccessiveConstraints(
            A.theta, ranges[:, 0], ranges[:, 1], theta[chosen], np.array(alpha), np.array(quotients)
        )
        gap = 1.0 - bound(train) / bound.upper(train)
        worst = int(np.argmax(gap))
        if gap[worst] <= tol:
            return bound
        if len(chosen) >= most or worst in chosen:
            raise NotConverged(
                f"1 - LB/UB = {gap[worst]:.2e} > {tol:g} with {len(chosen)} constraints; allow more of them"
            )
        chosen.append(worst)


def _share(space: Space) -> Any:
    return space.product if sp.issparse(space.product) else sp.diags_array(space.product)


def _range(term: Any, X: Any) -> tuple[float, float]:
    """[min, max] of v^T A_q v / v^T X v, widened by the eigenvalue residuals."""
    return -_extreme(-term, X), _extreme(term, X)


def _extreme(A: Any, X: Any) -> float:
    """The largest eigenvalue of A v = lambda X v, plus its residual."""
    solve = splu(X).solve
    if A.nnz == 0:
        return 0.0
    try:
        value, v = eigsh(
            A,
            1,
            M=X,
            Minv=LinearOperator(X.shape, solve),
            which="LA",
            v0=np.ones(X.shape[0]),
            tol=1e-10,
        )
    except ArpackNoConvergence as error:
        raise NotConverged(
            f"extreme eigenvalue of a term not found: {error}; scale the terms alike"
        ) from error
    residual = A @ v[:, 0] - value[0] * (X @ v[:, 0])
    return float(value[0] + np.sqrt(max(residual @ solve(residual), 0.0)))


def _smallest(A: Any, X: Any) -> tuple[float, np.ndarray]:
    """The smallest eigenvalue of A v = lambda X v less its residual, and v with v^T X v = 1."""
    value, v = eigsh(A.tocsc(), 1, M=X, sigma=0.0, which="LM", v0=np.ones(X.shape[0]))
    v = v[:, 0] / np.sqrt(v[:, 0] @ (X @ v[:, 0]))
    residual = A @ v - value[0] * (X @ v)
    return float(value[0] - np.sqrt(max(residual @ splu(X).solve(residual), 0.0))), v
