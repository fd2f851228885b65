"""Principal angles between the spans of runs, and dissimilarities of them.

Reference: Ye and Lim (2016).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.linalg as la

from rom.arrays import COLUMNS, each, gate, of_noun
from rom.basis import Basis
from rom.errors import BadInput
from rom.local.dissimilarity import mirror
from rom.space import Space

HALF_COSINE = 0.5  # cos^2 of 45 degrees: below it the sine is the accurate one


@gate(runs=each(of_noun(Basis)))
def between_runs(runs: Sequence[Basis], kind: str = "chordal") -> np.ndarray:
    """Dissimilarity (k, k) of spans of POD bases by their principal angles theta_i.

    kind : "chordal" sqrt(sum sin^2 theta_i), "grassmann" sqrt(sum theta_i^2), both with
        theta = pi/2 for modes that one side lacks; "mutual", weighted by singular values,
        sqrt((|U_k - P_l U_k|^2 / |U_k|^2 + |U_l - P_k U_l|^2 / |U_l|^2) / 2)
    Raises BadInput for runs of other spaces, another kind, or mutual projections without
    singular values. Reference: Ye and Lim (2016).
    """
    if kind not in DISTANCES:
        raise BadInput(f"unknown kind {kind!r}; choose {', '.join(DISTANCES)}")
    if len(runs) == 0 or any(run.space.n != runs[0].space.n for run in runs):
        raise BadInput("give at least one run, all bases on the same space")
    distance = DISTANCES[kind]
    if distance is _mutual and any(run.s is None for run in runs):
        raise BadInput("mutual projection weighs modes by singular values; give bases made by pod")
    ends = np.cumsum([0, *(run.r for run in runs)])
    gram = runs[0].space.gram(np.hstack([run.modes for run in runs]))
    D = np.zeros((len(runs), len(runs)))
    for k, first in enumerate(runs):
        mine = slice(ends[k], ends[k + 1])
        for j in range(k + 1, len(runs)):
            cosines = gram[mine, ends[j] : ends[j + 1]]
            D[k, j] = distance(cosines, first.s, runs[j].s)
    return mirror(D)


@gate(space=Space, V=COLUMNS, W=COLUMNS)
def principal_angles(space: Space, V: np.ndarray, W: np.ndarray) -> np.ndarray:
    """theta_1 <= theta_2 <= ... between span V and span W, orthonormal in X.

    cos theta_i = sigma_i(V^H X W) above 45 degrees, sin theta_i = sigma_i(W - V V^H X W)
    below, so that small angles are accurate too. Reference: Knyazev and Argentati (2002).
    """
    for name, modes in (("V", V), ("W", W)):
        if len(modes) != space.n:
            raise BadInput(f"{name} has shape {modes.shape}; give modes of {space.n} rows")
    if V.shape[1] < W.shape[1]:
        V, W = W, V
    products = space.inner(V, W)
    cosine = la.svd(products, compute_uv=False)
    sine = np.zeros(0)
    if W.shape[1]:
        squares = la.eigvalsh(space.gram(W - V @ products))
        sine = np.sqrt(np.maximum(squares, 0.0))
    by_sine = np.arcsin(np.clip(sine, 0.0, 1.0))
    by_cosine = np.arccos(np.clip(cosine, -1.0, 1.0))
    return np.where(cosine**2 > HALF_COSINE, by_sine, by_cosine)


def _chordal(C: np.ndarray, s: Any, t: Any) -> float:
    squares = max(C.shape) - np.sum(np.abs(C) ** 2)
    return float(np.sqrt(max(squares, 0.0)))


def _grassmann(C: np.ndarray, s: Any, t: Any) -> float:
    theta = np.full(max(C.shape), 0.5 * np.pi)
    cosine = la.svd(C, compute_uv=False)
    theta[: min(C.shape)] = np.arccos(np.clip(cosine, 0.0, 1.0))
    return float(np.linalg.norm(theta))


def _mutual(C: np.ndarray, s: np.ndarray, t: np.ndarray) -> float:
    s = s[: C.shape[0]]
    t = t[: C.shape[1]]
    first = np.sum(np.abs(C * s[:, None]) ** 2) / np.sum(s**2)
    second = np.sum(np.abs(C * t) ** 2) / np.sum(t**2)
    return float(np.sqrt(max(1.0 - 0.5 * (first + second), 0.0)))


DISTANCES: dict[str, Callable[..., float]] = {
    "chordal": _chordal,
    "grassmann": _grassmann,
    "mutual": _mutual,
}
