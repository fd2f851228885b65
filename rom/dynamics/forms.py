"""Forms of laws: which monomials of the state, and how they depend on parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from rom.affine import Monomials, theta_rows
from rom.arrays import check_members, function, gate
from rom.errors import BadInput

MAX_DEGREE = 11


@dataclass(frozen=True, eq=False)
class Polynomial:
    """sum_q theta_q(mu) O_q phi(a), phi all monomials of a of some degrees.

    degrees : of the monomials, 0 for a constant; each product a_i a_j is there once
    theta : (m, p) -> (m, Q), Monomials or a function at module level
    Raises BadInput for degrees that repeat, are none, or leave 0..11.
    """

    degrees: tuple[int, ...]
    theta: Callable[[np.ndarray], np.ndarray]

    def __post_init__(self) -> None:
        check_members(self, theta=function)
        degrees = tuple(int(degree) for degree in self.degrees)
        if not degrees or list(degrees) != sorted(set(degrees) & set(range(MAX_DEGREE + 1))):
            raise BadInput(f"degrees {degrees}: give some of 0..{MAX_DEGREE}, in rising order")
        object.__setattr__(self, "degrees", degrees)

    def size(self, r: int) -> int:
        """d, the number of monomials of r coefficients."""
        return sum(len(monomials(r, degree)) for degree in self.degrees)

    def functions(self, mu: np.ndarray) -> int:
        """Q, the number of functions of the parameters mu (m, p)."""
        return int(theta_rows(self.theta, mu[:1]).shape[1])

    def features(self, a: np.ndarray) -> np.ndarray:
        """phi(a), (m, d) for a (m, r)."""
        return np.concatenate([_products(a, degree) for degree in self.degrees], axis=1)

    def columns(self, a: np.ndarray, mu: np.ndarray) -> np.ndarray:
        """theta(mu) x phi(a), (m, Q d): a law is linear in them."""
        theta, phi = theta_rows(self.theta, mu), self.features(a)
        return np.asarray((theta[:, :, None] * phi[:, None, :]).reshape(len(a), -1))

    def blocks(self, r: int) -> np.ndarray:
        """The degree of each monomial, (d,)."""
        sizes = [len(monomials(r, degree)) for degree in self.degrees]
        return np.repeat(self.degrees, sizes)


@gate()
def parameter_powers(p: int, degree: int) -> Monomials:
    """All products of p parameters of total degree 0..degree, as theta of a form."""
    rows = [np.zeros(p)]
    for total in range(1, degree + 1):
        for which in combinations_with_replacement(range(p), total):
            rows.append(np.bincount(which, minlength=p).astype(float))
    return Monomials(np.ones(len(rows)), np.array(rows).reshape(len(rows), p))


@cache
def monomials(r: int, degree: int) -> Any:
    """Indices (k, degree) of the products of r coefficients, i <= j <= ..."""
    rows = list(combinations_with_replacement(range(r), degree))
    return np.array(rows, dtype=np.intp).reshape(len(rows), degree)


def _products(a: np.ndarray, degree: int) -> np.ndarray:
    """All monomials of one degree, (m, k)."""
    index = monomials(a.shape[1], degree)
    values = np.ones((len(a), len(index)))
    for column in index.T:
        values *= a[:, column]
    return values
