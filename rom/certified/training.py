"""Bases chosen by bounds: weak greedy, POD-greedy, and Lawson's reweighted POD."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rom.affine import Affine
from rom.arrays import COLUMNS, POINTS, STATES, gate
from rom.basis import Basis, gram_schmidt
from rom.certified.enrichment import GreedyStep, greedy
from rom.certified.models import galerkin_model, unsteady_model
from rom.certified.rounding import orthonormality_defect, representer_slack, stretch
from rom.certified.stationary import GalerkinModel
from rom.certified.transient import UnsteadyModel
from rom.compress.decomposition import pod
from rom.errors import BadInput
from rom.problem import Problem
from rom.snapshots import Snapshots
from rom.space import Space

LEAST_WEIGHT = 1e-8  # keeps every sample in Lawson's iteration


@gate(problem=Problem, train=POINTS)
def reduced_basis(
    problem: Problem,
    train: np.ndarray,
    *,
    tol: float,
    rank: int | None = None,
    relative: bool = False,
) -> tuple[GalerkinModel, tuple[GreedyStep, ...]]:
    """Weak greedy: add the solution where the bound is largest over train (m, p).

    tol : on that bound; relative : the bound is divided by |u_r|_X; rank : at most so many modes
    Raises BadInput where the problem offers no space, A, f and stability.
    Reference: Rozza, Huynh, Patera (2008).
    """
    A, f, space = problem.A, problem.f, problem.space
    if space is None or problem.stability is None or A is None or f is None:
        raise BadInput(
            "the greedy needs the problem's space, A, f and stability; or collect snapshots and "
            "run pod"
        )
    images = _Images(space, A, f)

    def add_solution(basis: Basis, mu: np.ndarray) -> GalerkinModel:
        """The model on the basis with the solution at mu."""
        u = STATES(problem.solve(mu), "the solution")
        new, _ = gram_schmidt(space, u[:, None], basis.modes)
        images.add(new)
        modes = np.column_stack([basis.modes, new])
        T, slack = images.factor(modes.shape[1])
        return galerkin_model(problem, replace(basis, modes=modes), T=T, slack=slack)

    empty = Basis(space, np.zeros((space.n, 0)), rank_asked=rank, tol_asked=tol)
    model, history = greedy(
        add_solution(empty, train[len(train) // 2]),
        train,
        _relative_bound if relative else _absolute_bound,
        lambda model, mu: add_solution(model.basis, mu),
        tol=tol,
        rank=rank,
    )
    basis = replace(model.basis, reason=f"greedy: {history[-1].stop}")
    return replace(model, basis=basis), history


def _absolute_bound(model: GalerkinModel, mus: np.ndarray) -> np.ndarray:
    return np.asarray(model.predict(mus).bound)


def _relative_bound(model: GalerkinModel, mus: np.ndarray) -> np.ndarray:
    answer = model.predict(mus)
    return np.asarray(answer.bound / np.linalg.norm(answer.coefficients, axis=0))


class _Images:
    """Q T, the representers of f_q and A_q V; `add` extends it by new modes."""

    def __init__(self, space: Space, A: Affine, f: Affine) -> None:
        self.space, self.A, self.f = space, A, f
        loads = np.column_stack(list(f.terms))
        self.Q, self.T = np.zeros((space.n, 0)), np.zeros((0, 0))
        self.slack, self.defect = np.zeros(0), 0.0
        self._append(loads, loads)

    def add(self, modes: np.ndarray) -> None:
        """Append the images of new modes (n, k); none for k = 0."""
        if not modes.shape[1]:
            return
        wide = modes.astype(np.result_type(modes, np.longdouble))
        columns, exact = (
            np.column_stack([term @ V for term in self.A.terms]) for V in (modes, wide)
        )
        self._append(columns, exact)

    def _append(self, columns: np.ndarray, exact: np.ndarray) -> None:
        """More columns of R; exact : the same in extended precision."""
        S = self.space.represent(columns)
        Q, T = gram_schmidt(self.space, S, self.Q)
        self.defect = float(np.hypot(self.defect, orthonormality_defect(self.space, self.Q, Q)))
        taller = np.pad(self.T, ((0, Q.shape[1]), (0, 0)))
        self.T = np.hstack([taller, T])
        self.Q = np.column_stack([self.Q, Q])
        slack = representer_slack(self.space, exact, S, self.Q, T)
        self.slack = np.append(self.slack, slack)

    def factor(self, rank: int) -> tuple[np.ndarray, np.ndarray]:
        """T and its slack, in the order of `images`: loads, then modes term by term."""
        loads, terms = len(self.f.terms), len(self.A.terms)
        by_mode = np.arange(terms * rank).reshape(rank, terms)
        order = np.append(np.arange(loads), loads + by_mode.T.ravel())
        return self.T[:, order] * stretch(self.defect), self.slack[order]


@gate(problem=Problem, model=GalerkinModel, mus=POINTS)
def recompress(
    problem: Problem, model: GalerkinModel, mus: np.ndarray, *, rank: int, sweeps: int = 40
) -> GalerkinModel:
    """min over W^T W = I_rank of max over mus of |a(mu) - W W^T a(mu)|.

    a(mu) are the answers of a richer model. It takes no high-fidelity solve, and the result is
    better than a greedy that stops at the same rank.
    Raises BadInput for a rank that the model does not have.
    Reference: Lawson (1961).
    """
    a = model.predict(mus).coefficients
    if not 0 < rank <= len(a):
        raise BadInput(f"rank = {rank} must lie in 1..{len(a)}, the modes of the richer model")
    worst, rotation, s = _lawson(a, rank, sweeps)
    basis = replace(
        model.basis,
        modes=model.basis.modes @ rotation,
        s=s,
        rank_asked=rank,
        reason=f"rank {rank} asked",
        error=worst,
    )
    return galerkin_model(problem, basis)


def _lawson(a: np.ndarray, rank: int, sweeps: int) -> tuple[float, np.ndarray, np.ndarray]:
    """The least largest error over the columns of a, its W (r, rank), singular values."""
    weight = np.ones(a.shape[1])
    worst, rotation, values = np.inf, np.eye(len(a), rank), np.zeros(0)
    for _ in range(sweeps):
        U, s, _ = np.linalg.svd(a * weight, full_matrices=False)
        W = U[:, :rank]
        error = np.linalg.norm(a - W @ (W.T @ a), axis=0)
        largest = error.max()
        if largest < worst:
            worst, rotation, values = float(largest), W, s
        weight = weight * np.sqrt(error / largest) + LEAST_WEIGHT
    return worst, rotation, values


@gate(problem=Problem, train=POINTS)
def pod_greedy(
    problem: Problem,
    train: np.ndarray,
    *,
    tol: float,
    rank: int | None = None,
    step_rank: int = 1,
    theta: float = 1.0,
) -> tuple[UnsteadyModel, tuple[GreedyStep, ...]]:
    """Weak greedy in the parameters, POD in time.

    Each step adds the `step_rank` leading modes of what the basis misses of the worst trajectory.
    tol : on the bound at the final time in the norm of M
    Raises BadInput where the problem offers no space and stability.
    Reference: Haasdonk and Ohlberger (2008).
    """
    space = problem.space
    if space is None or problem.stability is None:
        raise BadInput(
            "the greedy needs the problem's space and stability; or collect snapshots and run pod"
        )

    def enrich(model: UnsteadyModel, mu: np.ndarray) -> UnsteadyModel:
        """The model on the basis with modes of the trajectory at mu."""
        modes = add_modes(model.basis.modes, mu)
        return unsteady_model(problem, replace(model.basis, modes=modes), theta=theta)

    add_modes = _trajectory_modes(problem, space, step_rank)
    first = add_modes(np.zeros((space.n, 0)), train[len(train) // 2])
    basis = Basis(space, first, rank_asked=rank, tol_asked=tol)
    start = unsteady_model(problem, basis, theta=theta)
    return greedy(start, train, _final_bound, enrich, tol=tol, rank=rank)


def _final_bound(model: UnsteadyModel, mus: np.ndarray) -> np.ndarray:
    return np.asarray(model.predict(mus).bound[:, -1])


def _trajectory_modes(
    problem: Problem, space: Space, rank: int
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """(modes, mu) -> these modes and the leading ones of what they miss at mu."""

    def add_modes(modes: np.ndarray, mu: np.ndarray) -> np.ndarray:
        """The modes (n, r) and at most `rank` new ones."""
        u = COLUMNS(problem.solve(mu), "the solution")
        rest = u - modes @ space.inner(modes, u)
        rest = rest - modes @ space.inner(modes, rest)
        trajectory = Snapshots(space, np.tile(mu, (u.shape[1], 1)), rest)
        leading, _ = pod(trajectory, rank=min(rank, u.shape[1]), method="full")
        new, _ = gram_schmidt(space, leading.modes, modes)
        return np.column_stack([modes, new])

    return add_modes
