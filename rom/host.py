"""Operators of a host code that are only applied.

    host : mu -> an Operator, set up; A(mu) U = apply(U), A(mu)^H U = apply_adjoint(U)

No matrix is seen. `Applied` sets the operator up when it is multiplied and frees it after; what
the host answers is checked: shape, NaN, Inf.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from rom.errors import BadInput, SolveFailed


class Operator(Protocol):
    """A(mu) (n, n) of a host at one mu.

    tolerance : relative error of its products; apply, apply_adjoint : (n, k) -> (n, k)
    close : frees what the set-up took; not called again after it
    """

    @property
    def tolerance(self) -> float:
        """Relative error of the products; 0 for round-off."""

    def apply(self, U: np.ndarray) -> np.ndarray:
        """A U."""

    def apply_adjoint(self, U: np.ndarray) -> np.ndarray:
        """A^H U."""

    def close(self) -> None:
        """Free the operator."""


Host = Callable[[np.ndarray], Operator]


@dataclass(frozen=True, eq=False)
class Products:
    """An operator while it is set up: `@` with checks, `H` its adjoint.

    mu : (p,), named where an answer is wrong
    """

    operator: Operator
    mu: np.ndarray
    n: int
    is_adjoint: bool = False

    @property
    def tolerance(self) -> float:
        """Relative error of the products, 0 where the host does not tell."""
        return float(getattr(self.operator, "tolerance", 0.0))

    @property
    def H(self) -> Products:
        """A^H."""
        return replace(self, is_adjoint=not self.is_adjoint)

    def __matmul__(self, U: np.ndarray) -> np.ndarray:
        """A U or A^H U, (n, k) or (n,). Raises SolveFailed naming mu."""
        name = "apply_adjoint" if self.is_adjoint else "apply"
        products = getattr(self.operator, name, None)
        if products is None:
            raise BadInput(f"the host's operator has no {name}; write it, or do without duals")
        columns = np.asarray(U).astype(np.result_type(U, float), copy=False)
        if columns.dtype.itemsize > np.dtype(complex).itemsize or columns.dtype == np.longdouble:
            columns = columns.astype(complex if columns.dtype.kind == "c" else float)
        image = np.asarray(products(columns))
        if image.shape != columns.shape:
            raise SolveFailed(
                f"{name} gave shape {image.shape} at mu = {self.mu} for {columns.shape}; "
                "give one column for each"
            )
        if image.dtype.kind not in "fc" or not np.isfinite(image).all():
            raise SolveFailed(
                f"{name} gave NaN, Inf or no numbers at mu = {self.mu}; check the host there"
            )
        return image


@dataclass(frozen=True, eq=False)
class Applied:
    """A(mu) or A(mu)^H (n, n) of a host: set up for each product, freed after it."""

    host: Host
    mu: np.ndarray
    n: int
    is_adjoint: bool = False

    ndim = 2

    @property
    def shape(self) -> tuple[int, int]:
        """(n, n)."""
        return self.n, self.n

    @property
    def H(self) -> Applied:
        """A^H."""
        return replace(self, is_adjoint=not self.is_adjoint)

    @contextmanager
    def open(self) -> Iterator[Products]:
        """The operator set up, for several products."""
        operator = self.host(self.mu)
        if not hasattr(operator, "apply"):
            raise BadInput(
                f"the host gave {type(operator).__name__} at mu = {self.mu}; "
                "give an operator with apply"
            )
        try:
            yield Products(operator, self.mu, self.n, self.is_adjoint)
        finally:
            close = getattr(operator, "close", None)
            if close is not None:
                close()

    def __matmul__(self, U: np.ndarray) -> np.ndarray:
        """A U (n, k): one set-up."""
        _check_rows(U, self.n)
        with self.open() as A:
            return A @ U


@dataclass(frozen=True, eq=False)
class AppliedSum:
    """sum_q c_q A_q of operators that are only applied.

    Each product sets every term up once; inside `open` they stay, all at a time.
    """

    c: np.ndarray
    terms: tuple[Any, ...]

    ndim = 2

    @property
    def shape(self) -> tuple[int, int]:
        """(n, n)."""
        return self.terms[0].n, self.terms[0].n

    @property
    def H(self) -> AppliedSum:
        """The adjoint."""
        return AppliedSum(np.conj(self.c), tuple(term.H for term in self.terms))

    @contextmanager
    def open(self) -> Iterator[Any]:
        """All terms set up, for several products."""
        with ExitStack() as stack:
            terms = tuple(stack.enter_context(term.open()) for term in self.terms)
            yield AppliedSum(self.c, terms)

    def __matmul__(self, U: np.ndarray) -> np.ndarray:
        """sum_q c_q A_q U."""
        _check_rows(U, self.shape[0])
        return np.asarray(sum(c * (A @ U) for c, A in zip(self.c, self.terms, strict=True)))


def _check_rows(U: Any, n: int) -> None:
    if np.ndim(U) not in (1, 2) or np.shape(U)[0] != n:
        raise BadInput(f"the operator is ({n}, {n}), its argument has shape {np.shape(U)}")


def is_applied(A: Any) -> bool:
    """Whether an operator is known by its products alone."""
    return isinstance(A, Applied | AppliedSum)


def adjoint(A: Any) -> Any:
    """A^H of a matrix or of an operator that is only applied."""
    return A.H if isinstance(A, Applied | AppliedSum | Products) else A.conj().T
