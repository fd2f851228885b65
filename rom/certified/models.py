"""Compositions that cases and the command line share: from a problem to a certified model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rom.affine import Affine
from rom.basis import Basis, gram_schmidt
from rom.certified.enrichment import GreedyStep, greedy
from rom.certified.output_bounds import Conjugate, DualWeighted
from rom.certified.residual import residual_bound
from rom.certified.stationary import GalerkinModel, galerkin
from rom.certified.transient import UnsteadyModel, unsteady
from rom.compress.decomposition import pod
from rom.errors import BadInput
from rom.problem import Problem
from rom.snapshots import Snapshots


def galerkin_model(problem: Problem, basis: Basis, T: np.ndarray | None = None) -> GalerkinModel:
    """The Galerkin model of an affine problem on a basis, with its residual bound where stability is known.

    T : triangular factor of the residual's representers where it is known already
    """
    if problem.A is None or problem.f is None:
        raise BadInput(
            "the problem has no affine operator A and load f; build a regression model from its snapshots instead"
        )
    bound = None
    if problem.stability is not None:
        bound = residual_bound(problem.A, problem.f, basis, problem.stability, T=T)
    return galerkin(problem.A, problem.f, basis, bound, problem.box)


def dual_weighted_output(problem: Problem, l: Affine, basis: Basis, dual: Basis) -> DualWeighted:  # noqa: E741
    """The output l(mu)^H u of a problem, with the residual of a dual model as its correction and in its bound.

    l : vectors (n,); basis, dual : for A u = f and for A^H z = l. Raises BadInput where the problem has no A, f and stability.
    """
    if problem.A is None or problem.f is None or problem.stability is None:
        raise BadInput("a dual-weighted output needs the problem's A, f and stability")
    A, f = problem.A, problem.f
    adjoint = Affine(Conjugate(A.theta), [term.conj().T for term in A.terms])
    opposite = galerkin(
        adjoint, l, dual, residual_bound(adjoint, l, dual, problem.stability), problem.box
    )
    return DualWeighted(
        galerkin_model(problem, basis),
        opposite,
        A.project(basis, dual),
        f.project(dual),
        l.project(basis),
    )


def unsteady_model(problem: Problem, basis: Basis, theta: float = 1.0) -> UnsteadyModel:
    """The theta-scheme model of an affine problem with mass M and times, with its bound where stability is known."""
    if problem.A is None or problem.f is None or problem.M is None or problem.times is None:
        raise BadInput("an unsteady model needs A, f, M and times in the problem")
    bound = None
    if problem.stability is not None:
        bound = residual_bound(problem.A, problem.f, basis, problem.stability, problem.M)
    return unsteady(
        problem.M,
        problem.A,
        problem.f,
        basis,
        problem.times,
        theta,
        problem.initial,
        bound=bound,
        box=problem.box,
    )


def reduced_basis(
    problem: Problem, train: np.ndarray, tol: float, rank: int | None = None, relative: bool = False
) -> tuple[GalerkinModel, tuple[GreedyStep, ...]]:
    """Weak greedy: solve where the bound is largest, add the solution, until the bound is at most tol over train (m, p).

    relative : divide the bound by |u_r|_X. Raises BadInput where the problem offers no space, A, f and stability.
    Reference: Rozza, Huynh, Patera (2008).
    """
    if problem.space is None or problem.stability is None or problem.A is None or problem.f is None:
        raise BadInput(
            "the greedy needs the problem's space, A, f and stability; or collect snapshots and run pod"
        )
    space = problem.space

    def estimate(model: GalerkinModel, mus: np.ndarray) -> np.ndarray:
        answer = model.predict(mus)
        return (
            answer.bound / np.linalg.norm(answer.coefficients, axis=0) if relative else answer.bound
        )

    A, f = problem.A, problem.f
    factor = list(gram_schmidt(space, space.represent(np.column_stack(list(f.terms)))))

    def grown(basis: Basis, u: np.ndarray) -> GalerkinModel:
        new, _ = gram_schmidt(space, u[:, None], against=basis.modes)
        modes = np.column_stack([basis.modes, new])
        if new.shape[1]:
            Q, T = gram_schmidt(
                space,
                space.represent(np.column_stack([term @ new for term in A.terms])),
                against=factor[0],
            )
            factor[1] = np.hstack([np.pad(factor[1], ((0, Q.shape[1]), (0, 0))), T])
            factor[0] = np.column_stack([factor[0], Q])
        images = (
            len(f.terms)
            + np.arange(len(A.terms) * modes.shape[1])
            .reshape(modes.shape[1], len(A.terms))
            .T.ravel()
        )
        return galerkin_model(
            problem,
            replace(basis, modes=modes),
            factor[1][:, np.append(np.arange(len(f.terms)), images)],
        )

    empty = Basis(space, np.zeros((space.n, 0)), rank_asked=rank, tol_asked=tol)
    start = grown(empty, np.asarray(problem.solve(train[len(train) // 2])))
    model, history = greedy(
        start,
        train,
        estimate,
        lambda model, mu: grown(model.basis, np.asarray(problem.solve(mu))),
        tol,
        rank,
    )
    return replace(model, basis=replace(model.basis, reason=f"greedy: {history[-1].stop}")), history


def recompress(
    problem: Problem, model: GalerkinModel, mus: np.ndarray, rank: int, sweeps: int = 40
) -> GalerkinModel:
    """min over W^T W = I_rank of max over mus of |a(mu) - W W^T a(mu)|, a(mu) the answers of a richer model: Lawson's reweighted POD.

    Costs nothing of high fidelity, and beats stopping the greedy at the same rank. Raises BadInput for a rank the model does not have.
    Reference: Lawson (1961).
    """
    c = model.predict(mus).coefficients
    if not 0 < rank <= len(c):
        raise BadInput(f"rank = {rank} must lie in 1..{len(c)}, the modes of the richer model")
    weight, best = np.ones(c.shape[1]), (np.inf, np.eye(len(c), rank), np.zeros(0))
    for _ in range(sweeps):
        W, s, _ = np.linalg.svd(c * weight, full_matrices=False)
        error = np.linalg.norm(c - W[:, :rank] @ (W[:, :rank].T @ c), axis=0)
        best = min(best, (float(error.max()), W[:, :rank], s), key=lambda entry: entry[0])
        weight = weight * np.sqrt(error / error.max()) + 1e-8
    worst, W, s = best
    basis = replace(
        model.basis,
        modes=model.basis.modes @ W,
        s=s,
        rank_asked=rank,
        reason=f"rank {rank} asked",
        error=worst,
    )
    return galerkin_model(problem, basis)


def pod_greedy(
    problem: Problem,
    train: np.ndarray,
    tol: float,
    rank: int | None = None,
    modes: int = 1,
    theta: float = 1.0,
) -> tuple[UnsteadyModel, tuple[GreedyStep, ...]]:
    """Weak greedy in the parameters, POD in time: add the leading modes of what the basis misses of the worst trajectory.

    tol : on the bound at the final time in the norm of M; modes : how many are added each step
    Reference: Haasdonk and Ohlberger (2008).
    """
    if problem.space is None or problem.stability is None:
        raise BadInput(
            "the greedy needs the problem's space and stability; or collect snapshots and run pod"
        )
    space = problem.space

    def leading(basis: np.ndarray, mu: np.ndarray) -> np.ndarray:
        u = np.asarray(problem.solve(mu))
        missed = u - basis @ space.inner(basis, u)
        missed = missed - basis @ space.inner(basis, missed)
        new, _ = pod(
            Snapshots(space, np.tile(mu, (u.shape[1], 1)), missed),
            rank=min(modes, u.shape[1]),
            method="full",
        )
        return np.column_stack([basis, gram_schmidt(space, new.modes, against=basis)[0]])

    def enrich(model: UnsteadyModel, mu: np.ndarray) -> UnsteadyModel:
        return unsteady_model(
            problem, replace(model.basis, modes=leading(model.basis.modes, mu)), theta
        )

    first = leading(np.zeros((space.n, 0)), train[len(train) // 2])
    start = unsteady_model(problem, Basis(space, first, rank_asked=rank, tol_asked=tol), theta)
    return greedy(
        start, train, lambda model, mus: model.predict(mus).bound[:, -1], enrich, tol, rank
    )
