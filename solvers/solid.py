"""Quasi-static small-strain solids: int sigma(eps(u), y):eps(v) = f(t).v.

For all v, u = u_D(t) where fixed. Strains and stresses are in Mandel notation (solvers.mandel). In
the plane the strain is plane. Points of integration are numbered patch after patch, cell after
cell. Reference: Simo & Hughes, Computational Inelasticity (1998).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp

from rom.errors import BadInput
from rom.history import History, State, history
from rom.loading import Loading
from rom.mesh import Mesh
from rom.points.nonlinear import cut, newton
from rom.space import Field, Space, euclidean
from solvers.elements import (
    ORDER,
    SHAPE,
    Patch,
    dofs,
    patch,
    quadrature,
    shapes,
    vector,
    volume_kinds,
)
from solvers.laws.elastic import Elastic
from solvers.laws.regions import Regions
from solvers.schwarz import schwarz
from solvers.tangent import Assembly, Linear

R = np.sqrt(0.5)
PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
SHEETS = {
    "triangle6": (np.array([[1, 1], [4, 1], [1, 4]]) / 6, np.full(3, 1 / 6)),
    "tetra10": (
        np.where(np.eye(4)[:, 1:] > 0, (5 + 3 * np.sqrt(5)) / 20, (5 - np.sqrt(5)) / 20),
        np.full(4, 1 / 24),
    ),
}


def rule(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Points (q, d) and weights (q,) > 0, exact for a stiffness on straight cells."""
    if kind in SHEETS:
        return SHEETS[kind]
    return quadrature(
        kind, 1 if SHAPE[kind] == kind and kind in ("triangle", "tetra") else 2 * ORDER[kind] + 1
    )


def points(mesh: Mesh) -> np.ndarray:
    """Points of integration (g, d) [m] of a mesh, as a body of one law numbers them."""
    return np.concatenate(
        [
            patch(mesh.points, kind, mesh.cells[kind], *rule(kind)).x.reshape(
                -1, mesh.points.shape[1]
            )
            for kind in volume_kinds(mesh)
        ]
    )


