"""One kernel for all outputs, and its errors at left-out runs in closed form.

    v(z) = beta + sum_g g sum_j k(g^-1 z, z_j) alpha_j
    k(z, z') = form(|z - z'| / length) + linear z . z' / scale

beta is fitted with alpha = P y, P = Q - Q 1 1^T Q / 1^T Q 1, Q = (K + nugget)^-1. Leaving out a run
with all its images: e_i = (P_ii)^-1 alpha_i, P_ii its block. Without beta, centred outputs would
tell a left-out run to the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri

from rom.gp.kernels import radial
from rom.operators.groups import Block

JITTERS = (0.0, 1e-12, 1e-10, 1e-8)  # of the largest diagonal entry, as far as one is needed


@dataclass(frozen=True, eq=False)
class OperatorKernel:
    """form(|z - z'| / length) + linear z . z' / scale, with a nugget.

    scale : mean |z|^2
    """

    form: str
    length: float
    nugget: float
    linear: float
    scale: float

    def matrix(self, products: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """k (n, m) of products z . z' (n, m), squares |z|^2 (n,) and |z'|^2 (m,)."""
        squares = np.maximum(left[:, None] + right - 2.0 * products, 0.0)
        K = radial(self.form, squares / self.length**2)
        return np.asarray(K + (self.linear / self.scale) * products)


@dataclass(frozen=True, eq=False)
class Images:
    """Coordinates of runs and of their images under a group.

    z (g, m, k), y (g, m, r) : inputs and outputs, the first those of the runs themselves
    blocks : of the group
    """

    z: np.ndarray
    y: np.ndarray
    blocks: list[Block]

    @property
    def m(self) -> int:
        """Number of runs."""
        return int(self.z.shape[1])

    @property
    def widest(self) -> int:
        """Size d of the widest block of the group."""
        return max(len(block.actions[0]) for block in self.blocks)

    @cached_property
    def products(self) -> np.ndarray:
        """z_i . f z_j, (g, m, m)."""
        return np.stack([self.z[0] @ z.T for z in self.z])

    @cached_property
    def squares(self) -> np.ndarray:
        """|z_i|^2, (m,)."""
        return np.asarray(np.sum(self.z[0] ** 2, axis=1))

    @cached_property
    def outputs(self) -> list[np.ndarray]:
        """Of each block (d, m, copies r): the outputs in its basis."""
        parts = []
        for block in self.blocks:
            y = np.einsum("cgp,gmr->pmcr", block.bases, self.y)
            parts.append(y.reshape(*y.shape[:2], -1))
        return parts

    def take(self, runs: np.ndarray, rank: int | None = None) -> Images:
        """Some of the runs, with so many outputs."""
        return Images(self.z[:, runs], self.y[:, runs, :rank], self.blocks)


@dataclass(frozen=True, eq=False)
class Solution:
    """weights (m, r) of the runs, beta (r,), errors (m, r) where each is left out."""

    weights: np.ndarray
    beta: np.ndarray
    errors: np.ndarray


def fit_weights(kernel: OperatorKernel, images: Images) -> Solution:
    """Weights of all runs, and the errors at runs that are left out with their images."""
    m, r = images.m, images.y.shape[2]
    weights, errors, beta = np.zeros((m, r)), np.zeros((m, r)), np.zeros(r)
    for block, alpha, left, level, _ in _solve_blocks(kernel, images):
        first = block.bases[:, 0]
        if level is not None:
            beta += first[0, 0] * level
        for target, part in ((weights, alpha), (errors, left)):
            values = part.reshape(*part.shape[:2], len(first), r)
            target += np.einsum("cp,pmcr->mr", first, values)
    return Solution(weights, beta, errors)


def left_out_squares(kernel: OperatorKernel, images: Images) -> np.ndarray:
    """|e_i|^2 of each run that is left out with its images, (m,)."""
    total = np.zeros(images.m)
    for _, _, left, _, _ in _solve_blocks(kernel, images):
        total += np.sum(left**2, axis=(0, 2))
    return total / len(images.z)


def left_out_slopes(kernel: OperatorKernel, images: Images) -> tuple[float, np.ndarray, float]:
    """(F, dF/dK_f (g, m, m), dF/dnugget) of F = sum_i |e_i|^2.

    With b_i = (P_ii)^-1 e_i, dF = 2 sum_i <b_i e_i^T, (P dK P)_ii> - 2 sum_i b_i . (P dK alpha)_i.
    """
    total, slopes, by_nugget = 0.0, np.zeros_like(images.products), 0.0
    for block, alpha, left, _, P in _solve_blocks(kernel, images):
        d, m = alpha.shape[:2]
        total += float(np.sum(left**2))
        e = left.transpose(1, 0, 2)
        b = np.linalg.solve(_corners(P, d), e)
        weighted = np.einsum(
            "xpm,mpq->xqm", P.reshape(d * m, d, m), np.einsum("mpr,mqr->mpq", b, e)
        )
        S = 2.0 * weighted.reshape(d * m, d * m) @ P
        S -= 2.0 * (P @ b.transpose(1, 0, 2).reshape(d * m, -1)) @ alpha.reshape(d * m, -1).T
        by_nugget += float(S.trace())
        S = (0.5 * (S + S.T)).reshape(d, m, d, m)
        for f, R in enumerate(block.actions):
            slopes[f] += np.einsum("pq,pmqn->mn", R, S)
    g = len(images.z)
    return total / g, slopes / g, by_nugget / g


def _solve_blocks(
    kernel: OperatorKernel, images: Images
) -> list[tuple[Block, np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]]:
    """Of each block: itself, weights and left-out errors (d, m, copies r), beta, P."""
    K = [kernel.matrix(products, images.squares, images.squares) for products in images.products]
    K[0][np.diag_indices_from(K[0])] = 1.0 + kernel.linear / kernel.scale * images.squares
    return [
        (block, *_solve_block(block, K, kernel.nugget, y))
        for block, y in zip(images.blocks, images.outputs, strict=True)
    ]


def _solve_block(
    block: Block, K: list[np.ndarray], nugget: float, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]:
    d, m = y.shape[:2]
    parts = np.zeros((d, m, d, m))
    for R, part in zip(block.actions, K, strict=True):
        for p, q in np.argwhere(np.abs(R) > 1e-12):
            parts[p, :, q] += R[p, q] * part
    inverse = _inverse(parts.reshape(d * m, d * m), nugget)
    beta = None
    if d == 1 and (block.actions > 0).all():
        w = inverse.sum(axis=1)
        beta = w @ y[0] / w.sum()
        inverse = inverse - np.outer(w, w) / w.sum()
    alpha = (inverse @ y.reshape(d * m, -1)).reshape(y.shape)
    left = np.linalg.solve(_corners(inverse, d), alpha.transpose(1, 0, 2))
    return alpha, left.transpose(1, 0, 2), beta, inverse


def _corners(P: np.ndarray, d: int) -> np.ndarray:
    """The blocks P_ii (m, d, d) of the runs."""
    m = len(P) // d
    return np.einsum("pmqm->mpq", P.reshape(d, m, d, m))


def _inverse(M: np.ndarray, nugget: float) -> np.ndarray:
    """(M + nugget)^-1, with the least jitter that it can be factorised with."""
    size = float(M.diagonal().max())
    for jitter in JITTERS:
        shifted = M.copy()
        shifted[np.diag_indices_from(shifted)] += nugget + jitter * size
        factor, failed = dpotrf(shifted.T, lower=0, overwrite_a=1)
        if failed:
            continue
        inverse = dpotri(factor, lower=0, overwrite_c=1)[0]
        return np.asarray(np.triu(inverse) + np.triu(inverse, 1).T)
    values, vectors = np.linalg.eigh(M)
    return np.asarray((vectors / (np.maximum(values, 0) + nugget + JITTERS[-1] * size)) @ vectors.T)
