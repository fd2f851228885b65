"""Grids with missing cells: conjugate gradients whose condition number is bounded.

With D the mask, K = K_1 x ... x K_d = Z Z^T + E, Z the eigenfunctions with eigenvalues above
c nugget, |E| <= c nugget: D Z Z^T D + nugget I is within a factor 1 + c of D K D + nugget I,
for any mask, and its inverse is a dense matrix of rank(Z) by Woodbury. An inverse of the full
grid has no such bound: it misses a low-rank change of the size of what is missing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg as la

from rom.errors import NotConverged, Singular
from rom.gp.tensors import apply_along, grid_spectrum, outer

CUT = 0.1  # eigenvalues above CUT * nugget are held
ERROR_SHARE = 1e-2  # of a deviation: the error of a mean
VARIANCE_SHARE = 1e-6  # of a variance: its own error
LEAST_FALL = 0.1  # of the energy from one true residual to the next; above it is round-off
EPS = float(np.finfo(float).eps)
log = logging.getLogger("rom")


@dataclass(frozen=True, eq=False)
class Preconditioner:
    """r -> (D Z Z^T D + nugget I)^{-1} r ~ (D K D + nugget I)^{-1} r.

    By Woodbury it is (r - D Z (nugget I + Z^T D Z)^{-1} Z^T D r) / nugget.
    K, V : matrices and eigenvectors of the axes
    index : multi-index of each eigenfunction in Z; root : square roots of their eigenvalues
    rank 0 : plain conjugate gradients
    """

    K: tuple[np.ndarray, ...]
    V: tuple[np.ndarray, ...]
    index: tuple[np.ndarray, ...]
    root: np.ndarray
    factor: np.ndarray
    nugget: float
    observed: np.ndarray

    @property
    def rank(self) -> int:
        """Number of eigenfunctions in Z."""
        return len(self.root)

    def apply(self, r: np.ndarray) -> np.ndarray:
        """The approximate inverse on a tensor that is zero where nothing is observed."""
        if not self.rank:
            return np.asarray(r / self.nugget)
        projected = apply_along([V.T for V in self.V], r)
        c = self.root * projected[self.index]
        inner = la.cho_solve((self.factor, True), c, check_finite=False)
        spread = np.zeros(r.shape)
        spread[self.index] = self.root * inner
        correction = self.observed * apply_along(self.V, spread)
        return np.asarray((r - correction) / self.nugget)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """D (K + nugget I) D x."""
        product = self.observed * apply_along(self.K, x)
        return np.asarray(product + self.nugget * x)


def missing_preconditioner(
    K: list[np.ndarray], nugget: float, observed: np.ndarray, *, max_rank: int = 4000
) -> Preconditioner:
    """Holds the eigenvalues above CUT * nugget, or the max_rank largest of them.

    Costs rank^2 n + rank^3 / 3, memory rank^2. The condition number is at most
    1 + (largest eigenvalue left out) / nugget.
    Raises Singular where the inner matrix is not definite.
    """
    spectrum = grid_spectrum(K, nugget)
    lam = outer(spectrum.w)
    rank = min(int(np.sum(lam > CUT * nugget)), max_rank)
    if rank == max_rank:
        log.info("%d eigenfunctions are kept of those above a tenth of the nugget", max_rank)
    order = np.argsort(lam, axis=None)[::-1]
    index = tuple(np.unravel_index(order[:rank], lam.shape))
    root = np.sqrt(lam[index])
    factor = np.zeros((0, 0))
    if rank:
        gram = _gram(spectrum.V, index, observed.astype(float))
        factor = _factorise_inner(gram, root, nugget)
    return Preconditioner(tuple(K), spectrum.V, index, root, factor, nugget, observed)


def _factorise_inner(gram: np.ndarray, root: np.ndarray, nugget: float) -> np.ndarray:
    """The Cholesky factor of nugget I + Z^T D Z, Z the scaled eigenfunctions."""
    inner = root[:, None] * gram * root
    inner[np.diag_indices_from(inner)] += nugget
    try:
        factor = la.cholesky(inner, lower=True, overwrite_a=True, check_finite=False)
    except la.LinAlgError as error:
        raise Singular(
            f"nugget {nugget:.1e} is below round-off of the eigenvalues ({root[0] ** 2:.1e}); "
            "raise it"
        ) from error
    return np.asarray(factor)


def _gram(V: tuple[np.ndarray, ...], index: tuple[np.ndarray, ...], mask: np.ndarray) -> np.ndarray:
    """U^T D U (rank, rank) of the chosen products of eigenvectors U (N, rank).

    Pairs of eigenvectors on the first axis, dense products on the rest; never N x rank.
    """
    first = V[0]
    if len(V) == 1:
        U = first[:, index[0]]
        return np.asarray((U.T * mask) @ U)
    products, place = _products_of_rest(V[1:], index[1:])
    masks = mask.reshape(len(first), -1)
    numbers = np.unique(index[0])
    members = [np.flatnonzero(index[0] == i) for i in numbers]
    G = np.empty((len(index[0]), len(index[0])))
    for a, rows in enumerate(members):
        pairs = first[:, [numbers[a]]] * first[:, numbers[a:]]
        weights = pairs.T @ masks
        left = products[:, place[rows]].T
        for columns, w in zip(members[a:], weights, strict=True):
            block = (left * w) @ products[:, place[columns]]
            G[np.ix_(rows, columns)] = block
            G[np.ix_(columns, rows)] = block.T
    return G


def _products_of_rest(
    V: tuple[np.ndarray, ...], index: tuple[np.ndarray, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Distinct products of eigenvectors, as columns; which of them each index is."""
    shape = tuple(v.shape[1] for v in V)
    flat, place = np.unique(np.ravel_multi_index(index, shape), return_inverse=True)
    products = np.ones((1, flat.size))
    for v, k in zip(V, np.unravel_index(flat, shape), strict=True):
        pairs = products[:, None, :] * v[:, k][None]
        products = pairs.reshape(-1, flat.size)
    return products, place