@dataclass(frozen=True, eq=False)
class Body:
    """A mesh with a law per region and fixed dofs.

    patches : cells of one kind and one law with all that integrals need; law : over all points
    fixed : dofs (k,) where u is prescribed; space : (u, v) = int u.v, lumped to the nodes of this
        rank
    preconditioner : of tangents, (space, K, points, fixed) -> (r -> M^{-1} r): schwarz, or
        solvers.petsc.gamg
    """

    mesh: Mesh
    kinds: tuple[str, ...]
    patches: tuple[Patch, ...]
    law: Regions
    fixed: np.ndarray
    space: Space
    preconditioner: Callable[..., Any] = schwarz

    @property
    def d(self) -> int:
        """Dimension."""
        return int(self.mesh.points.shape[1])

    @property
    def n(self) -> int:
        """Dofs of this rank, node-major."""
        return self.mesh.points.size

    @cached_property
    def weights(self) -> np.ndarray:
        """Weights (g,) of all points [m^d]."""
        return np.concatenate([p.w.ravel() for p in self.patches])

    @cached_property
    def x(self) -> np.ndarray:
        """Points of integration (g, d) [m]."""
        return np.concatenate([p.x.reshape(-1, self.d) for p in self.patches])

    @cached_property
    def values(self) -> sp.csr_array:
        """N (g, n_nodes): nodal values to points of integration."""
        parts = [
            sp.coo_array(
                (
                    np.tile(p.N, (len(p.cells), 1)).ravel(),
                    (
                        np.repeat(np.arange(p.w.size), p.N.shape[1]),
                        np.repeat(p.cells, len(p.N), axis=0).ravel(),
                    ),
                ),
                shape=(p.w.size, len(self.mesh.points)),
            )
            for p in self.patches
        ]
        return sp.csr_array(sp.vstack(parts))

    @cached_property
    def assembly(self) -> Assembly:
        """Where the entries of cell matrices lie in a sparse matrix."""
        return Assembly([p.cells for p in self.patches], len(self.mesh.points), self.d)

    @cached_property
    def points(self) -> Space:
        """(p, q) = int p q of fields at the points of integration.

        On several ranks cell after cell, rank after rank.
        """
        g = len(self.weights)
        before = 0
        if self.space.comm is not None:
            counts = self.space.comm.allgather(g)
            before = sum(counts[: self.space.comm.Get_rank()])
        return Space(self.weights, before + np.arange(g), self.space.comm)

    def step(self, loading: Loading, t0: float, t1: float, start: State) -> tuple[State, int]:
        """One load step: see the function `step`."""
        return step(self, loading, t0, t1, start)

    def at(self, points: np.ndarray) -> Regions:
        """The law at points of any rank, by global numbers."""
        which = self.points.take(self.law.which.astype(float), points)
        return Regions(self.law.laws, np.round(which).astype(np.int64))

    @cached_property
    def _linear(self) -> Linear:
        return Linear(self)

    def rest(self) -> np.ndarray:
        """The virgin state (g, k)."""
        return np.zeros((len(self.weights), self.law.width))

    def strain(self, U: np.ndarray) -> np.ndarray:
        """eps(U) at all points, (g, 6) or, of columns, (g, 6, r)."""
        columns = U.reshape(self.n, -1)
        strains = np.empty((len(self.weights), 6, columns.shape[1]))
        for points, p in self._chunks():
            B = operator(p)
            local = columns[dofs(p.cells, self.d)]
            strains[points] = (B.reshape(len(B), -1, B.shape[-1]) @ local).reshape(
                B.shape[0] * B.shape[1], 6, columns.shape[1]
            )
        return strains[..., 0] if U.ndim == 1 else strains

    def forces(self, stress: np.ndarray) -> np.ndarray:
        """int stress:eps(v) as a vector (n,), of this rank's cells."""
        total = np.zeros(self.n)
        for points, p in self._chunks():
            B = operator(p)
            weighted = (stress[points] * p.w.reshape(-1, 1)).reshape(len(B), 1, -1)
            total += vector(
                (weighted @ B.reshape(len(B), -1, B.shape[-1]))[:, 0], dofs(p.cells, self.d), self.n
            )
        return total

    def evaluate(
        self, u: np.ndarray, T: np.ndarray, state: np.ndarray, dt: float
    ) -> tuple[np.ndarray, Any, Any]:
        """Internal forces (n,), tangent (n, n), and (stress (g, 6), new state).

        Of this rank's cells, in one pass.
        """
        total, stress, new = (
            np.zeros(self.n),
            np.empty((len(self.weights), 6)),
            np.empty_like(state),
        )
        blocks = []
        for points, p in self._chunks():
            rows, B = dofs(p.cells, self.d), operator(p)
            flat = B.reshape(len(B), -1, B.shape[-1])
            strain = (flat @ u[rows][:, :, None]).reshape(-1, 6)
            stress[points], C, new[points] = self.law.restrict(points)(
                strain, T[points], state[points], dt
            )
            w = p.w.reshape(-1, 1)
            total += vector(
                ((stress[points] * w).reshape(len(B), 1, -1) @ flat)[:, 0], rows, self.n
            )
            CB = (C * w[:, :, None]).reshape(*B.shape[:2], 6, 6) @ B
            blocks.append(np.swapaxes(flat, 1, 2) @ CB.reshape(flat.shape))
        return total, self.assembly(blocks), (stress, new)

    def _chunks(self, most: int = 1_500) -> Iterator[tuple[slice, Patch]]:
        """(points, patch) of at most `most` cells."""
        first = 0
        for p in self.patches:
            q = len(p.N)
            for i in range(0, len(p.cells), most):
                j = min(i + most, len(p.cells))
                part = Patch(
                    p.cells[i:j], p.N, None if p.G is None else p.G[i:j], p.w[i:j], p.x[i:j]
                )
                yield slice(first + q * i, first + q * j), part
            first += q * len(p.cells)


