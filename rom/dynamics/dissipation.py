"""Laws whose energy never grows: a^T H(a o a) = 0 and a^T A a <= 0.

Then d|a|^2/dt <= 0 at every state: no trajectory leaves the ball in which it starts. For equations
whose quadratic term keeps (u, u)_X, as convection does, of a basis without offset.

Reference: Goyal, Pontes Duff and Benner (2023).
"""

from __future__ import annotations

from functools import cache
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from rom.basis import Basis
from rom.dynamics.forms import Polynomial, monomials
from rom.dynamics.regression import Equations
from rom.errors import BadInput

DEGREES = (1, 2)
MAX_RANK = 24  # unknowns are about r^3 / 3


def check_dissipative(form: Polynomial, basis: Basis) -> None:
    """Raises BadInput where a law of this form on this basis has no energy to keep."""
    if form.degrees != DEGREES or form.functions(np.zeros((1, _width(form)))) != 1:
        raise BadInput("a dissipative law is linear and quadratic, without parameters")
    if np.ndim(basis.offset) or basis.offset:
        raise BadInput("a dissipative law needs a basis without offset; leave --center out")
    if basis.r > MAX_RANK:
        raise BadInput(f"a dissipative law of {basis.r} modes is too large; take {MAX_RANK}")


def _width(form: Polynomial) -> int:
    """Number of parameters of theta."""
    return int(getattr(form.theta, "powers", np.zeros((1, 0))).shape[1])


def dissipative_laws(system: Equations, weights: np.ndarray, r: int) -> np.ndarray:
    """As `ridge_laws` with no prior, under both conditions: (len(weights), Q d, r).

    First A and H together with H kept in its null space; then A with its symmetric part cut at
    zero, and H again.
    """
    k, d = system.D.shape
    D = system.D * system.size
    gram, right = D.T @ D / k, (D.T @ system.R / k).T
    free = energy_free(r)
    whole = sp.kron(sp.eye_array(r), gram).tocsr()
    spread = sp.kron(sp.eye_array(r), sp.diags_array(system.size**2)).tocsr()
    normal = (free.T @ (whole @ free)).toarray()
    ridge = (free.T @ (spread @ free)).toarray()
    load = free.T @ right.ravel()
    count = free.shape[1] - r * r  # of the unknowns of H, which stand first
    laws = []
    for weight in weights:
        matrix = normal + weight * ridge
        L = scipy.linalg.cholesky(matrix, lower=True)
        y = scipy.linalg.cho_solve((L, True), load)
        A = damp(y[count:].reshape(r, r)).ravel()
        rest = load[:count] - matrix[:count, count:] @ A
        y = np.append(scipy.linalg.cho_solve((L[:count, :count], True), rest), A)
        laws.append((free @ y).reshape(r, d).T)
    return np.array(laws)


def damp(A: np.ndarray) -> np.ndarray:
    """The nearest matrix whose symmetric part has no positive eigenvalue."""
    values, Q = np.linalg.eigh(0.5 * (A + A.T))
    return np.asarray(0.5 * (A - A.T) + (Q * np.minimum(values, 0.0)) @ Q.T)


@cache
def energy_free(r: int) -> Any:
    """Orthonormal columns (r d, k + r^2): all H with a^T H(a o a) = 0, then every A.

    Each monomial a_i a_j a_k of the energy is one equation among the at most three entries of H
    that make it, so that the null space is known entry by entry.
    """
    pairs = {tuple(pair): r + k for k, pair in enumerate(monomials(r, 2).tolist())}
    d = r + len(pairs)
    columns: list[list[tuple[int, float]]] = []
    for triple in combinations_with_replacement(range(r), 3):
        places = []
        for i in sorted(set(triple)):
            rest = list(triple)
            rest.remove(i)
            places.append(i * d + pairs[(rest[0], rest[1])])
        if len(places) == 2:
            columns.append(_weighted(places, (1, -1)))
        elif len(places) == 3:
            columns += [_weighted(places, (1, -1, 0)), _weighted(places, (1, 1, -2))]
    columns += [[(i * d + j, 1.0)] for i in range(r) for j in range(r)]
    rows = [row for column in columns for row, _ in column]
    values = [value for column in columns for _, value in column]
    at = np.repeat(np.arange(len(columns)), [len(column) for column in columns])
    return sp.csr_array((values, (rows, at)), shape=(r * d, len(columns)))


def _weighted(places: list[int], weights: tuple[int, ...]) -> list[tuple[int, float]]:
    """One column of unit length."""
    size = float(np.linalg.norm(weights))
    return [(place, w / size) for place, w in zip(places, weights, strict=True) if w]
