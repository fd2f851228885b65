"""Held-out errors: how badly a basis misses a sample that it has not seen.

All from the Gram matrix of samples of norm one; folds hold whole runs out together.
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
    gram: np.ndarray,
    weights: np.ndarray,
    rank: int,
    fold: np.ndarray,
    *,
    previous: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """E_ij = |a_i - P_j a_i|, (m, k), P_j of the samples outside the fold of i.

    P_j projects on the leading modes of sum_l w_lj a_l a_l^H; blind below 1e-8.

    gram : (m, m) of unit samples; weights : w (m, k), rows of the identity for labels
    previous : other weights and their errors; columns of the same weights are copied
    """
    errors = np.ones(weights.shape)
    for j, weight in enumerate(weights.T):
        if previous is not None and np.array_equal(previous[0][:, j], weight):
            errors[:, j] = previous[1][:, j]
            continue
        for part in np.unique(fold):
            outside = np.flatnonzero(fold == part)
            members = np.flatnonzero((fold != part) & (weight > LEAST_WEIGHT))
            root = np.sqrt(weight[members])
            errors[outside, j] = _projection_errors(gram, members, root, rank, outside)
    return errors


def _projection_errors(
    gram: np.ndarray, members: np.ndarray, root: np.ndarray, rank: int, samples: np.ndarray
) -> np.ndarray:
    """|a_i - P a_i| of unit samples, P on the leading modes of the members times root."""
    m = len(members)
    if m == 0:
        return np.ones(len(samples))
    leading_only = None if m < FEW * rank else (m - rank, m - 1)
    inner = root[:, None] * gram[np.ix_(members, members)] * root
    squares, vectors = la.eigh(inner, subset_by_index=leading_only, check_finite=False)
    modes = np.flatnonzero(squares > SINGULAR * squares[-1])[-rank:]
    scale = np.sqrt(squares[modes])[:, None]
    lift = vectors[:, modes].conj().T * root
    coefficients = lift @ gram[np.ix_(members, samples)] / scale
    explained = np.sum(np.abs(coefficients) ** 2, axis=0)
    return np.asarray(np.sqrt(np.maximum(1.0 - explained, 0.0)))
