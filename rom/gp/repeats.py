"""Runs that were repeated: their averages, and the pure error between them."""

from __future__ import annotations

import numpy as np

PURE_TOL = 1e-9  # deviation between repeats over that of the output: below, there is no noise


def distinct_runs(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(first (d,), place (m,)) of distinct rows of x (m, p).

    first : run of each distinct row; place : of every run among them
    Distinct runs keep their order.
    """
    _, first, inverse = np.unique(x, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[inverse.ravel()]


def average_repeats(a: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(means (d, r), counts (d,), squares about the means (r,)) of a (m, r)."""
    counts = np.bincount(place)
    means = np.zeros((len(counts), a.shape[1]))
    np.add.at(means, place, a)
    means /= counts[:, None]
    pure: np.ndarray = np.sum((a - means[place]) ** 2, axis=0)
    return means, counts.astype(float), pure


def is_repeatable(a: np.ndarray, pure: np.ndarray, freedom: int) -> np.ndarray:
    """Whether repeats of each output of a (m, r) agree to round-off, (r,).

    pure (r,) : sum of squares between repeats of that freedom
    """
    scale = np.maximum(a.std(axis=0), PURE_TOL * np.abs(a).max(axis=0))
    repeatable: np.ndarray = pure <= freedom * (PURE_TOL * scale) ** 2
    return repeatable
