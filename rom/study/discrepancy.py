"""Errors of a model over samples: of the state, of each field and of each output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from rom.brief import brief, brief_html
from rom.prediction import Known
from rom.study.norms import SPACE_NORM

LEVEL = 0.95  # of the bands whose coverage is counted
Failure = tuple[tuple[float, ...], str]  # parameters, why high fidelity gave no answer


@dataclass(frozen=True, eq=False)
class Discrepancy:
    """Errors of one field or output over samples, the largest over times.

    norm, unit : in which size, error (m,) are
    bound : (m,) the model's own statement in `bound_norm`, NaN where there is none; bound_error :
        (m,) the error in that norm, NaN where it cannot be computed; effectivity : (m,), the
        least over times; known : its kind, a value of Known
    covered : (m,) share of values inside the bands of standard deviations, NaN without;
    covered_whole : (m,) share of rows that are inside at all times, NaN without times
    level : of the bands
    held : (m,) share of times, or of whole trajectories, at which the error in `bound_norm` is
        inside the conformal band of level `held_level`, None without; held_whole : which of both
    """

    name: str
    unit: str
    norm: str
    size: np.ndarray
    error: np.ndarray
    known: str = Known.NOTHING.value
    bound_norm: str = ""
    bound: np.ndarray | None = None
    bound_error: np.ndarray | None = None
    effectivity: np.ndarray | None = None
    covered: np.ndarray | None = None
    covered_whole: np.ndarray | None = None
    level: float = LEVEL
    held: np.ndarray | None = None
    held_level: float = 1.0
    held_whole: bool = False

    @property
    def coverage(self) -> dict[str, float]:
        """Which bands -> share that they hold, over all samples."""
        bands = f"{100 * self.level:g} % bands of {self.name}"
        own = f"{100 * self.held_level:g} % conformal bands of {self.name}"
        columns = {
            f"{bands}, pointwise": self.covered,
            f"{bands}, whole trajectories": self.covered_whole,
            f"{own}, {'whole trajectories' if self.held_whole else 'each state'}": self.held,
        }
        return {key: float(share.mean()) for key, share in columns.items() if share is not None}

    @property
    def statement(self) -> str:
        """What `bound` is in a word: a bound, or a deviation that bounds nothing."""
        return "deviation" if self.known == Known.STATISTICAL.value else "bound"

    @property
    def relative(self) -> np.ndarray:
        """error / size, (m,)."""
        return np.asarray(self.error / np.maximum(self.size, 1e-300))


@dataclass(frozen=True, eq=False)
class Study:
    """Errors in the norm of the model's space, per parameter, and of each field.

    mu : (m, p); norm : |u|; error : |u - u_r|; bound : (m,) or None; of a trajectory the largest
    floor : |u - V V^H X u|, the best the basis can do, NaN without a basis
    full_seconds, online_seconds, batch_seconds : per query (high fidelity, one by one, at once)
    bound_norm : in which the bound holds; bound_error : (m,) the error in it, or None where it
        cannot be computed; ratio : (m,) least bound / error over the times
    fields, outputs : errors of each; trivial : relative errors (m,) of what needs no model
    failed : parameters where high fidelity gave no answer, and why; they are in no number
    """

    __repr__ = brief
    _repr_html_ = brief_html

    mu: np.ndarray
    norm: np.ndarray
    error: np.ndarray
    floor: np.ndarray
    bound: np.ndarray | None
    full_seconds: float
    online_seconds: float
    batch_seconds: float
    bound_norm: str = SPACE_NORM
    bound_error: np.ndarray | None = None
    ratio: np.ndarray | None = None
    fields: tuple[Discrepancy, ...] = ()
    outputs: tuple[Discrepancy, ...] = ()
    trivial: Mapping[str, np.ndarray] = field(default_factory=dict)
    bound_known: str = Known.CERTIFIED.value
    failed: tuple[Failure, ...] = ()

    @property
    def relative(self) -> np.ndarray:
        """|u - u_r| / |u|, (m,)."""
        relative: np.ndarray = self.error / self.norm
        return relative

    @property
    def effectivity(self) -> np.ndarray | None:
        """bound / error in the norm of the bound, (m,), the least over times."""
        if self.ratio is not None:
            return self.ratio
        if self.bound is None or self.bound_norm != SPACE_NORM:
            return None
        return np.asarray(self.bound / self.error)

    @property
    def alarms(self) -> tuple[str, ...]:
        """What is said to be certified and is not: bounds below errors, a line each."""
        lines = []
        if self.effectivity is not None and self.bound_known == Known.CERTIFIED.value:
            lines += _alarm("the state", self.effectivity, self.bound_norm)
        for part in (*self.fields, *self.outputs):
            if part.effectivity is not None and part.known == Known.CERTIFIED.value:
                lines += _alarm(part.name, part.effectivity, part.bound_norm)
        return tuple(lines)

    def summary(self) -> dict[str, float]:
        """Largest and mean errors, bounds and effectivities, times and speed-up."""
        numbers = self._state_numbers() | self._times()
        if self.bound is not None:
            numbers["max_bound"] = float(self.bound.max())
            if self.bound_norm == SPACE_NORM and np.isfinite(self.norm).all():
                numbers["max_rel_bound"] = float((self.bound / self.norm).max())
        effectivity = self.effectivity
        if effectivity is not None:
            numbers["min_effectivity"] = float(effectivity.min())
            numbers["max_effectivity"] = float(effectivity.max())
        for part in (*self.fields, *self.outputs):
            numbers |= _part_numbers(part)
        for name, errors in self.trivial.items():
            numbers[f"max_rel_error of {name}"] = float(errors.max())
            numbers[f"mean_rel_error of {name}"] = float(errors.mean())
        return numbers

    def units(self) -> dict[str, str]:
        """Unit of each number of `summary` that has one, norms named."""
        units = {"full_s": "s", "online_ms": "ms", "batch_us": "us per query"}
        units |= {"max_error": SPACE_NORM, "max_bound": self._bound_words()}
        for part in (*self.fields, *self.outputs):
            units[f"max_error {part.name}"] = f"{part.unit}, {part.norm}"
            units[f"max_{part.statement} {part.name}"] = (
                f"{part.unit}, {part.bound_norm}, {part.known}"
            )
        return units

    def _bound_words(self) -> str:
        """The norm of the bound, and its kind where it is not certified."""
        certified = self.bound_known in ("", Known.CERTIFIED.value)
        return self.bound_norm if certified else f"{self.bound_norm}, {self.bound_known}"

    def _state_numbers(self) -> dict[str, float]:
        if not np.isfinite(self.error).all():
            return {}
        relative, floor = self.relative, self.floor / self.norm
        numbers = {
            "max_error": float(self.error.max()),
            "max_rel_error": float(relative.max()),
            "mean_rel_error": float(relative.mean()),
        }
        if np.isfinite(floor).all():
            numbers["max_rel_projection_error"] = float(floor.max())
        return numbers

    def _times(self) -> dict[str, float]:
        numbers = {"online_ms": 1e3 * self.online_seconds}
        if np.isfinite(self.batch_seconds):
            numbers["batch_us"] = 1e6 * self.batch_seconds
        if np.isfinite(self.full_seconds):
            speedup = self.full_seconds / self.online_seconds
            numbers = {"full_s": self.full_seconds, **numbers, "speedup": speedup}
        return numbers


def _alarm(name: str, effectivity: np.ndarray, norm: str) -> list[str]:
    low = effectivity < 1.0
    if not low.any():
        return []
    return [
        f"the certified bound of {name} in {norm} is below the error at {int(low.sum())} of "
        f"{len(low)} samples (least effectivity {effectivity.min():.3g})"
    ]


def _part_numbers(part: Discrepancy) -> dict[str, float]:
    """Numbers of one field or output, its name in each key."""
    numbers = {
        f"max_error {part.name}": float(part.error.max()),
        f"max_rel_error {part.name}": float(part.relative.max()),
    }
    if part.bound is not None:
        numbers[f"max_{part.statement} {part.name}"] = float(part.bound.max())
    if part.effectivity is not None:
        numbers[f"min_effectivity {part.name}"] = float(part.effectivity.min())
    return numbers | {f"coverage of {key}": share for key, share in part.coverage.items()}
