"""From a problem and a basis to a reduced model with its bound."""

from __future__ import annotations

import numpy as np

from rom.affine import Affine
from rom.arrays import gate
from rom.basis import Basis
from rom.certified.output_bounds import (
    Conjugate,
    DualWeighted,
    offset_norm,
    product_round_off,
    with_offset,
)
from rom.certified.residual import residual_bound
from rom.certified.stationary import GalerkinModel, galerkin
from rom.certified.transient import UnsteadyModel, unsteady
from rom.errors import BadInput
from rom.problem import Problem


@gate(problem=Problem, basis=Basis)
def galerkin_model(
    problem: Problem,
    basis: Basis,
    *,
    T: np.ndarray | None = None,
    slack: np.ndarray | None = None,
) -> GalerkinModel:
    """The Galerkin model of an affine problem, with its bound if stability is known.

    T, slack : triangular factor of the residual's representers and what round-off leaves of
        them, where they were computed before
    Raises BadInput where the problem has no A and f.
    """
    if problem.A is None or problem.f is None:
        raise BadInput(
            "the problem has no affine operator A and load f; build a regression model from its "
            "snapshots instead"
        )
    bound = None
    if problem.stability is not None:
        bound = residual_bound(problem.A, problem.f, basis, problem.stability, T=T, slack=slack)
    return galerkin(problem.A, problem.f, basis, bound=bound, box=problem.box)


@gate(problem=Problem, l=Affine, basis=Basis, dual=Basis)
def dual_weighted_output(
    problem: Problem,
    l: Affine,  # noqa: E741
    basis: Basis,
    dual: Basis,
) -> DualWeighted:
    """The output l(mu)^H u with the residual of a dual model in it and in its bound.

    l : vectors (n,); basis, dual : for A u = f and for A^H z = l
    Raises BadInput where the problem has no A, f and stability.
    """
    if problem.A is None or problem.f is None or problem.stability is None:
        raise BadInput("a dual-weighted output needs the problem's A, f and stability")
    A, f = problem.A, problem.f
    adjoint = Affine(Conjugate(A.theta), [term.conj().T for term in A.terms])
    dual_bound = residual_bound(adjoint, l, dual, problem.stability)
    V, W = with_offset(basis), with_offset(dual)
    round_off = max(
        product_round_off(basis.space, np.column_stack(list(f.terms)), W.modes),
        product_round_off(basis.space, np.column_stack(list(l.terms)), V.modes),
        *(product_round_off(basis.space, term @ V.modes, W.modes) for term in A.terms),
    )
    return DualWeighted(
        primal=galerkin_model(problem, basis),
        dual=galerkin(adjoint, l, dual, bound=dual_bound, box=problem.box),
        A=A.project(V, W),
        f=f.project(W),
        l=l.project(V),
        round_off=round_off,
        primal_size=offset_norm(basis),
        dual_size=offset_norm(dual),
    )


@gate(problem=Problem, basis=Basis)
def unsteady_model(problem: Problem, basis: Basis, *, theta: float = 1.0) -> UnsteadyModel:
    """The theta-scheme model of an affine problem with mass M and times.

    It has a bound where stability is known. Raises BadInput where A, f, M or times are missing.
    """
    A, f, M = problem.A, problem.f, problem.M
    if A is None or f is None or M is None or problem.times is None:
        raise BadInput("an unsteady model needs A, f, M and times in the problem")
    bound = None
    if problem.stability is not None:
        bound = residual_bound(A, f, basis, problem.stability, M)
    return unsteady(
        M,
        A,
        f,
        basis,
        problem.times,
        theta=theta,
        initial=problem.initial,
        bound=bound,
        box=problem.box,
    )
