"""Lower bounds of coercivity constants: min-theta, successive constraints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from rom.affine import Affine, theta_rows
from rom.arrays import POINTS, array_of, check_members, function, gate
from rom.certified.eigenvalues import eigenvalue_range, smallest_eigenpair
from rom.errors import BadInput, NotConverged
from rom.parameters import parameter_rows
from rom.space import Space

SYMMETRY = 1e-10  # of the largest entry: asymmetry that counts as round-off
LP_ROUND_OFF = 1e-13  # of the terms of a dual bound


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
        reference, theta = self._reference, theta_rows(self.theta, mu)
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
        bounds = [self._lower(theta) for theta in np.atleast_2d(theta_rows(self.theta, mu))]
        return np.array(bounds if mu.ndim == 2 else bounds[0])

    def upper(self, mu: np.ndarray) -> np.ndarray:
        """Upper bounds (m,)."""
        theta = np.atleast_2d(theta_rows(self.theta, mu))
        return np.asarray(np.min(theta @ self.y_j.T, axis=1))

    def _lower(self, theta: np.ndarray) -> float:
        """The dual value of the multipliers: a bound whatever the program's tolerance.

        min theta . y >= lambda . alpha + sum_q min over [low_q, high_q] of (theta - lambda
        theta_j)_q y_q for any lambda >= 0. Reference: Neumaier and Shcherbina (2004).
        """
        from scipy.optimize import linprog

        box = np.column_stack([self.low, self.high])
        program = linprog(theta, A_ub=-self.theta_j, b_ub=-self.alpha_j, bounds=box, method="highs")
        if not program.success:
            raise NotConverged(
                f"the stability program failed ({program.message}); rebuild with scm() on a finer "
                "training set"
            )
        multipliers = np.maximum(-program.ineqlin.marginals, 0.0)
        rest = theta - multipliers @ self.theta_j
        parts = np.append(multipliers * self.alpha_j, np.minimum(rest * self.low, rest * self.high))
        size = np.abs(theta) @ np.maximum(np.abs(self.low), np.abs(self.high))
        return float(parts.sum() - LP_ROUND_OFF * (np.abs(parts).sum() + size))


@gate(A=Affine, space=Space, train=POINTS)
def scm(
    A: Affine, space: Space, train: np.ndarray, *, tol: float = 0.5, max_constraints: int = 50
) -> SuccessiveConstraints:
    """Greedy choice of the mu_j until 1 - alpha_LB / alpha_UB <= tol on train (m, p).

    A : full affine sum with symmetric terms; dofs that no term touches count as fixed and are
        left out. Eigenproblems are solved on gathered matrices.
    The alpha_j are smallest eigenvalues, proved by inertia, and positive.
    Raises BadInput for terms that are not symmetric, a tol outside (0, 1), or naming a mu where
    the operator is not coercive; NotConverged with the ratio reached where `max_constraints` do
    not suffice.
    """
    if not 0.0 < tol < 1.0:
        raise BadInput(f"tol = {tol} must lie in (0, 1): at 1 a lower bound need not be positive")
    train = parameter_rows(train)
    X, terms = _free_matrices(A, space)
    for q, term in enumerate(terms):
        _check_symmetry(q, term)
    ranges = np.array([eigenvalue_range(term, X) for term in terms])
    theta = theta_rows(A.theta, train)
    distance = np.linalg.norm(theta - theta.mean(axis=0), axis=1)
    chosen = [int(np.argmin(distance))]
    alpha: list[float] = []
    quotients: list[list[float]] = []
    while True:
        mu_theta = theta[chosen[-1]]
        operator = sum(c * term for c, term in zip(mu_theta, terms, strict=True))
        value, v = smallest_eigenpair(operator, X, _span(mu_theta, ranges))
        _check_coercive(train[chosen[-1]], value)
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
        upper = bound.upper(train)
        lowest = int(np.argmin(upper))
        _check_coercive(train[lowest], float(upper[lowest]))
        gap = 1.0 - bound(train) / upper
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


def _span(theta: np.ndarray, ranges: np.ndarray) -> tuple[float, float]:
    """[low, high] that holds the quotients of sum_q theta_q A_q."""
    ends = theta[:, None] * ranges
    return float(ends.min(axis=1).sum()), float(ends.max(axis=1).sum())


def _check_coercive(mu: np.ndarray, value: float) -> None:
    """Raises BadInput where a smallest eigenvalue is not positive."""
    if not value > 0:
        raise BadInput(
            f"the operator is not coercive at mu = {mu}: its smallest quotient there is {value:.3g}"
            "; keep to a smaller box, or use inf_sup"
        )


def _check_symmetry(q: int, term: Any) -> None:
    if abs(term - term.T).max() > SYMMETRY * abs(term).max():
        raise BadInput(
            f"term {q} of the operator is not symmetric; give its symmetric part, whose quotients "
            "bound coercivity"
        )
