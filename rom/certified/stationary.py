"""Stationary reduced models by (Petrov-)Galerkin projection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rom.affine import Affine
from rom.basis import Basis
from rom.errors import BadInput, Singular
from rom.model import Known, Prediction
from rom.parameters import Box


@dataclass(frozen=True, eq=False)
class GalerkinModel:
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

    @property
    def known(self) -> Known:
        """Of the error: its bound, if there is one."""
        return Known.NOTHING if self.bound is None else Known.CERTIFIED

    def predict(self, mu: np.ndarray) -> Prediction:
        """Coefficients (r,) and a bound for mu (p,); (r, m) and (m,) for mu (m, p).

        Raises OutsideBox, BadInput, and Singular where the reduced system is.
        """
        mu = np.asarray(mu, dtype=float) if self.box is None else self.box.check(mu)
        many = np.atleast_2d(mu)
        rhs = self.f(many)
        if self.shift is not None:
            rhs = rhs - self.shift(many)
        try:
            a = np.linalg.solve(self.A(many), rhs[..., None])[..., 0]
        except np.linalg.LinAlgError as error:
            raise Singular(
                f"the reduced system is singular ({error}); use another test basis or fewer modes"
            ) from error
        bound = None if self.bound is None else self.bound(many, a)
        if mu.ndim == 1:
            return Prediction(mu, a[0], None if bound is None else float(bound[0]))
        return Prediction(mu, a.T, bound)


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
    if np.ndim(basis.offset) > 0:
        images = [term @ basis.offset for term in A.terms]
        shift = Affine(A.theta, images).project(basis, test)
    return GalerkinModel(A.project(basis, test), f.project(basis, test), basis, shift, bound, box)


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
