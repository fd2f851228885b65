"""Proper orthogonal decomposition in any inner product.

In memory or from disk, serial or distributed: every method reads the snapshots in blocks.
"""

from __future__ import annotations

import os

import numpy as np
import scipy.linalg as la

from rom.arrays import gate
from rom.basis import Basis
from rom.compress.blocks import BLOCK_BYTES, RowBlocks, column_blocks
from rom.compress.gram import gram_matrix, sketch
from rom.compress.orthonormal import EPS, ROUND_OFF, column_signs, orthonormalise
from rom.compress.stopping import Accuracy, Stop, StopKind, check_request, choose_rank
from rom.compress.wide import wide_factors
from rom.errors import BadInput
from rom.snapshots import Snapshots

GRAM_FLOOR = float(np.sqrt(1e3 * EPS))  # of s / s_1: below, the Gram matrix is not trusted
OVERSAMPLING = 10  # columns of the range finder beyond the rank
POWER_SWEEPS = 2
FEW = 12  # random where the snapshots are so many times more than its columns
MATRICES = {"gram": 6, "full": 13}  # of m x m numbers in memory at a time
NEGLIGIBLE = 2**20  # bytes of matrices that no budget counts
DEPENDENT = 1e-3  # of the largest eigenvalue: directions of the sketch that are left out


@gate(snapshots=Snapshots)
def pod(
    snapshots: Snapshots,
    tol: float | None = None,
    rank: int | None = None,
    *,
    method: str = "auto",
    center: bool = False,
    memory_budget: float | None = None,
    rng: int | np.random.Generator = 0,
) -> tuple[Basis, np.ndarray]:
    """min |U - V V^H X U|_X over V^H X V = I_r: the basis V, and s_1 >= s_2 >= ...

    tol : smallest r with sqrt(sum_{i>r} s_i^2) <= tol sqrt(sum s_i^2)
    rank : at most so many modes; with both, whichever ends first
    method : "gram" (eigenvalues of U^H X U; blind below about 1e-8 s_1), "full" (sketched
        Cholesky-QR; accurate to round-off of s_1), "random" (randomised range finder, needs a
        rank, blind below about 1e-7) or "auto" (the cheapest that is accurate enough); where
        snapshots outnumber dofs all but "random" take a QR of U^H, accurate to round-off
    center : subtract the mean, which becomes the offset of the basis
    memory_budget : bytes for the modes and the blocks of data

    The basis says what was asked for, what was delivered and why. The singular values are all
    that are known. One allreduce of m (m + 1) / 2 numbers per Gram matrix.
    Raises BadInput for a wrong tol, rank or method, and for NaN, naming the snapshot.
    References: Sirovich (1987); Balabanov and Grigori (2022); Halko et al. (2011).
    """
    request = Accuracy(tol, rank)
    check_request(snapshots, request, method)
    strict = memory_budget is not None
    if memory_budget is not None and not memory_budget > 0:
        raise BadInput(f"memory_budget = {memory_budget} must be a positive number of bytes")
    data = RowBlocks(snapshots, center, memory_budget or BLOCK_BYTES, strict).in_range()
    smaller = min(data.m, data.space.size)
    if method == "random" or (method == "auto" and _few_modes(smaller, rank)):
        return _random_pod(data, request, rng)
    if data.space.size <= data.m:
        return _wide_pod(data, request)
    data = _reserve_matrices(data, method)
    if method == "gram":
        return _gram_pod(data, request)
    if method == "auto":
        accurate = _accurate_gram_pod(data, request)
        if accurate is not None:
            return accurate
    return _full_pod(data, request, rng)


@gate(snapshots=Snapshots, basis=Basis)
def projection_error(snapshots: Snapshots, basis: Basis) -> float:
    """|W - V V^H X W|_X / |W|_X of all snapshots, W = U - offset, measured directly."""
    offset = np.asarray(basis.offset)
    if offset.ndim:
        offset = offset[:, None]
    defects, sizes = [], []
    for U in column_blocks(snapshots):
        projection = basis.lift(basis.coefficients(U))
        defects.append(basis.space.norm(U - projection))
        sizes.append(basis.space.norm(U - offset))
    return float(np.linalg.norm(np.hstack(defects)) / np.linalg.norm(np.hstack(sizes)))


def _few_modes(smaller: int, rank: int | None) -> bool:
    """Whether random sampling is cheapest for so few of the smaller dimension."""
    return rank is not None and smaller > FEW * (rank + OVERSAMPLING)


