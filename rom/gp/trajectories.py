"""Processes of whole trajectories, by modes in space and time.

g(u(x, t; mu)) ~ s(mu) (offset(x, t) + sum_k modes_k(x, t) a_k(mu)), log s and a_k ~ GP,
g the identity or a root; s is the size of a run, or 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.arrays import real
from rom.errors import BadInput, OutsideBox
from rom.gp.coefficients import CoefficientGP
from rom.mesh import Mesh
from rom.model import Asks, Model, Question
from rom.parameters import Box
from rom.prediction import Error, Known, Part, Prediction, Quantity, rows_by_field, state_quantities
from rom.space import Space

IDENTITY, ROOT = "identity", "root"


@dataclass(frozen=True, eq=False)
class TrajectoryGP(Model):
    """The mean of several processes of the coefficients of whole trajectories.

    times (n_t,) [s]; offset (n, n_t); modes (n, n_t, r) : orthonormal, of `transform` of u
    tail (n, n_t) : pointwise deviation of what the modes leave out, of `transform` of u
    sized : whether modes and tail are of runs over their rms, whose logarithm is the first
        coefficient, before the r of the modes
    processes : of the same coefficients; they are averaged
    floor : least deviation of u in a band; factor, level : a share `level` of whole trajectories
        lies within factor times the deviation of the mean, at all dofs and times at once
    errors : relative leave-one-run-out error of each candidate
    space : of a state, with its fields, or None
    scales : (n,) by which rows were divided, a number for each field, or None
    kind : of the covariance over parameters and time
    """

    times: np.ndarray
    offset: np.ndarray
    modes: np.ndarray
    tail: np.ndarray
    transform: str
    sized: bool
    processes: tuple[CoefficientGP, ...]
    floor: float
    factor: float
    level: float
    errors: dict[str, float]
    space: Space | None = None
    scales: np.ndarray | None = None
    mesh: Mesh | None = None
    kind: str = "modes in space and time"

    @property
    def box(self) -> Box:
        """Where the model may be asked; beyond, it refuses."""
        return self.processes[0].box

    @property
    def reason(self) -> str:
        """What was chosen, and the leave-one-run-out error of each candidate."""
        texts = [f"{name} {100 * error:.3g} %" for name, error in self.errors.items()]
        size = "runs over their size" if self.sized else "runs"
        errors = f"left-out error of whole runs: {', '.join(texts)}"
        return f"{self.kind}, {size}, {self.transform}; {errors}"

    @property
    def asks(self) -> Asks:
        """Parameters in the box, and any times between the trained ones."""
        return Asks(self.box.p, self.box, self.times, between=True)

    @property
    def known(self) -> Known:
        """Of the error: bands of whole trajectories, conformal by left-out runs."""
        return Known.CONFORMAL

    @property
    def tells(self) -> tuple[Quantity, ...]:
        """The fields of the space, or "u"."""
        return (Quantity("u"),) if self.space is None else state_quantities(self.space)

    def answer(self, question: Question) -> Prediction:
        """Fields at the times asked for, their deviations and bands of whole trajectories."""
        t = self.times if question.t is None else question.t
        mean, std = self.field(question.mu, t)
        values, spread = np.moveaxis(mean, 0, 1), np.moveaxis(std, 0, 1)
        width = np.moveaxis(self._width(std), 0, 1)
        parts = {}
        for quantity, rows in self._rows():
            largest = width[rows].max(axis=0, initial=0.0)
            band = Error(
                largest if self.space is None else self.space.largest(largest),
                Known.CONFORMAL,
                "largest over the field",
                quantity.unit,
                self.level,
                whole=True,
            )
            parts[quantity.name] = Part(quantity, values[rows], std=spread[rows], errors=(band,))
        return Prediction(question, parts, t=t, space=self.space)

    def _rows(self) -> list[tuple[Quantity, Any]]:
        """Each field and its rows."""
        return [(Quantity("u"), slice(None))] if self.space is None else rows_by_field(self.space)

    def field(self, mu: np.ndarray, t: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of u at times t (q,), in space and time.

        They are (n, q) for mu (p,) and (m, n, q) for mu (m, p).
        t : inside the trained times, by default these. Truncated modes are included.
        Raises OutsideBox for a parameter or a time beyond the trained ones.
        """
        points = self.box.check(mu)
        answers = [gp.posterior(points, noise=True) for gp in self.processes]
        means = np.stack([mean for mean, _ in answers])
        spreads = np.stack([np.asarray(std) for _, std in answers])
        values, std = self.lift(*mixture(means, spreads), t)
        return (values, std) if self.scales is None else (self._scale * values, self._scale * std)

    @property
    def _scale(self) -> Any:
        """Of the rows, (n, 1), or 1.0."""
        return 1.0 if self.scales is None else self.scales[:, None]

    def lift(
        self, a: np.ndarray, std: np.ndarray, t: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """u and its deviation, (..., n, q), of coefficients and theirs, (..., r)."""
        offset, modes, tail = self._in_time(t)
        variance_of_log: np.ndarray | float = 0.0
        scale: np.ndarray | float = 1.0
        if self.sized:
            scale = np.exp(a[..., 0])[..., None, None]
            variance_of_log = std[..., 0][..., None, None] ** 2
            a, std = a[..., 1:], std[..., 1:]
        v = scale * (offset + np.tensordot(a, modes, (-1, 2)))
        variance = scale**2 * (np.tensordot(std**2, modes**2, (-1, 2)) + tail**2)
        return untransform(self.transform, v, variance + v**2 * variance_of_log)

    def band(self, mu: np.ndarray, t: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends that hold u at all dofs and times with chance `level`.

        Shaped like the fields; the chance is of whole trajectories of new parameters.
        """
        mean, std = self.field(mu, t)
        width = self._width(std)
        return mean - width, mean + width

    def _width(self, std: np.ndarray) -> np.ndarray:
        """Half the width of the band of whole trajectories, from deviations (..., n, q)."""
        return np.asarray(self.factor * np.hypot(std, self.floor * self._scale))

    def leave_one_out(self) -> tuple[np.ndarray, np.ndarray]:
        """(a - E[a | the other runs], its standard deviation), both (m, r)."""
        return leave_runs_out(self.processes)

    def _in_time(self, t: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Offset, modes and tail at times t, cubic between the trained ones."""
        from scipy.interpolate import make_interp_spline

        if t is None:
            return self.offset, self.modes, self.tail
        t = np.atleast_1d(real(t, "t"))
        first, last = self.times[0], self.times[-1]
        slack = 1e-12 * (last - first)
        if not np.all((t >= first - slack) & (t <= last + slack)):
            raise OutsideBox(f"t lies outside [{first:g}, {last:g}] s, the trained times")
        degree = min(3, len(self.times) - 1)
        offset, modes = (
            make_interp_spline(self.times, part, degree, axis=1)(t)
            for part in (self.offset, self.modes)
        )
        tail = make_interp_spline(self.times, self.tail, 1, axis=1)(t)
        return offset, modes, tail


def mixture(means: np.ndarray, spreads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of an even mixture of normal laws (k, ...)."""
    mean = means.mean(axis=0)
    variance = np.mean(spreads**2 + (means - mean) ** 2, axis=0)
    return mean, np.sqrt(variance)


def leave_runs_out(processes: tuple[CoefficientGP, ...]) -> tuple[np.ndarray, np.ndarray]:
    """(a - E[a | the other runs], its deviation) of the mean of processes, (m, r)."""
    parts = [gp.leave_one_out() for gp in processes]
    residuals = np.stack([residual for residual, _ in parts])
    stretches = [gp.stretch[gp.groups] for gp in processes]
    spreads = np.stack([std * stretch for (_, std), stretch in zip(parts, stretches, strict=True)])
    return mixture(residuals, spreads)


def transform_field(name: str, u: np.ndarray) -> np.ndarray:
    """g(u): u itself, or the root of its positive part."""
    if name == IDENTITY:
        return u
    if name == ROOT:
        return np.asarray(np.sqrt(np.maximum(u, 0.0)))
    raise BadInput(f"no transform {name!r}; known: {IDENTITY}, {ROOT}")


def untransform(name: str, v: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median and deviation of u where g(u) ~ N(v, variance)."""
    if name == IDENTITY:
        return v, np.sqrt(variance)
    spread = np.sqrt(4.0 * v**2 * variance + 2.0 * variance**2)
    return np.maximum(v, 0.0) ** 2, spread


def left_out_error(model: TrajectoryGP, u: np.ndarray) -> float:
    """Mean over the runs of their relative leave-one-run-out error."""
    residuals, _ = leave_runs_out(model.processes)
    a = model.processes[0].a - residuals
    errors = []
    for truth, coefficients in zip(u, a, strict=True):
        median, _ = model.lift(coefficients, np.zeros_like(coefficients))
        errors.append(np.linalg.norm(truth - median) / max(float(np.linalg.norm(truth)), 1e-300))
    return float(np.mean(errors))
