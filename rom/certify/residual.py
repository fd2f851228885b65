"""Residual norms that survive round-off, and the error bounds made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rom.affine import Affine
from rom.basis import Basis, orthonormalised
from rom.errors import BadInput

EPS = float(np.finfo(float).eps)


@dataclass(frozen=True, eq=False)
class ResidualBound:
    """|u - u_r|_X <= |r(mu)|_{X'} / alpha(mu), with |r|_{X'} = |T y|.

    y = [theta_f; -theta_A (x) (1, a); -da/dt]: coordinates of the residual in its images, whose Riesz representers are Q T with
    Q X-orthonormal: no square of a small number is ever formed, so the bound has no floor at sqrt(eps). What round-off can still
    hide, 4 eps sum_j |T_j| |y_j|, is added.

    T : (k, K); theta_A, theta_f : coefficient functions; stability : mu (m, p) -> alpha (m,); shift : whether the basis has an offset
    Reference: Buhr, Engwer, Ohlberger, Rave (2014).
    """

    T: np.ndarray
    theta_A: Callable[[np.ndarray], np.ndarray]
    theta_f: Callable[[np.ndarray], np.ndarray]
    stability: Callable[[np.ndarray], np.ndarray]
    shift: bool = False

    @cached_property
    def _sizes(self) -> np.ndarray:
        return np.linalg.norm(self.T, axis=0)

    def residual(self, mu: np.ndarray, a: np.ndarray, rate: np.ndarray | None = None, load: Any = 1.0) -> np.ndarray:
        """|r|_{X'} for mu (m, p), coefficients a (m, r), rates (m, r) of an unsteady problem and a factor of the load: (m,)."""
        extended = np.concatenate([np.ones((len(a), 1)), a], axis=1) if self.shift else a
        theta = self.theta_A(mu)
        parts = [np.broadcast_to(self.theta_f(mu) * load, (len(a), len(self.theta_f(mu[0]))))]
        parts.append(-(theta[:, :, None] * extended[:, None, :]).reshape(len(a), -1))
        if rate is not None:
            parts.append(-rate)
        y = np.concatenate(parts, axis=1)
        return np.linalg.norm(y @ self.T.T, axis=1) + 4 * EPS * (np.abs(y) @ self._sizes)

    def __call__(self, mu: np.ndarray, a: np.ndarray) -> np.ndarray:
        """Bounds (m,) for mu (m, p) and coefficients a (m, r)."""
        return self.residual(mu, a) / self.stability(mu)


def residual_bound(
    A: Affine, f: Affine, basis: Basis, stability: Callable[[np.ndarray], np.ndarray], M: Any = None
) -> ResidualBound:
    """The bound of a reduced model of A(mu) u = f(mu), or of M du/dt + A(mu) u = f(mu) where M is given.

    stability : mu (m, p) -> lower bounds (m,) of the coercivity (or inf-sup) constant in the norm of the basis's space
    Raises BadInput where shapes disagree.
    """
    if any(np.shape(term)[0] != basis.space.n for term in (*A.terms, *f.terms)):
        raise BadInput(f"operator and load terms must have the {basis.space.n} rows of the space")
    shift = np.ndim(basis.offset) > 0 or basis.offset != 0.0
    V = np.column_stack([np.broadcast_to(basis.offset, basis.space.n), basis.modes]) if shift else basis.modes
    images = [np.column_stack(list(f.terms)), *(term @ V for term in A.terms)]
    if M is not None:
        images.append(M @ basis.modes)
    _, T = orthonormalised(basis.space, basis.space.represent(np.column_stack(images)))
    return ResidualBound(T[np.any(T != 0, axis=1)], A.theta, f.theta, stability, shift)