def _matrix_bytes(data: RowBlocks, method: str) -> float:
    """Bytes of the matrices (m, m) that a method holds at a time."""
    count = MATRICES.get(method, MATRICES["full"])
    return max(count * data.dtype.itemsize * data.m**2 - NEGLIGIBLE, 0.0)


def _reserve_matrices(data: RowBlocks, method: str) -> RowBlocks:
    """The data with the budget that matrices (m, m) leave.

    Raises BadInput where they fit neither the budget nor this machine.
    """
    size, what = _matrix_bytes(data, method), f"matrices of {data.m} x {data.m}"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if size > memory:
        raise BadInput(
            f"{what} need {size / 2**30:.0f} GiB, this machine has {memory / 2**30:.0f}; give "
            "rank= with method 'random', or use hierarchical_pod"
        )
    return data.reserve(size, what) if data.strict else data


def _wide_pod(data: RowBlocks, request: Accuracy) -> tuple[Basis, np.ndarray]:
    """POD of more snapshots than dofs, accurate to round-off of s_1."""
    size = data.space.size
    matrices = max(8 * data.dtype.itemsize * size**2 - NEGLIGIBLE, 0)
    data = data.reserve(matrices, f"matrices of {size} x {size}")
    s, W = wide_factors(data)
    _refuse_zero(s)
    floor = 2 * EPS * np.sqrt(data.m) * s[0]
    r, stop = choose_rank(s, request, floor)
    modes = _modes(data, W[:, :r] / s[:r])
    noise = data.m * EPS * (EPS * s[0] ** 2)
    return _deliver(data, request, f"full: {stop.text}", (modes, s), _error(s, r, noise))


def _gram_pod(data: RowBlocks, request: Accuracy) -> tuple[Basis, np.ndarray]:
    """POD by eigenvalues of the Gram matrix, down to the root of its round-off."""
    s, W = _gram_factors(data)
    floor = np.sqrt(data.m * EPS)
    r, stop = choose_rank(s, request, floor * s[0])
    return _deliver_gram(data, request, stop, s, W[:, :r])


def _accurate_gram_pod(data: RowBlocks, request: Accuracy) -> tuple[Basis, np.ndarray] | None:
    """POD by the Gram matrix, or None where round-off hides what is asked for."""
    s, W = _gram_factors(data)
    floor = GRAM_FLOOR * s[0]
    r, stop = choose_rank(s, request, floor)
    if stop.kind is StopKind.ROUND_OFF or s[r - 1] < floor:
        return None
    return _deliver_gram(data, request, stop, s, W[:, :r])


def _deliver_gram(
    data: RowBlocks, request: Accuracy, stop: Stop, s: np.ndarray, W: np.ndarray
) -> tuple[Basis, np.ndarray]:
    """The basis of right singular vectors W (m, r)."""
    r = W.shape[1]
    noise = data.m * EPS * s[0] ** 2
    modes = _modes(data, W / s[:r])
    return _deliver(data, request, f"gram: {stop.text}", (modes, s), _error(s, r, noise))


def _full_pod(
    data: RowBlocks, request: Accuracy, rng: int | np.random.Generator
) -> tuple[Basis, np.ndarray]:
    """POD by a sketched Cholesky-QR, accurate to round-off of s_1."""
    P, C, s, W = _sketched_svd(data, rng)
    floor = 2 * EPS * np.sqrt(data.m) * s[0]
    r, stop = choose_rank(s, request, floor)
    combination = la.solve_triangular(C, W[:, :r])
    noise = data.m * EPS * (EPS * s[0] ** 2)
    modes = _modes(data, P @ combination)
    return _deliver(data, request, f"full: {stop.text}", (modes, s), _error(s, r, noise))


def _random_pod(
    data: RowBlocks, request: Accuracy, rng: int | np.random.Generator
) -> tuple[Basis, np.ndarray]:
    """POD by a randomised range finder."""
    rank = request.rank
    if rank is None:
        raise BadInput("method 'random' needs rank=; with tol= alone use 'auto'")
    k = min(rank + OVERSAMPLING, data.m, data.space.size)
    data = data.beside(2 * k)
    Q = _random_range(data, k, rng)
    W, s, Zh = la.svd(data.pair(data.space.apply(Q)), full_matrices=False)
    _refuse_zero(s)
    W = W * column_signs(Zh.conj().T)
    captured = float(np.sum(s**2))
    outside = max(data.energy() - captured, 0.0)
    outside += ROUND_OFF * captured  # it is a difference of sums of squares
    energy = captured + outside
    floor = 2 * EPS * np.sqrt(data.m) * s[0]
    r, stop = choose_rank(s, request, floor, energy)
    error = float(np.sqrt((outside + np.sum(s[r:] ** 2)) / energy))
    modes = orthonormalise(data.space, Q @ W[:, :r])
    return _deliver(data, request, f"random: {stop.text}", (modes, s), error)


