"""Inf-sup constants of noncoercive operators, by interpolation with a certificate, and the consistency of separated sums."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from rom.basis import Basis
from rom.errors import BadInput, NotConverged
from rom.parameters import Box
from rom.space import Space


@dataclass(frozen=True, eq=False)
class InterpolatedInfSup:
    """beta(mu) ~ margin (c_0 + sum_j c_j |s(mu) - s_j|), s in the unit box: exact constants between which one interpolates.

    margin : below the smallest ratio of true to interpolated constant at the fresh parameters that `inf_sup` checked: measured, not proven
    box : of the parameters; s : (J, q), the operator reads the first q parameters; c : (J + 1,); checked : number of fresh parameters
    """

    box: Box
    s: np.ndarray
    c: np.ndarray
    margin: float
    checked: int

    def __call__(self, mu: np.ndarray) -> np.ndarray:
        """beta (m,) for mu (m, p), a number for (p,)."""
        gap = np.linalg.norm(
            np.atleast_2d(self.box.to_unit(mu))[:, None, : self.s.shape[1]] - self.s, axis=2
        )
        beta = self.margin * (self.c[0] + gap @ self.c[1:])
        return beta if np.ndim(mu) == 2 else beta[0]


def constant(A: np.ndarray, space: Space) -> float:
    """inf_u sup_v |v^H A u| / |u|_X |v|_X: the smallest singular value of L^{-1} A L^{-H}, X = L L^H; for assembled (n, n) A."""
    L = np.linalg.cholesky(
        space.product.toarray() if sp.issparse(space.product) else np.diag(space.product)
    )
    scaled = np.linalg.solve(L, np.linalg.solve(L, np.asarray(A)).conj().T)
    return float(np.linalg.svd(scaled, compute_uv=False)[-1])


def inf_sup(
    operator: Callable[[np.ndarray], Any],
    space: Space,
    box: Box,
    anchors: np.ndarray,
    fresh: np.ndarray,
    least: float = 0.5,
    reads: int | None = None,
) -> InterpolatedInfSup:
    """Interpolates the inf-sup constant between anchors (J, p) and certifies it at fresh (m, p).

    operator : mu -> A (n, n), such as a full Affine; reads : how many of the first parameters it depends on, all by default
    Raises NotConverged where the interpolant must be lowered below `least` of itself to stay under the constants found at `fresh`.
    """
    anchors, fresh = np.atleast_2d(anchors), np.atleast_2d(fresh)
    if not len(fresh):
        raise BadInput("no fresh parameters; without a check an interpolated constant is a hope")
    s = np.atleast_2d(box.to_unit(anchors))[:, :reads]
    beta, check = (
        np.array([constant(operator(mu), space) for mu in mus]) for mus in (anchors, fresh)
    )
    gap = np.linalg.norm(s[:, None] - s, axis=2)
    system = np.block([[np.ones((len(s), 1)), gap], [np.zeros((1, 1)), np.ones((1, len(s)))]])
    c = np.linalg.solve(system, np.append(beta, 0.0))
    free = InterpolatedInfSup(box, s, c, 1.0, len(fresh))
    ratio = float(np.min(check / free(fresh)))
    if not ratio >= least:
        worst = fresh[int(np.argmin(check / free(fresh)))]
        raise NotConverged(
            f"the inf-sup constant at mu = {worst} is {ratio:.2g} of its interpolant; add anchors around it"
        )
    return InterpolatedInfSup(box, s, c, 0.9 * min(ratio, 1.0), len(fresh))


@dataclass(frozen=True, eq=False)
class Consistent:
    """(|r~| + operator |a| + load) / beta: the bound for the host's own equation where the model solves a separated one.

    f - A V a = (f~ - A~ V a) + (f - f~) - (A - A~) V a; operator >= |(A - A~) V|, load >= |f - f~|, both into X': measured at fresh
    parameters and doubled, not proven.
    """

    bound: Any
    operator: float
    load: float

    def residual(self, mu: np.ndarray, a: np.ndarray) -> np.ndarray:
        """Bounds of |f - A V a|_{X'} (m,) for mu (m, p) and coefficients a (m, r)."""
        return self.bound.residual(mu, a) + self.operator * np.linalg.norm(a, axis=1) + self.load

    def __call__(self, mu: np.ndarray, a: np.ndarray) -> np.ndarray:
        """Bounds (m,)."""
        return self.residual(mu, a) / self.bound.stability(mu)


def consistent(
    bound: Any, A: Any, f: Any, basis: Basis, operators: Any, loads: Any, fresh: np.ndarray
) -> Consistent:
    """The bound with what separation leaves out, measured at fresh (m, p).

    A, f : the separated sums; operators, loads : mu -> the host's own A V (n, r), or A (n, n), and f (n,)
    """
    space, V = basis.space, basis.modes
    gaps = []
    for mu in np.atleast_2d(fresh):
        host = np.asarray(operators(mu))
        miss = (host if host.shape == V.shape else host @ V) - sum(
            c * (t @ V) for c, t in zip(A.theta(mu), A.terms, strict=True)
        )
        gram = space.pair(miss, space.represent(miss))
        rest = (np.asarray(loads(mu)) - f(mu))[:, None]
        gaps.append((np.linalg.norm(gram, 2), abs(space.pair(rest, space.represent(rest))[0, 0])))
    operator, load = 2 * np.sqrt(np.max(gaps, axis=0))
    return Consistent(bound, float(operator), float(load))
