"""Fields of different units on one scale: inner products that weigh them alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from rom.arrays import gate
from rom.basis import Basis
from rom.compress.blocks import column_blocks
from rom.compress.decomposition import pod
from rom.errors import BadInput
from rom.snapshots import Snapshots
from rom.space import Space

MAX_TIGHTENINGS = 12  # of the common tolerance, by halves
COUPLING = 1e-12  # of the largest entry: what a block-diagonal product may have off its blocks


@gate(snapshots=Snapshots)
def balance(snapshots: Snapshots, *, memory_budget: float | None = None) -> Snapshots:
    """X_f <- X_f m / |U_f|_X^2 for every field f: each weighs the same in the energy.

    memory_budget : bytes for the blocks of data
    Raises BadInput where the space has no fields, X couples them, or a field is zero in every
    snapshot.
    """
    space = snapshots.space
    if not space.fields:
        raise BadInput("the space names no fields; give Space(fields=...) before balancing")
    weight = np.ones(space.n)
    energies = _field_energies(snapshots, memory_budget)
    for field, energy in zip(space.fields, energies.tolist(), strict=True):
        if energy == 0.0:
            raise BadInput(f"field {field.name!r} is zero in every snapshot; leave it out")
        weight[field.rows] = snapshots.m / energy
    product = _weigh(space.product, weight)
    balanced = Space(product, space.numbers, space.comm, space.fields)
    return replace(snapshots, space=balanced)


def _field_energies(snapshots: Snapshots, budget: float | None) -> np.ndarray:
    """|U_f|_X^2 of each field f, from blocks of snapshots."""
    space = snapshots.space
    squares = []
    for u in column_blocks(snapshots, budget):
        part = np.zeros(u.shape, dtype=np.result_type(u, float))
        for field in space.fields:
            part[:] = 0.0
            part[field.rows] = u[field.rows]
            squares.append(np.square(space.norm(part)))
    k = len(space.fields)
    return np.array([np.sum(np.concatenate(squares[i::k])) for i in range(k)])


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
def errors_by_field(
    snapshots: Snapshots, basis: Basis, *, memory_budget: float | None = None
) -> dict[str, float]:
    """|U_f - (V a + offset)_f| / |U_f| of each field f, Frobenius norms of its rows.

    memory_budget : bytes for the blocks of data
    """
    space = snapshots.space
    squares = np.zeros((len(space.fields), 2))
    for u in column_blocks(snapshots, memory_budget):
        miss = u - basis.lift(basis.coefficients(u))
        for k, part in enumerate(space.fields):
            squares[k] += [np.sum(np.abs(a[part.rows]) ** 2) for a in (miss, u)]
    lost, whole = space.sum(squares).T
    errors = np.sqrt(np.divide(lost, whole, out=np.zeros_like(lost), where=whole > 0))
    return dict(zip((part.name for part in space.fields), errors.tolist(), strict=True))


@gate(snapshots=Snapshots)
def pod_by_field(
    snapshots: Snapshots, tol: float | None = None, rank: int | None = None, **options: Any
) -> tuple[Basis, np.ndarray, dict[str, float]]:
    """One basis in which every field has the tolerance on its own scale.

    tol : relative error of each field; options : of `pod`, whose memory_budget is that of the
        blocks of all that is done
    Returns the basis in the balanced inner product, its singular values and the relative error
    of each field. Raises BadInput as `balance` does.
    """
    budget = options.get("memory_budget")
    balanced = balance(snapshots, memory_budget=budget)
    target = tol
    for _ in range(MAX_TIGHTENINGS):
        basis, s = pod(balanced, tol=target, rank=rank, **options)
        errors = errors_by_field(snapshots, basis, memory_budget=budget)
        if tol is None or target is None or rank is not None or max(errors.values()) <= tol:
            break
        target = 0.5 * target
    return basis, s, errors
