"""Nonintrusive separation: A(mu) ~ sum_m beta_m(mu) A(mu_m), from matrices that the host code already has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular
from scipy.sparse.linalg import LinearOperator

from rom.affine import Affine
from rom.errors import BadInput, NotConverged, SolveFailed
from rom.points.interpolation import FLOOR, eim
from rom.rule import Barycentric, Interpolation, Weights

Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]


def weights(
    kernel: Kernel, train: np.ndarray, x: np.ndarray, tol: float = 1e-12, rank: int | None = None
) -> Weights:
    """EIM of all families of a kernel at once (joint): which mu_m the host must assemble, and beta(mu).

    kernel : (mu (m, p), x (q, s)) -> (m, T, q); T families that enter the host's operator linearly, with their factors of mu;
             the constant 1 is one of them where a term does not depend on mu
    train : (m, p); x : (n, s) points that cover all arguments the host ever needs (distance zero included)
    """
    train, x = _rows(train), _rows(x)
    F = np.asarray(kernel(train, x))
    if F.ndim != 3 or F.shape[0] != len(train) or F.shape[2] != len(x):
        raise BadInput(
            f"the kernel gave shape {F.shape}; it must be (m, families, points) = ({len(train)}, T, {len(x)})"
        )
    scale = np.abs(F).max(axis=(0, 2))
    scale[scale == 0.0] = 1.0
    rule = eim((F / scale[:, None]).reshape(len(train), -1).T, tol, rank)
    return _weights(kernel, train, x, scale, rule, F)


def _weights(
    kernel: Kernel,
    train: np.ndarray,
    x: np.ndarray,
    scale: np.ndarray,
    rule: Interpolation,
    F: np.ndarray,
) -> Weights:
    family, point = np.divmod(rule.dofs, len(x))
    picked = rule.picked
    G = F[picked][:, family, point] / scale[family]
    upper = np.triu(solve_triangular(rule.matrix, G.T, lower=True, unit_diagonal=True))
    return Weights(
        kernel, train[picked], x[point], family, scale, rule.matrix, upper, rule.errors, rule.reason
    )


def two_stage(
    kernel: Kernel, train: np.ndarray, x: np.ndarray, tol: float = 1e-12, rank: int | None = None
) -> Weights:
    """EIM of each family alone, then of z_j(mu) = its values at their magic points: the same rule from a much smaller sample.

    Reference: Casenave, Ern, Lelievre, Sylvand (2014).
    """
    train, x = _rows(train), _rows(x)
    F = np.asarray(kernel(train, x))
    alone = [eim(F[:, t].T, 0.1 * tol).dofs for t in range(F.shape[1]) if np.abs(F[:, t]).any()]
    return weights(kernel, train, x[np.unique(np.concatenate(alone))], tol, rank)


def kernel_entries(
    oracle: Callable[[np.ndarray, np.ndarray], np.ndarray], mu: np.ndarray, x: np.ndarray
) -> np.ndarray:
    """A kernel for hosts whose kernel is unknown: F(mu, (i, j)) = A(mu)_ij from an oracle (mu (p,), pairs (q, 2)) -> (q,).

    Use partial(entries, oracle) as the kernel of `weights`, with x a random sample of pairs (i, j): matrix DEIM.
    Reference: Negri, Manzoni, Amsallem (2015).
    """
    return np.stack([np.asarray(oracle(row, x.astype(np.int64))) for row in np.atleast_2d(mu)])[
        :, None
    ]


def rational(
    train: np.ndarray, sample: np.ndarray, tol: float = 1e-12, rank: int | None = None
) -> Barycentric:
    """Set-valued AAA: one set of support points and barycentric weights for all rows of a sketch; needs no kernel and no oracle.

    train : (m, 1); sample : (s, m), columns are a few entries, or products with random vectors, of A(mu_j)
    Raises NotConverged where no rational function of this degree fits.
    """
    mu, F = _rows(train)[:, 0], np.asarray(sample).T
    if F.shape[0] != len(mu) or not np.isfinite(F).all():
        raise BadInput(
            f"sample of shape {np.shape(sample)} for {len(mu)} parameters; give finite columns, one per parameter"
        )
    F = F / np.abs(F).max(axis=0).clip(min=np.finfo(float).tiny)
    most = (len(mu) - 1) // 2 if rank is None else rank
    fit, support, errors, w, reason = (
        np.broadcast_to(F.mean(axis=0), F.shape),
        [],
        [],
        np.zeros(0),
        "",
    )
    while not reason:
        errors.append(float(np.abs(F - fit).max()))
        reason = (
            f"tol {tol:g} reached"
            if errors[-1] <= max(tol, FLOOR)
            else f"rank {most} reached"
            if len(w) >= most
            else ""
        )
        if not reason:
            support.append(int(np.argmax(np.abs(F - fit).max(axis=1))))
            w, fit = _barycentric(mu, F, support)
    if errors[-1] > max(tol, FLOOR) and rank is None:
        raise NotConverged(
            f"rational fit at {errors[-1]:.1e} > {tol:g} with {len(w)} samples; give more training parameters"
        )
    return Barycentric(mu[support][:, None], w, np.array(errors), reason)


def _barycentric(
    mu: np.ndarray, F: np.ndarray, support: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Weights that minimise the linearised residual |sum_j w_j (F - F_j) / (mu - mu_j)|, and the fit (m, s)."""
    rest = np.setdiff1d(np.arange(len(mu)), support)
    cauchy = 1.0 / (mu[rest, None] - mu[support])
    loewner = (F[rest, :, None] - F[support].T[None]) * cauchy[:, None, :]
    w = np.linalg.svd(np.linalg.qr(loewner.reshape(-1, len(support)), mode="r"))[2][-1].conj()
    fit = F.copy()
    fit[rest] = (cauchy * w) @ F[support] / (cauchy @ w)[:, None]
    return w, fit


