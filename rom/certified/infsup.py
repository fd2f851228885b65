"""Inf-sup constants of noncoercive operators, interpolated and then measured.

    beta(mu) = inf_u sup_v |v^H A(mu) u| / |u|_X |v|_X

The interpolant is lowered below the constants at fresh parameters. Between them a resonance may
lie that none of them saw: bounds made of it are "measured", not certified.
`consistent_bound` adds to a bound what the separation of the host's operator leaves out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from rom.affine import Affine
from rom.arrays import OUTPUTS, array_of, function, gate
from rom.basis import Basis
from rom.certified.iteration import smallest_constant
from rom.certified.residual import divide, stability_at
from rom.errors import BadInput, NotConverged
from rom.host import Applied, is_applied
from rom.parameters import Box
from rom.prediction import Known
from rom.space import Space

SLACK = 1e-9  # of the unit box
SAFETY = 0.9  # of the smallest ratio of true to interpolated constant, and of slopes
FRESH = array_of("(m,)", "(m, p)", rows=True)  # none are refused by what they are for


@dataclass(frozen=True, eq=False)
class InterpolatedInfSup:
    """beta(mu) ~ margin (c_0 + sum_j c_j |s(mu) - s_j|): measured, s in the unit box.

    margin : below the smallest ratio of true to interpolated constant at the fresh parameters
        that `inf_sup` checked
    box : of the parameters; s : (J, q), the operator reads the first q parameters; c : (J + 1,)
    checked : number of fresh parameters
    seen : (k, q) all parameters where the constant is known, beta : (k,) constants there, slope :
        the steepest |beta_i - beta_j| / |s_i - s_j|; None in files of 0.1.0
    It is 0, and bounds infinite, outside the box and where no cone beta_j - slope |s - s_j| is
    positive: there the constants that were computed do not exclude a resonance.
    """

    box: Box
    s: np.ndarray
    c: np.ndarray
    margin: float
    checked: int
    seen: np.ndarray | None = None
    beta: np.ndarray | None = None
    slope: float = 0.0

    @property
    def known(self) -> Known:
        """Measured: between the parameters that were checked nothing is proved."""
        return Known.MEASURED

    def __call__(self, mu: np.ndarray) -> np.ndarray:
        """beta (m,) for mu (m, p), a number for (p,); 0 beyond what the check supports."""
        unit = np.atleast_2d(self.box.to_unit(mu))
        inside = (np.abs(unit - 0.5) <= 0.5 + SLACK).all(axis=1)
        s = unit[:, : self.s.shape[1]]
        beta = np.where(inside & self._is_supported(s), self.margin * self._interpolate(s), 0.0)
        beta = np.maximum(beta, 0.0)
        return beta if np.ndim(mu) == 2 else np.asarray(beta[0])

    def _interpolate(self, s: np.ndarray) -> np.ndarray:
        distance = np.linalg.norm(s[:, None] - self.s, axis=2)
        return np.asarray(self.c[0] + distance @ self.c[1:])

    def _is_supported(self, s: np.ndarray) -> np.ndarray:
        """Whether a computed constant excludes zero at s (m, q), by the steepest slope."""
        if self.seen is None or self.beta is None:
            return np.ones(len(s), dtype=bool)
        distance = np.linalg.norm(s[:, None] - self.seen, axis=2)
        return np.asarray((self.beta - self.slope * distance).max(axis=1) > 0)


def inf_sup_constant(A: np.ndarray, space: Space) -> float:
    """The smallest singular value of L^{-1} A L^{-H}, X = L L^H; A assembled (n, n)."""
    product = space.product.toarray() if sp.issparse(space.product) else np.diag(space.product)
    L = np.linalg.cholesky(product)
    half = np.linalg.solve(L, np.asarray(A))
    scaled = np.linalg.solve(L, half.conj().T)
    return float(np.linalg.svd(scaled, compute_uv=False)[-1])


def _constant(operator: Callable[[np.ndarray], Any], mu: np.ndarray, space: Space) -> float:
    A = operator(mu)
    if is_applied(A):
        return smallest_constant(A, space)
    if hasattr(A, "apply"):
        return smallest_constant(Applied(lambda _: A, mu, space.n), space)
    return inf_sup_constant(A, space)


@gate(operator=function, space=Space, box=Box, anchors=OUTPUTS, fresh=FRESH)
def inf_sup(
    operator: Callable[[np.ndarray], Any],
    space: Space,
    box: Box,
    anchors: np.ndarray,
    fresh: np.ndarray,
    *,
    min_ratio: float = 0.5,
    reads: int | None = None,
) -> InterpolatedInfSup:
    """The inf-sup constant interpolated between anchors (J, p), checked at fresh ones.

    operator : mu -> A (n, n), such as a full Affine, or a host's operator that is only applied,
        with adjoint: then its constants come from inverse iteration
    reads : how many of the first parameters it depends on, all by default
    Raises NotConverged where the interpolant must be lowered below `min_ratio` of itself to stay
    under the constants at `fresh`.
    """
    anchors, fresh = np.atleast_2d(anchors), np.atleast_2d(fresh)
    if not len(fresh):
        raise BadInput("no fresh parameters; without a check an interpolated constant is a hope")
    box.check(fresh)
    s = np.atleast_2d(box.to_unit(box.check(anchors)))[:, :reads]
    if len(np.unique(s, axis=0)) < len(s):
        raise BadInput("some anchors are equal in what the operator reads; give each once")
    beta = np.array([_constant(operator, mu, space) for mu in anchors])
    exact = np.array([_constant(operator, mu, space) for mu in fresh])
    free = InterpolatedInfSup(box, s, _interpolation_coefficients(s, beta), 1.0, len(fresh))
    ratios = exact / free._interpolate(np.atleast_2d(box.to_unit(fresh))[:, :reads])
    ratio = float(np.min(ratios))
    if not ratio >= min_ratio:
        worst = fresh[int(np.argmin(ratios))]
        raise NotConverged(
            f"the inf-sup constant at mu = {worst} is {ratio:.2g} of its interpolant; "
            "add anchors around it"
        )
    places = np.vstack([s, np.atleast_2d(box.to_unit(fresh))[:, :reads]])
    constants = np.append(beta, exact)
    return replace(
        free,
        margin=SAFETY * min(ratio, 1.0),
        seen=places,
        beta=constants,
        slope=_steepest(places, constants),
    )


def _steepest(s: np.ndarray, beta: np.ndarray) -> float:
    """max |beta_i - beta_j| / |s_i - s_j|, and some more."""
    distance = np.linalg.norm(s[:, None] - s, axis=2)
    rise = np.abs(beta[:, None] - beta)
    apart = distance > SLACK
    return float((rise[apart] / distance[apart]).max(initial=0.0)) / SAFETY


def _interpolation_coefficients(s: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """c with c_0 + sum_j c_j |s_i - s_j| = beta_i and sum_j c_j = 0."""
    distance = np.linalg.norm(s[:, None] - s, axis=2)
    ones = np.ones((len(s), 1))
    system = np.block([[ones, distance], [np.zeros((1, 1)), ones.T]])
    return np.linalg.solve(system, np.append(beta, 0.0))


@dataclass(frozen=True, eq=False)
class Consistent:
    """(|r~| + operator |a| + load) / beta: bound for the host's own equation.

    The model solves a separated one, A~ and f~ in place of A and f:
    f - A V a = (f~ - A~ V a) + (f - f~) - (A - A~) V a.
    operator >= |(A - A~) V|, load >= |f - f~|, both into X': measured at fresh parameters and
    doubled, not proven.
    """

    bound: Any
    operator: float
    load: float

    @property
    def known(self) -> Known:
        """Measured, as `operator` and `load` are."""
        return Known.MEASURED

    def residual(self, mu: np.ndarray, a: np.ndarray) -> np.ndarray:
        """Bounds of |f - A V a|_{X'} (m,) for mu (m, p) and coefficients a (m, r)."""
        size = np.linalg.norm(a, axis=1)
        return np.asarray(self.bound.residual(mu, a) + self.operator * size + self.load)

    def __call__(self, mu: np.ndarray, a: np.ndarray) -> np.ndarray:
        """Bounds (m,)."""
        return divide(self.residual(mu, a), stability_at(self.bound.stability, mu))


@gate(A=Affine, f=Affine, basis=Basis, fresh=OUTPUTS, host_operator=function, host_load=function)
def consistent_bound(
    bound: Any,
    A: Affine,
    f: Affine,
    basis: Basis,
    fresh: np.ndarray,
    *,
    host_operator: Callable[[np.ndarray], Any],
    host_load: Callable[[np.ndarray], Any],
) -> Consistent:
    """The bound with what separation leaves out, measured at fresh (m, p).

    A, f : the separated sums
    host_operator : mu -> the host's own A V (n, r), A (n, n), or its operator where it is only
        applied; host_load : mu -> its f (n,)
    """
    mus, V, space = np.atleast_2d(fresh), basis.modes, basis.space
    gaps = [_image(host_operator, mu, V).astype(complex) for mu in mus]
    theta = [A.theta(mu) for mu in mus]
    for q, term in enumerate(A.terms):
        image = term @ V
        for gap, coefficients in zip(gaps, theta, strict=True):
            gap -= coefficients[q] * image
    operator = max(float(np.linalg.norm(_dual_gram(space, gap), 2)) for gap in gaps)
    loads = [(np.asarray(host_load(mu)) - f(mu))[:, None] for mu in mus]
    load = max(abs(_dual_gram(space, gap)[0, 0]) for gap in loads)
    return Consistent(bound, 2 * float(np.sqrt(operator)), 2 * float(np.sqrt(load)))


def _image(host: Callable[[np.ndarray], Any], mu: np.ndarray, V: np.ndarray) -> np.ndarray:
    """The host's A V at mu, from A V, A, or an operator that is only applied."""
    answer = host(mu)
    if hasattr(answer, "apply"):
        return Applied(lambda _: answer, mu, len(V)) @ V
    image = np.asarray(answer)
    return image if image.shape == V.shape else np.asarray(image @ V)


def _dual_gram(space: Space, F: np.ndarray) -> np.ndarray:
    """F^H X^{-1} F."""
    return space.pair(F, space.represent(F))
