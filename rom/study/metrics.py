"""Errors of predicted fields over a set of samples whose meshes all differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Arrays = Sequence[np.ndarray]


def rel_l2(found: Arrays, true: Arrays) -> float:
    """mean_i |u_i - v_i|_2 / |u_i|_2 over the nodes of each sample."""
    return float(
        np.mean(
            [np.linalg.norm(v - u) / np.linalg.norm(u) for v, u in zip(found, true, strict=True)]
        )
    )


def rrmse(found: Arrays, true: Arrays) -> float:
    """sqrt(mean_i (1/N_i) |u_i - v_i|_2^2 / |u_i|_inf^2). Reference: Casenave, Staber, Roynard (2023)."""
    return float(
        np.sqrt(
            np.mean(
                [
                    np.mean((v - u) ** 2) / np.max(np.abs(u)) ** 2
                    for v, u in zip(found, true, strict=True)
                ]
            )
        )
    )


def q2(found: Arrays, true: Arrays) -> float:
    """1 - sum (u - v)^2 / sum (u - mean u)^2 over all values of all samples together."""
    v, u = np.concatenate([np.ravel(a) for a in found]), np.concatenate([np.ravel(a) for a in true])
    return float(1 - np.sum((u - v) ** 2) / np.sum((u - u.mean()) ** 2))


def field_coverage(found: Arrays, true: Arrays, std: Arrays, sigmas: float = 1.6448536) -> float:
    """Share of values within `sigmas` standard deviations; by default the 90 % band of a normal distribution."""
    return float(
        np.mean(
            np.concatenate(
                [
                    np.ravel(np.abs(v - u) <= sigmas * s)
                    for v, u, s in zip(found, true, std, strict=True)
                ]
            )
        )
    )
