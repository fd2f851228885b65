"""Linear outputs s = L(mu) u with error bounds: from the bound of the state, or weighted by a dual model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.affine import Affine
from rom.basis import Basis
from rom.space import Space


@dataclass(frozen=True, eq=False)
class Outputs:
    """s = L(mu) u_r with |s - s_r|_2 <= |L(mu)|_F |u - u_r|_X, the Frobenius norm taken from X to R^m.

    L : reduced, terms (Q, m, r); gram : (Q, Q), trace of L_p X^{-1} L_q^H; miss : relative error of the separated L, or 0
    """

    L: Affine
    gram: np.ndarray
    miss: float = 0.0

    def __call__(
        self, mu: np.ndarray, a: np.ndarray, bound: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Outputs (m, m_out) and bounds (m,) for mu (m, p), coefficients (m, r) of orthonormal modes and bounds (m,) of the state."""
        theta = self.L.theta(mu)
        s = np.einsum("mor,mr->mo", self.L(mu), a)
        size = np.sqrt(np.maximum(np.sum(theta * (theta.conj() @ self.gram.T), axis=1).real, 0.0))
        return s, size * (bound + self.miss * (np.linalg.norm(a, axis=1) + bound))


def outputs(L: Affine, basis: Basis, miss: float = 0.0) -> Outputs:
    """The outputs of L(mu) = sum_q theta_q L_q, terms (m, n), on a basis; miss : measured relative error of the sum, see Outputs."""
    reduced = np.stack(
        [basis.space.pair(np.asarray(term).conj().T, basis.modes) for term in L.terms]
    )
    return Outputs(Affine(L.theta, reduced), _gram(L, basis.space), miss)


def _gram(L: Affine, space: Space) -> np.ndarray:
    rows = [np.asarray(term).conj().T for term in L.terms]
    represented = [space.represent(row) for row in rows]
    return np.array([[np.sum(p.conj() * q) for q in represented] for p in rows]).T


@dataclass(frozen=True, eq=False)
class Conjugate:
    """conj(theta(mu)): the coefficient functions of A(mu)^H."""

    theta: Any

    def __call__(self, mu: np.ndarray) -> np.ndarray:
        return np.conj(self.theta(mu))


@dataclass(frozen=True, eq=False)
class DualWeighted:
    """s_r = l^H u_r + z_r^H (f - A u_r), A^H z = l, with |s - s_r| <= |r|_{X'} |r_z|_{X'} / beta: the product of two residuals.

    primal, dual : GalerkinModels with residual bounds; A : W^H A V; f : W^H f; l : V^H l; V, W the modes of the two
    Reference: Pierce and Giles (2000); Rozza, Huynh, Patera (2008).
    """

    primal: Any
    dual: Any
    A: Affine
    f: Affine
    l: Affine  # noqa: E741

    def predict(self, mu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Outputs (m,) and bounds (m,) for mu (m, p)."""
        mu = np.atleast_2d(mu)
        a, z = self.primal.predict(mu).coefficients.T, self.dual.predict(mu).coefficients.T
        rest = self.f(mu) - np.einsum("mij,mj->mi", self.A(mu), a)
        s = np.sum(self.l(mu).conj() * a, axis=1) + np.sum(z.conj() * rest, axis=1)
        bound = (
            self.primal.bound.residual(mu, a)
            * self.dual.bound.residual(mu, z)
            / self.primal.bound.stability(mu)
        )
        return s, bound
