"""A model against high fidelity: errors of state, fields and outputs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np

from rom.arrays import POINTS, gate
from rom.campaign.ranks import talk
from rom.errors import BadInput, SolveFailed
from rom.model import Question
from rom.prediction import BOUNDS, Error, Known, Part, Place, Prediction
from rom.space import Space

Solve = Callable[[np.ndarray], np.ndarray]
Norm = Callable[[np.ndarray], Any]  # state (n,) or (n, n_t) -> () or (n_t,)
RMS = "the root mean square over its values"
SPACE_NORM = "the norm of the space"
LEVEL = 0.95  # of the bands whose coverage is counted
ROUND_OFF = 1e-12  # of the size of what is compared: smaller errors say nothing of a bound


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
    """

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
    band = f"{100 * part.level:g} % bands of {part.name}"
    if part.covered is not None:
        numbers[f"coverage of {band}, pointwise"] = float(part.covered.mean())
    if part.covered_whole is not None:
        numbers[f"coverage of {band}, whole trajectories"] = float(part.covered_whole.mean())
    return numbers


@dataclass(frozen=True, eq=False)
class TrueRun:
    """One question, its true answer u (n,) or (n, n_t), and the seconds it took."""

    mu: np.ndarray
    u: np.ndarray
    seconds: float


Ask = Callable[[np.ndarray], Question]
Truth = Callable[[np.ndarray, np.ndarray], Mapping[str, float]]


@gate(mus=POINTS)
def study(
    model: Any,
    solve: Solve,
    mus: np.ndarray,
    *,
    norms: Mapping[str, Norm] | None = None,
    truth: Truth | None = None,
    ask: Ask | None = None,
    timed: bool = True,
    comm: Any = None,
) -> Study:
    """error(mu) = |solve(mu) - model(mu)|_X at each mu (m, p), and of each field.

    solve : mu -> u (n,) or (n, n_t), this rank's rows; numbers of a trajectory are the maxima over
        its times. u holds the outputs where the model tells outputs alone and `truth` is None
    norms : name -> norm of a state, beside those of the space and of the model
    truth : (u, mu) -> {"name [unit]": number}, true outputs
    ask : mus (m, p) -> Question, where parameters are not all that is asked
    timed : whether the time of `solve` is that of high fidelity
    comm : ranks that share out the samples, each with all rows of a model; None where the ranks of
        the model's space solve each sample together
    Raises BadInput for an empty set or other times, SolveFailed naming the parameter where high
    fidelity gives NaN.
    """
    pose: Ask = ask or model.asks.question
    rows, online, full = [], 0.0, 0.0
    for run in _runs(solve, mus[share_out(comm, len(mus))]):
        begin = time.perf_counter()
        answer = model.answer(pose(run.mu))
        online += time.perf_counter() - begin
        full += run.seconds if timed else np.nan
        rows.append(compare_answer(model, answer, run, norms or {}, truth))
    begin = time.perf_counter()
    model.answer(pose(mus))
    batch = time.perf_counter() - begin
    values = in_order(comm, [list(vars(row).values()) for row in rows])
    full, online = np.sum(talk(comm, [full, online]), axis=0)
    return gather_rows(mus, [Row(*row) for row in values], (full, online, batch))


def share_out(comm: Any, m: int) -> slice:
    """Which of m samples are this rank's, one after the other among the ranks."""
    return slice(None) if comm is None else slice(comm.Get_rank(), m, comm.Get_size())


