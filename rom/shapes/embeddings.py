"""Shapes as points: POD of morphed coordinates, and how far the training cloud reaches."""

from __future__ import annotations

import numpy as np

from rom.basis import Basis
from rom.compress.decomposition import pod
from rom.mesh import Mesh
from rom.shapes.morphing import Embedding
from rom.shapes.simplex import lumped_mass, simplices
from rom.snapshots import Snapshots
from rom.space import Space


def embedding(
    points: np.ndarray,
    reference: Mesh,
    rank: int | None = None,
    tol: float = 1e-2,
    rigid: bool = True,
) -> Embedding:
    """POD of morphed coordinates (m, N, d): at most `rank` modes, relative error `tol`; with the spread of the training cloud."""
    space = Space(
        np.repeat(lumped_mass(reference.points, simplices(reference)), points.shape[2]),
        np.arange(points[0].size),
    )
    start = Embedding(
        reference, Basis(space, np.zeros((space.n, 0))), np.zeros((len(points), 0)), 1.0, 1.0, rigid
    )
    x = np.array([start._aligned(p).ravel() for p in points]).T
    basis = modes(space, x, rank, tol)
    cloud = np.atleast_2d(basis.coefficients(x).T)
    apart = np.linalg.norm(cloud[:, None] - cloud, axis=2) + np.diag(np.full(len(cloud), np.inf))
    least = 1e-9 * float(space.norm(np.ones(space.n))) * float(np.ptp(reference.points))
    reach = max(float(apart.min(axis=1).max()), least) if len(cloud) > 1 else least
    return Embedding(
        reference, basis, cloud, reach, max(_left_over(space, x, basis.r), least), rigid
    )


def _left_over(space: Space, x: np.ndarray, r: int) -> float:
    """max_i |x_i - P_i x_i|, P_i the r leading modes of all the others about their mean, through Gram matrices."""
    G = space.gram(x - x.mean(axis=1, keepdims=True))
    m, worst = len(G), 0.0
    for i in range(m):
        others = np.delete(np.arange(m), i)
        mean = np.full(m - 1, 1 / (m - 1))
        S = G[np.ix_(others, others)]
        row = S @ mean
        C = S - row[:, None] - row + mean @ row
        cross = G[others, i] - row - (G[i, others] @ mean - mean @ row)
        own = G[i, i] - 2 * G[i, others] @ mean + mean @ row
        lam, Q = np.linalg.eigh(C)
        keep = lam[-r:] > 1e-12 * max(lam[-1], 1e-300) if r else np.zeros(0, bool)
        a = (Q[:, -r:].T @ cross)[keep] / np.sqrt(lam[-r:][keep]) if r else np.zeros(0)
        worst = max(worst, float(np.sqrt(max(own - a @ a, 0.0))))
    return worst


def modes(space: Space, u: np.ndarray, rank: int | None, tol: float | None) -> Basis:
    """POD about the mean; no mode at all where all columns agree to round-off."""
    mean = u.mean(axis=1)
    if np.max(space.norm(u - mean[:, None])) <= 1e-10 * max(space.norm(mean), 1e-300):
        return Basis(space, np.zeros((space.n, 0)), mean, reason="all samples agree")
    return pod(
        Snapshots(space, np.arange(u.shape[1])[:, None], u),
        tol=tol,
        rank=None if rank is None else min(rank, u.shape[1] - 1),
        center=True,
    )[0]