def operator(p: Patch) -> np.ndarray:
    """B (e, q, 6, k d) with eps = B u in Mandel notation."""
    if p.G is None:
        raise BadInput("strains are asked of surface cells; name a region of volume cells")
    e, q, k, d = p.G.shape
    B = np.zeros((e, q, 6, k, d))
    for row, (i, j) in enumerate(PAIRS):
        if max(i, j) >= d:
            continue
        if i == j:
            B[:, :, row, :, i] = p.G[..., i]
        else:
            B[:, :, row, :, i] = R * p.G[..., j]
            B[:, :, row, :, j] = R * p.G[..., i]
    return B.reshape(e, q, 6, k * d)


def body(
    mesh: Mesh,
    laws: dict[str | None, Elastic],
    fixed: np.ndarray,
    comm: Any = None,
    numbers: Any = None,
) -> Body:
    """A body of `laws` by region, u prescribed on the dofs `fixed` of the mesh.

    A region None is all cells that fill the space.
    comm, numbers : this mesh is one rank's part (see solvers.partition) and `numbers` (n_nodes,)
        are global node numbers
    Raises BadInput where regions overlap, leave cells without a law, or no dof is fixed.
    """
    all_patches, which, kinds = [], [], []
    uses = {kind: np.zeros(len(mesh.cells[kind]), dtype=int) for kind in volume_kinds(mesh)}
    for number, region in enumerate(laws):
        parts = (
            {kind: np.arange(len(mesh.cells[kind])) for kind in uses}
            if region is None
            else mesh.region(region)
        )
        for kind, cells in parts.items():
            if kind not in uses:
                raise BadInput(
                    f"region {region!r} holds {kind} cells, which do not fill the space; "
                    "give laws to volumes"
                )
            uses[kind][cells] += 1
            if len(cells):
                all_patches.append(patch(mesh.points, kind, mesh.cells[kind][cells], *rule(kind)))
                which.append(np.full(all_patches[-1].w.size, number))
                kinds.append(kind)
    for kind, count in uses.items():
        if (count != 1).any():
            cell = int(np.argmax(count != 1))
            raise BadInput(
                f"{kind} cell {cell} has {count[cell]} laws; regions must cover every cell once"
            )
    d = mesh.points.shape[1]
    nodes = np.arange(len(mesh.points)) if numbers is None else np.asarray(numbers)
    lumped = np.zeros(len(mesh.points))
    for p in all_patches:
        lumped += vector(p.w @ np.abs(p.N), p.cells, len(lumped))
    rows = (nodes[:, None] * d + np.arange(d)).ravel()
    space = Space(
        np.repeat(lumped, d), rows, comm, (Field("displacement", "m", np.arange(rows.size), d),)
    )
    if not space.sum(np.array([float(len(fixed))]))[0]:
        raise BadInput("no dof is fixed; the body would float: name a clamped surface")
    return Body(
        mesh,
        tuple(kinds),
        tuple(all_patches),
        Regions(tuple(laws.values()), np.concatenate(which)),
        np.asarray(fixed),
        space,
    )


def virgin(b: Body) -> State:
    """Zero displacement, stress and internal state."""
    return State(np.zeros(b.n), np.zeros((len(b.weights), 6)), b.rest())


