"""Linear outputs s = L(mu) u with bounds, from the state's or by a dual model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.affine import Affine, theta_rows
from rom.arrays import gate
from rom.basis import Basis
from rom.certified.residual import (
    GUARD,
    divide,
    is_shifted,
    known_of,
    residual_coordinates,
    stability_at,
)
from rom.model import Asks, Model, Question
from rom.prediction import Error, Known, Output, Prediction, Quantity
from rom.space import Space


@dataclass(frozen=True, eq=False)
class Outputs:
    """s = L(mu) u_r with |s - s_r|_2 <= |L(mu)|_F |u - u_r|_X and what round-off may add.

    The Frobenius norm is taken from X to R^m.
    L : reduced, terms (Q, m, r); gram : (Q, Q), trace of L_p X^{-1} L_q^H
    miss : relative error of the separated L, or 0
    constant : (Q, m) L_q offset of a basis with an offset, or None; size : |offset|_X
    round_off : of s, in units of |L|_F |u_r|_X
    """

    L: Affine
    gram: np.ndarray
    miss: float = 0.0
    constant: np.ndarray | None = None
    size: float = 0.0
    round_off: float = GUARD

    def __call__(
        self, mu: np.ndarray, a: np.ndarray, bound: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Outputs (m, m_out) and their bounds (m,) for mu (m, p).

        a : coefficients (m, r) of orthonormal modes; bound : of the state (m,)
        """
        theta = theta_rows(self.L.theta, mu)
        s = np.einsum("mor,mr->mo", self.L(mu), a)
        if self.constant is not None:
            s = s + theta @ self.constant
        square = np.sum(theta * (theta.conj() @ self.gram.T), axis=1).real
        gross = np.sum(np.abs(theta) * (np.abs(theta) @ np.abs(self.gram.T)), axis=1)
        size = np.sqrt(np.maximum(square, 0.0) + GUARD * gross)
        answer = np.linalg.norm(a, axis=1) + self.size
        hidden = self.round_off * np.sqrt(gross) * answer
        return s, size * (bound + self.miss * (answer + bound)) + hidden


@gate(L=Affine, basis=Basis)
def reduced_outputs(L: Affine, basis: Basis, *, miss: float = 0.0) -> Outputs:
    """The outputs of L(mu) = sum_q theta_q L_q, terms (m, n), on a basis.

    miss : measured relative error of the sum, see Outputs
    """
    space = basis.space
    rows = [np.asarray(term).conj().T for term in L.terms]
    reduced = np.stack([space.pair(row, basis.modes) for row in rows])
    whole = with_offset(basis)
    constant = None
    if whole.r > basis.r:
        constant = np.stack([space.pair(row, whole.modes[:, 0]) for row in rows])
    round_off = max(product_round_off(space, row, whole.modes) for row in rows)
    gram = _output_gram(rows, space)
    size = offset_norm(basis)
    return Outputs(Affine(L.theta, reduced), gram, miss, constant, size, round_off)


def product_round_off(space: Space, F: np.ndarray, V: np.ndarray) -> float:
    """What rounding may leave of F^H V, in units of |F_i|_{X'} |V_j|_X."""
    squares = space.sum(np.sum(F.conj() * space.represent(F), axis=0).real)
    sizes = np.outer(np.sqrt(np.maximum(squares, 0.0)), space.norm(V))
    gross = space.pair(np.abs(F), np.abs(V))
    ratios = np.divide(gross, sizes, out=np.ones_like(gross), where=sizes > 0)
    return GUARD * max(1.0, float(ratios.max(initial=0.0)))


def _output_gram(rows: list[np.ndarray], space: Space) -> np.ndarray:
    """trace of L_p X^{-1} L_q^H (Q, Q); rows : L_q^H (n, m)."""
    represented = [space.represent(row) for row in rows]
    gram = [[np.sum(p.conj() * q) for q in represented] for p in rows]
    return np.array(gram).T


