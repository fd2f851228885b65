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
SMALL = 40  # rows of matrices of which all eigenvectors cost less than the leading ones
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
    outside = [np.flatnonzero(fold == part) for part in parts]
    unseen = [coordinates[:, rows] for rows in outside]
    for j, weight in enumerate(weights.T):
        if previous is not None and np.array_equal(previous[0][:, j], weight):
            errors[:, j] = previous[1][:, j]
            continue
        members = np.flatnonzero(weight > LEAST_WEIGHT)
        scaled = np.sqrt(weight[members]) * coordinates[:, members]
        fold_of = fold[members]
        many = len(members) > len(coordinates)
        if many:
            bases = _leading_of_many([scaled[:, fold_of == part] for part in parts], rank)
        else:
            bases = [_leading_of_few(scaled[:, fold_of != part], rank) for part in parts]
        for rows, samples, V in zip(outside, unseen, bases, strict=True):
            inside = np.sum(np.abs(V.conj().T @ samples) ** 2, axis=0)
            errors[rows, j] = np.sqrt(np.maximum(1.0 - inside, 0.0))
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


def _leading_of_many(of_parts: list[np.ndarray], rank: int) -> list[np.ndarray]:
    """The same of all parts but each, from A A^H (R, R), which may be 0.

    Of small matrices all eigenvectors cost less than the leading ones, and are had together.
    """
    products = np.stack([A @ A.conj().T for A in of_parts])
    rest = [np.delete(products, number, axis=0).sum(axis=0) for number in range(len(products))]
    R = len(rest[0])
    if R <= SMALL:
        squares, vectors = np.linalg.eigh(np.stack(rest))
        pairs = list(zip(squares[:, -rank:], vectors[:, :, -rank:], strict=True))
    else:
        leading_only = (max(R - rank, 0), R - 1)
        pairs = [la.eigh(A, subset_by_index=leading_only, check_finite=False) for A in rest]
    return [vectors[:, squares > SINGULAR * squares[-1]] for squares, vectors in pairs]
