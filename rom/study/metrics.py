"""Errors of predicted fields over a set of samples whose meshes all differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Arrays = Sequence[np.ndarray]
BAND_90 = 1.6448536  # standard deviations of the 90 % band of a normal distribution


def rel_l2(predicted: Arrays, true: Arrays) -> float:
    """mean_i |u_i - v_i|_2 / |u_i|_2 over the nodes of each sample."""
    errors = []
    for v, u in zip(predicted, true, strict=True):
        errors.append(np.linalg.norm(v - u) / np.linalg.norm(u))
    return float(np.mean(errors))


def rrmse(predicted: Arrays, true: Arrays) -> float:
    """sqrt(mean_i (1/N_i) |u_i - v_i|_2^2 / |u_i|_inf^2).

    Reference: Casenave, Staber and Roynard (2023).
    """
    squares = []
    for v, u in zip(predicted, true, strict=True):
        largest = np.max(np.abs(u))
        squares.append(np.mean((v - u) ** 2) / largest**2)
    return float(np.sqrt(np.mean(squares)))


def q2(predicted: Arrays, true: Arrays) -> float:
    """1 - sum (u - v)^2 / sum (u - mean u)^2 over all values of all samples together."""
    v = np.concatenate([np.ravel(values) for values in predicted])
    u = np.concatenate([np.ravel(values) for values in true])
    return float(1 - np.sum((u - v) ** 2) / np.sum((u - u.mean()) ** 2))


def field_coverage(
    predicted: Arrays, true: Arrays, std: Arrays, *, sigmas: float = BAND_90
) -> float:
    """Share of values within `sigmas` standard deviations.

    By default the 90 % band of a normal distribution.
    """
    covered = []
    for v, u, s in zip(predicted, true, std, strict=True):
        inside = np.abs(v - u) <= sigmas * s
        covered.append(np.ravel(inside))
    return float(np.mean(np.concatenate(covered)))