def _deliver(
    data: RowBlocks,
    request: Accuracy,
    reason: str,
    factors: tuple[np.ndarray, np.ndarray],
    error: float,
) -> tuple[Basis, np.ndarray]:
    """The basis that says what was asked for, and the singular values."""
    modes, s = factors
    s = s / data.scale
    offset = data.offset()
    if data.center:  # round-off of U less its mean
        size = np.sqrt(data.m) * float(data.space.norm(offset))
        error += ROUND_OFF * size / float(np.linalg.norm(s))
    basis = Basis(data.space, modes, offset, s, request.rank, request.tol, reason, error)
    return basis, s


def _modes(data: RowBlocks, W: np.ndarray) -> np.ndarray:
    """U W (n, r), made orthonormal."""
    beside = data.beside(W.shape[1])
    return orthonormalise(data.space, beside.times(W), beside.budget)


def _error(s: np.ndarray, r: int, noise: float) -> float:
    """sqrt((sum_{i>r} s_i^2 + noise) / sum s_i^2) + round-off."""
    tail = np.sum(s[r:] ** 2)
    energy = np.sum(s**2)
    return float(np.sqrt((tail + noise) / energy)) + ROUND_OFF


def _gram_factors(data: RowBlocks) -> tuple[np.ndarray, np.ndarray]:
    """s (m,) and right singular vectors W (m, m) of U from the eigenvalues of U^H X U."""
    gram = gram_matrix(data)
    if not np.isfinite(gram).all():
        raise BadInput(
            "the Gram matrix overflows; rescale the snapshots, or give their fields sensible units"
        )
    eigenvalues, vectors = la.eigh(gram)
    s = np.sqrt(np.maximum(eigenvalues[::-1], 0.0))[: data.space.size]
    _refuse_zero(s)
    W = vectors[:, ::-1][:, : len(s)]
    return s, W * column_signs(W)


def _refuse_zero(s: np.ndarray) -> None:
    """BadInput where the largest singular value is zero."""
    if s[0] == 0.0:
        raise BadInput(
            "every snapshot is zero in this inner product; give at least one that is not"
        )


def _sketched_svd(
    data: RowBlocks, rng: int | np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """P, C, s, W of U ~ (U P) C^{-1} W diag(s) Z^H, C^H C = (U P)^H X (U P).

    P comes from the sketch, so that C is well conditioned. Directions of the sketch that are
    round-off, as where snapshots outnumber the free dofs, are left out.
    """
    generator = np.random.default_rng(rng)
    R = la.qr(sketch(data, generator), mode="r", overwrite_a=True)[0][: data.m]
    _, sigma, Qh = la.svd(R, full_matrices=False)
    _refuse_zero(sigma)
    above = int(np.sum(sigma > EPS * sigma[0]))
    k = min(above, data.space.size)
    P = Qh[:k].conj().T / sigma[:k]
    B = sigma[:k, None] * Qh[:k]
    gram = gram_matrix(data, P)
    try:
        C = la.cholesky(gram)
    except la.LinAlgError:
        C, V = _leading_factor(gram)
        P = P @ V
        B = V.conj().T @ B
    W, s, Zh = la.svd(C @ B, full_matrices=False)
    return P, C, s, W * column_signs(Zh.conj().T)


def _leading_factor(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """C (k, k) and eigenvectors V (m, k), V^H G V = C^H C, without small eigenvalues."""
    values, vectors = la.eigh(gram)
    independent = values > DEPENDENT * values[-1]
    C = np.diag(np.sqrt(values[independent]))
    return C, vectors[:, independent]


def _random_range(data: RowBlocks, k: int, rng: int | np.random.Generator) -> np.ndarray:
    """Orthonormal columns Q (n, k) near the leading modes, by two power sweeps."""
    space = data.space
    draws = np.random.default_rng(rng).standard_normal((data.m, k))
    Y = data.times(draws)
    for _ in range(POWER_SWEEPS):
        Q = orthonormalise(space, Y)
        products = data.pair(space.apply(Q))
        Y = data.times(products.conj().T)
    return orthonormalise(space, Y)
