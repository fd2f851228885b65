"""A Gaussian belief q = N(m, (V V^T)^{-1}) over a prior N(mean, (U U^T)^{-1}), both sparse inverse Cholesky factors of one pattern.

ELBO = sum_i (E_q log p(y_i | f_i) - 1/2 |V^{-1} u_i|^2 - 1/2 (u_i^T (m - mean))^2 + log U_ii - log V_ii + 1/2), u_i the columns of U:
a sum over points, so that few of them, with their ancestors in the pattern, estimate it and its gradient.
References: Cao, Kang, Jimenez, Sang, Schaefer, Katzfuss (2023).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse.linalg as spla

from rom.regress.noises import smoothed
from rom.regress.vecchia import assembled

WIDE = 256


@dataclass(frozen=True, eq=False)
class SparseBelief:
    """near (n, k) : rows above the diagonal of each column, -1 for none; U, V (n, 1 + k) : diagonal, then those rows; m (n,).

    y (n,) was observed under the named noise and its scale; everything is in the order in which the factors are triangular.
    """

    near: np.ndarray
    U: np.ndarray
    V: np.ndarray
    m: np.ndarray
    mean: float
    noise: str
    scale: float
    y: np.ndarray

    def parts(self, some: np.ndarray) -> Iterator[tuple[np.ndarray, SparseBelief, np.ndarray, np.ndarray]]:
        """Batches of points, the belief of each batch's ancestors alone, which are they, and where among them the batch is."""
        for batch in (some[s : s + WIDE] for s in range(0, len(some), WIDE)):
            kept, near = restricted_pattern(self.near, batch)
            rows = {name: getattr(self, name)[kept] for name in ("U", "V", "m", "y")}
            yield batch, replace(self, near=near, **rows), kept, np.searchsorted(kept, batch)

    def elbo_terms(self, some: np.ndarray) -> np.ndarray:
        """The terms of the ELBO of some points; their sum over all points is the ELBO, never above log p(y)."""
        terms = []
        for _, part, _, at in self.parts(some):
            solver, u = triangle(part.near, part.V), assembled(part.near, part.U)[:, at].toarray()
            v = np.sum(solver.solve(_units(len(part.m), at)) ** 2, axis=0)
            value = smoothed(part.noise, part.scale, part.y[at], part.m[at], v)[0]
            apart = np.sum(solver.solve(u) ** 2, axis=0) + ((part.m - part.mean) @ u) ** 2
            terms.append(value - 0.5 * apart + np.log(part.U[at, 0] / part.V[at, 0]) + 0.5)
        return np.concatenate(terms)

    def elbo_slope(self, some: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gradient of those terms in m (n,) and V (n, 1 + k).

        With S = V^{-1} [U, I] and R = V^{-T} S that in V is R diag(1, -2 dE/dv) S^T - 1 / diag(V) on the pattern.
        """
        to_m, to_V = np.zeros_like(self.m), np.zeros_like(self.V)
        for batch, part, kept, at in self.parts(some):
            solver, u = triangle(part.near, part.V), assembled(part.near, part.U)[:, at].toarray()
            S = solver.solve(np.hstack([u, _units(len(kept), at)]))
            v = np.sum(S[:, len(at) :] ** 2, axis=0)
            _, slope, bend = smoothed(part.noise, part.scale, part.y[at], part.m[at], v)
            to_m[batch] += slope
            to_m[kept] -= u @ (u.T @ (part.m - part.mean))
            R, weighted = solver.solve(S, "T"), S * np.concatenate([np.ones(len(at)), bend])
            rows = np.hstack([np.arange(len(kept))[:, None], part.near])
            for block in (slice(s, s + WIDE) for s in range(0, len(kept), WIDE)):
                to_V[kept[block]] += np.einsum("nkb,nb->nk", R[rows[block]], weighted[block])
            to_V[batch, 0] -= 1.0 / part.V[at, 0]
        to_V[:, 1:][self.near < 0] = 0.0
        return to_m, to_V

    def ascended(self, steps: int = 30, batch: int = 512, rng: int | np.random.Generator = 0, rate: float = 0.01) -> SparseBelief:
        """The belief after steps of stochastic gradient ascent of the ELBO, or this one where it is no better on points drawn afresh.

        m moves in units of its conditional deviation 1 / V_ii, V in units of its diagonal; the rate falls to zero.
        Reference: Kingma, Ba (2015).
        """
        gen, n, unit, now = np.random.default_rng(rng), len(self.m), self.V[:, :1], self
        first = second = np.zeros((n, 1 + self.V.shape[1]))
        for step in range(1, steps + 1):
            to_m, to_V = now.elbo_slope(np.arange(n) if batch >= n else gen.choice(n, batch, replace=False))
            slope = np.hstack([to_m[:, None] / unit, to_V * unit])
            first, second = 0.9 * first + 0.1 * slope, 0.99 * second + 0.01 * slope**2
            size = np.sqrt(second / (1 - 0.99**step)) + 1e-10
            move = rate * (1 - (step - 1) / steps) * first / (1 - 0.9**step) / size
            V = now.V + move[:, 1:] * unit
            V[:, 0] = np.maximum(V[:, 0], 0.1 * unit[:, 0])
            now = replace(now, m=now.m + move[:, 0] / unit[:, 0], V=V)
        judge = np.arange(n) if n <= 8 * batch else gen.choice(n, 8 * batch, replace=False)
        return now if now.elbo_terms(judge).sum() > self.elbo_terms(judge).sum() else self


def restricted_pattern(near: np.ndarray, some: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(kept, near of the kept): some points and all their ancestors, ascending; their triangle solves alone."""
    seen = np.zeros(len(near) + 1, dtype=bool)
    new = some
    while new.size:
        seen[new] = True
        new = np.unique(near[new])
        new = new[(new >= 0) & ~seen[new]]
    kept, number = np.flatnonzero(seen), np.cumsum(seen) - 1
    number[-1] = -1
    return kept, number[near[kept]]


def incomplete(near: np.ndarray, U: np.ndarray, lam: np.ndarray) -> np.ndarray:
    """V with V V^T ~ U U^T + diag(lam) on the pattern of U: Cholesky from the last point to the first, without fill.

    lam >= 0 : then V_ii >= U_ii, for data only narrow a belief, which is enforced where missing fill would say otherwise.
    Reference: Schaefer, Katzfuss, Owhadi (2021), section 4.
    """
    n, k = near.shape
    V, hold = np.zeros_like(U), np.vstack([np.where(near >= 0, near, n), np.full(k, n)])
    above, diagonal = np.zeros((n + 1, k)), np.append(lam, 0.0)
    prior, mine = np.zeros(n + 1), np.zeros(n + 1)
    for i in range(n - 1, -1, -1):
        S, u, top = hold[i], U[i, 1:] * (near[i] >= 0), U[i, 0]
        pivot = np.sqrt(max(diagonal[i], 0.0) + top**2)
        v = (above[i] + top * u) / pivot
        V[i, 0], V[i, 1:] = pivot, v
        prior[S], mine[S] = u, v
        above[S] += u[:, None] * prior[hold[S]] - v[:, None] * mine[hold[S]]
        diagonal[S] += u**2 - v**2
        prior[S] = mine[S] = 0.0
        above[n] = 0.0
    return V


def triangle(near: np.ndarray, V: np.ndarray) -> spla.SuperLU:
    """Solves with V and, by "T", with its transpose."""
    return spla.splu(assembled(near, V), permc_spec="NATURAL", diag_pivot_thresh=0.0, options={"SymmetricMode": True})


def _units(n: int, some: np.ndarray) -> np.ndarray:
    columns = np.zeros((n, len(some)))
    columns[some, np.arange(len(some))] = 1.0
    return columns
