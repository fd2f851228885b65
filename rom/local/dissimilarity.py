"""Dissimilarities of solutions by what one basis can do for both: sines of angles between fields, principal angles between runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.linalg as la

from rom.basis import Basis
from rom.errors import BadInput
from rom.snapshots import Snapshots
from rom.space import Space


def sines(
    snapshots: Snapshots, rows: np.ndarray | None = None, memory_budget: float = 2**28
) -> np.ndarray:
    """delta_ij = sqrt(1 - |(u_i, u_j)|^2 / (|u_i| |u_j|)^2) = min_c |u_i - c u_j| / |u_i|, (m, m); blind below about 1e-8.

    rows : local rows of one field, or None for the whole state. Columns are read in blocks of `memory_budget` bytes.
    Raises BadInput naming a zero snapshot: 0 has no direction. Reference: Daniel et al. (2022).
    """
    space, u, m = snapshots.space, snapshots.u, snapshots.m
    step = max(1, int(memory_budget / (24 * max(space.n, 1))))
    cosine, size = np.empty((m, m), dtype=np.result_type(u.dtype, float)), np.empty(m)
    for j in range(0, m, step):
        right = _columns(u, j, step, rows)
        dual, size[j : j + step] = space.apply(right), space.norm(right)
        for i in range(0, j + 1, step):
            cosine[i : i + step, j : j + step] = space.pair(_columns(u, i, step, rows), dual)
    zero = np.flatnonzero(~(size > 0))
    if zero.size:
        raise BadInput(
            f"snapshot {zero[0]} (mu = {snapshots.mu[zero[0]]}) is zero or not finite; it has no direction: leave it out"
        )
    return _symmetric(
        np.sqrt(np.maximum(1.0 - np.square(np.abs(cosine) / np.outer(size, size)), 0.0))
    )


def combine(parts: Sequence[np.ndarray], weights: Sequence[float] | None = None) -> np.ndarray:
    """D_ij = sqrt(sum_f w_f D_f,ij^2), sum_f w_f = 1: several quantities of interest in one dissimilarity; equal weights by default.

    Raises BadInput for negative weights or shapes that differ.
    """
    w = np.ones(len(parts)) if weights is None else np.asarray(weights, dtype=float)
    if not len(parts) or w.shape != (len(parts),) or not (w >= 0).all() or not w.sum() > 0:
        raise BadInput(
            f"{len(parts)} dissimilarities need as many weights >= 0, not all zero; got {w}"
        )
    if len({np.shape(D) for D in parts}) > 1:
        raise BadInput(
            f"dissimilarities have shapes {[np.shape(D) for D in parts]}; give them for the same samples"
        )
    return np.sqrt(np.einsum("f,fij->ij", w / w.sum(), np.square(np.stack(parts))))


def by_field(snapshots: Snapshots, weights: Sequence[float] | None = None) -> np.ndarray:
    """`combined` sines of every field of the space, each in its own rows."""
    if not snapshots.space.fields:
        raise BadInput("the space names no fields; give Space(fields=...), or use sines")
    return combine([sines(snapshots, f.rows) for f in snapshots.space.fields], weights)


def between_runs(runs: Sequence[Basis], kind: str = "chordal") -> np.ndarray:
    """Dissimilarity of the spans of POD bases of runs by their principal angles theta_i, (k, k), from one product of all modes.

    kind : "chordal" sqrt(sum sin^2 theta_i), "grassmann" sqrt(sum theta_i^2), both with theta = pi/2 for modes that one side lacks;
        "mutual" sqrt((|U_k - P_l U_k|^2 / |U_k|^2 + |U_l - P_k U_l|^2 / |U_l|^2) / 2), weighted by singular values
    Raises BadInput for runs of other spaces, another kind, or mutual projections without singular values. Reference: Ye and Lim (2016).
    """
    if kind not in KINDS:
        raise BadInput(f"unknown kind {kind!r}; choose {', '.join(KINDS)}")
    if len(runs) == 0 or any(run.space.n != runs[0].space.n for run in runs):
        raise BadInput("give at least one run, all bases on the same space")
    if kind == "mutual" and any(run.s is None for run in runs):
        raise BadInput("mutual projection weighs modes by singular values; give bases made by pod")
    ends = np.cumsum([0, *(run.r for run in runs)])
    G = runs[0].space.gram(np.hstack([run.modes for run in runs]))
    D = np.zeros((len(runs), len(runs)))
    for k in range(len(runs)):
        for j in range(k + 1, len(runs)):
            D[k, j] = KINDS[kind](
                G[ends[k] : ends[k + 1], ends[j] : ends[j + 1]], runs[k].s, runs[j].s
            )
    return _symmetric(D)


def principal_angles(space: Space, V: np.ndarray, W: np.ndarray) -> np.ndarray:
    """theta_1 <= theta_2 <= ... between span V and span W, orthonormal in X; accurate for small angles too.

    cos theta_i = sigma_i(V^H X W) above 45 degrees, sin theta_i = sigma_i(W - V V^H X W) below. Reference: Knyazev & Argentati (2002).
    """
    if V.shape[1] < W.shape[1]:
        V, W = W, V
    C = space.inner(V, W)
    cosine = la.svd(C, compute_uv=False)
    defect = W - V @ C
    sine = np.sqrt(np.maximum(la.eigvalsh(space.gram(defect)), 0.0)) if W.shape[1] else np.zeros(0)
    small = cosine**2 > 0.5
    return np.where(
        small, np.arcsin(np.clip(sine, 0.0, 1.0)), np.arccos(np.clip(cosine, -1.0, 1.0))
    )


def scaling(D: np.ndarray, d: int = 2) -> tuple[np.ndarray, float]:
    """x (m, d) with |x_i - x_j| ~ D_ij by classical multidimensional scaling, and the share of squared distance kept.

    Reference: Torgerson (1952).
    """
    D = check_dissimilarity(D)
    J = np.eye(len(D)) - 1.0 / len(D)
    values, vectors = la.eigh(-0.5 * J @ np.square(D) @ J)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    share = float(values[:d].sum() / values.sum()) if values.sum() > 0 else 1.0
    return vectors[:, :d] * np.sqrt(values[:d]), share


def check_dissimilarity(D: Any) -> np.ndarray:
    """D as floats, square, finite, symmetric, non-negative with a zero diagonal; BadInput names the first entry that is not."""
    D = np.asarray(D, dtype=float)
    if D.ndim != 2 or D.shape[0] != D.shape[1] or D.size == 0:
        raise BadInput(f"dissimilarities have shape {D.shape}; give (m, m), m > 0")
    bad = np.argwhere(~(np.isfinite(D) & (D >= 0)))
    if bad.size:
        raise BadInput(
            f"dissimilarity {tuple(int(k) for k in bad[0])} is {D[tuple(bad[0])]}; it must be finite and >= 0: check that sample"
        )
    if np.abs(D - D.T).max() > 1e-8 * max(D.max(), 1e-300) or np.abs(np.diag(D)).max() > 1e-8 * max(
        D.max(), 1e-300
    ):
        raise BadInput(
            "dissimilarities must be symmetric with a zero diagonal; use (D + D.T) / 2 and clear the diagonal"
        )
    return D


def _columns(u: Any, j: int, step: int, rows: np.ndarray | None) -> np.ndarray:
    block = np.asarray(u[:, j : j + step])
    if rows is None:
        return block
    part = np.zeros_like(block)
    part[rows] = block[rows]
    return part


def _symmetric(D: np.ndarray) -> np.ndarray:
    upper = np.triu(D, 1)
    return upper + upper.T


def _angles(C: np.ndarray) -> np.ndarray:
    theta = np.full(max(C.shape), 0.5 * np.pi)
    theta[: min(C.shape)] = np.arccos(np.clip(la.svd(C, compute_uv=False), 0.0, 1.0))
    return theta


def _chordal(C: np.ndarray, s: Any, t: Any) -> float:
    return float(np.sqrt(max(max(C.shape) - np.sum(np.abs(C) ** 2), 0.0)))


def _grassmann(C: np.ndarray, s: Any, t: Any) -> float:
    return float(np.linalg.norm(_angles(C)))


def _mutual(C: np.ndarray, s: np.ndarray, t: np.ndarray) -> float:
    s, t = s[: C.shape[0]], t[: C.shape[1]]
    kept = np.sum(np.abs(C * s[:, None]) ** 2) / np.sum(s**2) + np.sum(np.abs(C * t) ** 2) / np.sum(
        t**2
    )
    return float(np.sqrt(max(1.0 - 0.5 * kept, 0.0)))


KINDS = {"chordal": _chordal, "grassmann": _grassmann, "mutual": _mutual}
