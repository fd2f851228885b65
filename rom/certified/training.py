"""Bases chosen by bounds: weak greedy, POD-greedy, and Lawson's reweighted POD."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rom.arrays import COLUMNS, NUMBER, POINTS, array_of, gate
from rom.basis import Basis, gram_schmidt
from rom.certified.enrichment import GreedyStep, greedy
from rom.certified.images import ImageFactor
from rom.certified.models import galerkin_model, unsteady_model
from rom.certified.stationary import GalerkinModel
from rom.certified.transient import UnsteadyModel
from rom.compress.decomposition import pod
from rom.errors import BadInput
from rom.problem import Problem
from rom.snapshots import Snapshots
from rom.space import Space

SOLUTION = array_of("(n,)", kinds=NUMBER, most=np.inf, rows=True)
LEAST_WEIGHT = 1e-8  # keeps every sample in Lawson's iteration


@gate(problem=Problem, train=POINTS)
def reduced_basis(
    problem: Problem,
    train: np.ndarray,
    *,
    tol: float,
    rank: int | None = None,
    relative: bool = False,
    block: int = 1,
) -> tuple[GalerkinModel, tuple[GreedyStep, ...]]:
    """Weak greedy: add the solution where the bound is largest over train (m, p).

    tol : on that bound; relative : the bound is divided by |u_r|_X; rank : at most so many modes
    block : solutions of a step, the next ones where bound times distance to those before is
        largest. A host that is only applied is set up once for each term and step.
    Raises BadInput where the problem offers no space, A, f and stability.
    Reference: Rozza, Huynh, Patera (2008).
    """
    A, f, space = problem.A, problem.f, problem.space
    if space is None or problem.stability is None or A is None or f is None:
        raise BadInput(
            "the greedy needs the problem's space, A, f and stability; or collect snapshots and "
            "run pod"
        )
    if block < 1:
        raise BadInput(f"block = {block}; give how many solutions a step adds, at least 1")
    images = ImageFactor(space, A, f)
    error = _relative_bound if relative else _absolute_bound

    def add_solutions(basis: Basis, mus: np.ndarray) -> GalerkinModel:
        """The model on the basis with the solutions at mus."""
        u = np.stack([SOLUTION(problem.solve(mu), "the solution") for mu in mus], axis=1)
        new, _ = gram_schmidt(space, u, basis.modes)
        images.add(new)
        basis = replace(basis, modes=np.column_stack([basis.modes, new]))
        return galerkin_model(problem, basis, images=images)

    def enrich(model: GalerkinModel, mu: np.ndarray) -> GalerkinModel:
        """The model with the solution at mu, and at others of the block."""
        count = block if rank is None else min(block, rank - model.basis.r)
        return add_solutions(model.basis, _spread(mu, train, error(model, train), count))

    empty = Basis(space, np.zeros((space.n, 0)), rank_asked=rank, tol_asked=tol)
    model, history = greedy(
        add_solutions(empty, train[[len(train) // 2]]),
        train,
        error,
        enrich,
        tol=tol,
        rank=rank,
    )
    basis = replace(model.basis, reason=f"greedy: {history[-1].stop}")
    return replace(model, basis=basis), history


def _absolute_bound(model: GalerkinModel, mus: np.ndarray) -> np.ndarray:
    return np.asarray(model.predict(mus).bound)


def _spread(mu: np.ndarray, train: np.ndarray, errors: np.ndarray, count: int) -> np.ndarray:
    """mu and count - 1 rows of train, each where errors times distance is largest."""
    width = np.ptp(train, axis=0)
    place = train / np.where(width > 0, width, 1.0)
    first = int(np.argmin(np.abs(train - mu).sum(axis=1)))
    picks, distance = [first], np.full(len(train), np.inf)
    while len(picks) < min(count, len(train)):
        distance = np.minimum(distance, np.linalg.norm(place - place[picks[-1]], axis=1))
        picks.append(int(np.argmax(errors * distance)))
    return train[np.unique(picks)]


def _relative_bound(model: GalerkinModel, mus: np.ndarray) -> np.ndarray:
    answer = model.predict(mus)
    return np.asarray(answer.bound / np.linalg.norm(answer.coefficients, axis=0))


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
