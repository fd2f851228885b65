"""Parameter-separable sums."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from rom.arrays import (
    NUMBER,
    array_of,
    check_members,
    check_size,
    each,
    first_bad,
    function,
    number_array,
    real,
)
from rom.basis import Basis
from rom.brief import brief, brief_html
from rom.errors import BadInput
from rom.host import Applied, AppliedSum

LARGEST_TERM = 1e250  # so that theta times it is a number


@dataclass(frozen=True, eq=False)
class Monomials:
    """theta_q(mu) = c_q prod_j mu_j^{p_qj}: coefficients (Q,), powers (Q, p)."""

    coefficients: np.ndarray
    powers: np.ndarray

    def __post_init__(self) -> None:
        c, p = real(self.coefficients, "coefficients"), real(self.powers, "powers")
        if c.ndim != 1 or p.ndim != 2 or p.shape[0] != c.size:
            raise BadInput(
                f"coefficients have shape {c.shape}, powers {p.shape}; give (Q,) and (Q, p)"
            )
        for name, array in (("coefficients", c), ("powers", p)):
            check_size(array, name)
        if np.abs(p).max(initial=0.0) > 100:
            raise BadInput(f"powers reach {np.abs(p).max():g}; give powers of size 100 at most")
        object.__setattr__(self, "coefficients", c)
        object.__setattr__(self, "powers", p)

    @cached_property
    def _factors(self) -> list[tuple[int, Any, Any]]:
        """(parameter, terms it enters, its exponents there)."""
        used = [(j, np.flatnonzero(column)) for j, column in enumerate(self.powers.T)]
        return [(j, terms, self.powers[terms, j]) for j, terms in used if terms.size]

    @cached_property
    def _single(self) -> np.ndarray | None:
        """(Q,) the one parameter of each term; None unless all terms are linear in one."""
        ones = np.all((self.powers == 0.0) | (self.powers == 1.0))
        if not ones or not np.all(self.powers.sum(axis=1) == 1.0):
            return None
        return np.asarray(np.argmax(self.powers, axis=1))

    def __call__(self, mu: np.ndarray) -> np.ndarray:
        mu = _checked_parameters(mu)
        if mu.shape[-1] != self.powers.shape[1]:
            raise BadInput(
                f"mu has shape {mu.shape}; "
                f"give the {self.powers.shape[1]} parameters of the powers: (p,) or (m, p)"
            )
        if self._single is not None:
            return np.asarray(self.coefficients * mu[..., self._single])
        theta = np.empty((*mu.shape[:-1], self.coefficients.size))
        theta[...] = self.coefficients
        for j, terms, exponents in self._factors:
            theta[..., terms] *= mu[..., j, None] ** exponents
        return theta


@dataclass(frozen=True, eq=False)
class Affine:
    """A(mu) = sum_q theta_q(mu) A_q.

    theta : (p,) -> (Q,) and (m, p) -> (m, Q); Monomials, or a function at module level. One that
        takes (p,) alone is called row by row.
    terms : Q matrices or vectors; this rank's shares in a full problem, an array (Q, r, r) or
        (Q, r) in a reduced one
    """

    __repr__ = brief
    _repr_html_ = brief_html

    theta: Callable[[np.ndarray], np.ndarray]
    terms: Any

    def __post_init__(self) -> None:
        check_members(self, theta=function)
        if not isinstance(self.terms, (list, tuple)):
            check_members(
                self, terms=array_of("(Q,)", "(Q, r)", "(Q, r, r)", kinds=NUMBER, most=LARGEST_TERM)
            )
            return
        check_members(self, terms=each(_check_term))
        object.__setattr__(self, "terms", tuple(self.terms))
        shapes = {term.shape for term in self.terms}
        if len(shapes) > 1:
            raise BadInput(f"terms have shapes {sorted(shapes)}; give terms of one shape")

    def __call__(self, mu: np.ndarray) -> Any:
        """A(mu); for mu (m, p) and reduced terms, all of them stacked (m, ...)."""
        theta = theta_rows(self.theta, mu)
        if theta.shape[-1] != len(self.terms):
            raise BadInput(f"{theta.shape[-1]} coefficients for {len(self.terms)} terms")
        if isinstance(self.terms, np.ndarray):
            return (theta @ self.terms.reshape(len(self.terms), -1)).reshape(
                *theta.shape[:-1], *self.terms.shape[1:]
            )
        if theta.ndim != 1:
            raise BadInput(f"mu has shape {np.shape(mu)}; give full terms one parameter (p,)")
        if self.is_applied:
            return AppliedSum(theta, self.terms)
        return sum(c * term for c, term in zip(theta, self.terms, strict=True))

    @property
    def is_applied(self) -> bool:
        """Whether the terms are known by their products alone."""
        return isinstance(self.terms[0], Applied)

    def project(self, basis: Basis, test: Basis | None = None) -> Affine:
        """W^H A_q V, or W^H f_q: the same sum, reduced."""
        W = (basis if test is None else test).modes
        for q, term in enumerate(self.terms):
            if any(k != basis.space.n for k in term.shape):
                raise BadInput(
                    f"term {q} has shape {term.shape}, the basis {basis.space.n} rows; "
                    "give shares in the space of the basis"
                )
        columns = [
            term @ basis.modes if np.ndim(term) == 2 or hasattr(term, "tocsr") else term
            for term in self.terms
        ]
        return Affine(self.theta, np.stack([basis.space.pair(W, column) for column in columns]))


def _check_term(term: Any, name: str) -> Any:
    """A matrix or vector of finite numbers, dense or sparse, in its own precision.

    Or an operator that is known by its products.
    """
    if hasattr(term, "matvec") or isinstance(term, Applied):
        return term
    if not sp.issparse(term):
        term = number_array(term, name, NUMBER)
    entries = term.data if sp.issparse(term) else term
    if entries.dtype.kind not in NUMBER:
        raise BadInput(f"{name} holds {entries.dtype}; give numbers")
    check_size(entries, name, most=LARGEST_TERM)
    return term


def _checked_parameters(mu: Any) -> np.ndarray:
    """mu (p,) or (m, p) as floats. Raises BadInput for other shapes, NaN and Inf."""
    mu = real(mu, "mu")
    if mu.ndim not in (1, 2):
        raise BadInput(f"mu has shape {mu.shape}; give (p,) or (m, p)")
    if not np.isfinite(mu).all():
        raise BadInput(f"mu holds NaN or Inf at {first_bad(mu)}; give finite parameters")
    return np.asarray(mu)


def theta_rows(theta: Callable[[np.ndarray], np.ndarray], mu: np.ndarray) -> np.ndarray:
    """theta(mu): (Q,) for mu (p,), (m, Q) for (m, p).

    A batch is believed only where its first and last rows are theta of these mu; else, as where
    theta was written for one mu, it is called row by row.
    """
    if isinstance(theta, Monomials):
        return theta(mu)
    mu = _checked_parameters(mu)
    if mu.ndim != 2 or not len(mu):
        return np.asarray(theta(mu))
    first = np.asarray(theta(mu[0]))
    ends = np.stack([first, first if len(mu) == 1 else np.asarray(theta(mu[-1]))])
    batch = try_batch(theta, mu, (len(mu), *ends.shape[1:]))
    if batch is not None and np.allclose(
        batch[[0, -1]], ends, rtol=1e-10, atol=0.0, equal_nan=True
    ):
        return batch
    return np.stack([first, *(np.asarray(theta(row)) for row in mu[1:])])


def try_batch(
    function: Callable[[np.ndarray], Any], mu: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray | None:
    """function(mu), or None where it gives no numbers of that shape for several rows."""
    try:
        values = np.asarray(function(mu))
    except BadInput:
        raise
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return None
    return values if values.shape == shape and values.dtype.kind in "biufc" else None
