"""Held-out errors: how badly a basis misses a sample that it has not seen.

All from coordinates of samples of norm one, in the smaller of their two dimensions; folds hold
whole runs out together.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg as la

from rom.local.hull import LEAST_WEIGHT
from rom.snapshots import Snapshots

SINGULAR = 1e-13  # relative eigenvalue of a Gram matrix that is round-off
FEW = 4  # below so many samples a mode all eigenvalues cost less than the leading ones


def run_numbers(snapshots: Snapshots) -> np.ndarray:
    """Number (m,) of the run of each snapshot: those of one mu belong together."""
    _, numbers = np.unique(snapshots.mu, axis=0, return_inverse=True)
    return numbers.ravel()


def choose_folds(groups: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """A fold (m,) for each sample, one for a group, of nearly equal numbers of groups."""
    names, place = np.unique(groups, return_inverse=True)
    fold_of_group = np.arange(len(names)) % min(folds, len(names))
    return rng.permutation(fold_of_group)[place]


def pick_errors(errors: np.ndarray, choice: np.ndarray) -> np.ndarray:
    """Entries (m,) of errors (m, k) on the basis chosen (m,) for each sample."""
    return np.asarray(errors[np.arange(len(errors)), choice])


def held_out_errors(
    coordinates: np.ndarray,
    weights: np.ndarray,
    rank: int,
    fold: np.ndarray,
    *,
    previous: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """E_ij = |a_i - P_j a_i|, (m, k), P_j of the samples outside the fold of i.

    P_j projects on the leading modes of sum_l w_lj a_l a_l^H; blind below 1e-8.

    coordinates : a (R, m), of norm one; weights : w (m, k), rows of the identity for labels
    previous : other weights and their errors; columns of the same weights are copied
    """
    errors = np.ones(weights.shape)
    parts = np.unique(fold)
    for j, weight in enumerate(weights.T):
        if previous is not None and np.array_equal(previous[0][:, j], weight):
            errors[:, j] = previous[1][:, j]
            continue
        members = weight > LEAST_WEIGHT
        scaled = np.sqrt(weight) * coordinates
        moments = None
        if members.sum() > len(coordinates):
            of_parts = [scaled[:, members & (fold == part)] for part in parts]
            moments = np.stack([A @ A.conj().T for A in of_parts])
        for number, part in enumerate(parts):
            outside = fold == part
            if moments is None:
                V = _leading_of_few(scaled[:, members & ~outside], rank)
            else:
                V = _leading_of_many(np.delete(moments, number, axis=0).sum(axis=0), rank)
            inside = np.sum(np.abs(V.conj().T @ coordinates[:, outside]) ** 2, axis=0)
            errors[outside, j] = np.sqrt(np.maximum(1.0 - inside, 0.0))
    return errors


def _leading_of_few(A: np.ndarray, rank: int) -> np.ndarray:
    """Leading left singular vectors of A (R, m) above round-off, by A^H A."""
    m = A.shape[1]
    if m == 0:
        return np.zeros((len(A), 0))
    leading_only = None if m < FEW * rank else (m - rank, m - 1)
    inner = A.conj().T @ A
    squares, vectors = la.eigh(inner, subset_by_index=leading_only, check_finite=False)
    modes = np.flatnonzero(squares > SINGULAR * squares[-1])[-rank:]
    return np.asarray(A @ (vectors[:, modes] / np.sqrt(squares[modes])))


def _leading_of_many(moment: np.ndarray, rank: int) -> np.ndarray:
    """The same from A A^H (R, R) or 0, where A has more columns than rows."""
    R = len(moment)
    leading_only = (max(R - rank, 0), R - 1)
    squares, vectors = la.eigh(moment, subset_by_index=leading_only, check_finite=False)
    return np.asarray(vectors[:, squares > SINGULAR * squares[-1]])
