"""Nonintrusive separation: A(mu) ~ sum_m beta_m(mu) A(mu_m).

The matrices A(mu_m) are the host code's own. Reference: Casenave, Ern, Lelievre, Sylvand (2014).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from rom.affine import Affine
from rom.arrays import OUTPUTS, POINTS, function, gate
from rom.errors import BadInput, SolveFailed
from rom.host import Applied, Host
from rom.parameters import parameter_rows
from rom.points.interpolation import eim
from rom.rule import Weights

Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]
MOST_AMPLIFIED = 50.0  # sum |beta_m|: by how much errors of a host that is only applied may grow
DRAWS = 500  # parameters at which that is looked at
ONE_FAMILY = 0.1  # of the tolerance, for the EIM of a family alone


@gate(kernel=function, train=OUTPUTS, x=OUTPUTS)
def eim_weights(
    kernel: Kernel,
    train: np.ndarray,
    x: np.ndarray,
    *,
    tol: float = 1e-12,
    rank: int | None = None,
) -> Weights:
    """EIM of all families of a kernel: which mu_m the host assembles, and beta(mu).

    kernel : (mu (m, p), x (q, s)) -> (m, T, q), T families that enter the host's operator
        linearly, with their factors of mu; the constant 1 is one of them where a term does not
        depend on mu
    train : (m, p)
    x : (n, s) points that cover all arguments the host ever needs (distance zero included)
    """
    train, x = parameter_rows(train), parameter_rows(x)
    F = np.asarray(kernel(train, x))
    if F.ndim != 3 or F.shape[0] != len(train) or F.shape[2] != len(x):
        raise BadInput(
            f"the kernel gave shape {F.shape}; it must be (m, families, points) = "
            f"({len(train)}, T, {len(x)})"
        )
    scale = np.abs(F).max(axis=(0, 2))
    scale[scale == 0.0] = 1.0
    sample = (F / scale[:, None]).reshape(len(train), -1).T
    rule = eim(sample, tol, rank)
    family, point = np.divmod(rule.dofs, len(x))
    values = F[rule.picked][:, family, point] / scale[family]
    upper = solve_triangular(rule.matrix, values.T, lower=True, unit_diagonal=True)
    return Weights(
        kernel=kernel,
        mus=train[rule.picked],
        x=x[point],
        family=family,
        scale=scale,
        lower=rule.matrix,
        upper=np.triu(upper),
        errors=rule.errors,
        reason=rule.reason,
    )


@gate(kernel=function, train=OUTPUTS, x=OUTPUTS)
def two_stage_weights(
    kernel: Kernel,
    train: np.ndarray,
    x: np.ndarray,
    *,
    tol: float = 1e-12,
    rank: int | None = None,
) -> Weights:
    """EIM of each family alone, then of all families at the points of those.

    The same rule as eim_weights, from a much smaller sample.
    """
    train, x = parameter_rows(train), parameter_rows(x)
    F = np.asarray(kernel(train, x))
    points = []
    for family in np.moveaxis(F, 1, 0):
        if np.abs(family).any():
            points.append(eim(family.T, ONE_FAMILY * tol).dofs)
    few = np.unique(np.concatenate(points))
    return eim_weights(kernel, train, x[few], tol=tol, rank=rank)


@gate(oracle=function, mu=OUTPUTS, x=POINTS)
def kernel_entries(
    oracle: Callable[[np.ndarray, np.ndarray], np.ndarray], mu: np.ndarray, x: np.ndarray
) -> np.ndarray:
    """F(mu, (i, j)) = A(mu)_ij: a kernel for hosts whose kernel is unknown.

    oracle : (mu (p,), pairs (q, 2)) -> (q,)
    Use partial(kernel_entries, oracle) as the kernel of `eim_weights`, with x a random sample of
    pairs (i, j): matrix DEIM. Reference: Negri, Manzoni, Amsallem (2015).
    """
    pairs = x.astype(np.int64)
    entries = [np.asarray(oracle(row, pairs)) for row in np.atleast_2d(mu)]
    return np.stack(entries)[:, None]


@gate()
def separate(
    rule: Any,
    assemble: Callable[[np.ndarray], Any] | None = None,
    *,
    apply: Any = None,
    host: Host | None = None,
    n: int | None = None,
) -> Affine:
    """A(mu) ~ sum_m beta_m(mu) A(mu_m), or a load: one call of the host per mu_m.

    rule : Weights or Barycentric; assemble : mu (p,) -> matrix or vector of the host, or
    host : mu -> an operator with apply, apply_adjoint, tolerance and close, with n rows, for hosts
        that store no matrix: it is set up when it is multiplied, and freed after
    apply : (mu, U (n, k)) -> A(mu) U, the same without set-up and adjoint
    Raises SolveFailed for a sample of another shape, or with NaN or Inf; BadInput where a host's
    errors would be amplified more than 50 times (sum |beta_m| between the samples).
    """
    if sum(source is not None for source in (assemble, apply, host)) != 1:
        raise BadInput("give either assemble, or apply or host together with the number of rows n")
    if assemble is not None:
        samples = [assemble(mu) for mu in rule.mus]
        _check_samples(samples, rule.mus)
        return Affine(rule, samples)
    if n is None:
        raise BadInput("a host that is only applied needs the number of rows n")
    if host is not None:
        _refuse_amplification(rule)
    source = host or _Apply(apply)
    return Affine(rule, [Applied(source, mu, n) for mu in rule.mus])


def _refuse_amplification(rule: Any) -> None:
    """Raises BadInput where sum |beta_m| exceeds 50 inside the box of the samples."""
    low, high = rule.mus.min(axis=0), rule.mus.max(axis=0)
    inside = low + (high - low) * np.random.default_rng(0).random((DRAWS, len(low)))
    size = float(np.abs(rule(inside)).sum(axis=1).max())
    if not size <= MOST_AMPLIFIED:
        raise BadInput(
            f"errors of the host are amplified {size:.3g} times by sum |beta_m|, more than "
            f"{MOST_AMPLIFIED:g}; cut the range of the parameters, or separate to a larger tol"
        )


@dataclass(frozen=True, eq=False)
class _Apply:
    """A host without set-up: (mu, U) -> A(mu) U."""

    product: Callable[[np.ndarray, np.ndarray], np.ndarray]
    mu: Any = None

    tolerance = 0.0

    def __call__(self, mu: np.ndarray) -> Any:
        """The operator at mu."""
        return _Apply(self.product, mu)

    def apply(self, U: np.ndarray) -> np.ndarray:
        """A(mu) U."""
        return self.product(self.mu, U)

    def close(self) -> None:
        """Nothing was set up."""


def _check_samples(samples: Sequence[Any], mus: np.ndarray) -> None:
    first = np.shape(samples[0])
    for sample, mu in zip(samples, mus, strict=True):
        if np.shape(sample) != first:
            raise SolveFailed(
                f"the host gave shape {np.shape(sample)} at mu = {mu}, but {first} before; "
                "fix its mesh"
            )
        if isinstance(sample, np.ndarray) and not np.isfinite(sample).all():
            raise SolveFailed(f"the host's sample at mu = {mu} holds NaN or Inf; check it there")
