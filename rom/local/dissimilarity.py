"""Dissimilarities of solutions: sines of the angles between fields.

Reference: Daniel et al. (2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.linalg as la

from rom.arrays import POINTS, VECTOR, each, gate, integers, real
from rom.errors import BadInput
from rom.snapshots import Snapshots

BYTES_PER_ENTRY = 24  # a block of columns, its product with the mass, and a copy
SYMMETRY_TOL = 1e-8


@gate(snapshots=Snapshots, rows=integers)
def sines(
    snapshots: Snapshots, rows: np.ndarray | None = None, *, memory_budget: float = 2**28
) -> np.ndarray:
    """delta_ij = min_c |u_i - c u_j| / |u_i| = sin of the angle between u_i and u_j.

    Returns (m, m); blind below about 1e-8, for the sine is the root of 1 - cos^2.

    rows : local rows of one field, or None for the whole state
    memory_budget : bytes of a block of columns
    Raises BadInput naming a zero snapshot: 0 has no direction. Reference: Daniel et al. (2022).
    """
    space, u, m = snapshots.space, snapshots.u, snapshots.m
    if rows is not None and rows.size and not 0 <= rows.min() <= rows.max() < space.n:
        raise BadInput(f"rows reach {rows.min()}..{rows.max()}; the space has {space.n}")
    step = max(1, int(memory_budget / (BYTES_PER_ENTRY * max(space.n, 1))))
    products = np.zeros((m, m), dtype=np.result_type(u.dtype, float))
    size = np.empty(m)
    for j in range(0, m, step):
        right = _columns(u, j, step, rows)
        dual = space.apply(right)
        size[j : j + step] = space.norm(right)
        for i in range(0, j + 1, step):
            left = _columns(u, i, step, rows)
            products[i : i + step, j : j + step] = space.pair(left, dual)
    check_directions(size, snapshots)
    return _sines_of_products(products, size)


def unit_sines(unit: np.ndarray) -> np.ndarray:
    """Sines (m, m) of the angles between columns (R, m)."""
    gram = unit.conj().T @ unit
    return _sines_of_products(gram, np.sqrt(np.diag(gram).real))


def check_directions(size: np.ndarray, snapshots: Snapshots) -> None:
    """Raises BadInput naming the first snapshot whose norm is zero or not finite."""
    zero = np.flatnonzero(~(size > 0))
    if zero.size:
        raise BadInput(
            f"snapshot {zero[0]} (mu = {snapshots.mu[zero[0]]}) is zero or not finite; "
            "it has no direction: leave it out"
        )


@gate(parts=each(POINTS), weights=VECTOR)
def combine(parts: Sequence[np.ndarray], weights: Sequence[float] | None = None) -> np.ndarray:
    """D_ij = sqrt(sum_f w_f D_f,ij^2), sum_f w_f = 1: several quantities as one.

    parts : (m, m) each; weights : equal by default
    Raises BadInput for negative weights or shapes that differ.
    """
    share = np.ones(len(parts)) if weights is None else np.asarray(weights)
    positive = share.shape == (len(parts),) and (share >= 0).all() and share.sum() > 0
    if not len(parts) or not positive:
        raise BadInput(
            f"{len(parts)} dissimilarities need as many weights >= 0, not all zero; got {share}"
        )
    shapes = [np.shape(part) for part in parts]
    if len(set(shapes)) > 1:
        raise BadInput(f"dissimilarities have shapes {shapes}; give them for the same samples")
    squares = np.square(np.stack(parts))
    return np.asarray(np.sqrt(np.einsum("f,fij->ij", share / share.sum(), squares)))


def by_field(snapshots: Snapshots, weights: Sequence[float] | None = None) -> np.ndarray:
    """Combined sines (m, m) of every field of the space, each in its own rows.

    Raises BadInput where the space names no fields.
    """
    fields = snapshots.space.fields
    if not fields:
        raise BadInput("the space names no fields; give Space(fields=...), or use sines")
    parts = [sines(snapshots, field.rows) for field in fields]
    return combine(parts, weights)


@gate()
def scaling(dissimilarity: np.ndarray, d: int = 2) -> tuple[np.ndarray, float]:
    """x (m, d) with |x_i - x_j| ~ D_ij by classical multidimensional scaling.

    Returns x and the share of squared distance that d dimensions keep. Raises BadInput for other
    shapes and for d outside 1..m. Reference: Torgerson (1952).
    """
    D = check_dissimilarity(dissimilarity)
    if not 0 < d <= len(D):
        raise BadInput(f"d is {d}; {len(D)} points have 1 to {len(D)} dimensions")
    centring = np.eye(len(D)) - 1.0 / len(D)
    products = -0.5 * centring @ np.square(D) @ centring
    values, vectors = la.eigh(products)
    values = np.maximum(values[::-1], 0.0)
    vectors = vectors[:, ::-1]
    total = values.sum()
    share = float(values[:d].sum() / total) if total > 0 else 1.0
    return vectors[:, :d] * np.sqrt(values[:d]), share


def check_dissimilarity(values: Any) -> np.ndarray:
    """D (m, m) as floats: finite, symmetric, not negative, with a zero diagonal.

    Raises BadInput naming the first entry that is not.
    """
    D: np.ndarray = real(values, "dissimilarities")
    if D.ndim != 2 or D.shape[0] != D.shape[1] or D.size == 0:
        raise BadInput(f"dissimilarities have shape {D.shape}; give (m, m), m > 0")
    bad = np.argwhere(~(np.isfinite(D) & (D >= 0)))
    if bad.size:
        first = tuple(int(k) for k in bad[0])
        raise BadInput(
            f"dissimilarity {first} is {D[first]}; it must be finite and >= 0: check that sample"
        )
    allowed = SYMMETRY_TOL * max(D.max(), 1e-300)
    if np.abs(D - D.T).max() > allowed or np.abs(np.diag(D)).max() > allowed:
        raise BadInput(
            "dissimilarities must be symmetric with a zero diagonal; "
            "use (D + D.T) / 2 and clear the diagonal"
        )
    return D


def _columns(u: Any, j: int, step: int, rows: np.ndarray | None) -> np.ndarray:
    block = np.asarray(u[:, j : j + step])
    if rows is None:
        return block
    part = np.zeros_like(block)
    part[rows] = block[rows]
    return part


def _sines_of_products(products: np.ndarray, size: np.ndarray) -> np.ndarray:
    """sin_ij from the products above the diagonal and the norms; the diagonal is zero."""
    cosine = np.abs(products) / np.outer(size, size)
    sine = np.sqrt(np.maximum(1.0 - np.square(cosine), 0.0))
    return mirror(sine)


def mirror(D: np.ndarray) -> np.ndarray:
    """The symmetric matrix of what stands above the diagonal of D, which becomes 0."""
    upper = np.triu(D, 1)
    return np.asarray(upper + upper.T)
