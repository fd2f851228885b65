"""Proper orthogonal decomposition in any inner product, in memory or from disk, serial or distributed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp

from rom.basis import Basis
from rom.errors import BadInput
from rom.snapshots import Snapshots
from rom.space import Space

EPS = float(np.finfo(float).eps)
GRAM_FLOOR = float(np.sqrt(1e3 * EPS))


def pod(
    snapshots: Snapshots,
    tol: float | None = None,
    rank: int | None = None,
    method: str = "auto",
    center: bool = False,
    memory_budget: float | None = None,
    rng: int | np.random.Generator = 0,
) -> tuple[Basis, np.ndarray]:
    """min over V^H X V = I_r of |U - V V^H X U|_X: the basis and all singular values s_1 >= s_2 >= ... that are known.

    tol : smallest r with sqrt(sum_{i>r} s_i^2) <= tol sqrt(sum s_i^2); rank : at most r modes; both: whichever ends first
    method : "gram" (eigenvalues of U^H X U; blind below about 1e-8 s_1), "full" (sketched Cholesky-QR; accurate to
        round-off of s_1), "random" (randomised range finder, rank needed), "auto" (the cheapest that is accurate enough)
    center : subtract the mean, kept as the basis's offset; memory_budget : bytes for the modes and the blocks of data

    The basis says what was asked for, what was delivered and why. One allreduce of m(m+1)/2 numbers per Gram matrix.
    Raises BadInput for a wrong tol, rank, method or for NaN, naming the snapshot.
    Reference: Sirovich (1987); sketched Cholesky-QR: Balabanov and Grigori (2022); randomised: Halko et al. (2011).
    """
    _check(snapshots, tol, rank, method)
    data = _Data(snapshots, center, memory_budget or 2**27, memory_budget is not None)
    if method == "random" or (
        method == "auto" and rank is not None and snapshots.m > 12 * (rank + 10)
    ):
        return _random(data, tol, rank, rng)
    if method in ("auto", "gram"):
        s, W = _gram(data)
        floor = GRAM_FLOOR if method == "auto" else np.sqrt(snapshots.m * EPS)
        r, reason = _choose(s, tol, rank, floor * s[0])
        if method == "gram" or (not reason.startswith("round-off") and s[r - 1] >= floor * s[0]):
            return _basis(data, W[:, :r] / s[:r], s, r, tol, rank, f"gram: {reason}")
    V, C, s, W = _full(data, rng)
    r, reason = _choose(s, tol, rank, 2 * EPS * np.sqrt(snapshots.m) * s[0])
    return _basis(data, V @ la.solve_triangular(C, W[:, :r]), s, r, tol, rank, f"full: {reason}")


def balance(snapshots: Snapshots) -> Snapshots:
    """X_f <- X_f m / |U_f|_X^2 for every field f of the space: each field weighs the same in the energy of the set.

    Raises BadInput where the space has no fields, X couples them, or a field is zero in every snapshot.
    """
    space = snapshots.space
    if not space.fields:
        raise BadInput("the space names no fields; give Space(fields=...) before balancing")
    weight = np.ones(space.n)
    for f in space.fields:
        part = np.zeros((space.n, snapshots.m))
        part[f.rows] = snapshots.u[:][f.rows]
        energy = float(np.sum(np.square(space.norm(part))))
        if energy == 0.0:
            raise BadInput(f"field {f.name!r} is zero in every snapshot; leave it out")
        weight[f.rows] = snapshots.m / energy
    if not sp.issparse(space.product):
        product: Any = space.product * weight
    else:
        left, right = sp.diags_array(weight) @ space.product, space.product @ sp.diags_array(weight)
        if abs(left - right).max() > 1e-12 * abs(left).max():
            raise BadInput("the inner product couples fields; balancing needs a block-diagonal one")
        product = left
    return replace(snapshots, space=Space(product, space.numbers, space.comm, space.fields))


def projection_error(snapshots: Snapshots, basis: Basis) -> float:
    """|U - offset - V V^H X (U - offset)|_X / |U - offset|_X over all snapshots, measured directly."""
    U = np.asarray(snapshots.u[:])
    defect = U - basis.lift(basis.coefficients(U))
    offset = basis.offset if np.ndim(basis.offset) == 0 else np.asarray(basis.offset)[:, None]
    return float(
        np.linalg.norm(basis.space.norm(defect)) / np.linalg.norm(basis.space.norm(U - offset))
    )


@dataclass(frozen=True, eq=False)
class _Data:
    """Centred snapshots read in blocks of rows under a budget."""

    snapshots: Snapshots
    center: bool
    budget: float
    strict: bool

    def beside(self, r: int) -> _Data:
        """The same data with the budget that r modes leave."""
        left = self.budget - self.space.n * r * np.dtype(self.snapshots.u.dtype).itemsize
        if self.strict and left < 24 * self.snapshots.m:
            raise BadInput(
                f"{r} modes of {self.space.n} rows do not fit memory_budget = {self.budget:.3g} bytes; allow more, or ask for fewer"
            )
        return replace(self, budget=left if self.strict else self.budget)

    @property
    def space(self) -> Space:
        return self.snapshots.space

    @property
    def lazy(self) -> bool:
        return not isinstance(self.snapshots.u, np.ndarray)

    def blocks(self, copies: int = 3) -> Iterator[tuple[slice, np.ndarray]]:
        """(rows, U[rows]) such that `copies` blocks fit the budget."""
        u = self.snapshots.u
        step = max(1, int(self.budget / (copies * u.shape[1] * np.dtype(u.dtype).itemsize)))
        for start in range(0, u.shape[0], step):
            rows = slice(start, min(start + step, u.shape[0]))
            block = np.asarray(u[rows])
            if self.lazy or isinstance(u, np.memmap):
                self.snapshots.check_finite(block, start)
            yield rows, block - block.mean(axis=1, keepdims=True) if self.center else block

    def offset(self) -> Any:
        if not self.center:
            return 0.0
        u = self.snapshots.u
        step = max(1, int(self.budget / (2 * u.shape[1] * 8)))
        return np.concatenate(
            [np.zeros(0, u.dtype)]
            + [np.mean(u[i : i + step], axis=1) for i in range(0, u.shape[0], step)]
        )

    def times(self, W: np.ndarray) -> np.ndarray:
        """U W, (n, k)."""
        product = np.empty(
            (self.space.n, W.shape[1]), dtype=np.result_type(self.snapshots.u.dtype, W)
        )
        for rows, block in self.blocks():
            np.matmul(block, W, out=product[rows])
        return product

    def pair(self, F: np.ndarray) -> np.ndarray:
        """F^H U summed over ranks, (k, m)."""
        total = np.zeros(
            (F.shape[1], self.snapshots.m), dtype=np.result_type(F, self.snapshots.u.dtype)
        )
        for rows, block in self.blocks():
            total += F[rows].conj().T @ block
        return self.space.sum(total)

    def gram(self, transform: np.ndarray | None = None) -> np.ndarray:
        """(U T)^H X (U T) for a transform T (m, k), identity by default: one allreduce."""
        if not sp.issparse(self.space.product):
            return self._gram_diagonal(transform)
        whole = transform is None and not self.center and not self.lazy
        return self._gram_sparse(self.snapshots.u if whole else None, transform)

    def _gram_diagonal(self, T: np.ndarray | None) -> np.ndarray:
        k = self.snapshots.m if T is None else T.shape[1]
        G = np.zeros((k, k), dtype=np.result_type(self.snapshots.u.dtype, float))
        weight = np.sqrt(self.space.product)
        plain = bool((weight == 1.0).all())
        for rows, block in self.blocks():
            V = block if T is None else block @ T
            V = V if plain else V * weight[rows, None]
            G += V.conj().T @ V
        return self.space.hermitian(G)

    def _gram_sparse(self, V: Any, T: np.ndarray | None) -> np.ndarray:
        """Pairs of column blocks of V, from memory or from a scratch file."""
        n, k = self.space.n, self.snapshots.m if T is None else T.shape[1]
        with tempfile.TemporaryFile() as scratch:
            if V is None and n > 0:
                V = np.memmap(
                    scratch,
                    dtype=np.result_type(self.snapshots.u.dtype, float),
                    mode="w+",
                    shape=(n, k),
                    order="F",
                )
                for rows, block in self.blocks():
                    V[rows] = block if T is None else block @ T
            G = np.zeros((k, k), dtype=np.result_type(self.snapshots.u.dtype, float))
            step = max(1, int(self.budget / (3 * max(n, 1) * G.itemsize)))
            for j in range(0, k if n else 0, step):
                right = self.space.product @ np.asarray(V[:, j : j + step])
                for i in range(0, j + step, step):
                    G[i : i + step, j : j + step] = np.asarray(V[:, i : i + step]).conj().T @ right
        return self.space.hermitian(np.triu(G) + np.triu(G, 1).conj().T)

    def sketch(self, rng: np.random.Generator) -> np.ndarray:
        """S D U with S a sparse sign matrix fixed by global dof numbers and D = sqrt(diag X): the same for any partition."""
        m, space = self.snapshots.m, self.space
        share = space.product.diagonal() if sp.issparse(space.product) else space.product
        weight = np.sqrt(np.maximum(space.assemble(share)[space.numbers], 0.0)) * space.owned
        size, seeds = 4 * m + 8, rng.integers(2**63, size=2, dtype=np.uint64)
        total = np.zeros((size, m), dtype=np.result_type(self.snapshots.u.dtype, float))
        for rows, block in self.blocks():
            hashed = np.stack([_hash(space.numbers[rows], seed) for seed in seeds], axis=1)
            signs = np.where(hashed >> np.uint64(63), 1.0, -1.0) * weight[rows, None]
            buckets = (hashed % np.uint64(size)).astype(np.int32)
            S = sp.csc_array(
                (signs.ravel(), buckets.ravel(), np.arange(0, signs.size + 1, 2)),
                shape=(size, block.shape[0]),
            )
            total += S @ block
        return space.sum(total)


def _gram(data: _Data) -> tuple[np.ndarray, np.ndarray]:
    """s and right singular vectors W of U from the eigenvalues of U^H X U."""
    G = data.gram()
    if not np.isfinite(G).all():
        raise BadInput(
            "the Gram matrix overflows; rescale the snapshots, or give their fields sensible units"
        )
    eigenvalues, W = la.eigh(G)
    s, W = np.sqrt(np.maximum(eigenvalues[::-1], 0.0)), W[:, ::-1] * _signs(W[:, ::-1])
    if s[0] == 0.0:
        raise BadInput(
            "every snapshot is zero in this inner product; give at least one that is not"
        )
    return s, W


def _full(
    data: _Data, rng: int | np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """U ~ (U P) C^{-1} W diag(s) Z^H with P from the sketch and C^H C = (U P)^H X (U P), well conditioned.

    Directions of the sketch that are round-off, as where snapshots outnumber the free dofs, are left out.
    """
    _, sigma, Qh = la.svd(data.sketch(np.random.default_rng(rng)), full_matrices=False)
    k = min(int(np.sum(sigma > EPS * sigma[0])), data.space.size)
    P, B = Qh[:k].conj().T / sigma[:k], sigma[:k, None] * Qh[:k]
    G = data.gram(P)
    try:
        C = la.cholesky(G)
    except la.LinAlgError:
        values, V = la.eigh(G)
        known = values > 1e-3 * values[-1]
        V, C = V[:, known], np.diag(np.sqrt(values[known]))
        P, B = P @ V, V.conj().T @ B
    W, s, Zh = la.svd(C @ B, full_matrices=False)
    return P, C, s, W * _signs(Zh.conj().T)


def _random(
    data: _Data, tol: float | None, rank: int | None, rng: int | np.random.Generator
) -> tuple[Basis, np.ndarray]:
    if rank is None:
        raise BadInput("method 'random' needs rank=; with tol= alone use 'auto'")
    m, space = data.snapshots.m, data.space
    k = min(rank + 10, m)
    data = data.beside(2 * k)
    Y = data.times(np.random.default_rng(rng).standard_normal((m, k)))
    for _ in range(2):
        Y = data.times(data.pair(space.apply(_orthonormal(space, Y))).conj().T)
    Q = _orthonormal(space, Y)
    W, s, Zh = la.svd(data.pair(space.apply(Q)), full_matrices=False)
    energy = float(space.sum(np.array([_energy(data)]))[0])
    r, reason = _choose(s, tol, rank, 2 * EPS * np.sqrt(m) * s[0], energy)
    error = float(np.sqrt(max(energy - np.sum(s[:r] ** 2), EPS * energy) / energy))
    modes = _orthonormal(space, Q @ (W * _signs(Zh.conj().T))[:, :r])
    return Basis(space, modes, data.offset(), s, rank, tol, f"random: {reason}", error), s


def _energy(data: _Data) -> float:
    if sp.issparse(data.space.product):
        U = data.snapshots.u
        columns = (
            np.asarray(U[:, j : j + 8]) - (data.offset()[:, None] if data.center else 0.0)
            for j in range(0, data.snapshots.m, 8)
        )
        return float(sum(np.sum((c.conj() * data.space.apply(c)).real) for c in columns))
    return float(
        sum(
            np.sum(np.abs(block) ** 2 * data.space.product[rows, None])
            for rows, block in data.blocks()
        )
    )


def _basis(
    data: _Data,
    W: np.ndarray,
    s: np.ndarray,
    r: int,
    tol: float | None,
    rank: int | None,
    reason: str,
) -> tuple[Basis, np.ndarray]:
    modes = data.beside(r).times(W)
    modes = _orthonormal(data.space, modes, data.beside(r).budget)
    floor = data.snapshots.m * EPS * (s[0] ** 2 if reason.startswith("gram") else EPS * s[0] ** 2)
    error = float(np.sqrt((np.sum(s[r:] ** 2) + floor) / np.sum(s**2)))
    return Basis(data.space, modes, data.offset(), s, rank, tol, reason, error), s


def _choose(
    s: np.ndarray, tol: float | None, rank: int | None, floor: float, energy: float | None = None
) -> tuple[int, str]:
    """(r, why) from what was asked for and from what round-off allows."""
    known = max(1, int(np.sum(s > floor)))
    limit = min(known, rank if rank is not None else known)
    why = (
        f"rank {rank} asked"
        if rank is not None and rank <= known
        else f"round-off: only {known} singular values exceed {floor / s[0]:.1e} s_1"
    )
    if tol is None:
        return limit, why
    total = float(np.sum(s**2)) if energy is None else energy
    tails = np.sqrt(
        np.maximum(total - np.sum(s**2) + np.append(np.cumsum(s[::-1] ** 2)[::-1], 0.0), 0.0)
    )
    enough = np.flatnonzero(tails <= tol * np.sqrt(total))
    if enough.size and max(enough[0], 1) <= limit:
        return max(int(enough[0]), 1), f"tol {tol:g} reached"
    return limit, why + f", tol {tol:g} not reached"


def _check(snapshots: Snapshots, tol: float | None, rank: int | None, method: str) -> None:
    if tol is None and rank is None:
        raise BadInput(
            "say how accurate: tol= (relative projection error) or rank= (number of modes)"
        )
    if tol is not None and not 0.0 < tol < 1.0:
        raise BadInput(f"tol = {tol} must lie in (0, 1): it is a relative projection error")
    if rank is not None and not 0 < rank <= snapshots.m:
        raise BadInput(f"rank = {rank} must lie in 1..{snapshots.m}, the number of snapshots")
    if method not in ("auto", "gram", "full", "random"):
        raise BadInput(f"unknown method {method!r}; choose auto, gram, full or random")


def _orthonormal(space: Space, V: np.ndarray, budget: float = 2**26) -> np.ndarray:
    """V C^{-1} with C^H C = V^H X V, in place, repeated until X-orthonormal to round-off; shifted where V is numerically dependent.

    Reference: Fukaya et al. (2020).
    """
    step = max(1, int(budget / (3 * max(V.shape[1], 1) * V.itemsize)))
    for _ in range(6):
        G = space.gram(V) if sp.issparse(space.product) else _gram_rows(space, V, step)
        if np.abs(G - np.eye(len(G))).max() <= 8 * EPS:
            break
        try:
            C = la.cholesky(G)
        except la.LinAlgError:
            C = la.cholesky(G + 16 * EPS * len(G) * np.trace(G).real * np.eye(len(G)))
        inverse = la.solve_triangular(C, np.eye(len(C)))
        for i in range(0, len(V), step):
            V[i : i + step] = V[i : i + step] @ inverse
    return V


def _gram_rows(space: Space, V: np.ndarray, step: int) -> np.ndarray:
    G, weight = np.zeros((V.shape[1], V.shape[1]), dtype=V.dtype), np.sqrt(space.product)
    plain = bool((weight == 1.0).all())
    for i in range(0, len(V), step):
        block = V[i : i + step] if plain else V[i : i + step] * weight[i : i + step, None]
        G += block.conj().T @ block
    return space.hermitian(G)


def _signs(Z: np.ndarray) -> np.ndarray:
    """Factors that turn right singular vectors so that their largest entry is positive: the same basis from any partition."""
    if Z.size == 0:
        return np.ones(Z.shape[1])
    top = Z[np.argmax(np.abs(Z), axis=0), np.arange(Z.shape[1])]
    return (np.abs(top) / np.where(top == 0, 1.0, top)).conj()


def _hash(numbers: np.ndarray, seed: np.uint64) -> np.ndarray:
    """splitmix64 of the dof numbers."""
    with np.errstate(over="ignore"):
        z = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + seed
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
