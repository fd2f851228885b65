"""Errors by random duals: an estimate with a probability, no stability constant.

    Delta^2 = 1/K sum_i |y_i^H r|^2,   A(mu)^H y_i = z_i,   E z z^H = X,   r = f - A u_r

y_i^H r = z_i^H (u - u_r), so that K Delta^2 / |u - u_r|_X^2 is a sum of K squares of complex
normal numbers of variance 1: Delta lies within a factor w of the error with a probability that is
known. y_i are solved for in a space W of their own, which is a Galerkin correction of u_r in W:
what W leaves out is not in the probability.

Reference: Smetana, Zahm, Patera (2019).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.stats import chi2

from rom.affine import Affine, theta_rows
from rom.arrays import COLUMNS, gate
from rom.basis import Basis
from rom.errors import BadInput
from rom.prediction import Known
from rom.space import Space


@dataclass(frozen=True, eq=False)
class RandomDual:
    """Estimates of |u - u_r|_X; "probable", within a factor w by `probability`.

    A : W^H A_q V (Q, N_d, N); dual : W^H A_q W; f : W^H f_q; z : W^H z_i (N_d, K)
    """

    A: Affine
    dual: Affine
    f: Affine
    z: np.ndarray

    @property
    def known(self) -> Known:
        """Probable."""
        return Known.PROBABLE

    def __call__(self, mu: np.ndarray, a: np.ndarray) -> np.ndarray:
        """Estimates (m,) for mu (m, p) and coefficients a (m, r), r the first modes of V."""
        r = a.shape[1]
        theta = theta_rows(self.A.theta, mu)
        rest = self.f(mu)
        for q, term in enumerate(self.A.terms):
            rest = rest - theta[:, q, None] * (a @ term[:, :r].T)
        correction = np.linalg.solve(self.dual(mu), rest[..., None])[..., 0]
        return np.asarray(np.sqrt(np.mean(np.abs(correction @ self.z.conj()) ** 2, axis=1)))

    def probability(self, factor: float, samples: int = 1) -> float:
        """At least this: that all of `samples` estimates lie within a factor of the error."""
        K = self.z.shape[1]
        within = chi2.cdf(2 * K * factor**2, 2 * K) - chi2.cdf(2 * K / factor**2, 2 * K)
        return float(max(0.0, 1.0 - samples * (1.0 - within)))


def random_forms(space: Space, count: int, rng: int | np.random.Generator) -> np.ndarray:
    """z (n, count) complex normal with E z z^H = X: E |z^H v|^2 = |v|_X^2.

    Raises BadInput for a sparse product that is not small.
    """
    generator = np.random.default_rng(rng)
    g = generator.standard_normal((2, space.n, count)) / np.sqrt(2)
    normal = g[0] + 1j * g[1]
    if not sp.issparse(space.product):
        return np.asarray(np.sqrt(space.product)[:, None] * normal)
    if space.n > 4_000:
        raise BadInput(f"a sparse product of {space.n} rows; give a diagonal (lumped) one")
    return np.asarray(np.linalg.cholesky(space.product.toarray()) @ normal)


@gate(A=Affine, f=Affine, basis=Basis, dual=Basis, z=COLUMNS)
def random_dual(
    A: Affine,
    f: Affine,
    basis: Basis,
    dual: Basis,
    z: np.ndarray,
) -> RandomDual:
    """The estimator of the model on `basis`, with duals in the space of `dual`.

    z (n, K) : `random_forms`
    Each term is multiplied once, by both bases together.
    """
    V, W, space = basis.modes, dual.modes, basis.space
    if len(z) != space.n or not z.shape[1]:
        raise BadInput(f"z has shape {z.shape}; give ({space.n}, K), as random_forms does")
    both = np.column_stack([V, W])
    reduced = np.stack([space.pair(W, term @ both) for term in A.terms])
    return RandomDual(
        Affine(A.theta, reduced[:, :, : basis.r].copy()),
        Affine(A.theta, reduced[:, :, basis.r :].copy()),
        f.project(dual),
        space.pair(W, z),
    )
