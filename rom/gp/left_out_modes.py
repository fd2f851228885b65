"""What modes miss of a run that they have not seen.

Modes of m runs are bent towards every one of them: what they miss of their own runs is less than
what they miss of a new one, by far where few runs carry many modes. So a run is left out of the
modes too, in coordinates that keep lengths, r + m at most, at no cost of the size of a field.
Reference: Krzanowski (1987), cross-validation in principal component analysis.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp

from rom.basis import Basis
from rom.compress.blocks import blocks_of_rows, budget_of, numbered_blocks
from rom.snapshots import Snapshots

SHARE = 0.5  # of a budget, for blocks
MOST = 128  # runs; those of more bend their modes by little
ROUND_OFF = 1e-14  # of the largest eigenvalue of what is missed
FOREIGN = 1e-3  # of a mode that lies outside the runs: it is of other runs
CENTRED = 1e-8  # of the size of the runs, for their mean


def leave_out_modes(
    snapshots: Snapshots, basis: Basis, a: np.ndarray, residuals: np.ndarray, remain: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Errors e_i = (I - P_i) u_i + P_i V r_i, P_i onto r modes of the others.

    a, residuals r (m, r) : coefficients of the runs, their errors at left-out ones
    remain (m, m) : in row i, the runs that are not left out with run i
    Returns E (m, r) and W (m, m) with e_i = V E_i + (U - V A^T) W_i, U the runs less the offset;
    None where the modes are of other runs, or of more than 128.
    """
    m, r = a.shape
    if m > MOST:
        return None
    a = a.astype(complex if np.iscomplexobj(a) else float)
    values, vectors = np.linalg.eigh(_missed_gram(snapshots, basis, a))
    solid = values > max(ROUND_OFF * values[-1], (1e-14 * np.linalg.norm(a)) ** 2)
    root, vectors = np.sqrt(values[solid]), vectors[:, solid]
    S = np.vstack([a.T, root[:, None] * vectors.conj().T])  # of the lengths of the runs
    left = _range(S, m)
    if r and np.linalg.norm(left[:r], axis=1).min() < 1.0 - FOREIGN:
        return None
    is_centred = np.linalg.norm(S.sum(axis=1)) <= CENTRED * np.sqrt(m) * np.linalg.norm(S)
    E = np.empty_like(S)
    for i in range(m):
        others = S[:, remain[i]]
        middle = others.mean(axis=1, keepdims=True) if is_centred else np.zeros((len(S), 1))
        Q = _range(others - middle, r)
        run = S[:, i] - middle[:, 0]
        foreseen = -run
        foreseen[:r] += residuals[i]
        E[:, i] = run + Q @ (Q.conj().T @ foreseen)
    return E[:r].T, vectors @ (E[r:] / root[:, None])


def _range(S: np.ndarray, rank: int) -> np.ndarray:
    """The `rank` first left singular vectors, without those of round-off."""
    Q, s, _ = np.linalg.svd(S, full_matrices=False)
    return np.asarray(Q[:, : min(rank, int(np.sum(s > 1e-13 * s.max(initial=0.0))))])


def _missed_gram(snapshots: Snapshots, basis: Basis, a: np.ndarray) -> np.ndarray:
    """(U - V A^T)^H X (U - V A^T), (m, m), X of the basis."""
    space = basis.space
    if sp.issparse(space.product):
        return _pairs_gram(snapshots, basis, a)
    offset = np.broadcast_to(np.asarray(basis.offset), (space.n,))[:, None]
    local = np.zeros((len(a), len(a)), dtype=a.dtype)
    for rows, u in blocks_of_rows(snapshots, SHARE * budget_of(snapshots)):
        missed = (u - offset[rows]).astype(local.dtype, copy=False)  # no long double
        missed -= basis.modes[rows] @ a.T
        weighed = missed if space.identity else space.product[rows, None] * missed
        local += missed.conj().T @ weighed
    return np.asarray(space.hermitian(local))


def _pairs_gram(snapshots: Snapshots, basis: Basis, a: np.ndarray) -> np.ndarray:
    """The same for a sparse X, by pairs of blocks of columns."""
    space = basis.space
    offset = np.broadcast_to(np.asarray(basis.offset), (space.n,))[:, None]
    local = np.zeros((len(a), len(a)), dtype=a.dtype)

    def misses() -> Iterator[tuple[slice, np.ndarray]]:
        for columns, u in numbered_blocks(snapshots, SHARE * budget_of(snapshots)):
            missed = (u - offset).astype(local.dtype, copy=False)
            missed -= basis.modes @ a[columns].T
            yield columns, missed

    for right, missed in misses():
        image = space.product @ missed
        local[right, right] = missed.conj().T @ image
        if right.start == 0:
            continue
        for left, other in misses():
            if left.start >= right.start:
                break
            local[left, right] = other.conj().T @ image
            local[right, left] = local[left, right].conj().T
    return np.asarray(space.hermitian(local))
