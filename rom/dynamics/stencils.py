"""Rows of a nonlinear term, each of few unknowns.

    N_i(u; mu) = law(u[reads_i], mu, data_i)

So that a few rows need a few unknowns only. What has `reads`, `restrict` and a call like these is
a `rom.problem.Residual`; a frozen dataclass of a case's module will do as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from rom.arrays import array_of, check_members, function, gate, integers
from rom.errors import BadInput
from rom.problem import Residual

Law = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
NEAR = 0.1  # of the size of the states: how far from them slopes are checked
STEP = 1e-6  # of the size of a state: of the differences that check slopes
SLOPE_TOL = 1e-4  # of the largest slope of a row
NOTHING = -1  # in place of a row: what is read there is zero


@dataclass(frozen=True, eq=False)
class Stencil:
    """N_i(u; mu) = law(u[reads_i], mu, data_i), and its slopes by what it reads.

    reads : (k, s) rows of u that each of the k rows reads; -1 reads zero, as beyond a wall
    data : (k, c) what else each row needs: widths, normals, kinds of walls
    law : (U (k, s), mu (p,), data (k, c)) -> N (k,), dN/dU (k, s); a function at module level
    Raises BadInput for shapes that do not fit.
    """

    reads: np.ndarray
    data: np.ndarray
    law: Law

    def __post_init__(self) -> None:
        check_members(
            self, law=function, data=array_of("(k, c)", empty=True), reads=array_of("(k, s)")
        )
        flat = integers(self.reads.ravel(), "reads").reshape(self.reads.shape)
        if flat.ndim != 2 or len(flat) != len(self.data) or flat.min(initial=0) < NOTHING:
            raise BadInput(
                f"reads {flat.shape} and data {np.shape(self.data)} make no rows; give (k, s) rows "
                "of u, -1 for none, and (k, c)"
            )
        object.__setattr__(self, "reads", flat)

    def restrict(self, rows: np.ndarray) -> Stencil:
        """Some of the rows; they read the same u."""
        return replace(self, reads=self.reads[rows], data=self.data[rows])

    def __call__(self, U: np.ndarray, mu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """N (k,) and dN/dU (k, s) of what the rows read, U (k, s)."""
        return self.law(U, mu, self.data)


def read_rows(u: np.ndarray, reads: np.ndarray) -> np.ndarray:
    """u[reads], zero where nothing is read: (k, s), (k, s, m) of u (n,), (n, m)."""
    values = np.asarray(u[np.maximum(reads, 0)])
    values[reads < 0] = 0.0
    return values


@gate(u=array_of("(n,)"), mu=array_of("(p,)", empty=True))
def evaluate_term(term: Residual, u: np.ndarray, mu: np.ndarray) -> tuple[np.ndarray, Any]:
    """N(u; mu) (k,), and its tangent dN/du, sparse (k, n).

    For the full solver: Newton's method on all rows. Raises BadInput for a state that is too short.
    """
    if term.reads.max(initial=0) >= len(u):
        raise BadInput(f"u has {len(u)} rows, the term reads row {term.reads.max()}; give them all")
    values, slopes = term(read_rows(u, term.reads), mu)
    k, s = term.reads.shape
    inside = term.reads >= 0
    rows = np.repeat(np.arange(k), s).reshape(k, s)[inside]
    tangent = sp.csr_array((slopes[inside], (rows, term.reads[inside])), shape=(k, len(u)))
    return values, tangent


def check_term(term: Residual, states: np.ndarray, mus: np.ndarray) -> None:
    """Raises BadInput where a term has no rows of this space, NaN, or wrong slopes.

    states : (n, m), mus : (m, p); slopes are compared with central differences, each row in the
    direction of a random change of all that it reads
    """
    n = len(states)
    if term.reads.shape[0] != n or term.reads.max(initial=0) >= n:
        raise BadInput(
            f"the term has {len(term.reads)} rows that read up to row {term.reads.max(initial=0)} "
            f"of a state of {n}; give one row for each of the state"
        )
    rng = np.random.default_rng(0)
    size = max(float(np.abs(states).max()), np.finfo(float).tiny)
    for u, mu in zip(states.T, mus, strict=True):
        U = read_rows(u, term.reads)
        U = U + NEAR * size * rng.standard_normal(U.shape)  # off kinks, as of u = 0 upwind
        values, slopes = term(U, mu)
        if np.shape(values) != (n,) or np.shape(slopes) != U.shape:
            raise BadInput(
                f"the law gives shapes {np.shape(values)} and {np.shape(slopes)} for {U.shape} "
                f"values; give N {(n,)} and its slopes {U.shape}"
            )
        if not (np.isfinite(values).all() and np.isfinite(slopes).all()):
            raise BadInput(f"the law gives NaN or Inf near a run of mu = {mu}; mend it there")
        turn = rng.standard_normal(U.shape)
        ahead, behind = (term(U + sign * STEP * size * turn, mu)[0] for sign in (1.0, -1.0))
        miss = (ahead - behind) / (2 * STEP * size) - np.sum(slopes * turn, axis=1)
        scale = max(float(np.abs(slopes).max()), np.finfo(float).tiny)
        off = np.abs(miss) > SLOPE_TOL * scale
        if np.mean(off) > 0.02:  # kinks, as of upwind differences, touch few rows
            worst = int(np.abs(miss).argmax())
            raise BadInput(
                f"slopes of the law differ from differences in {np.sum(off)} of {n} rows, most in "
                f"row {worst}; give dN/dU of each value that a row reads"
            )
