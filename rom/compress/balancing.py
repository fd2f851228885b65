"""Fields of different units on one scale: inner products that weigh them alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from rom.arrays import gate
from rom.basis import Basis
from rom.compress.decomposition import pod
from rom.errors import BadInput
from rom.snapshots import Snapshots
from rom.space import Field, Space

MAX_TIGHTENINGS = 12  # of the common tolerance, by halves
COUPLING = 1e-12  # of the largest entry: what a block-diagonal product may have off its blocks


@gate(snapshots=Snapshots)
def balance(snapshots: Snapshots) -> Snapshots:
    """X_f <- X_f m / |U_f|_X^2 for every field f: each weighs the same in the energy.

    Raises BadInput where the space has no fields, X couples them, or a field is zero in every
    snapshot.
    """
    space = snapshots.space
    if not space.fields:
        raise BadInput("the space names no fields; give Space(fields=...) before balancing")
    weight = np.ones(space.n)
    for field in space.fields:
        weight[field.rows] = snapshots.m / _field_energy(snapshots, field)
    product = _weigh(space.product, weight)
    balanced = Space(product, space.numbers, space.comm, space.fields)
    return replace(snapshots, space=balanced)


def _field_energy(snapshots: Snapshots, field: Field) -> float:
    """|U_f|_X^2 of one field."""
    space = snapshots.space
    part = np.zeros((space.n, snapshots.m))
    part[field.rows] = snapshots.u[:][field.rows]
    squares = np.square(space.norm(part))
    energy = float(np.sum(squares))
    if energy == 0.0:
        raise BadInput(f"field {field.name!r} is zero in every snapshot; leave it out")
    return energy


def _weigh(product: Any, weight: np.ndarray) -> Any:
    """diag(weight) X; BadInput where that is not symmetric."""
    if not sp.issparse(product):
        return product * weight
    diagonal = sp.diags_array(weight)
    left = diagonal @ product
    right = product @ diagonal
    asymmetry = abs(left - right).max()
    if asymmetry > COUPLING * abs(left).max():
        raise BadInput("the inner product couples fields; balancing needs a block-diagonal one")
    return left


@gate(snapshots=Snapshots, basis=Basis)
def errors_by_field(snapshots: Snapshots, basis: Basis) -> dict[str, float]:
    """|U_f - (V a + offset)_f| / |U_f| of each field f, Frobenius norms of its rows."""
    u = np.asarray(snapshots.u[:])
    missed = u - basis.lift(basis.coefficients(u))
    space = snapshots.space
    errors = {}
    for part in space.fields:
        squares = np.array([np.sum(np.abs(a[part.rows]) ** 2) for a in (missed, u)])
        lost, whole = space.sum(squares)
        errors[part.name] = float(np.sqrt(lost / whole)) if whole > 0 else 0.0
    return errors


@gate(snapshots=Snapshots)
def pod_by_field(
    snapshots: Snapshots, tol: float | None = None, rank: int | None = None, **options: Any
) -> tuple[Basis, np.ndarray, dict[str, float]]:
    """One basis in which every field has the tolerance on its own scale.

    tol : relative error of each field; options : of `pod`
    Returns the basis in the balanced inner product, its singular values and the relative error
    of each field. Raises BadInput as `balance` does.
    """
    balanced = balance(snapshots)
    target = tol
    for _ in range(MAX_TIGHTENINGS):
        basis, s = pod(balanced, tol=target, rank=rank, **options)
        errors = errors_by_field(snapshots, basis)
        if tol is None or target is None or rank is not None or max(errors.values()) <= tol:
            break
        target = 0.5 * target
    return basis, s, errors
