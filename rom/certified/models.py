"""From a problem and a basis to a reduced model with its bound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rom.affine import Affine
from rom.arrays import gate
from rom.basis import Basis
from rom.certified.images import ImageFactor
from rom.certified.output_bounds import (
    Conjugate,
    DualWeighted,
    offset_norm,
    product_round_off,
    with_offset,
)
from rom.certified.residual import is_shifted, residual_bound
from rom.certified.stationary import GalerkinModel, galerkin
from rom.certified.transient import UnsteadyModel, unsteady
from rom.errors import BadInput
from rom.host import adjoint
from rom.problem import Problem


@gate(problem=Problem, basis=Basis)
def galerkin_model(
    problem: Problem,
    basis: Basis,
    *,
    images: ImageFactor | None = None,
) -> GalerkinModel:
    """The Galerkin model of an affine problem, with its bound if stability is known.

    images : of the modes, where they were factorised before. An operator that is only applied is
        set up once for each term.
    Raises BadInput where the problem has no A and f.
    """
    if problem.A is None or problem.f is None:
        raise BadInput(
            "the problem has no affine operator A and load f; build a regression model from its "
            "snapshots instead"
        )
    A, f, bound = problem.A, problem.f, None
    if A.is_applied and images is None:
        if is_shifted(basis):
            raise BadInput(
                "an operator that is only applied takes bases without offset; "
                "run pod(..., center=False)"
            )
        images = ImageFactor(basis.space, A, f)
        images.add(basis.modes)
    T, slack = (None, None) if images is None else images.factor()
    if problem.stability is not None:
        bound = residual_bound(A, f, basis, problem.stability, T=T, slack=slack)
    if images is not None and A.is_applied:
        reduced = Affine(A.theta, images.projected(basis.modes))
        return GalerkinModel(reduced, f.project(basis), basis, bound=bound, box=problem.box)
    return galerkin(A, f, basis, bound=bound, box=problem.box)


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
    A, f, space = problem.A, problem.f, basis.space
    transposed = Affine(Conjugate(A.theta), [adjoint(term) for term in A.terms])
    V, W = with_offset(basis), with_offset(dual)
    images = [term @ V.modes for term in A.terms]
    round_off = max(
        product_round_off(space, np.column_stack(list(f.terms)), W.modes),
        product_round_off(space, np.column_stack(list(l.terms)), V.modes),
        *(product_round_off(space, image, W.modes) for image in images),
    )
    return DualWeighted(
        primal=galerkin_model(problem, basis),
        dual=galerkin_model(replace(problem, A=transposed, f=l), dual),
        A=Affine(A.theta, np.stack([space.pair(W.modes, image) for image in images])),
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