def solve_missing(
    conditioner: Preconditioner,
    b: np.ndarray,
    *,
    tol: float = 1e-8,
    max_iterations: int = 2000,
) -> tuple[np.ndarray, int]:
    """(x, iterations): A x = D b, A = D (K + nugget I) D, residual tol |D b|.

    By preconditioned conjugate gradients. Raises NotConverged after max_iterations.
    Reference: Hestenes, Stiefel (1952).
    """
    goal = tol * np.linalg.norm(conditioner.observed * b)
    x, _, steps = _iterate(
        conditioner, b, lambda x, r, energy: bool(np.linalg.norm(r) <= goal), max_iterations
    )
    return x, steps


def solve_to_deviation(
    conditioner: Preconditioner, b: np.ndarray, *, tol: float = 1e-8, max_iterations: int = 2000
) -> tuple[np.ndarray, int]:
    """(x, iterations), k^T x right to a hundredth of any cell's deviation.

    |k^T (x - A^{-1} b)|^2 <= r^T A^{-1} r for every k of a process of variance one, and what the
    data leave of it is of the size of the nugget: a small residual r is no small error.
    tol : of the relative residual too. Raises NotConverged after max_iterations.
    """
    b = conditioner.observed * b
    cells = max(int(conditioner.observed.sum()), 1)
    goal = tol * np.linalg.norm(b)

    def enough(x: np.ndarray, r: np.ndarray, energy: float) -> bool:
        """Whether the residual, and the error beside a deviation, are small."""
        variance = np.vdot(b, x) / cells
        small = energy <= ERROR_SHARE**2 * conditioner.nugget * variance
        return bool(small and np.linalg.norm(r) <= goal)

    x, _, steps = _iterate(conditioner, b, enough, max_iterations)
    return x, steps


def left_variance(
    conditioner: Preconditioner, k: np.ndarray, *, max_iterations: int = 2000
) -> float:
    """1 - k^T A^{-1} k, k covariances with the cells: what they leave of variance 1.

    In [value - energy, value] for value = 1 - k^T x - r^T x and energy = r^T A^{-1} r at any x,
    r = D k - A x; the larger end is the answer, at most VARIANCE_SHARE above the truth, or the
    round-off of k^T x. Raises NotConverged after max_iterations.
    """
    k = conditioner.observed * k

    def left(x: np.ndarray, r: np.ndarray) -> float:
        return float(1.0 - np.vdot(k, x) - np.vdot(r, x))

    def enough(x: np.ndarray, r: np.ndarray, energy: float) -> bool:
        """Whether the energy of the error is a small share of what is left."""
        return energy <= VARIANCE_SHARE * max(left(x, r), EPS)

    x, r, _ = _iterate(conditioner, k, enough, max_iterations)
    round_off = EPS * float(1.0 + np.sum(np.abs(k * x)))
    return max(left(x, r), round_off)


def _iterate(
    conditioner: Preconditioner,
    b: np.ndarray,
    enough: Callable[[np.ndarray, np.ndarray, float], bool],
    max_iterations: int,
) -> tuple[np.ndarray, np.ndarray, int]:
    """(x, its residual, iterations) of conjugate gradients until enough(x, r, energy).

    energy = r^T P r >= r^T A^{-1} r, P the preconditioner. Again from the true residual, until it
    too is enough or round-off lets it fall no more.
    """
    b = conditioner.observed * b
    x, r, steps, last = np.zeros_like(b), b.copy(), 0, np.inf
    while True:
        z = conditioner.apply(r)
        energy = float(np.vdot(r, z))
        if enough(x, r, energy) or energy > LEAST_FALL * last:
            return x, r, steps
        last, p = energy, z
        while not enough(x, r, energy):
            if steps == max_iterations:
                residual = np.linalg.norm(r) / np.linalg.norm(b)
                raise NotConverged(
                    f"residual {residual:.1e} after {max_iterations} iterations; "
                    "hold more eigenfunctions or raise the nugget"
                )
            q = conditioner.forward(p)
            length = energy / np.vdot(p, q)
            x = x + length * p
            r = r - length * q
            z = conditioner.apply(r)
            before, energy = energy, float(np.vdot(r, z))
            p = z + (energy / before) * p
            steps += 1
        r = b - conditioner.forward(x)
