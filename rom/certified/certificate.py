"""The error of a separated operator at fresh parameters; which sample is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from rom.affine import Affine
from rom.arrays import COLUMNS, OUTPUTS, gate
from rom.errors import BadInput, NotConverged, SolveFailed
from rom.host import Applied
from rom.parameters import parameter_rows

TINY = 1e-150  # smaller numbers have squares that vanish
MIN_FRESH = 3  # fewer cannot tell which sample is wrong
PARALLEL = 0.1  # of the defects, and of the next sample's rest: what one wrong sample may leave


@dataclass(frozen=True, eq=False)
class Certificate:
    """|A(mu) - sum_m beta_m(mu) A(mu_m)| / |A(mu)| at fresh parameters.

    In the Frobenius norm, by a random sketch if there is one.
    mu : (m, p); error : (m,)
    lebesgue : (m,) sum_m |beta_m|, by how much errors of the host's samples are amplified
    """

    mu: np.ndarray
    error: np.ndarray
    lebesgue: np.ndarray


@gate(A=Affine, fresh=OUTPUTS, sketch=COLUMNS)
def certify(
    A: Affine,
    assemble: Any,
    fresh: np.ndarray,
    *,
    tol: float,
    sketch: np.ndarray | None = None,
    apply: Any = None,
) -> Certificate:
    """The error of a separated sum at fresh (m, p), m >= 3.

    assemble : mu -> the host's matrix or vector, or its operator where it is only applied;
        apply : (mu, U) -> A(mu) U in its place
    sketch : (n, k), compares A Omega in place of A
    Raises SolveFailed naming the mu whose sample the host got wrong: a wrong A(mu_j) leaves the
    defects -beta_j(mu) E, all parallel; a wrong fresh one leaves a single defect. Raises
    NotConverged where neither explains an error above tol.
    """
    fresh = parameter_rows(fresh)
    if len(fresh) < MIN_FRESH:
        raise BadInput(
            f"{len(fresh)} fresh parameters cannot tell which sample is wrong; give at least 3"
        )
    if sketch is not None and np.ndim(A.terms[0]) == 2 and len(sketch) != A.terms[0].shape[1]:
        raise BadInput(f"sketch has shape {sketch.shape}; give ({A.terms[0].shape[1]}, k)")
    if A.is_applied and sketch is None:
        raise BadInput("an operator that is only applied needs a sketch (n, k) to compare")
    rule: Any = A.theta
    beta = np.asarray(rule(fresh))
    terms = [_flatten(term, sketch) for term in A.terms]
    if apply is None and A.is_applied:
        assemble = partial(Applied, assemble, n=A.terms[0].shape[0])
    exact = [_host_answer(assemble, apply, mu, sketch) for mu in fresh]
    defects = np.array([_defect(e, row, terms) for e, row in zip(exact, beta, strict=True)])
    sizes = np.array([np.linalg.norm(e) for e in exact])
    if (sizes < TINY).any():
        raise BadInput(f"the host's answer at mu = {fresh[np.argmin(sizes)]} or its sketch is zero")
    error = np.linalg.norm(defects, axis=1) / sizes
    certificate = Certificate(fresh, error, np.abs(beta).sum(axis=1))
    if not error.max() <= tol:
        _raise_culprit(certificate, defects, beta, np.asarray(rule.mus), tol)
    return certificate


def _flatten(term: Any, sketch: np.ndarray | None) -> np.ndarray:
    """A matrix, or its product with the sketch, as one vector; vectors as they are."""
    product = term if sketch is None or np.ndim(term) == 1 else term @ sketch
    return np.ravel(product.toarray() if hasattr(product, "toarray") else product)


def _host_answer(assemble: Any, apply: Any, mu: np.ndarray, sketch: Any) -> np.ndarray:
    if apply is None:
        return _flatten(assemble(mu), sketch)
    return _flatten(apply(mu, sketch), None)


def _defect(exact: np.ndarray, beta: np.ndarray, terms: list[np.ndarray]) -> np.ndarray:
    separated: Any = sum(b * term for b, term in zip(beta, terms, strict=True))
    return np.asarray(exact - separated)


def _raise_culprit(
    certificate: Certificate, defects: np.ndarray, beta: np.ndarray, mus: np.ndarray, tol: float
) -> None:
    """Raise SolveFailed for the sample that explains the defects, or NotConverged."""
    error, fresh = certificate.error, certificate.mu
    finite = np.isfinite(error)
    if not finite.all():
        raise SolveFailed(
            f"the host's answer at mu = {fresh[int(np.argmin(finite))]} holds NaN or Inf; "
            "check it there"
        )
    worst = int(np.argmax(error))
    if np.delete(error, worst).max() <= tol:
        raise SolveFailed(
            f"the host's answer at mu = {fresh[worst]} contradicts the others by "
            f"{error[worst]:.1e}; check it there"
        )
    rest = _rest_without_samples(defects, beta)
    first, second = np.sort(rest)[:2] if len(rest) > 1 else (rest[0], 1.0)
    if first < PARALLEL and first < PARALLEL * second:
        raise SolveFailed(
            f"the host's sample at mu = {mus[int(np.argmin(rest))]} is wrong by "
            f"{error.max():.1e}; assemble it again"
        )
    raise NotConverged(
        f"separation error {error[worst]:.1e} > {tol:g} at mu = {fresh[worst]}, and no single "
        "sample explains it; a family of the kernel is missing, x misses arguments, or more "
        "samples are needed"
    )


def _rest_without_samples(defects: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Per sample: share of the defects that its error -beta_j(mu) E leaves (d,)."""
    directions = beta / np.linalg.norm(beta, axis=0)
    rest = []
    for b in directions.T:
        explained = np.outer(b, b.conj() @ defects)
        rest.append(np.linalg.norm(defects - explained))
    return np.asarray(np.array(rest) / np.linalg.norm(defects))