def step(
    b: Body,
    loading: Loading,
    t0: float,
    t1: float,
    start: State,
    linear: Linear | None = None,
    tol: float = 1e-8,
    cuts: int = 6,
) -> tuple[State, int]:
    """One load step by Newton, cut where it fails.

    |F_int - F_ext| <= tol max(|F_ext|, |F_int|) over the free dofs.
    loading : forces and moves (n, .), temperatures at the points of integration (g, .), as
        `b.values` takes them from nodes
    Returns the new state and the iterations. Raises NotConverged.
    """
    linear = linear or b._linear
    free = np.ones(b.n)
    free[b.fixed] = 0.0
    once = euclidean(b.space.numbers, b.space.comm).product

    def size(r: np.ndarray) -> float:
        return float(np.sqrt(b.space.sum(np.array([np.sum(once * r * r)]))[0]))

    def advance(a: float, e: float, old: State) -> tuple[State, int]:
        T, external = loading.temperature(e), b.space.whole(loading.force(e))
        u = old.u.copy()
        linear.anew()
        moved = np.broadcast_to(loading.prescribed(e), u.shape)
        u[b.fixed] = moved[b.fixed]

        def evaluate(x: np.ndarray) -> tuple[np.ndarray, float, Any, Any]:
            internal, K, carried = b.evaluate(x, T, old.state, e - a)
            internal = b.space.whole(internal)
            scale = max(size(free * external), size(internal), 1e-300)
            return free * (internal - external), scale, K, carried

        # a jump of prescribed values first spreads elastically: the tangent sees it as a residual
        solution = newton(evaluate, lambda K, r, left: linear(K, r, left, tol), u, tol, norm=size)
        return State(solution.x, *solution.carried), len(solution.residuals) - 1

    return cut(advance, t0, t1, start, cuts)


def march(
    b: Body,
    loading: Loading,
    times: Sequence[float] | np.ndarray,
    start: State | None = None,
    tol: float = 1e-8,
) -> History:
    """States at times[1:], from `start` (virgin by default) at times[0].

    A loading step may be cut, the output times stay.
    """
    now, linear = start or virgin(b), Linear(b)
    states, counts = [], []
    for t0, t1 in pairwise(times):
        now, count = step(b, loading, float(t0), float(t1), now, linear, tol)
        states.append(now)
        counts.append(count)
    return history(np.asarray(times[1:]), states, counts)


def spin(b: Body, axis: Any = (0.0, 0.0, 1.0), centre: Any = 0.0) -> np.ndarray:
    """int rho r.v, (n,): the load of 1 rad/s about the axis through `centre`.

    In the plane the axis stands normal to it.
    """
    e = np.asarray(axis, dtype=float)[: b.d]
    e = np.zeros(2) if b.d == 2 else e / np.linalg.norm(e)
    total, first = np.zeros(b.n), 0
    for kind, whole in zip(b.kinds, b.patches, strict=True):
        rho = b.law.laws[b.law.which[first]].rho
        for i in range(0, len(whole.cells), 20_000):
            p = patch(
                b.mesh.points,
                kind,
                whole.cells[i : i + 20_000],
                *quadrature(kind, 2 * ORDER[kind] + 1),
            )
            r = p.x - np.asarray(centre, dtype=float)
            r = r - (r @ e)[..., None] * e
            total += vector(
                rho * np.einsum("eqa,qi,eq->eia", r, p.N, p.w, optimize=True),
                dofs(p.cells, b.d),
                b.n,
            )
        first += whole.w.size
    return total


def push(mesh: Mesh, surface: str) -> np.ndarray:
    """int -n.v over a surface, (n,): the load of 1 Pa.

    n is the outward normal of its cells (node order as seen from outside).
    """
    d = mesh.points.shape[1]
    total = np.zeros(mesh.points.size)
    for kind, numbers in mesh.region(surface).items():
        X, W = quadrature(kind, 2 * ORDER[kind])
        N, dN = shapes(kind, X)
        cells = mesh.cells[kind][numbers]
        J = np.einsum("ekc,qkd->eqcd", mesh.points[cells], dN, optimize=True)
        area = (
            np.cross(J[..., 0], J[..., 1])
            if d == 3
            else np.stack([J[..., 1, 0], -J[..., 0, 0]], axis=-1)
        )
        total -= vector(
            np.einsum("eqa,qi,q->eia", area, N, W, optimize=True), dofs(cells, d), total.size
        )
    return total
