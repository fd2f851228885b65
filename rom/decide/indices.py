"""Sobol indices of outputs and field values, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from rom.arrays import gate
from rom.brief import brief, brief_html
from rom.design import sobol
from rom.errors import BadInput
from rom.gp import CoefficientGP, ProcessAverage
from rom.model import Model
from rom.parameters import Box
from rom.prediction import BOUNDS, Known, Prediction

MAX_JOINT = 6000  # points of one joint draw, whose cost is cubic
REPEATS = 200  # draws and bootstrap samples
FLAT = 1e-12  # deviation over size below which values are round-off


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """S_j = Var E[f | mu_j] / Var f and T_j = E Var[f | all but mu_j] / Var f.

    quantity, unit : of f; names (p,) : of the parameters; first, total : (p,) S and T
    low, high : (2, p) ends of the intervals of S and of T, each with probability `level`
    std : deviation of f over the box; known : what of the model's error the intervals hold;
    NOTHING where the model knows none, and they hold the error of the sample alone
    n : rows of the sample, of n (p + 2) answers
    """

    __repr__ = brief
    _repr_html_ = brief_html

    quantity: str
    unit: str
    names: tuple[str, ...]
    first: np.ndarray
    total: np.ndarray
    low: np.ndarray
    high: np.ndarray
    std: float
    known: Known
    level: float
    n: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "known", Known(self.known))


@gate(model=Model, box=Box)
def sensitivity(
    model: Model,
    output: str | None = None,
    *,
    at: tuple[str, int] | None = None,
    box: Box | None = None,
    time: int | None = None,
    n: int = 256,
    level: float = 0.95,
    rng: int = 0,
) -> Sensitivity:
    """Sobol indices of an output, or of a field at one of its rows.

        S_j = mean f(B) (f(A_B^j) - f(A)) / V,   T_j = mean (f(A) - f(A_B^j))^2 / (2 V)

    output : its name, the only one by default; at : (field, row) instead
    box : of the independent, uniform parameters, the model's own by default
    time : number of the time, needed where the model answers at several
    n : rows of A and B, best a power of two
    The error of the sample is a bootstrap over rows. The error of a process is in by joint draws
    of its posterior; a bound e or a deviation of the output by |sqrt(S V) - sqrt(S_r V_r)| <= E
    and |sqrt(V) - sqrt(V_r)| <= E, E the root mean square of e, or of the deviation's quantile.
    Raises BadInput for models that ask for more than parameters, names that are not told, and a
    quantity that does not vary.
    References: Sobol' (1993); Jansen (1999); Saltelli et al. (2010).
    """
    box = _law(model, box)
    if n < 8 or not 0 < level < 1:
        raise BadInput(f"n = {n}, level = {level:g}; give 8 rows at least and a level in (0, 1)")
    _check_choice(model, output, at)
    blocks = _pick_freeze(box, n, rng)
    answer = model.predict(blocks.reshape(-1, box.p))
    name, unit, values, deviation, how = _quantity(answer, output, at, time)
    f = values.reshape(-1, n)
    first, total, variance = _estimate(f)
    if not variance > (FLAT * np.abs(f).max()) ** 2:
        raise BadInput(f"{name} does not vary over the box; no parameter can drive it")
    generator = np.random.default_rng(rng)
    joint = isinstance(model, (CoefficientGP, ProcessAverage))
    draws = np.broadcast_to(f, (REPEATS, *f.shape))
    if joint:
        draws = _joint_draws(model, blocks, [*answer.outputs].index(name), generator)
    picks = generator.integers(0, n, (REPEATS, n))
    tries = np.array(
        [_estimate(draw[:, pick])[:2] for draw, pick in zip(draws, picks, strict=True)]
    )
    low, high = np.quantile(tries, [0.5 - 0.5 * level, 0.5 + 0.5 * level], axis=0)
    if not joint and how is not Known.NOTHING:
        factor = 1.0 if how in BOUNDS else NormalDist().inv_cdf(0.5 + 0.5 * level)
        error = factor * float(np.sqrt(np.mean(np.square(deviation))))
        low, high = _widen(low, high, error / np.sqrt(variance))
    estimates = np.array([first, total])
    return Sensitivity(
        name, unit, box.names, first, total,
        np.minimum(low, estimates), np.maximum(high, estimates),
        float(np.sqrt(variance)), how, level, n,
    )  # fmt: skip


def _law(model: Model, box: Box | None) -> Box:
    """The box of the parameters; BadInput where there is none, or more is asked."""
    asks = model.asks
    required = [
        *(["a mesh"] if asks.mesh else []),
        *(["a loading"] if asks.loading else []),
        *(f"the field {q.name!r}" for q in asks.fields if not q.optional),
        *(f"the signal {q.name!r}" for q in asks.signals if not q.optional),
    ]
    if required:
        raise BadInput(
            f"the model asks for {required[0]}; sensitivities are of models of parameters alone"
        )
    box = asks.box if box is None else box
    if box is None or asks.p == 0:
        raise BadInput("the model has no box of parameters; give box=Box(...) to vary them in")
    return box


def _check_choice(model: Model, output: str | None, at: tuple[str, int] | None) -> None:
    """BadInput unless one told output or field is chosen."""
    outputs = [quantity.name for quantity in model.tells_outputs]
    fields = [quantity.name for quantity in model.tells]
    if output is not None and at is not None:
        raise BadInput(f"output {output!r} and at = {at!r} are both given; give one of them")
    if at is not None:
        if not isinstance(at, tuple) or len(at) != 2 or not isinstance(at[1], int):
            raise BadInput(f"at = {at!r}; give (field, row), such as ('T', 0)")
        _check_name("field", at[0], fields)
    elif output is not None:
        _check_name("output", output, outputs)
    elif len(outputs) != 1:
        raise BadInput(
            f"the model tells the outputs {outputs} and the fields {fields}; give output=NAME or "
            "at=(FIELD, ROW)"
        )


def _check_name(kind: str, name: str, names: list[str]) -> None:
    """BadInput where a name is not among those that are told."""
    if name not in names:
        raise BadInput(f"no {kind} {name!r}; the model tells: {', '.join(names) or 'none'}")


def _pick_freeze(box: Box, n: int, rng: int) -> np.ndarray:
    """A, B and A with column j of B for each j, (p + 2, n, p)."""
    p = box.p
    square = Box(tuple(map(str, range(2 * p))), np.zeros(2 * p), np.ones(2 * p))
    x = sobol(square, n, rng)
    A, B = x[:, :p], x[:, p:]
    mixtures = [np.where(np.arange(p) == j, B, A) for j in range(p)]
    return np.array([box.from_unit(block) for block in (A, B, *mixtures)])


def _quantity(
    answer: Prediction, output: str | None, at: tuple[str, int] | None, time: int | None
) -> tuple[str, str, np.ndarray, Any, Known]:
    """Name, unit, values (m,), what is known of their errors (m,), and how."""
    if at is not None:
        return _field_values(answer, at, time)
    name = next(iter(answer.outputs)) if output is None else output
    scalar = answer.outputs[name]
    values = _at_time(scalar.value, time)
    error = scalar.error
    if error is None or error.known is Known.CONFORMAL:
        return name, scalar.unit, values, None, Known.NOTHING
    deviation = _at_time(error.value, time)
    how = error.known if np.isfinite(deviation).all() else Known.NOTHING
    return name, scalar.unit, values, deviation, how


def _field_values(
    answer: Prediction, at: tuple[str, int], time: int | None
) -> tuple[str, str, np.ndarray, Any, Known]:
    field, row = at
    part = answer.part(field)
    count = len(part.lift(0, 0))
    if not 0 <= row < count:
        raise BadInput(f"no row {row} of {field!r}, which has {count}; count them from 0")
    k, rows = _time(part.a.shape[2], time), np.array([row])
    values = np.array([part.lift(i, k, rows)[0] for i in range(answer.m)])
    if np.iscomplexobj(values):
        raise BadInput(f"{field!r} is complex; sensitivities are of real quantities")
    name = f"{field}[{row}]"
    if part.std is None:
        return name, part.quantity.unit, values, None, Known.NOTHING
    spread = np.array([part.spread(i, k, rows) for i in range(answer.m)], dtype=float)
    return name, part.quantity.unit, values, spread.ravel(), Known.STATISTICAL


def _at_time(values: np.ndarray, time: int | None) -> np.ndarray:
    return values if values.ndim == 1 else values[:, _time(values.shape[1], time)]


def _time(count: int, time: int | None) -> int:
    """The number of a time; BadInput where it is missing or beyond."""
    if time is None and count == 1:
        return 0
    if time is None or not 0 <= time < count:
        raise BadInput(f"time = {time} of {count} times; give time=0 .. {count - 1}")
    return time


def _estimate(f: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """S (p,), T (p,) and the variance, from values (p + 2, n)."""
    variance = float(np.var(f[:2]))
    f = f - np.mean(f[:2])
    scale = variance or 1.0
    first = np.mean(f[1] * (f[2:] - f[0]), axis=1) / scale
    total = 0.5 * np.mean(np.square(f[0] - f[2:]), axis=1) / scale
    return first, total, variance


def _joint_draws(
    model: Any, blocks: np.ndarray, place: int, generator: np.random.Generator
) -> np.ndarray:
    """Draws (REPEATS, p + 2, n) of one output of a process, without its noise."""
    count = blocks.shape[0] * blocks.shape[1]
    if count > MAX_JOINT:
        raise BadInput(
            f"joint draws at {count} points are too dear; give n <= {MAX_JOINT // len(blocks)}"
        )
    draws = model.samples(blocks.reshape(count, -1), REPEATS, rng=generator)
    return np.asarray(draws[:, :, place].reshape(REPEATS, *blocks.shape[:2]))


def _widen(low: np.ndarray, high: np.ndarray, error: float) -> tuple[np.ndarray, np.ndarray]:
    """Intervals when f errs by `error` deviations of f in root mean square."""
    if error >= 1.0:
        return np.minimum(low, 0.0), np.maximum(high, 1.0)
    least = np.maximum(np.sqrt(np.maximum(low, 0.0)) - error, 0.0) / (1.0 + error)
    most = (np.sqrt(np.maximum(high, 0.0)) + error) / (1.0 - error)
    return np.minimum(low, least**2), np.minimum(np.maximum(high, most**2), np.maximum(high, 1.0))
