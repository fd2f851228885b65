"""Sparse posteriors q = N(m, (V V^T)^{-1}) of priors N(mean, (U U^T)^{-1}).

U and V are inverse Cholesky factors of one pattern, u_i the columns of U.
ELBO = sum_i (E_q log p(y_i | f_i) - 1/2 |V^{-1} u_i|^2 - 1/2 (u_i^T (m - mean))^2
       + log U_ii - log V_ii + 1/2):
a sum over points, each with its ancestors in the pattern, so that few points estimate it.
Reference: Cao, Kang, Jimenez, Sang, Schaefer, Katzfuss (2023).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from rom.gp.kernels import Stationary
from rom.gp.noises import Observations, expected_density
from rom.gp.sparse_factor import assemble_factor, conditional_weights
from rom.gp.triangles import restrict_pattern, triangular_solver, unit_columns

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

WIDE = 256  # points that are solved for together
PREDICTION_GENERATIONS = 4
MIN_VARIANCE = 1e-14


@dataclass(frozen=True, eq=False)
class SparsePosterior:
    """q(f) of n points, in the order in which the factors are triangular.

    near (n, k) : rows above the diagonal of each column, -1 for none
    U, V (n, 1 + k) : diagonal, then those rows; m (n,)
    y (n,) : observed under the named noise and its scale
    """

    near: np.ndarray
    U: np.ndarray
    V: np.ndarray
    m: np.ndarray
    mean: float
    noise: str
    scale: float
    y: np.ndarray

    @property
    def data(self) -> Observations:
        """What was observed."""
        return Observations(self.y, self.noise, self.scale)

    def restrict(self, points: np.ndarray) -> tuple[np.ndarray, SparsePosterior]:
        """(members, q of the members): points and their ancestors."""
        members, near = restrict_pattern(self.near, points)
        part = SparsePosterior(
            near,
            self.U[members],
            self.V[members],
            self.m[members],
            self.mean,
            self.noise,
            self.scale,
            self.y[members],
        )
        return members, part

    def parts(self, points: np.ndarray) -> Iterator[PosteriorPart]:
        """Batches of at most WIDE points, each with its ancestors."""
        for start in range(0, len(points), WIDE):
            batch = points[start : start + WIDE]
            members, part = self.restrict(batch)
            yield PosteriorPart(batch, members, part, np.searchsorted(members, batch))

    def elbo_terms(self, points: np.ndarray) -> np.ndarray:
        """The terms of the ELBO of some points, (len(points),).

        Their sum over all points is the ELBO, never above log p(y).
        """
        terms = []
        for part in self.parts(points):
            S = part.solve()
            expected = expected_density(part.data, part.m, part.variance(S))[0]
            terms.append(part.elbo_terms(expected, S))
        return np.concatenate(terms)


@dataclass(frozen=True, eq=False)
class PosteriorPart:
    """A batch of points, and q of the batch and its ancestors.

    batch (b,), members : numbers among all points; places (b,) : of the batch in members
    """

    batch: np.ndarray
    members: np.ndarray
    posterior: SparsePosterior
    places: np.ndarray

    @property
    def data(self) -> Observations:
        """What was observed at the batch."""
        return self.posterior.data.rows(self.places)

    @property
    def m(self) -> np.ndarray:
        """Means of the batch, (b,)."""
        return np.asarray(self.posterior.m[self.places])

    @cached_property
    def prior_columns(self) -> np.ndarray:
        """The columns u_i of the batch, (members, b)."""
        U = assemble_factor(self.posterior.near, self.posterior.U)
        return np.asarray(U[:, self.places].toarray())

    def solve(self) -> np.ndarray:
        """S = V^{-1} [u_i, e_i], (members, 2 b), e_i columns of the identity."""
        solver = triangular_solver(self.posterior.near, self.posterior.V)
        units = unit_columns(len(self.members), self.places)
        return np.asarray(solver.solve(np.hstack([self.prior_columns, units])))

    def variance(self, S: np.ndarray) -> np.ndarray:
        """Variances of the batch under q, (b,), from S."""
        by_units = S[:, len(self.batch) :]
        return np.asarray(np.sum(by_units**2, axis=0))

    def elbo_terms(self, expected: np.ndarray, S: np.ndarray) -> np.ndarray:
        """The terms of the batch (b,), from E_q log p(y_i | f_i) and S."""
        q = self.posterior
        by_prior = S[:, : len(self.batch)]
        shift = (q.m - q.mean) @ self.prior_columns
        distance = np.sum(by_prior**2, axis=0) + shift**2
        of_prior = q.U[self.places, 0]
        of_posterior = q.V[self.places, 0]
        narrowing = np.log(of_prior / of_posterior)
        return np.asarray(expected - 0.5 * distance + narrowing + 0.5)


def nearest_neighbours(tree: cKDTree, z: np.ndarray, k: int) -> np.ndarray:
    """Indices (q, k) of the nearest points of the tree; at most as many as it has."""
    k = min(k, tree.n)
    return np.asarray(tree.query(z, k)[1].reshape(-1, k))


def predict_from_neighbours(
    posterior: SparsePosterior,
    z: np.ndarray,
    tree: cKDTree,
    *,
    kernel: Stationary,
    variance: float,
    jitter: float,
) -> tuple[np.ndarray, np.ndarray]:
    """(mean, variance) of f at z (q, p), two arrays (q,).

    f there given its k nearest f, with weights w and variance d, integrated over q:
    d + |V^{-1} w|^2, solved on the ancestors of the points used, in batches of neighbours.
    tree : of the points over the lengths of the kernel
    """
    points = tree.data * kernel.lengths
    scaled = z / kernel.lengths
    near = nearest_neighbours(tree, scaled, posterior.near.shape[1])
    from scipy.spatial import cKDTree

    neighbours_together = cKDTree(scaled).indices
    mean = np.empty(len(z))
    square = np.empty(len(z))
    for start in range(0, len(z), WIDE):
        rows = neighbours_together[start : start + WIDE]
        used = near[rows]
        w, d = conditional_weights(kernel, jitter, z[rows], points[used])
        deviations = posterior.m[used] - posterior.mean
        mean[rows] = posterior.mean + np.sum(w * deviations, axis=1)
        spread = _variance_of_sums(posterior, used, w)
        own = np.maximum(d - jitter, MIN_VARIANCE)
        square[rows] = variance * own + spread
    return mean, square


def _variance_of_sums(posterior: SparsePosterior, near: np.ndarray, w: np.ndarray) -> np.ndarray:
    """|V^{-1} w|^2 (b,): the variance under q of sums with weights w (b, k)."""
    members, pattern = restrict_pattern(posterior.near, near, PREDICTION_GENERATIONS)
    columns = np.arange(len(near))[:, None]
    W = np.zeros((len(members), len(near)))
    W[np.searchsorted(members, near), columns] = w
    solver = triangular_solver(pattern, posterior.V[members])
    return np.asarray(np.sum(solver.solve(W) ** 2, axis=0))
