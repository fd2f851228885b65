"""Stationary reduced models by (Petrov-)Galerkin projection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rom.affine import Affine
from rom.arrays import gate
from rom.basis import Basis
from rom.certified.residual import is_shifted, known_of
from rom.errors import BadInput, Singular
from rom.mesh import Mesh
from rom.model import Asks, Model, Question
from rom.parameters import Box
from rom.prediction import (
    Error,
    Known,
    Prediction,
    Quantity,
    state_parts,
    state_quantities,
)

SPACE_NORM = "the norm of the space"


@dataclass(frozen=True, eq=False)
class GalerkinModel(Model):
    """A_r(mu) a = f_r(mu) with A_r = W^H A V and f_r = W^H (f - A offset).

    A, f : reduced; shift : W^H A_q offset, or None; bound : (mu, a) -> bounds, or None
    box : the parameters it was built for
    """

    A: Affine
    f: Affine
    basis: Basis
    shift: Affine | None = None
    bound: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    box: Box | None = None
    mesh: Mesh | None = None

    @property
    def known(self) -> Known:
        """Of the error: its bound, if there is one."""
        return Known.NOTHING if self.bound is None else known_of(self.bound)

    @property
    def asks(self) -> Asks:
        """Parameters, in the box where there is one."""
        return asks_parameters(self.A, self.box)

    @property
    def tells(self) -> tuple[Quantity, ...]:
        """The fields of the space."""
        return state_quantities(self.basis.space)

    def answer(self, question: Question) -> Prediction:
        """Coefficients, and a bound of the error in the norm of the space.

        Raises Singular where the reduced system is.
        """
        a, bound = self.solve(question.mu)
        space = self.basis.space
        parts = state_parts(self.basis, a.T[:, :, None])
        errors = bound_errors(bound, SPACE_NORM, self.known)
        return Prediction(question, parts, errors=errors, space=space)

    def solve(self, mu: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Coefficients (m, r) and bounds (m,) or None, for mu (m, p). Raises Singular."""
        rhs = self.f(mu)
        if self.shift is not None:
            rhs = rhs - self.shift(mu)
        try:
            a = np.linalg.solve(self.A(mu), rhs[..., None])[..., 0]
        except np.linalg.LinAlgError as error:
            raise Singular(
                f"the reduced system is singular ({error}); use another test basis or fewer modes"
            ) from error
        return a, None if self.bound is None else self.bound(mu, a)


def asks_parameters(A: Affine, box: Box | None, times: np.ndarray | None = None) -> Asks:
    """What a model of A(mu) asks: as many parameters as its box or its functions have."""
    if box is not None:
        return Asks(box.p, box, times)
    powers = getattr(A.theta, "powers", None)
    return Asks(None if powers is None else int(powers.shape[1]), None, times)


def bound_errors(
    bound: np.ndarray | None, norm: str, known: Known = Known.CERTIFIED
) -> tuple[Error, ...]:
    """What a bound says of the whole state, and how it is known; nothing without one."""
    return () if bound is None else (Error(bound, known, norm),)


@gate(A=Affine, f=Affine, basis=Basis, box=Box, test=Basis)
def galerkin(
    A: Affine,
    f: Affine,
    basis: Basis,
    *,
    bound: Any = None,
    box: Box | None = None,
    test: Basis | None = None,
) -> GalerkinModel:
    """The model of A(mu) u = f(mu) on a basis; `test` makes it Petrov-Galerkin.

    A, f : full affine sums (shares on each rank); bound : such as a ResidualBound
    Raises BadInput where trial and test ranks differ.
    Reference: Quarteroni, Manzoni, Negri (2016).
    """
    if test is not None and test.r != basis.r:
        raise BadInput(f"trial basis has {basis.r} modes, test basis {test.r}; they must agree")
    shift = None
    if is_shifted(basis):
        offset = np.broadcast_to(basis.offset, basis.space.n)
        images = [term @ offset for term in A.terms]
        shift = Affine(A.theta, images).project(basis, test)
    return GalerkinModel(A.project(basis, test), f.project(basis, test), basis, shift, bound, box)


@gate(model=GalerkinModel)
def truncate_model(model: GalerkinModel, rank: int) -> GalerkinModel:
    """The model on the first modes of its basis, without a bound.

    Only the small matrices are cut.
    """
    A, f, shift = model.A, model.f, model.shift
    if shift is not None:
        shift = Affine(shift.theta, shift.terms[:, :rank])
    return replace(
        model,
        A=Affine(A.theta, A.terms[:, :rank, :rank]),
        f=Affine(f.theta, f.terms[:, :rank]),
        shift=shift,
        basis=model.basis.truncate(rank),
        bound=None,
    )
