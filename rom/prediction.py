"""Answers: fields, outputs, and what is known of their errors.

    answer = model.predict(mu)
    answer.field("T")                     # (nodes,) or (nodes, components)
    answer.std("T"), answer.band("T")     # where the model knows them
    answer.grid()                         # for PyVista

Every trained model answers with a Prediction; files, pictures, reports and exports know only it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from rom.basis import Basis
from rom.brief import brief, brief_html
from rom.errors import BadInput
from rom.mesh import Mesh
from rom.rows import as_slice
from rom.space import Space

if TYPE_CHECKING:
    from rom.model import Question


class Known(StrEnum):
    """How an error is known: what a number may be called."""

    CERTIFIED = "certified bound"
    PROBABLE = "bound with probability"
    STATISTICAL = "standard deviation"
    CONFORMAL = "conformal band"
    MEASURED = "measured"
    NOTHING = "nothing"


BOUNDS = (Known.CERTIFIED, Known.PROBABLE, Known.MEASURED)  # numbers that claim to be above errors


class Place(StrEnum):
    """Where the values of a field lie."""

    NODES = "nodes"
    CELLS = "cells"
    INTEGRATION = "integration points"
    DOFS = "dofs"


@dataclass(frozen=True)
class Quantity:
    """A field, an output or a signal that is asked for or told: name and unit."""

    name: str
    unit: str = "1"
    components: int = 1
    place: Place = Place.DOFS
    optional: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "place", Place(self.place))

    @property
    def label(self) -> str:
        """'name [unit]', as files and tables show it."""
        return f"{self.name} [{self.unit}]" if self.unit and self.unit != "1" else self.name


@dataclass(frozen=True, eq=False)
class Error:
    """What is known of an error: value (m,) or (m, n_t), NaN where nothing is.

    norm : what is measured, in words of the model ("X", "energy", "nodal rms")
    level : probability with which it holds, 1 where it is proved; whole : for whole trajectories
    """

    __repr__ = brief
    _repr_html_ = brief_html

    value: np.ndarray
    known: Known
    norm: str
    unit: str = "1"
    level: float = 1.0
    whole: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "known", Known(self.known))
        object.__setattr__(self, "value", np.asarray(self.value, dtype=float))

    @property
    def label(self) -> str:
        """'certified bound in the energy norm', as files and tables show it."""
        level = f" at level {self.level:g}" if self.level != 1.0 else ""
        whole = " of whole trajectories" if self.whole else ""
        return f"{self.known}{whole}{level} in {self.norm}"

    def take(self, sample: int) -> Error:
        """The error of one sample, value (1,) or (1, n_t)."""
        return replace(self, value=self.value[sample : sample + 1])


@dataclass(frozen=True, eq=False)
class Output:
    """A scalar of interest, value (m,) or (m, n_t), with its unit and error."""

    value: np.ndarray
    unit: str = "1"
    error: Error | None = None

    def take(self, sample: int) -> Output:
        """The output of one sample."""
        error = None if self.error is None else self.error.take(sample)
        return replace(self, value=self.value[sample : sample + 1], error=error)


@dataclass(frozen=True, eq=False)
class Part:
    """One field of an answer: u = scale (offset + V a)[rows] + shift.

    It is lifted on demand.

    a, std : (r, m, n_t) coefficients and their standard deviations; where `basis` is None, the
        values (k, m, n_t) of the field themselves and theirs
    rows : (k,) rows of the field in the space of the basis, None for all of them
    tail : (k,) pointwise standard deviation of what the modes leave out, or None
    back : (j, k) sparse, carries values of the modes' nodes to the user's, or None
    shift : (k,) or (k, m, n_t), what is prescribed, or 0.0
    errors : of this field, each in a named norm
    """

    __repr__ = brief
    _repr_html_ = brief_html

    quantity: Quantity
    a: np.ndarray
    basis: Basis | None = None
    rows: np.ndarray | None = None
    std: np.ndarray | None = None
    tail: np.ndarray | None = None
    scale: float = 1.0
    back: Any = None
    shift: Any = 0.0
    errors: tuple[Error, ...] = ()

    def __post_init__(self) -> None:
        if self.a.ndim != 3:
            raise BadInput(f"a has shape {self.a.shape}; give (r, m, n_t) coefficients")

    @property
    def m(self) -> int:
        """Number of samples."""
        return int(self.a.shape[1])

    def lift(self, sample: int, time: int | None = None, rows: Any = None) -> np.ndarray:
        """Values (k,) of one sample at one time, or (k, n_t) at all of them."""
        a = self.a[:, sample] if time is None else self.a[:, sample, time]
        values = self._lifted(a, rows if self.back is None else None)
        if self.back is not None:
            values = self.back @ values
            values = values if rows is None else values[rows]
        shift = self.shift
        if np.ndim(shift) == 3:
            shift = shift[:, sample] if time is None else shift[:, sample, time]
        elif np.ndim(shift) == 1 and values.ndim == 2:
            shift = shift[:, None]
        if np.ndim(shift) and rows is not None:
            shift = shift[rows]
        return np.asarray(self.scale * values + shift)

    def spread(self, sample: int, time: int | None = None, rows: Any = None) -> np.ndarray | None:
        """Standard deviations, shaped as `lift`; None where the model knows none."""
        if self.std is None:
            return None
        std = self.std[:, sample] if time is None else self.std[:, sample, time]
        if self.basis is not None:
            modes = self.basis.modes[self._in_basis(rows)]
            variance = np.abs(modes) ** 2 @ np.square(std)
            if self.tail is not None:
                tail = self.tail if rows is None else self.tail[rows]
                variance = variance + (
                    np.square(tail) if std.ndim == 1 else np.square(tail)[:, None]
                )
            std = np.sqrt(variance)
        elif rows is not None:
            std = std[rows]
        if self.back is not None:
            std = np.sqrt(abs(self.back).power(2) @ np.square(std))
        return np.asarray(abs(self.scale) * std)

    def take(self, sample: int) -> Part:
        """The part of one sample."""
        one = slice(sample, sample + 1)
        return replace(
            self,
            a=self.a[:, one],
            std=None if self.std is None else self.std[:, one],
            shift=self.shift[:, one] if np.ndim(self.shift) == 3 else self.shift,
            errors=tuple(error.take(sample) for error in self.errors),
        )

    def _in_basis(self, rows: Any) -> Any:
        """Rows of the basis behind `rows` of the field, or behind all of them."""
        if self.rows is None:
            return slice(None) if rows is None else rows
        return as_slice(self.rows if rows is None else self.rows[rows])

    def _lifted(self, a: np.ndarray, rows: Any) -> np.ndarray:
        if self.basis is None:
            return a if rows is None else a[rows]
        where = self._in_basis(rows)
        values = self.basis.modes[where] @ a
        offset = self.basis.offset
        if np.ndim(offset) == 0:
            return np.asarray(values + offset)
        offset = offset[where]
        return np.asarray(values + (offset if values.ndim == 1 else offset[:, None]))


@dataclass(frozen=True)
class Warned:
    """What a reader of an answer should know: its kind, text and samples."""

    kind: str
    text: str
    samples: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Prediction:
    """The answers of a model to a question, and what is known of their errors.

    t : (n_t,) times [s], or None; parts : fields by name; errors : of the whole state
    inside : (m,) or (m, n_t), whether the model was trained there
    """

    __repr__ = brief
    _repr_html_ = brief_html

    question: Question
    parts: Mapping[str, Part] = field(default_factory=dict)
    outputs: Mapping[str, Output] = field(default_factory=dict)
    errors: tuple[Error, ...] = ()
    t: np.ndarray | None = None
    space: Space | None = None
    mesh: Mesh | None = None
    inside: np.ndarray | None = None
    warnings: tuple[Warned, ...] = ()

    @property
    def m(self) -> int:
        """Number of samples."""
        return self.question.m

    def __getitem__(self, sample: int) -> Prediction:
        if not -self.m <= sample < self.m:
            raise IndexError(f"no sample {sample} of {self.m}")
        sample %= self.m
        return replace(
            self,
            question=self.question.take(sample),
            parts={name: part.take(sample) for name, part in self.parts.items()},
            outputs={name: output.take(sample) for name, output in self.outputs.items()},
            errors=tuple(error.take(sample) for error in self.errors),
            inside=None if self.inside is None else self.inside[sample : sample + 1],
        )

    def part(self, name: str) -> Part:
        """The part of a field. Raises BadInput naming the fields there are."""
        if name not in self.parts:
            raise BadInput(f"no field {name!r} in this answer; it has: {', '.join(self.parts)}")
        return self.parts[name]

    def field(
        self, name: str, sample: int = 0, *, time: int | None = None, rows: Any = None
    ) -> np.ndarray:
        """Values of a field: (k,), or (k, components); at all times one axis more.

        time : number of a time of `t`, all of them by default; rows : only these rows
        """
        return self._shaped(name, self.part(name).lift(sample, self._time(time), rows), rows)

    def std(
        self, name: str, sample: int = 0, *, time: int | None = None, rows: Any = None
    ) -> np.ndarray | None:
        """Standard deviations shaped as `field`, or None where the model knows none."""
        values = self.part(name).spread(sample, self._time(time), rows)
        return None if values is None else self._shaped(name, values, rows)

    def band(
        self,
        name: str,
        level: float = 0.95,
        *,
        sample: int = 0,
        time: int | None = None,
        rows: Any = None,
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """(low, high) that hold a value of the field with probability `level`, or None."""
        std = self.std(name, sample, time=time, rows=rows)
        if std is None:
            return None
        width = NormalDist().inv_cdf(0.5 + 0.5 * level) * std
        middle = self.field(name, sample, time=time, rows=rows)
        return middle - width, middle + width

    @property
    def coefficients(self) -> np.ndarray:
        """Coefficients of the one basis that all fields share.

        (r,) of one point, (r, m) of several; with times one axis more, (r, n_t) or (r, m, n_t).
        Raises BadInput where fields have bases of their own, or none.
        """
        arrays = {id(part.a): part.a for part in self.parts.values() if part.basis is not None}
        if len(arrays) != 1:
            raise BadInput("the fields of this answer share no basis; ask its parts")
        return self._squeezed(next(iter(arrays.values())))

    @property
    def coefficient_std(self) -> np.ndarray | None:
        """Standard deviations shaped as `coefficients`, or None."""
        stds = {id(part.std): part.std for part in self.parts.values() if part.basis is not None}
        std = next(iter(stds.values()), None)
        return None if std is None else self._squeezed(std)

    @property
    def bound(self) -> Any:
        """The bound of the whole state: (), (m,), (n_t,) or (m, n_t).

        Whether it is certified or measured is said by the `known` of the same error.
        """
        bounds = [error for error in self.errors if error.known in BOUNDS]
        if not bounds:
            return None
        value = bounds[0].value
        if not self.question.single:
            return value
        return float(value[0]) if value.ndim == 1 else value[0]

    def grid(self, sample: int = 0, time: int | None = None) -> Any:
        """A PyVista grid with the fields of a sample, their deviations, and units.

        Raises BadInput where the answer has no mesh, MissingExtra without PyVista.
        """
        from rom.io.answers import answer_grid

        return answer_grid(self, sample, time)

    def _squeezed(self, a: np.ndarray) -> np.ndarray:
        """(r, m, n_t) without the axes that were not asked for."""
        a = a if self.t is not None else a[:, :, 0]
        return a[:, 0] if self.question.single else a

    def _time(self, time: int | None) -> int | None:
        return 0 if time is None and self.t is None else time

    def _shaped(self, name: str, values: np.ndarray, rows: Any) -> np.ndarray:
        components = self.parts[name].quantity.components
        if components == 1 or rows is not None:
            return values
        return values.reshape(-1, components, *values.shape[1:])


def state_parts(
    basis: Basis,
    a: np.ndarray,
    *,
    std: np.ndarray | None = None,
    tail: np.ndarray | None = None,
    errors: Mapping[str, tuple[Error, ...]] | None = None,
) -> dict[str, Part]:
    """The parts of a state on one basis, one for each field of its space.

    a, std : (r, m, n_t); tail : (n,) pointwise deviation of what the modes leave out
    errors : of each field by name
    """
    field_errors = errors or {}
    if not basis.space.fields:
        quantity = Quantity("u", "1")
        return {"u": Part(quantity, a, basis, std=std, tail=tail, errors=field_errors.get("u", ()))}
    parts = {}
    for part in basis.space.fields:
        rows = np.asarray(part.rows, dtype=np.int64)
        parts[part.name] = Part(
            Quantity(part.name, part.unit, part.components),
            a,
            basis,
            rows,
            std,
            None if tail is None else tail[rows],
            errors=field_errors.get(part.name, ()),
        )
    return parts


def prediction_of_010(
    mu: np.ndarray,
    coefficients: np.ndarray,
    bound: Any = None,
    std: np.ndarray | None = None,
    t: np.ndarray | None = None,
) -> Prediction:
    """A Prediction as version 0.1.0 stored it: coefficients without their basis."""
    from rom.model import Question

    points = np.atleast_2d(mu)
    single = np.ndim(mu) == 1
    times = 1 if t is None else len(t)

    def spread(array: np.ndarray) -> np.ndarray:
        return np.asarray(array).reshape(len(array), -1, times)

    part = Part(Quantity("coefficients"), spread(coefficients))
    if std is not None:
        part = replace(part, std=spread(std))
    errors: tuple[Error, ...] = ()
    if bound is not None:
        values = np.asarray(bound, dtype=float)
        values = values[None] if single else values
        errors = (Error(values, Known.CERTIFIED, "the norm of the space"),)
    question = Question(points, t, single=single)
    return Prediction(question, {"coefficients": part}, errors=errors, t=t)


def shape_prediction_of_010(
    mesh: Mesh,
    fields: Mapping[str, np.ndarray],
    std: Mapping[str, np.ndarray],
    outputs: Mapping[str, float],
    **others: Any,
) -> Prediction:
    """An answer over shapes as version 0.1.0 stored it."""
    from rom.model import Question

    parts = {}
    for name, values in fields.items():
        components = 1 if np.ndim(values) == 1 else np.shape(values)[1]
        quantity = Quantity(name, "", components, Place.NODES)
        spread = np.reshape(std[name], (-1, 1, 1)) if name in std else None
        parts[name] = Part(quantity, np.reshape(values, (-1, 1, 1)), std=spread)
    scalars = {name: Output(np.array([float(value)])) for name, value in outputs.items()}
    question = Question(np.zeros((1, 0)), mesh=mesh, single=True)
    return Prediction(question, parts, scalars, mesh=mesh)


def state_quantities(space: Space) -> tuple[Quantity, ...]:
    """The fields of a space as what a model tells."""
    if not space.fields:
        return (Quantity("u", "1"),)
    return tuple(Quantity(f.name, f.unit, f.components) for f in space.fields)


def rows_by_field(space: Space) -> list[tuple[Quantity, Any]]:
    """The fields of a space and their rows in a state; all rows where it names none."""
    if not space.fields:
        return [(quantity, slice(None)) for quantity in state_quantities(space)]
    rows = [np.asarray(part.rows) for part in space.fields]
    return list(zip(state_quantities(space), rows, strict=True))
