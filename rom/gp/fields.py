"""Fields of parameters: a basis, and a Gaussian process of its coefficients."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import scipy.sparse as sp

from rom.arrays import gate
from rom.basis import Basis
from rom.errors import BadInput
from rom.gp.averages import ProcessAverage
from rom.gp.buffers import hide_neighbours
from rom.gp.calibration import SKILL, calibrate_fields, leave_out_runs, left_out_runs
from rom.gp.choice import fit_regressor
from rom.gp.coefficients import CoefficientGP
from rom.gp.field_runs import FieldRuns, read_field_runs
from rom.gp.gpytorch_models import GPyTorchModel, gpytorch_model
from rom.gp.held_out import MAX_RUNS, MIN_RUNS, fold_errors
from rom.gp.interpolated import RunInterpolation
from rom.gp.regressors import AUTO, open_regressor
from rom.mesh import Mesh
from rom.model import Asks, Model, Question
from rom.parameters import Box
from rom.prediction import (
    Error,
    Known,
    Prediction,
    Quantity,
    Warned,
    state_parts,
    state_quantities,
)
from rom.snapshots import Snapshots
from rom.space import Field


@dataclass(frozen=True, eq=False)
class FieldGP(Model):
    """u(mu) ~ offset + V a(mu) + e, a ~ GP, e the truncated modes.

    e is independent of a, with pointwise standard deviation `tail` (n,).
    gp : of the r coefficients, or of their 2r real and imaginary parts
    stretch (f,) : of each field's deviations, so that they hold at left-out runs; None is ones
    skill (f,) : Q^2 of each field at left-out runs, 1 - squared error / that of their mean
    """

    basis: Basis
    gp: CoefficientGP | ProcessAverage | RunInterpolation | GPyTorchModel
    tail: np.ndarray
    mesh: Mesh | None = None
    stretch: np.ndarray | None = None
    skill: np.ndarray | None = None

    @property
    def box(self) -> Box:
        """Where the model may be asked; beyond, it refuses."""
        return self.gp.box

    @property
    def kind(self) -> str:
        """What the regression is, and why."""
        if isinstance(self.gp, GPyTorchModel):
            return "regression by GPyTorch's processes"
        name = self.gp.regressor if isinstance(self.gp, RunInterpolation) else "gp"
        unskilled = "".join(f"; {text}" for text in self._without_skill)
        return f"regression by {open_regressor(name).title} ({self.gp.reason}){unskilled}"

    @property
    def _without_skill(self) -> list[str]:
        """What is said of fields that no better than the mean of the runs is known of."""
        if self.skill is None:
            return []
        return [
            f"no skill for {part.name}: Q2 {value:.2g} at left-out runs, collect more"
            for part, value in zip(self._fields, self.skill, strict=True)
            if value < SKILL
        ]

    @property
    def _fields(self) -> tuple[Field, ...]:
        space = self.basis.space
        return space.fields or (Field("u", "1", np.arange(space.n)),)

    @property
    def _stretches(self) -> np.ndarray:
        return np.ones(len(self._fields)) if self.stretch is None else self.stretch

    @property
    def known(self) -> Known:
        """Of the error: the standard deviation."""
        return Known.STATISTICAL

    @property
    def asks(self) -> Asks:
        """Parameters in the box."""
        return Asks(self.box.p, self.box)

    @property
    def tells(self) -> tuple[Quantity, ...]:
        """The fields of the space."""
        return state_quantities(self.basis.space)

    def answer(self, question: Question) -> Prediction:
        """Posterior mean and standard deviation of a new run's fields."""
        mean, std = self._posterior(question.mu)
        a, spread = mean[:, :, None], std[:, :, None]
        parts = state_parts(
            self.basis, a, std=spread, tail=self.tail, errors=self._field_errors(std)
        )
        stretched = {}
        for (name, part), factor in zip(parts.items(), self._stretches, strict=True):
            tail = None if part.tail is None else factor * part.tail
            wider = None if part.std is None else factor * part.std
            stretched[name] = replace(part, std=wider, tail=tail)
        total = np.sum(std**2, axis=0) + self._tail_energy
        size = self._stretches.max() * np.sqrt(total)
        error = Error(size, Known.STATISTICAL, "the norm of the space")
        warned = tuple(Warned("skill", text, ()) for text in self._without_skill)
        return Prediction(
            question, stretched, errors=(error,), space=self.basis.space, warnings=warned
        )

    def _posterior(self, mu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation (r, m) of coefficients at mu (m, p)."""
        answer, spread = self.gp.posterior(mu, noise=True)
        mean, std = answer.T, np.asarray(spread).T
        if self._complex:
            mean = self._join(mean)
            r = self.basis.r
            std = np.sqrt(std[:r] ** 2 + std[r:] ** 2)
        return mean, std

    def _field_errors(self, std: np.ndarray) -> dict[str, tuple[Error, ...]]:
        """rms over a field of its deviation, from those of coefficients (r, m)."""
        errors: dict[str, tuple[Error, ...]] = {}
        pairs = zip(self._field_energies, self._stretches, strict=True)
        for (name, unit, energies, tail, count), factor in pairs:
            rms = factor * np.sqrt((energies @ std**2 + tail) / count)
            errors[name] = (Error(rms, Known.STATISTICAL, "rms over the field", unit),)
        return errors

    @cached_property
    def _field_energies(self) -> list[tuple[str, str, np.ndarray, float, int]]:
        """Of each field: name, unit, sums of squares of modes (r,) and tail, rows."""
        space = self.basis.space
        energies = []
        for part in self._fields:
            rows = part.rows[space.owned[part.rows]]
            modes, tail = self.basis.modes[rows], self.tail[rows]
            sums = space.sum(np.sum(np.abs(modes) ** 2, axis=0))
            scalars = space.sum(np.array([np.sum(tail**2), float(len(tail))]))
            energies.append((part.name, part.unit, sums, float(scalars[0]), int(scalars[1])))
        return energies

    @cached_property
    def _tail_energy(self) -> float:
        """E |e|_X^2 of the truncated modes, taken as independent from row to row."""
        space = self.basis.space
        diagonal = space.product.diagonal() if sp.issparse(space.product) else space.product
        return float(space.sum(np.array([np.sum(diagonal * self.tail**2)]))[0])

    @property
    def _complex(self) -> bool:
        return self.gp.r == 2 * self.basis.r

    def _join(self, parts: np.ndarray) -> np.ndarray:
        """(r, m) complex coefficients of their real and imaginary parts (2r, m)."""
        r = self.basis.r
        joint: np.ndarray = parts[:r] + 1j * parts[r:]
        return joint

    def field(self, mu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the field, (n,) or (n, m): this rank's rows.

        Truncated modes are included.
        """
        points = self.box.check(mu)
        mean, std = self._posterior(np.atleast_2d(points))
        values = self.basis.lift(mean)
        spread = self.stretch_by_row * np.hypot(self.basis.spread(std), self.tail[:, None])
        return (values, spread) if points.ndim == 2 else (values[:, 0], spread[:, 0])

    @property
    def stretch_by_row(self) -> np.ndarray:
        """The stretch of each row's deviation, (n, 1)."""
        factors = np.ones((self.basis.space.n, 1))
        for part, factor in zip(self._fields, self._stretches, strict=True):
            factors[part.rows] = factor
        return factors

    def samples(
        self, mu: np.ndarray, count: int, *, rng: int | np.random.Generator = 0
    ) -> np.ndarray:
        """Draws of the field at one mu (p,) from the posterior, (count, n); on one rank.

        Truncated modes are independent noise. Raises BadInput for an interpolation of runs.
        """
        if isinstance(self.gp, RunInterpolation):
            raise BadInput("an interpolation has no posterior to draw from; train a process")
        generator = np.random.default_rng(rng)
        draws = self.gp.samples(self.box.check(mu), count, rng=generator, noise=True)
        a = draws[:, 0].T
        if self._complex:
            a = self._join(a)
        noise = self.tail * generator.standard_normal((count, len(self.tail)))
        mean = self.field(mu)[0]
        return mean + self.stretch_by_row[:, 0] * (self.basis.lift(a).T + noise - mean)

    def leave_one_out(self) -> tuple[np.ndarray, np.ndarray]:
        """(a_i - E[a_i | the other runs], its standard deviation), (m, r) or (m, 2r)."""
        return self.gp.leave_one_out()

    def to_serial(self) -> FieldGP:
        """The same model on one rank."""
        tail = self.basis.space.gather(self.tail[:, None])
        return replace(self, basis=self.basis.to_serial(), tail=tail[:, 0])


@gate(snapshots=Snapshots, basis=Basis, box=Box)
def field_gp(
    snapshots: Snapshots,
    basis: Basis,
    box: Box | None = None,
    *,
    regressor: str = "auto",
    rng: int | np.random.Generator = 0,
    model: Any = None,
    calibrate: bool = True,
    **options: Any,
) -> FieldGP:
    """The regression of a basis's coefficients over the parameters of the snapshots.

    snapshots : stationary, one column per parameter
    box : beyond which predictions are refused, by default the range of the parameters
    regressor : of the coefficients: "gp", "linear", "rbf", "nearest", "mean", or "auto", the one of
        least error at left-out runs (`fit_regressor`)
    model : a gpytorch.models.ExactGP class in place of the regressor
    calibrate : stretch each field's deviations until they hold 95 % of the nodal values of left-out
        runs, and say where the regression has no skill (`calibrate_fields`)
    options : those of `process_average`, or of `gpytorch_model`
    The truncated modes' deviation is the root mean square of what the basis misses of the
    snapshots, times m / (m - r) for their own fit. Raises BadInput for fewer than three distinct
    parameters. Reference: Rasmussen, Williams (2006).
    """
    runs = read_field_runs(snapshots, basis)
    a = runs.a.T
    if not np.isfinite(np.vdot(a, a).real):
        raise BadInput(
            "the coefficients of the snapshots overflow; scale the fields to other units"
        )
    parts = np.hstack([a.real, a.imag]) if np.iscomplexobj(a) else a
    gp: CoefficientGP | ProcessAverage | RunInterpolation | GPyTorchModel
    if model is None:
        options = {"unit": 1.0, **options}
        gp = fit_regressor(snapshots.mu, parts, box, regressor=regressor, rng=rng, **options)
    else:
        gp = gpytorch_model(model, snapshots.mu, parts, box, **options)
    field = FieldGP(basis, replace(gp, closed=True), runs.tail)
    if not calibrate or isinstance(gp, GPyTorchModel):
        return field
    field = _calibrate(field, snapshots, runs, parts)
    if regressor == AUTO and _is_mean(gp) and len(basis.space.fields) > 1:
        other = field_gp(snapshots, basis, box, regressor="gp", rng=rng, **options)
        if other.skill is not None and other.skill.max() >= SKILL:
            return other
    return field


def _is_mean(gp: Any) -> bool:
    return isinstance(gp, RunInterpolation) and gp.regressor == "mean"


def _calibrate(field: FieldGP, snapshots: Snapshots, runs: FieldRuns, parts: np.ndarray) -> FieldGP:
    """The model with stretch and skill; parts (m, r) or (m, 2 r) real."""
    basis, gp = field.basis, field.gp
    assert not isinstance(gp, GPyTorchModel)
    join = partial(left_out_runs, snapshots.mu, parts, r=basis.r)
    leave = partial(leave_out_runs, snapshots, basis)
    others = []
    hidden = hide_neighbours(gp.x)
    if hidden is not None:
        others.append(leave(join(gp.leave_one_out(hidden)), hidden))
    if isinstance(gp, CoefficientGP | ProcessAverage) and MIN_RUNS <= len(gp.x) <= MAX_RUNS:
        others.append(join(fold_errors(gp, modal=True), anew=True))
    alone = leave(join(gp.leave_one_out()))
    fit = calibrate_fields(runs, basis, snapshots.mu.shape[1], alone, others)
    return replace(field, stretch=fit.stretch, skill=fit.skill)
