"""Fields from parameters without a solver: a basis and a Gaussian process of its coefficients."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rom.basis import Basis
from rom.errors import BadInput
from rom.gp.coefficients import CoefficientGP, coefficient_gp
from rom.gp.gpytorch_models import GPyTorchModel, gpytorch_model
from rom.model import Prediction
from rom.parameters import Box
from rom.snapshots import Snapshots


@dataclass(frozen=True, eq=False)
class FieldGP:
    """u(mu) ~ offset + V a(mu) + e, a ~ GP, e the truncated modes: independent of a, with pointwise standard deviation `tail` (n,).

    gp : of the r coefficients, or of their 2r real and imaginary parts; box : of the parameters, beyond which it refuses
    """

    basis: Basis
    gp: CoefficientGP | GPyTorchModel
    tail: np.ndarray

    @property
    def box(self) -> Box:
        """Where the model may be asked."""
        return self.gp.box

    def predict(self, mu: np.ndarray) -> Prediction:
        """Posterior mean and standard deviation of a new run's coefficients: (r,) for mu (p,), (r, m) for mu (m, p)."""
        mean, std = (part.T for part in self.gp.predict(self.box.check(mu), noise=True))  # type: ignore[union-attr]
        if self.gp.r == 2 * self.basis.r:
            r = self.basis.r
            mean, std = mean[:r] + 1j * mean[r:], np.sqrt(std[:r] ** 2 + std[r:] ** 2)
        return Prediction(np.asarray(mu, dtype=float), mean, std=std)

    def field(self, mu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the field, truncated modes included: (n,) or (n, m), this rank's rows."""
        answer = self.predict(mu)
        tail = self.tail if np.ndim(mu) == 1 else self.tail[:, None]
        return self.basis.lift(answer.coefficients), np.hypot(self.basis.spread(answer.std), tail)  # type: ignore[arg-type]

    def samples(self, mu: np.ndarray, count: int, rng: int | np.random.Generator = 0) -> np.ndarray:
        """Draws of the field at one mu (p,) from the posterior, (count, n), truncated modes as independent noise; on one rank."""
        gen = np.random.default_rng(rng)
        a = self.gp.samples(self.box.check(mu), count, gen, noise=True)[:, 0].T
        if self.gp.r == 2 * self.basis.r:
            a = a[: self.basis.r] + 1j * a[self.basis.r :]
        return self.basis.lift(a).T + self.tail * gen.standard_normal((count, len(self.tail)))

    def leave_one_out(self) -> tuple[np.ndarray, np.ndarray]:
        """(a_i - E[a_i | the other runs], its standard deviation), both (m, r) or (m, 2r), in closed form."""
        return self.gp.leave_one_out()

    def to_serial(self) -> FieldGP:
        """The same model on one rank."""
        return replace(
            self,
            basis=self.basis.to_serial(),
            tail=self.basis.space.gather(self.tail[:, None])[:, 0],
        )


def field_gp(
    snapshots: Snapshots,
    basis: Basis,
    box: Box | None = None,
    rng: int | np.random.Generator = 0,
    model: Any = None,
    **options: Any,
) -> FieldGP:
    """The regression of a basis's coefficients over the parameters of the snapshots (stationary: one column per parameter).

    box : beyond which predictions are refused, by default the range of the parameters; options : those of `coefficient_gp`
    model : a gpytorch.models.ExactGP class in its place; then options are those of `plugged_model`
    The truncated modes' deviation is the root mean square of what the basis misses of the snapshots, m / (m - r) for their own fit.
    Raises BadInput for fewer than three distinct parameters. Reference: Rasmussen and Williams (2006).
    """
    a = basis.coefficients(np.asarray(snapshots.u[:])).T
    if not np.isfinite(np.vdot(a, a).real):
        raise BadInput(
            "the coefficients of the snapshots overflow; scale the fields to other units"
        )
    parts = np.hstack([a.real, a.imag]) if np.iscomplexobj(a) else a
    if model is None:
        gp: Any = coefficient_gp(snapshots.mu, parts, box, rng=rng, **options)
    else:
        gp = gpytorch_model(model, snapshots.mu, parts, box, **options)
    return FieldGP(basis, replace(gp, closed=True), _missed(snapshots, basis, a.T))


def _missed(snapshots: Snapshots, basis: Basis, a: np.ndarray, rows: int = 4096) -> np.ndarray:
    """Pointwise rms of u - offset - V a over the snapshots, in blocks of rows."""
    offset = np.broadcast_to(np.asarray(basis.offset), (basis.space.n,))
    tail = np.empty(basis.space.n)
    for block in (slice(k, k + rows) for k in range(0, len(tail), rows)):
        missed = np.asarray(snapshots.u[block]) - offset[block, None] - basis.modes[block] @ a
        tail[block] = np.sqrt(np.sum(np.abs(missed) ** 2, axis=1) / max(snapshots.m - basis.r, 1))
    return tail
