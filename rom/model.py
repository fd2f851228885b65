"""Models: what each asks, and the one way to ask it.

    model.asks                         # parameters, times, mesh, fields, loading
    answer = model.predict(mu)         # a rom.Prediction

A trained thing is a Model: it states what it asks (Asks) and tells, and answers a checked
Question with a Prediction. Commands, reports, pictures and exports know nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rom.arrays import first_bad, real
from rom.brief import brief, brief_html
from rom.errors import BadInput, OutsideBox
from rom.loading import Loading
from rom.mesh import Mesh
from rom.parameters import Box
from rom.prediction import Known, Prediction, Quantity


@dataclass(frozen=True, eq=False)
class Question:
    """What a model is asked, checked against its Asks.

    mu : (m, p); t : (n_t,) [s] or None; fields : name -> (n, components, m); signals : name ->
    (n_t,); single : whether mu was given as one point (p,)
    """

    __repr__ = brief
    _repr_html_ = brief_html

    mu: np.ndarray
    t: np.ndarray | None = None
    mesh: Mesh | None = None
    fields: Mapping[str, np.ndarray] = field(default_factory=dict)
    signals: Mapping[str, np.ndarray] = field(default_factory=dict)
    loading: Loading | None = None
    single: bool = False

    @property
    def m(self) -> int:
        """Number of samples."""
        return len(self.mu)

    def take(self, sample: int) -> Question:
        """The question of one sample."""
        one = slice(sample, sample + 1)
        fields = {name: values[..., one] for name, values in self.fields.items()}
        return replace(self, mu=self.mu[one], fields=fields)


@dataclass(frozen=True, eq=False)
class Asks:
    """What a model asks.

    p : number of parameters, None for any
    box : where it was trained, with names and units, or None
    times : (n_t,) trained times [s], or None where it knows no time
    between : whether t may lie between trained times; beyond : whether after the last, in steps
        of the last trained one where t may not lie between
    mesh, loading : whether one is asked for; fields, signals : those asked for
    outside : whether parameters outside the box are answered, and warned of
    """

    __repr__ = brief
    _repr_html_ = brief_html

    p: int | None = 0
    box: Box | None = None
    times: np.ndarray | None = None
    between: bool = False
    beyond: bool = False
    mesh: bool = False
    fields: tuple[Quantity, ...] = ()
    signals: tuple[Quantity, ...] = ()
    loading: bool = False
    outside: bool = False

    def question(
        self,
        mu: Any = (),
        *,
        t: Any = None,
        mesh: Mesh | None = None,
        fields: Mapping[str, Any] | None = None,
        signals: Mapping[str, Any] | None = None,
        loading: Loading | None = None,
    ) -> Question:
        """A checked question.

        Raises BadInput for what is missing, not asked for, or wrong; OutsideBox for parameters
        that the model was not trained for.
        """
        points, single = self._parameters(mu)
        if self.p == 0 and single:
            m = _count_samples(self.fields, fields)
            points, single = np.zeros((m, 0)), m == 1
        self._check_presence("a mesh", self.mesh, mesh is not None)
        self._check_presence("a loading", self.loading, loading is not None)
        return Question(
            points,
            self._times(t),
            mesh,
            self._field_columns(fields, len(points)),
            _select(self.signals, signals, "signal"),
            loading,
            single,
        )

    def _parameters(self, mu: Any) -> tuple[np.ndarray, bool]:
        points = real(mu, "mu")
        single = points.ndim < 2
        if self.box is not None and not self.outside:
            return np.atleast_2d(self.box.check(np.atleast_1d(points))), single
        points = points.reshape(1, -1) if single else points
        if points.ndim != 2 or (self.p is not None and points.shape[1] != self.p):
            raise BadInput(
                f"mu has shape {np.shape(mu)}; the model asks for {self.p} parameters"
                f"{self._names()}: ({self.p},) or (m, {self.p})"
            )
        if not np.isfinite(points).all():
            raise BadInput(f"mu holds NaN or Inf at {first_bad(points)}; give finite parameters")
        return points, single

    def _names(self) -> str:
        """' a, b', the names of the parameters, where they are there."""
        return "" if self.box is None else f" {', '.join(self.box.names)}"

    def _field_columns(self, fields: Mapping[str, Any] | None, m: int) -> dict[str, np.ndarray]:
        """The fields asked for as (n, components, m)."""
        arrays = _select(self.fields, fields, "field")
        components = {quantity.name: quantity.components for quantity in self.fields}
        return {name: _columns(name, v, components[name], m) for name, v in arrays.items()}

    def _times(self, t: Any) -> np.ndarray | None:
        if self.times is None:
            if t is not None:
                raise BadInput("the model knows no time; leave t out")
            return None
        if t is None:
            return self.times
        times = np.atleast_1d(real(t, "t"))
        if times.ndim != 1 or not np.isfinite(times).all():
            raise BadInput(f"t has shape {times.shape}; give finite times (n_t,) in seconds")
        first, last = float(self.times[0]), float(self.times[-1])
        slack = 1e-9 * (last - first)
        late = times.max() > last + slack and not self.beyond
        if times.min() < first - slack or late:
            raise OutsideBox(
                f"t = {times.min():g}..{times.max():g} s leaves the trained times "
                f"[{first:g}, {last:g}] s; the model knows nothing there"
            )
        if not self.between and not _are_among(times, self.times, self.beyond):
            later = f", and in steps of {last - self.times[-2]:g} s after" if self.beyond else ""
            raise BadInput(
                f"the model answers at its {len(self.times)} trained times only, from {first:g} "
                f"to {last:g} s{later}; leave t out for all of them"
            )
        return times

    def _check_presence(self, what: str, asked: bool, given: bool) -> None:
        if asked and not given:
            raise BadInput(f"the model asks for {what}; none was given")
        if given and not asked:
            raise BadInput(f"the model does not ask for {what}; leave it out")


def _count_samples(asked: tuple[Quantity, ...], fields: Mapping[str, Any] | None) -> int:
    """The most samples that one of the fields has, 1 where none has several."""
    counts = [1]
    for quantity in asked:
        shape = np.shape((fields or {}).get(quantity.name, 0.0))
        if len(shape) == 3 or (len(shape) == 2 and quantity.components == 1):
            counts.append(shape[-1])
    return max(counts)


def _are_among(times: np.ndarray, trained: np.ndarray, beyond: bool) -> bool:
    """Whether all times are trained ones, or steps after the last, up to round-off."""
    gaps = np.abs(times[:, None] - trained).min(axis=1)
    span = float(trained[-1] - trained[0]) if len(trained) > 1 else 1.0
    if beyond:
        steps = (times - trained[-1]) / (trained[-1] - trained[-2])
        late = np.abs(steps - np.round(steps)) * (trained[-1] - trained[-2])
        gaps = np.where(times > trained[-1], late, gaps)
    return bool((gaps <= 1e-9 * span).all())


def _select(
    asked: tuple[Quantity, ...], values: Mapping[str, Any] | None, what: str
) -> dict[str, np.ndarray]:
    """The asked fields or signals. Raises BadInput naming the difference."""
    values = dict(values or {})
    names = [quantity.name for quantity in asked]
    foreign = sorted(set(values) - set(names))
    if foreign:
        raise BadInput(f"the model asks for no {what} {foreign[0]!r}; it asks for: {names}")
    missing = [q.name for q in asked if q.name not in values and not q.optional]
    if missing:
        raise BadInput(f"the model asks for the {what} {missing[0]!r}; none was given")
    return {name: real(array, name) for name, array in values.items()}


def _columns(name: str, values: np.ndarray, components: int, m: int) -> np.ndarray:
    """A field (n,), (n, m), (n, c) or (n, c, m) as (n, c, m).

    Raises BadInput for others.
    """
    shape = values.shape
    if components == 1 and values.ndim < 3 and shape[1:] in ((), (1,), (m,)):
        values = values.reshape(len(values), 1, -1) if values.ndim else values
    elif values.ndim == 2 and shape[1] == components:
        values = values[:, :, None]
    if values.ndim != 3 or values.shape[1] != components or values.shape[2] not in (1, m):
        raise BadInput(
            f"field {name!r} has shape {shape}; give ({components},) values per row: "
            f"(n, {components}), or (n, {components}, {m}) for {m} samples"
        )
    return np.broadcast_to(values, (*values.shape[:2], m))


class Model:
    """A trained model: states what it asks and tells, and answers questions.

    asks : Asks; tells, tells_outputs : fields and scalars that an answer holds
    mesh : of the fields, where the model holds one
    """

    mesh: Mesh | None = None
    _repr_html_ = brief_html

    def __init_subclass__(cls) -> None:
        cls.__repr__ = brief  # type: ignore[method-assign]

    @property
    def asks(self) -> Asks:
        """What the model asks."""
        raise NotImplementedError

    @property
    def known(self) -> Known:
        """What is known of the error of an answer."""
        return Known.NOTHING

    @property
    def tells(self) -> tuple[Quantity, ...]:
        """Fields that an answer holds."""
        return ()

    @property
    def tells_outputs(self) -> tuple[Quantity, ...]:
        """Scalars that an answer holds."""
        return ()

    @property
    def facts(self) -> dict[str, Any]:
        """What else a reader of the model should know, name -> text or number."""
        return {}

    def answer(self, question: Question) -> Prediction:
        """The answer to a checked question."""
        raise NotImplementedError

    def predict(
        self,
        mu: Any = (),
        *,
        t: Any = None,
        mesh: Mesh | None = None,
        fields: Mapping[str, Any] | None = None,
        signals: Mapping[str, Any] | None = None,
        loading: Loading | None = None,
    ) -> Prediction:
        """The answer at mu (p,) or (m, p), and whatever else `asks` names.

        Raises BadInput or OutsideBox as `Asks.question` says.
        """
        question = self.asks.question(
            mu, t=t, mesh=mesh, fields=fields, signals=signals, loading=loading
        )
        answer = self.answer(question)
        return answer if answer.mesh is not None else replace(answer, mesh=mesh or self.mesh)
