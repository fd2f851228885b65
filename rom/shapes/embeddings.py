"""Shapes as points: POD of morphed coordinates, and the reach of the cloud."""

from __future__ import annotations

import numpy as np

from rom.arrays import array_of, gate
from rom.basis import Basis
from rom.compress.decomposition import pod
from rom.errors import BadInput
from rom.mesh import Mesh
from rom.shapes.morphing import Embedding, coordinates
from rom.shapes.simplex import lumped_mass, simplices
from rom.snapshots import Snapshots
from rom.space import Space

SHAPE_TOL = 1e-2
ROUND_OFF = 1e-10  # relative difference up to which columns agree
LEAST_REACH = 1e-9  # of the size of the reference
LEAST_EIGENVALUE = 1e-12  # relative
MOST_GROUPS = 50  # that are left out in turn
TINY = 1e-300


@gate(points=array_of("(m, N, d)"), reference=Mesh)
def embedding(
    points: np.ndarray,
    reference: Mesh,
    rank: int | None = None,
    tol: float = SHAPE_TOL,
    rigid: bool = True,
) -> Embedding:
    """POD of morphed coordinates (m, N, d), with the spread of the training cloud.

    rank : modes at most; tol : relative error, or fewer
    """
    m, n, d = points.shape
    if (n, d) != reference.points.shape:
        raise BadInput(
            f"points have shape {points.shape}; give coordinates (m, N, d) of the reference's "
            f"nodes {reference.points.shape}"
        )
    cells = simplices(reference)
    area = lumped_mass(reference.points, cells)
    space = Space(np.repeat(area, d), np.arange(n * d))
    x = coordinates(points, reference.points, rigid).T
    basis = modes(space, x, rank, tol)
    cloud = np.atleast_2d(basis.coefficients(x).T)
    unit = float(space.norm(np.ones(n * d)))
    size = float(np.ptp(reference.points))
    least = LEAST_REACH * (unit * size)
    reach = max(_reach(cloud), least) if m > 1 else least
    rest = max(distance_to_others(space, x, basis.r), least) if m > 1 else least
    return Embedding(reference, basis, cloud, reach, rest, rigid)


def _reach(cloud: np.ndarray) -> float:
    """The largest distance of a point (m, r) to the nearest other."""
    steps = cloud[:, None] - cloud
    distance = np.linalg.norm(steps, axis=2)
    np.fill_diagonal(distance, np.inf)
    nearest = distance.min(axis=1)
    return float(nearest.max())


def distance_to_others(space: Space, x: np.ndarray, rank: int) -> float:
    """max_i |x_i - P_i x_i|, through Gram matrices.

    P_i : the leading modes of the others about their mean; of more than 50 samples every 50th is
    left out together with x_i
    """
    centred = x - x.mean(axis=1, keepdims=True)
    G = space.gram(centred)
    m = len(G)
    groups = np.arange(m) % min(m, MOST_GROUPS)
    return max(_leave_out(G, np.flatnonzero(groups == k), rank) for k in range(groups.max() + 1))


def _leave_out(G: np.ndarray, group: np.ndarray, rank: int) -> float:
    """The largest |x_i - P x_i| of a group, from the Gram matrix (m, m).

    P : the leading modes of the others about their mean
    """
    others = np.setdiff1d(np.arange(len(G)), group)
    S, cross = G[np.ix_(others, others)], G[np.ix_(others, group)]
    row = S.mean(axis=1)
    square, between = row.mean(), cross.mean(axis=0)
    C = S - row[:, None] - row + square
    cross = cross - row[:, None] - (between - square)
    own = G[group, group] - 2 * between + square
    if rank:
        lam, Q = np.linalg.eigh(C)
        leading = lam[-rank:]
        large = leading > LEAST_EIGENVALUE * max(lam[-1], TINY)
        along = Q[:, -rank:].T @ cross
        own = own - np.sum(along[large] ** 2 / leading[large, None], axis=0)
    return float(np.sqrt(max(own.max(), 0.0)))


def modes(space: Space, u: np.ndarray, rank: int | None, tol: float | None) -> Basis:
    """POD about the mean of columns u (n, m); no mode where all agree to round-off."""
    mean = u.mean(axis=1)
    centred = u - mean[:, None]
    *deviations, size = space.norm(np.column_stack([centred, mean]))
    m = u.shape[1]
    if max(deviations) <= ROUND_OFF * max(size, TINY):
        return Basis(space, np.zeros((space.n, 0)), mean, reason="all samples agree")
    most = None if rank is None else min(rank, m - 1)
    snapshots = Snapshots(space, np.arange(m)[:, None], u)
    basis, _ = pod(snapshots, tol=tol, rank=most, center=True)
    return basis
