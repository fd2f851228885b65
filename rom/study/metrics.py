"""Errors of predicted fields over a set of samples whose meshes all differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rom.arrays import FIELDS, each, gate
from rom.errors import BadInput

Arrays = Sequence[np.ndarray]
TINY = 1e-150  # smaller numbers have squares that vanish
BAND_90 = 1.6448536  # standard deviations of the 90 % band of a normal distribution


@gate(predicted=each(FIELDS), true=each(FIELDS))
def rel_l2(predicted: Arrays, true: Arrays) -> float:
    """mean_i |u_i - v_i|_2 / |u_i|_2 over the nodes of each sample."""
    _check_pairs(predicted, true)
    _refuse_zero(true)
    errors = []
    for v, u in zip(predicted, true, strict=True):
        errors.append(np.linalg.norm(v - u) / np.linalg.norm(u))
    return float(np.mean(errors))


@gate(predicted=each(FIELDS), true=each(FIELDS))
def rrmse(predicted: Arrays, true: Arrays) -> float:
    """sqrt(mean_i (1/N_i) |u_i - v_i|_2^2 / |u_i|_inf^2).

    Reference: Casenave, Staber and Roynard (2023).
    """
    _check_pairs(predicted, true)
    _refuse_zero(true)
    squares = []
    for v, u in zip(predicted, true, strict=True):
        largest = np.max(np.abs(u))
        squares.append(np.mean((v - u) ** 2) / largest**2)
    return float(np.sqrt(np.mean(squares)))


@gate(predicted=each(FIELDS), true=each(FIELDS))
def q2(predicted: Arrays, true: Arrays) -> float:
    """1 - sum (u - v)^2 / sum (u - mean u)^2 over all values of all samples together."""
    _check_pairs(predicted, true)
    v = np.concatenate([np.ravel(values) for values in predicted])
    u = np.concatenate([np.ravel(values) for values in true])
    if not np.ptp(u) > TINY:
        raise BadInput("all true values are equal; Q2 compares with their variance")
    return float(1 - np.sum((u - v) ** 2) / np.sum((u - u.mean()) ** 2))


@gate(predicted=each(FIELDS), true=each(FIELDS), std=each(FIELDS))
def field_coverage(
    predicted: Arrays, true: Arrays, std: Arrays, *, sigmas: float = BAND_90
) -> float:
    """Share of values within `sigmas` standard deviations.

    By default the 90 % band of a normal distribution.
    """
    _check_pairs(predicted, true)
    _check_pairs(std, true)
    covered = []
    for v, u, s in zip(predicted, true, std, strict=True):
        inside = np.abs(v - u) <= sigmas * s
        covered.append(np.ravel(inside))
    return float(np.mean(np.concatenate(covered)))


def _refuse_zero(true: Arrays) -> None:
    """BadInput naming a sample whose true values are zero."""
    for i, values in enumerate(true):
        if not np.linalg.norm(values) > TINY:
            raise BadInput(f"the true values of sample {i} are all zero; leave that sample out")


def _check_pairs(ours: Arrays, true: Arrays) -> None:
    """BadInput where samples, or values of one, are not as many; and for a zero truth."""
    shapes = [[np.shape(values) for values in arrays] for arrays in (ours, true)]
    if shapes[0] != shapes[1]:
        raise BadInput(
            f"arrays of shapes {shapes[0][:3]} meet {shapes[1][:3]}; give as many values"
        )
