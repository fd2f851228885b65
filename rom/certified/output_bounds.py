"""Linear outputs s = L(mu) u with bounds, from the state's or by a dual model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.affine import Affine
from rom.arrays import gate
from rom.basis import Basis
from rom.model import Asks, Model, Question
from rom.prediction import Error, Known, Output, Prediction, Quantity
from rom.space import Space


@dataclass(frozen=True, eq=False)
class Outputs:
    """s = L(mu) u_r with |s - s_r|_2 <= |L(mu)|_F |u - u_r|_X.

    The Frobenius norm is taken from X to R^m.
    L : reduced, terms (Q, m, r); gram : (Q, Q), trace of L_p X^{-1} L_q^H
    miss : relative error of the separated L, or 0
    """

    L: Affine
    gram: np.ndarray
    miss: float = 0.0

    def __call__(
        self, mu: np.ndarray, a: np.ndarray, bound: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Outputs (m, m_out) and their bounds (m,) for mu (m, p).

        a : coefficients (m, r) of orthonormal modes; bound : of the state (m,)
        """
        theta = self.L.theta(mu)
        s = np.einsum("mor,mr->mo", self.L(mu), a)
        square = np.sum(theta * (theta.conj() @ self.gram.T), axis=1).real
        size = np.sqrt(np.maximum(square, 0.0))
        state = np.linalg.norm(a, axis=1) + bound
        return s, size * (bound + self.miss * state)


@gate(L=Affine, basis=Basis)
def reduced_outputs(L: Affine, basis: Basis, *, miss: float = 0.0) -> Outputs:
    """The outputs of L(mu) = sum_q theta_q L_q, terms (m, n), on a basis.

    miss : measured relative error of the sum, see Outputs
    """
    space = basis.space
    rows = [np.asarray(term).conj().T for term in L.terms]
    reduced = np.stack([space.pair(row, basis.modes) for row in rows])
    return Outputs(Affine(L.theta, reduced), _output_gram(rows, space), miss)


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

    |s - s_r| <= |r|_{X'} |r_z|_{X'} / beta: the product of two residuals.
    primal, dual : GalerkinModels with residual bounds, of modes V and W
    A : W^H A V; f : W^H f; l : V^H l
    Reference: Pierce and Giles (2000); Rozza, Huynh, Patera (2008).
    """

    primal: Any
    dual: Any
    A: Affine
    f: Affine
    l: Affine  # noqa: E741

    @property
    def known(self) -> Known:
        """Of the error: its bound."""
        return Known.CERTIFIED

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
        error = Error(bound, Known.CERTIFIED, "absolute value")
        return Prediction(question, outputs={"s": Output(value, "1", error)})

    def evaluate(self, mu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Outputs (m,) and bounds (m,) for mu (m, p)."""
        a, z = self.primal.solve(mu)[0], self.dual.solve(mu)[0]
        rest = self.f(mu) - np.einsum("mij,mj->mi", self.A(mu), a)
        plain = np.sum(self.l(mu).conj() * a, axis=1)
        correction = np.sum(z.conj() * rest, axis=1)
        primal_residual = self.primal.bound.residual(mu, a)
        dual_residual = self.dual.bound.residual(mu, z)
        beta = self.primal.bound.stability(mu)
        return plain + correction, primal_residual * dual_residual / beta
