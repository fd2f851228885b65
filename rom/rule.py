"""Sparse rules: few points in place of many."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.linalg import qr, solve_triangular

from rom.errors import BadInput


@dataclass(frozen=True, eq=False)
class Interpolation:
    """I g = W (P^T W)^{-1} P^T g.

    With more points than modes it is the least-squares fit to g at the points (gappy).
    modes : W (n, d); dofs : rows P of the points (k,), k >= d; matrix : P^T W (k, d)
    picked : columns of the sample that the modes span, or None
    errors : largest residual before each mode, relative to the sample
    tol_asked, reason : what was asked for, and why d modes were delivered
    Raises BadInput where shapes disagree or points are fewer than modes.
    """

    modes: np.ndarray
    dofs: np.ndarray
    matrix: np.ndarray
    picked: Any = None
    errors: Any = None
    tol_asked: float | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        k, d = np.shape(self.matrix)
        columns = np.shape(self.modes)[1]
        if k < d or np.shape(self.dofs) != (k,) or columns != d:
            raise BadInput(
                f"{columns} modes, {np.size(self.dofs)} points and a matrix {k, d} make no rule; "
                "give at least d points"
            )

    @property
    def d(self) -> int:
        """Number of modes."""
        return int(self.modes.shape[1])

    def coefficients(self, values: np.ndarray) -> np.ndarray:
        """c with P^T W c = values (k,) or (k, m), by substitution."""
        if len(self.dofs) == self.d and not np.triu(self.matrix, 1).any():
            return np.asarray(solve_triangular(self.matrix, values, lower=True))
        Q, R = self._factors
        return np.asarray(solve_triangular(R, Q.conj().T @ values))

    def misfit(self, values: np.ndarray) -> float:
        """|P^T W c - values| at the points, for values (k,).

        What the modes cannot explain; zero where there are d points.
        """
        Q, _ = self._factors
        fit = Q @ (Q.conj().T @ values)
        return float(np.linalg.norm(values - fit))

    @cached_property
    def _factors(self) -> tuple[np.ndarray, np.ndarray]:
        Q, R = qr(self.matrix, mode="economic")
        return Q, R

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """I g from its values at the points: (n,) or (n, m)."""
        return np.asarray(self.modes @ self.coefficients(values))

    @property
    def lebesgue(self) -> float:
        """max_x sum_l |gamma_l(x)|, gamma = W (P^T W)^+.

        |g - I g| <= (1 + lebesgue) times the best approximation error.
        """
        gamma = self(np.eye(len(self.dofs)))
        sums = np.abs(gamma).sum(axis=1)
        return float(sums.max(initial=0.0))


@dataclass(frozen=True, eq=False)
class Weights:
    """beta(mu) with F(mu, .) ~ sum_m beta_m(mu) F(mu_m, .): L U beta = F(mu, X).

    A function of mu like the theta of an affine sum: whatever depends linearly on F obeys
    A(mu) ~ sum_m beta_m(mu) A(mu_m).

    kernel : F, (mu (m, p), x (q, s)) -> (m, T, q), T families of functions; a function at module
        level
    mus : (d, p) the mu_m; x : (d, s) points X; family : (d,) the family sampled at each
    scale : (T,) sizes of the families; lower, upper : triangular factors of F(mu_m, x_l)^T
    errors : as in Interpolation
    Reference: Casenave, Ern, Lelievre, Sylvand (2014).
    """

    kernel: Any
    mus: np.ndarray
    x: np.ndarray
    family: np.ndarray
    scale: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    errors: np.ndarray
    reason: str = ""

    @property
    def d(self) -> int:
        """Number of samples of the host."""
        return len(self.mus)

    def values(self, mu: np.ndarray) -> np.ndarray:
        """F(mu, X), (m, d), scaled."""
        many = np.atleast_2d(np.asarray(mu, dtype=float))
        F = np.asarray(self.kernel(many, self.x))
        points = np.arange(len(self.x))
        return np.asarray(F[:, self.family, points] / self.scale[self.family])

    def __call__(self, mu: np.ndarray) -> np.ndarray:
        """beta (m, d) for mu (m, p), (d,) for mu (p,)."""
        c = solve_triangular(self.lower, self.values(mu).T, lower=True, unit_diagonal=True)
        beta = np.asarray(solve_triangular(self.upper, c)).T
        return beta if np.ndim(mu) == 2 else np.asarray(beta[0])

    def truncate(self, d: int) -> Weights:
        """The rule of the first d samples. Raises BadInput where there are fewer."""
        if not 0 < d <= self.d:
            raise BadInput(f"cannot keep {d} of {self.d} samples")
        return replace(
            self,
            mus=self.mus[:d],
            x=self.x[:d],
            family=self.family[:d],
            lower=self.lower[:d, :d],
            upper=self.upper[:d, :d],
            errors=self.errors[: d + 1],
            reason=f"truncated to {d}",
        )


@dataclass(frozen=True, eq=False)
class Barycentric:
    """beta_m(mu) = w_m / (mu - mu_m) / sum_j w_j / (mu - mu_j), one parameter.

    Rational interpolation through the samples.
    mus : (d, 1); w : (d,)
    errors : largest relative residual on the training set before each sample
    Reference: Nakatsukasa, Sete, Trefethen (2018); for sets of functions Lietaert, Meerbergen,
    Perez, Vandereycken (2022).
    """

    mus: np.ndarray
    w: np.ndarray
    errors: np.ndarray
    reason: str = ""

    @property
    def d(self) -> int:
        """Number of samples of the host."""
        return len(self.mus)

    def __call__(self, mu: np.ndarray) -> np.ndarray:
        """beta (m, d) for mu (m, 1), (d,) for mu (1,)."""
        gap = np.atleast_2d(np.asarray(mu, dtype=float)) - self.mus[:, 0]
        hit = gap == 0
        terms = self.w / np.where(hit, 1.0, gap)
        quotients = terms / terms.sum(axis=1, keepdims=True)
        beta = np.where(hit.any(axis=1, keepdims=True), hit, quotients)
        return beta if np.ndim(mu) == 2 else np.asarray(beta[0])


@dataclass(frozen=True, eq=False)
class Cubature:
    """int g ~ sum_i weights_i g(elements_i), weights > 0.

    elements : (k,) numbers of cells or points of integration; weights : (k,)
    error : |b - b_rule| / |b| on the training integrals
    tol_asked, reason : what was asked for and why it stopped
    Raises BadInput where shapes disagree or a weight is not positive.
    """

    elements: np.ndarray
    weights: np.ndarray
    error: float = float("nan")
    tol_asked: float | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        if np.shape(self.elements) != np.shape(self.weights) or np.ndim(self.elements) != 1:
            raise BadInput(
                f"elements {np.shape(self.elements)} and weights {np.shape(self.weights)} "
                "must both be (k,)"
            )
        if not (np.asarray(self.weights) > 0).all():
            raise BadInput("weights must be positive; leave points of zero weight out")


@dataclass(frozen=True, eq=False)
class Tensor:
    """theta(mu) = theta_1(mu_{S_1}) (x) theta_2(mu_{S_2}) (x) ...

    Products of the coefficient functions of groups of parameters.
    factors : functions (m, |S_j|) -> (m, Q_j); parameters : which entries of mu each of them reads
    """

    factors: tuple[Any, ...]
    parameters: tuple[tuple[int, ...], ...]

    def __call__(self, mu: np.ndarray) -> np.ndarray:
        """theta (m, Q_1 Q_2 ...) for mu (m, p), (Q_1 Q_2 ...,) for mu (p,)."""
        many = np.atleast_2d(np.asarray(mu, dtype=float))
        theta = np.ones((len(many), 1))
        for factor, own in zip(self.factors, self.parameters, strict=True):
            values = np.asarray(factor(many[:, list(own)]))
            products = theta[:, :, None] * values[:, None, :]
            theta = products.reshape(len(many), -1)
        return theta if np.ndim(mu) == 2 else np.asarray(theta[0])