def in_order(comm: Any, values: list[Any]) -> list[Any]:
    """What the ranks have of their shares, plain JSON, in the order of the samples."""
    if comm is None:
        return values
    parts = talk(comm, values)
    m = sum(map(len, parts))
    return [parts[k % len(parts)][k // len(parts)] for k in range(m)]


def _runs(solve: Solve, mus: np.ndarray) -> Iterator[TrueRun]:
    for mu in mus:
        begin = time.perf_counter()
        u = _solve(solve, mu)
        seconds = time.perf_counter() - begin
        if not np.isfinite(u).all():
            raise SolveFailed(f"high fidelity gave NaN or Inf at mu = {mu}; check the solver there")
        yield TrueRun(mu, u, seconds)


def _solve(solve: Solve, mu: np.ndarray) -> np.ndarray:
    try:
        return np.asarray(solve(mu))
    except (ArithmeticError, np.linalg.LinAlgError) as trouble:
        raise SolveFailed(
            f"high fidelity failed at mu = {mu}: {trouble!r}; check the solver there"
        ) from trouble


@dataclass(frozen=True, eq=False)
class Row:
    """What one sample gives: numbers of the state, of fields and of outputs."""

    state: dict[str, float]
    bound_norm: str
    known: str
    fields: dict[str, tuple[dict[str, float], dict[str, str]]]
    outputs: dict[str, tuple[dict[str, float], dict[str, str]]]


def compare_answer(
    model: Any, answer: Prediction, run: TrueRun, norms: Mapping[str, Norm], truth: Truth | None
) -> Row:
    """Numbers of the state, of fields and of outputs of one answer. Raises BadInput."""
    if not answer.parts:
        return Row(_empty_state(), "", {}, _compare_outputs(answer, run, truth))
    u = run.u if run.u.ndim == 2 else run.u[:, None]
    n_t = 1 if answer.t is None else len(answer.t)
    if u.shape[1] != n_t:
        raise BadInput(
            f"high fidelity gives {u.shape[1]} times, the model answers at {n_t}; "
            "give the problem the model's times"
        )
    fields = {}
    parts = {
        name: part
        for name, part in answer.parts.items()
        if part.quantity.place is not Place.INTEGRATION
    }
    lifted = {name: part.lift(0) for name, part in parts.items()}
    rows = _rows_of_fields(answer, parts, len(u))
    for name, part in parts.items():
        true = u[rows[name]]
        if true.shape != lifted[name].shape:
            raise BadInput(
                f"the model's field {name!r} has {len(lifted[name])} rows, high fidelity "
                f"{len(true)}; study it against its own solver"
            )
        own = row_means(answer.space, rows[name])
        fields[name] = _compare_field(part, own, lifted[name], true)
    whole = np.zeros(u.shape, dtype=np.result_type(u, *lifted.values()))
    for name, values in lifted.items():
        whole[rows[name]] = values
    basis = getattr(model, "basis", None)
    state, bound_norm, known = _compare_state(model, basis, answer, (u, whole), norms)
    outputs = {} if truth is None else _compare_outputs(answer, run, truth)
    return Row(state, bound_norm, known, fields, outputs)


def _rows_of_fields(answer: Prediction, parts: Mapping[str, Part], n: int) -> dict[str, Any]:
    """Rows of each field in a state: of its part or space, or in order."""
    named = {} if answer.space is None else {f.name: f.rows for f in answer.space.fields}
    rows: dict[str, Any] = {}
    start = 0
    for name, part in parts.items():
        own = part.rows if part.rows is not None else named.get(name)
        if own is None:
            size = n if len(parts) == 1 else len(part.lift(0, 0))
            own = np.arange(start, start + size)
        start += len(own)
        rows[name] = own
    return rows


@dataclass(frozen=True, eq=False)
class RowMeans:
    """Means over rows (k, ...) that lie here, or on the ranks of a space.

    own : (k,) whether this rank counts a row, which others may hold too
    """

    space: Space | None = None
    own: np.ndarray | None = None

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Of the rows of values (k, ...)."""
        if self.space is None:
            return np.asarray(np.mean(values, axis=0))
        values = values[self.own]
        total = self.space.sum(np.append(values.sum(axis=0), float(len(values))))
        return np.asarray(total[:-1] / total[-1])

    def largest(self, values: np.ndarray) -> np.ndarray:
        """Of the magnitudes over rows, (n_t,)."""
        sizes = np.abs(values).max(axis=0, initial=0.0)
        return sizes if self.space is None else self.space.largest(sizes)


def row_means(space: Space | None, rows: Any) -> RowMeans:
    """Means over rows of a state."""
    if space is None or not space.spread:
        return RowMeans()
    return RowMeans(space, space.owned[rows])


def _empty_state() -> dict[str, float]:
    return dict.fromkeys(("norm", "error", "floor", "bound", "bound_error", "ratio"), np.nan)


def _compare_state(
    model: Any,
    basis: Any,
    answer: Prediction,
    states: tuple[np.ndarray, np.ndarray],
    norms: Mapping[str, Norm],
) -> tuple[dict[str, float], str, str]:
    """Norm, error and floor in X, the bound beside the error in its own norm, and its kind."""
    numbers, (u, whole) = _empty_state(), states
    space: Space | None = (
        answer.space if answer.space is not None else getattr(basis, "space", None)
    )
    if space is not None and space.n == len(u):
        numbers["norm"] = float(np.max(space.norm(u)))
        numbers["error"] = float(np.max(space.norm(u - whole)))
        if basis is not None and basis.space.n == len(u):
            rest = u - basis.lift(basis.coefficients(u))
            numbers["floor"] = float(np.max(space.norm(rest)))
    bounds = [error for error in answer.errors if error.known in BOUNDS]
    if not bounds:
        return numbers, SPACE_NORM, ""
    bound = bounds[0]
    values = bound.value.reshape(-1)
    numbers["bound"] = float(values.max())
    norm = _find_norm(bound.norm, model, space, norms)
    if norm is not None:
        error, size = np.atleast_1d(norm(u - whole)), np.max(norm(u))
        numbers["bound_error"] = float(error.max())
        numbers["ratio"] = _least_ratio(values, error, float(size))
    return numbers, bound.norm, bound.known.value


def _find_norm(
    name: str, model: Any, space: Space | None, norms: Mapping[str, Norm]
) -> Norm | None:
    """The norm of that name: one that is given, that of the space, or the model's own."""
    if name in norms:
        return norms[name]
    if name == SPACE_NORM:
        return None if space is None else space.norm
    own: Norm | None = getattr(model, "norm", None)
    if own is None or getattr(model, "mass", True) is None:
        return None
    return own


def _least_ratio(bound: np.ndarray, error: np.ndarray, size: float) -> float:
    """min bound / error over times where the error is more than round-off.

    Where it never is, at the largest error.
    """
    matter = error > ROUND_OFF * size
    if not matter.any():
        matter = error == error.max()
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.broadcast_to(bound, error.shape)[matter] / error[matter]
    return float(np.min(ratios))


def root_mean_square(values: np.ndarray, rows: RowMeans | None = None) -> np.ndarray:
    """Root mean square over rows, (n_t,)."""
    return np.asarray(np.sqrt((rows or RowMeans()).mean(np.abs(values) ** 2)))


def _compare_field(
    part: Part, rows: RowMeans, values: np.ndarray, true: np.ndarray
) -> tuple[dict[str, float], dict[str, str]]:
    """Numbers of one field, and the words that say what they are."""
    miss = true - values
    numbers = {
        "size": float(root_mean_square(true, rows).max()),
        "error": float(root_mean_square(miss, rows).max()),
    }
    words = {"unit": part.quantity.unit, "norm": RMS}
    std = part.spread(0)
    if std is not None:
        width = NormalDist().inv_cdf(0.5 + 0.5 * LEVEL)
        inside = np.abs(miss) <= width * std
        numbers["covered"] = float(rows.mean(inside).mean())
        if inside.shape[1] > 1:
            numbers["covered_whole"] = float(rows.mean(inside.all(axis=1)[:, None])[0])
    for error in part.errors[:1]:
        numbers |= _statement(error, rows, miss, true)
        words |= {"known": error.known.value, "bound_norm": error.norm}
    return numbers, words


FIELD_NORMS: dict[str, Callable[[np.ndarray, RowMeans], np.ndarray]] = {
    RMS: root_mean_square,
    "rms over the field": root_mean_square,
    "nodal rms": root_mean_square,
    "the nodal rms": root_mean_square,
    "the largest value": lambda values, rows: rows.largest(values),
}


def _statement(
    error: Error, rows: RowMeans, miss: np.ndarray, true: np.ndarray
) -> dict[str, float]:
    """What a model says of a field's error, beside the error in the same norm."""
    values = error.value.reshape(-1)
    numbers = {"bound": float(values.max())}
    norm = FIELD_NORMS.get(error.norm)
    if norm is not None and error.known is not Known.STATISTICAL:
        own = norm(miss, rows)
        numbers["bound_error"] = float(own.max())
        numbers["effectivity"] = _least_ratio(values, own, float(norm(true, rows).max()))
    return numbers


def _compare_outputs(
    answer: Prediction, run: TrueRun, truth: Truth | None
) -> dict[str, tuple[dict[str, float], dict[str, str]]]:
    """Numbers of each output that high fidelity gives too."""
    true = _true_outputs(answer, run, truth)
    rows = {}
    for name, output in answer.outputs.items():
        if name not in true:
            continue
        value = output.value.reshape(-1)
        miss = np.abs(true[name] - value)
        numbers = {"size": float(np.abs(true[name]).max()), "error": float(miss.max())}
        words = {"unit": output.unit, "norm": "absolute value"}
        if output.error is not None:
            numbers |= _output_statement(output.error, miss, np.abs(true[name]))
            words |= {"known": output.error.known.value, "bound_norm": output.error.norm}
        rows[name] = (numbers, words)
    return rows


def _output_statement(error: Error, miss: np.ndarray, size: np.ndarray) -> dict[str, float]:
    bound = error.value.reshape(-1)
    if error.known is Known.STATISTICAL:
        width = NormalDist().inv_cdf(0.5 + 0.5 * LEVEL)
        inside = miss <= width * bound
        numbers = {"bound": float(bound.max()), "covered": float(inside.mean())}
        if len(miss) > 1:
            numbers["covered_whole"] = float(inside.all())
        return numbers
    return {
        "bound": float(bound.max()),
        "bound_error": float(miss.max()),
        "effectivity": _least_ratio(bound, miss, float(size.max())),
    }


def _true_outputs(answer: Prediction, run: TrueRun, truth: Truth | None) -> dict[str, np.ndarray]:
    """name -> (n_t,) of what high fidelity says. Raises BadInput.

    Without `truth` its numbers are the first outputs of the model, in their order.
    """
    names = list(answer.outputs)
    if truth is not None:
        true = {key.split(" [")[0]: value for key, value in truth(run.u, run.mu).items()}
        return {key: np.atleast_1d(np.asarray(value)) for key, value in true.items()}
    n_t = 1 if answer.t is None else len(answer.t)
    count, rest = divmod(run.u.size, n_t)
    if rest or not 0 < count <= len(names):
        raise BadInput(
            f"high fidelity gives {run.u.size} numbers, the model the outputs {names}; give the "
            "problem outputs(u, mu) of these names"
        )
    return dict(zip(names[:count], run.u.reshape(count, n_t), strict=True))


def gather_rows(mus: np.ndarray, rows: list[Row], seconds: tuple[float, float, float]) -> Study:
    """The rows of all samples as one study."""
    m = len(mus)
    state = {key: np.array([row.state[key] for row in rows]) for key in rows[0].state}
    full, online, batch = seconds
    fields = [row.fields for row in rows]
    outputs = [row.outputs for row in rows]
    return Study(
        mus,
        state["norm"],
        state["error"],
        state["floor"],
        _all_finite(state["bound"]),
        full / m,
        online / m,
        batch / m,
        bound_norm=rows[0].bound_norm,
        bound_known=rows[0].known,
        bound_error=_all_finite(state["bound_error"]),
        ratio=None if np.isnan(state["ratio"]).any() else state["ratio"],
        fields=tuple(_discrepancies(fields)),
        outputs=tuple(_discrepancies(outputs)),
    )


def _all_finite(values: np.ndarray) -> np.ndarray | None:
    return None if np.isnan(values).any() else values


def _discrepancies(
    rows: list[dict[str, tuple[dict[str, float], dict[str, str]]]],
) -> Iterable[Discrepancy]:
    for name, (numbers, words) in rows[0].items():
        columns = {key: np.array([row[name][0][key] for row in rows]) for key in numbers}
        yield Discrepancy(name=name, **words, **columns)  # type: ignore[arg-type]
