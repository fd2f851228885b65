"""Coordinates of input fields: principal axes, and how far they reach."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rom.basis import Basis
from rom.compress import pod
from rom.snapshots import Snapshots

GAP = 1e-6  # relative: singular values nearer than it belong to one irreducible block
RUNS_PER_AXIS = 5  # of the axes whose Mahalanobis distance is judged
LEVEL = 0.995  # of the inputs that are inside
SLACK = 2.0  # times what axes of half of the runs miss of the others


@dataclass(frozen=True, eq=False)
class Coordinates:
    """z = scales V^T X (a - mean), and the range of inputs that the training covers.

    basis : V, k axes and the mean; scales (k,)
    deviations (q,) : of the first q coordinates before scaling; farthest : of their
    Mahalanobis distance; missed : norm of what the axes may leave out of an input
    """

    basis: Basis
    scales: np.ndarray
    deviations: np.ndarray
    farthest: float
    missed: float

    def reduce(self, a: np.ndarray) -> np.ndarray:
        """z (m, k) of inputs (n, m)."""
        return np.asarray(self.basis.coefficients(a).T * self.scales)

    def covers(self, a: np.ndarray) -> np.ndarray:
        """Whether each input (n, m) is like those of the training, (m,)."""
        z = self.basis.coefficients(a)
        near = z[: len(self.deviations)] / self.deviations[:, None]
        rest = self.basis.space.norm(a - self.basis.lift(z))
        return np.asarray((np.sum(near**2, axis=0) <= self.farthest**2) & (rest <= self.missed))


def principal_axes(inputs: Snapshots, images: list[np.ndarray], rank: int) -> Basis:
    """Axes of the inputs and their images, at most `rank`, about their mean.

    Of axes with one singular value all are kept or none, so that images of an input have the
    coordinates that the group gives them.
    """
    u = np.hstack(images)
    every = Snapshots(inputs.space, np.zeros((u.shape[1], 0)), u)
    most = min(u.shape[1] - 1, inputs.space.size)
    basis, s = pod(every, rank=max(1, min(rank, most)), center=True)
    if len(images) == 1 or basis.r >= len(s):
        return basis
    r = basis.r
    while r > 1 and s[r - 1] - s[r] <= GAP * s[0]:
        r -= 1
    return first_modes(basis, r)


def first_modes(basis: Basis, r: int) -> Basis:
    """The first r modes."""
    from dataclasses import replace

    return replace(basis, modes=basis.modes[:, :r], rank_asked=r, reason="rank")


def ranks_at_gaps(s: np.ndarray, wishes: list[int], grouped: bool) -> list[int]:
    """The ranks nearest below the wishes.

    Between distinct singular values where `grouped`.
    """
    ranks = []
    for r in wishes:
        while grouped and 1 < r < len(s) and s[r - 1] - s[r] <= GAP * s[0]:
            r -= 1
        ranks.append(r)
    return sorted(set(ranks))


def fit_coordinates(
    inputs: Snapshots, a: np.ndarray, basis: Basis, scales: np.ndarray, *, rng: int
) -> Coordinates:
    """The coordinates of a basis, with the range of the inputs a (n, m).

    Distances are Hotelling's, at least those of the training; what axes may miss is told by halves.
    """
    z = basis.coefficients(a)
    m, q = z.shape[1], max(1, min(basis.r, z.shape[1] // RUNS_PER_AXIS))
    size = np.sqrt(np.mean(z[:q] ** 2, axis=1))
    size = np.maximum(size, np.finfo(float).eps * max(size.max(), np.finfo(float).tiny))
    own = np.sqrt(np.sum((z[:q] / size[:, None]) ** 2, axis=0))
    farthest = max(float(np.quantile(own, LEVEL)), _hotelling(m, q))
    return Coordinates(basis, scales, size, farthest, _missed(inputs, a, basis.r, rng))


def _hotelling(m: int, q: int) -> float:
    """What the distance of one more of m normal inputs seldom exceeds."""
    from scipy.stats import f as fisher

    factor = (1 + 1 / m) * (m - 1) * q / max(m - q, 1)
    return float(np.sqrt(factor * fisher.ppf(LEVEL, q, max(m - q, 1))))


def _missed(inputs: Snapshots, a: np.ndarray, rank: int, rng: int) -> float:
    """SLACK times the most that axes of half of the inputs miss of the other half."""
    order = np.random.default_rng(rng).permutation(a.shape[1])
    half = max(2, a.shape[1] // 2)
    first, second = a[:, order[:half]], a[:, order[half:]]
    one = Snapshots(inputs.space, np.zeros((half, 0)), first)
    basis, _ = pod(one, rank=max(1, min(rank, half - 1, inputs.space.size)), center=True)
    second = second if second.size else first
    rest = inputs.space.norm(second - basis.lift(basis.coefficients(second)))
    scale = float(np.max(inputs.space.norm(a)))
    return SLACK * float(np.max(rest)) + 1e-8 * scale