@dataclass(frozen=True, eq=False)
class Conjugate:
    """conj(theta(mu)): the coefficient functions of A(mu)^H."""

    theta: Any

    def __call__(self, mu: np.ndarray) -> np.ndarray:
        return np.asarray(np.conj(self.theta(mu)))


@dataclass(frozen=True, eq=False)
class DualWeighted(Model):
    """s_r = l^H u_r + z_r^H (f - A u_r) with A^H z = l.

    |s - s_r| <= |r|_{X'} |r_z|_{X'} / beta, the product of two residuals, and what round-off may
    add to s.
    primal, dual : GalerkinModels with residual bounds, of modes V and W
    A : W^H A V; f : W^H f; l : V^H l, an offset of a basis being its first column
    round_off : of s, in units of the terms that are summed
    primal_size, dual_size : norms of the offsets of the bases
    Reference: Pierce and Giles (2000); Rozza, Huynh, Patera (2008).
    """

    primal: Any
    dual: Any
    A: Affine
    f: Affine
    l: Affine  # noqa: E741
    round_off: float = GUARD
    primal_size: float = 0.0
    dual_size: float = 0.0

    @property
    def known(self) -> Known:
        """Of the error: its bound, certified where the stability constant is."""
        return known_of(self.primal.bound)

    @property
    def asks(self) -> Asks:
        """What the primal model asks."""
        asks: Asks = self.primal.asks
        return asks

    @property
    def tells_outputs(self) -> tuple[Quantity, ...]:
        """The output s."""
        return (Quantity("s"),)

    def answer(self, question: Question) -> Prediction:
        """The output and its bound."""
        value, bound = self.evaluate(question.mu)
        error = Error(bound, self.known, "absolute value")
        return Prediction(question, outputs={"s": Output(value, "1", error)})

    def evaluate(self, mu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Outputs (m,) and bounds (m,) for mu (m, p)."""
        a, z = self.primal.solve(mu)[0], self.dual.solve(mu)[0]
        primal, dual = self.primal.bound, self.dual.bound
        product = primal.residual(mu, a) * dual.residual(mu, z)
        bound = divide(product, stability_at(primal.stability, mu))
        primal_terms = np.abs(residual_coordinates(primal, mu, a))
        dual_terms = np.abs(residual_coordinates(dual, mu, z))
        u_size = np.abs(a).sum(axis=1) + self.primal_size
        z_size = np.abs(z).sum(axis=1) + self.dual_size
        a, z = _with_offset(a, self.l.terms), _with_offset(z, self.f.terms)
        rest = self.f(mu) - np.einsum("mij,mj->mi", self.A(mu), a)
        plain = np.sum(self.l(mu).conj() * a, axis=1)
        correction = np.sum(z.conj() * rest, axis=1)
        hidden = z_size * self._hidden(primal, primal_terms)
        hidden = hidden + u_size * self._hidden(dual, dual_terms)
        return plain + correction, bound + hidden

    def _hidden(self, bound: Any, y: np.ndarray) -> np.ndarray:
        """What round-off may leave of v^H R y, |v|_X = 1."""
        return np.asarray(y @ (self.round_off * bound.sizes + bound.hidden))


def _with_offset(a: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """Coefficients (m, r), after a one where reduced terms have a row for the offset."""
    if terms.shape[1] == a.shape[1]:
        return a
    return np.concatenate([np.ones((len(a), 1)), a], axis=1)


def with_offset(basis: Basis) -> Basis:
    """The same affine set as columns: the offset, if there is one, then the modes."""
    if not is_shifted(basis):
        return basis
    offset = np.broadcast_to(basis.offset, basis.space.n)
    return Basis(basis.space, np.column_stack([offset, basis.modes]))


def offset_norm(basis: Basis) -> float:
    """|offset|_X."""
    return float(basis.space.norm(np.broadcast_to(basis.offset, basis.space.n)))
