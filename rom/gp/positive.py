"""Positive fields: a regression of their logarithm."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rom.arrays import gate
from rom.basis import Basis
from rom.errors import BadInput
from rom.gp.calibration import left_out_fields, left_out_runs
from rom.gp.fields import FieldGP, field_gp
from rom.mesh import Mesh
from rom.model import Asks, Model, Question
from rom.parameters import Box
from rom.prediction import Error, Known, Part, Prediction, Quantity, rows_by_field, state_quantities
from rom.snapshots import Snapshots

LARGEST_LOG = 5.0  # deviation of a logarithm; beyond, the deviation of u says nothing more


@dataclass(frozen=True, eq=False)
class PositiveFieldGP(Model):
    """u = exp(w), w ~ `logs`: the median of u, and its deviation.

    It takes u > 0 everywhere. The answer holds values, (n, m) of all rows.
    """

    logs: FieldGP
    mesh: Mesh | None = None

    @property
    def box(self) -> Box:
        """Where the model may be asked; beyond, it refuses."""
        return self.logs.box

    @property
    def kind(self) -> str:
        """What the regression is, and why."""
        return f"logarithm of the fields, {self.logs.kind}"

    @property
    def known(self) -> Known:
        """Of the error: the standard deviation."""
        return Known.STATISTICAL

    @property
    def asks(self) -> Asks:
        """Parameters in the box."""
        return self.logs.asks

    @property
    def tells(self) -> tuple[Quantity, ...]:
        """The fields of the space."""
        return state_quantities(self.logs.basis.space)

    def answer(self, question: Question) -> Prediction:
        """Medians and standard deviations of a new run's fields."""
        space = self.logs.basis.space
        values, spread = self.field(question.mu)
        parts = {}
        for quantity, rows in rows_by_field(space):
            own = spread[rows][space.owned[rows]] ** 2
            sums = np.vstack([np.sum(own, axis=0), np.full(len(question.mu), len(own))])
            squares, count = space.sum(sums)
            error = Error(
                np.sqrt(squares / count), Known.STATISTICAL, "rms over the field", quantity.unit
            )
            parts[quantity.name] = Part(
                quantity, values[rows][:, :, None], std=spread[rows][:, :, None], errors=(error,)
            )
        warned = self.logs.predict(question.mu).warnings
        return Prediction(question, parts, space=space, warnings=warned)

    def field(self, mu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Median and standard deviation of the field, (n,) or (n, m): this rank's rows."""
        logs, spread = self.logs.field(mu)
        spread = np.minimum(spread, LARGEST_LOG)
        values = np.exp(logs)
        return values, values * np.exp(0.5 * spread**2) * np.sqrt(np.expm1(spread**2))

    def samples(
        self, mu: np.ndarray, count: int, *, rng: int | np.random.Generator = 0
    ) -> np.ndarray:
        """Draws of the field at one mu (p,) from the posterior, (count, n); on one rank."""
        return np.asarray(np.exp(self.logs.samples(mu, count, rng=rng)))

    def to_serial(self) -> PositiveFieldGP:
        """The same model on one rank."""
        return replace(self, logs=self.logs.to_serial())


@gate(snapshots=Snapshots)
def log_snapshots(snapshots: Snapshots) -> Snapshots:
    """The runs with the logarithm of their fields; on disk, as they are read.

    Raises BadInput where u <= 0: of what lies on disk, once it is read.
    """
    return snapshots.transform(_logarithm)


def _logarithm(u: np.ndarray, columns: np.ndarray) -> np.ndarray:
    if np.iscomplexobj(u) or not (u > 0).all():
        raise BadInput("the logarithm is of positive fields; these are not, take the identity")
    return np.asarray(np.log(u))


@gate(snapshots=Snapshots, basis=Basis, box=Box)
def positive_field_gp(
    snapshots: Snapshots, basis: Basis, box: Box | None = None, **options: Any
) -> PositiveFieldGP:
    """The regression of log u over the parameters of the snapshots.

    basis : of `log_snapshots(snapshots)`; options : those of `field_gp`
    Raises BadInput where u <= 0, and what `field_gp` raises.
    """
    return PositiveFieldGP(field_gp(log_snapshots(snapshots), basis, box, **options))


def left_out_field_error(model: FieldGP | PositiveFieldGP, snapshots: Snapshots) -> float:
    """Mean relative L2 error of u at left-out runs, whose modes stay in the basis."""
    positive = isinstance(model, PositiveFieldGP)
    field = model.logs if isinstance(model, PositiveFieldGP) else model
    runs = log_snapshots(snapshots) if positive else snapshots
    a = field.basis.coefficients(np.asarray(runs.u[:])).T
    parts = np.hstack([a.real, a.imag]) if np.iscomplexobj(a) else a
    left = left_out_runs(runs.mu, parts, field.gp.leave_one_out(), field.basis.r)
    error, u = left_out_fields(runs, field.basis, left), np.asarray(snapshots.u[:])
    if positive:
        error = u - np.exp(np.asarray(runs.u[:]) - error)
    owned = snapshots.space.owned
    sums = [np.sum(np.abs(part[owned]) ** 2, axis=0) for part in (error, u)]
    missed, size = snapshots.space.sum(np.stack(sums))
    return float(np.mean(np.sqrt(missed / np.maximum(size, 1e-300))))