def separate(
    rule: Any,
    assemble: Callable[[np.ndarray], Any] | None = None,
    apply: Any = None,
    n: int | None = None,
) -> Affine:
    """A(mu) ~ sum_m beta_m(mu) A(mu_m), or a right-hand side alike: one call of the host per mu_m.

    rule : Weights or Barycentric; assemble : mu (p,) -> matrix or vector of the host, or
    apply : (mu, U (n, k)) -> A(mu) U, with n rows, for hosts that store no matrix
    """
    if (assemble is None) == (apply is None) or (apply is not None and n is None):
        raise BadInput("give either assemble, or apply together with the number of rows n")
    if assemble is not None:
        return Affine(rule, _sound([assemble(mu) for mu in rule.mus], rule.mus))
    columns = [partial(apply, mu) for mu in rule.mus]
    product = [LinearOperator((n, n), matvec=call, matmat=call, dtype=complex) for call in columns]  # type: ignore[arg-type]
    return Affine(rule, product)


def _sound(terms: list[Any], mus: np.ndarray) -> list[Any]:
    """The host's samples, or SolveFailed naming the mu of the first of another shape or with NaN or Inf."""
    for term, mu in zip(terms, mus, strict=True):
        if np.shape(term) != np.shape(terms[0]):
            raise SolveFailed(
                f"the host gave shape {np.shape(term)} at mu = {mu}, but {np.shape(terms[0])} before; fix its mesh"
            )
        if isinstance(term, np.ndarray) and not np.isfinite(term).all():
            raise SolveFailed(f"the host's sample at mu = {mu} holds NaN or Inf; check it there")
    return terms


@dataclass(frozen=True, eq=False)
class Certificate:
    """|A(mu) - sum_m beta_m(mu) A(mu_m)| / |A(mu)| at fresh parameters, in the Frobenius norm, by a random sketch if there is one.

    mu : (m, p); error : (m,); lebesgue : (m,) sum_m |beta_m|, by how much errors of the host's samples are amplified
    """

    mu: np.ndarray
    error: np.ndarray
    lebesgue: np.ndarray


def certify(
    A: Affine,
    assemble: Any,
    fresh: np.ndarray,
    tol: float,
    sketch: np.ndarray | None = None,
    apply: Any = None,
) -> Certificate:
    """The error of a separated sum at fresh (m, p), m >= 3; sketch : (n, k) compares A Omega in place of A.

    Raises SolveFailed naming the mu whose sample the host got wrong: a wrong A(mu_j) leaves the defects -beta_j(mu) E, all
    parallel; a wrong fresh one leaves a single defect. Raises NotConverged where neither explains an error above tol.
    """
    fresh, rule = _rows(fresh), A.theta
    if len(fresh) < 3:
        raise BadInput(
            f"{len(fresh)} fresh parameters cannot tell which sample is wrong; give at least 3"
        )
    beta = np.asarray(rule(fresh))
    terms = [_seen(term, sketch) for term in A.terms]
    host = assemble if apply is None else lambda mu: apply(mu, sketch)
    exact = [_seen(host(mu), None if apply is not None else sketch) for mu in fresh]
    defects = np.array(
        [
            e - sum(b * t for b, t in zip(row, terms, strict=True))
            for e, row in zip(exact, beta, strict=True)
        ]
    )
    error = np.linalg.norm(defects, axis=1) / np.array([np.linalg.norm(e) for e in exact])
    if not error.max() <= tol:
        _accuse(error, defects, beta, fresh, np.asarray(rule.mus), tol)  # type: ignore[attr-defined]
    return Certificate(fresh, error, np.abs(beta).sum(axis=1))


def _seen(term: Any, sketch: np.ndarray | None) -> np.ndarray:
    product = term if sketch is None or np.ndim(term) == 1 else term @ sketch
    return np.ravel(product.toarray() if hasattr(product, "toarray") else product)


def _accuse(
    error: np.ndarray,
    defects: np.ndarray,
    beta: np.ndarray,
    fresh: np.ndarray,
    mus: np.ndarray,
    tol: float,
) -> None:
    worst = int(np.argmax(error))
    if not np.isfinite(error).all():
        raise SolveFailed(
            f"the host's answer at mu = {fresh[int(np.argmin(np.isfinite(error)))]} holds NaN or Inf; check it there"
        )
    if np.delete(error, worst).max() <= tol:
        raise SolveFailed(
            f"the host's answer at mu = {fresh[worst]} contradicts the others by {error[worst]:.1e}; check it there"
        )
    size = np.linalg.norm(defects)
    direction = beta / np.linalg.norm(beta, axis=0)
    left = (
        np.array([np.linalg.norm(defects - np.outer(b, b.conj() @ defects)) for b in direction.T])
        / size
    )
    first, second = np.sort(left)[:2] if len(left) > 1 else (left[0], 1.0)
    if first < 0.1 and first < 0.1 * second:
        raise SolveFailed(
            f"the host's sample at mu = {mus[int(np.argmin(left))]} is wrong by {error.max():.1e}; assemble it again"
        )
    raise NotConverged(
        f"separation error {error[worst]:.1e} > {tol:g} at mu = {fresh[worst]}, and no single sample explains it; "
        "a family of the kernel is missing, x misses arguments, or more samples are needed"
    )


def _rows(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    return values[:, None] if values.ndim == 1 else values
