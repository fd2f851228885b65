"""Answers as columns: one per sample and time, sample after sample.

A field is (k, m n_t), an input, an output or an error (m n_t,); every key says name and unit, and
of an error also its kind and norm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np

from rom.errors import BadInput
from rom.parameters import Box
from rom.prediction import Error, Part, Place, Prediction, Quantity
from rom.rows import Rows, as_slice, lifted_rows

TIME = "t [s]"
SAMPLE = "sample"
DEVIATION = "deviation"
BLOCK = 4_000_000  # numbers of a field that are lifted at once

Columns = dict[str, np.ndarray]


def count_times(answer: Prediction) -> int:
    """Number of times of an answer, 1 without time."""
    return 1 if answer.t is None else len(answer.t)


def flat_part(part: Part, samples: slice = slice(None)) -> Part:
    """The part with its samples and times as the times of one sample, (r, 1, m n_t)."""

    def flat(array: np.ndarray) -> np.ndarray:
        """(k, m, n_t) -> (k, 1, m n_t)."""
        chosen = array[:, samples]
        return chosen.reshape(len(chosen), 1, -1)

    return replace(
        part,
        a=flat(part.a),
        std=None if part.std is None else flat(part.std),
        shift=flat(part.shift) if np.ndim(part.shift) == 3 else part.shift,
        errors=(),
    )


def sample_blocks(answer: Prediction) -> Iterator[slice]:
    """Slices of samples whose fields fit in memory together, the same on every rank."""
    rows = sum(height_of(part) for part in answer.parts.values())
    step = max(1, BLOCK // max(1, rows * count_times(answer)))
    if answer.space is not None and answer.space.spread:
        step = answer.space.tell(step)
    for start in range(0, answer.m, step):
        yield slice(start, min(start + step, answer.m))


def height_of(part: Part) -> int:
    """Number of values k of a field at one time."""
    if part.back is not None:
        return int(part.back.shape[0])
    if part.basis is None:
        return len(part.a)
    return len(part.basis.modes) if part.rows is None else len(part.rows)


def parameter_headings(box: Box | None, p: int) -> list[str]:
    """'name [unit]' of each parameter; mu0, mu1, ... where no box names them."""
    if box is None or box.p != p:
        return [f"mu{k}" for k in range(p)]
    return [f"{name} [{unit}]" for name, unit in zip(box.names, box.units, strict=True)]


def input_columns(answer: Prediction, box: Box | None = None) -> Columns:
    """'name [unit]' -> (m n_t,): parameters, and times where there are some."""
    mu, n_t = answer.question.mu, count_times(answer)
    columns = {}
    for name, values in zip(parameter_headings(box, mu.shape[1]), mu.T, strict=True):
        columns[name] = np.repeat(values, n_t)
    if answer.t is not None:
        columns[TIME] = np.tile(np.asarray(answer.t, dtype=float), answer.m)
    if not columns:
        columns[SAMPLE] = np.arange(answer.m, dtype=float)
    return columns


def known_columns(answer: Prediction) -> Columns:
    """'what is known [unit]' -> (m n_t,): outputs, errors, and `inside`.

    The key of an error says its kind, level and norm.
    """
    columns: Columns = {}
    for name, output in answer.outputs.items():
        columns[Quantity(name, output.unit).label] = _spread(output.value, answer)
        if output.error is not None:
            columns[error_label(name, output.error, output.unit)] = _spread(
                output.error.value, answer
            )
    for name, part in answer.parts.items():
        for error in part.errors:
            columns[error_label(name, error)] = _spread(error.value, answer)
    for error in answer.errors:
        columns[error_label("", error)] = _spread(error.value, answer)
    if answer.inside is not None:
        columns["inside"] = _spread(np.asarray(answer.inside, dtype=float), answer)
    return columns


def error_label(name: str, error: Error, unit: str = "1") -> str:
    """'T: certified bound in the energy norm [K]'; of the whole state without a name."""
    head = f"{name}: " if name else ""
    unit = unit if error.unit == "1" else error.unit
    return head + Quantity(error.label, unit).label


def _spread(values: np.ndarray, answer: Prediction) -> np.ndarray:
    """Values (m,) or (m, n_t) as (m n_t,)."""
    array = np.asarray(values)
    array = array.reshape(answer.m, -1)
    return np.broadcast_to(array, (answer.m, count_times(answer))).ravel()


def is_spread(answer: Prediction) -> bool:
    """Whether the rows of an answer lie on several ranks."""
    return answer.space is not None and answer.space.spread


def is_root(answer: Prediction) -> bool:
    """Whether this rank writes the answer's files."""
    return answer.space is None or answer.space.root


def field_columns(answer: Prediction, samples: slice = slice(None)) -> dict[str, Rows]:
    """'name [unit]' -> Rows (k, m n_t) of each field, its deviation after it."""
    columns = {}
    for key, part, rows in field_rows(answer, samples):
        columns[Quantity(key, part.quantity.unit).label] = rows
    return columns


def field_rows(
    answer: Prediction, samples: slice = slice(None)
) -> Iterator[tuple[str, Part, Rows]]:
    """Name, part and Rows (k, m n_t) of each field, its deviation after it."""
    for name, part in answer.parts.items():
        flat = flat_part(part, samples)
        yield name, part, part_rows(answer, name, flat, partial(flat.lift, 0, None))
        if part.std is not None:
            spread = part_rows(answer, name, flat, partial(flat.spread, 0, None))
            yield f"{name} {DEVIATION}", part, spread


def part_rows(answer: Prediction, name: str, part: Part, lift: Callable[[Any], Any]) -> Rows:
    """Rows `lift(rows)` of a part; one that is pulled back is lifted once."""
    own = lift
    if part.back is not None:
        lift_all = cache(partial(lift, None))

        def own(rows: Any) -> Any:
            """Rows of all that is lifted."""
            return lift_all()[rows]

    where = _where(answer, name, part) if is_spread(answer) else None
    return lifted_rows(answer.space, own, height_of(part), where)


def _where(answer: Prediction, name: str, part: Part) -> np.ndarray:
    """Rows of a part in the space that its answer lies on. Raises BadInput."""
    space = answer.space
    assert space is not None
    named = {field.name: field.rows for field in space.fields}
    where = part.rows if part.rows is not None else named.get(name)
    where = np.arange(space.n) if where is None else np.asarray(where)
    if len(where) != height_of(part) or part.back is not None:
        raise BadInput(f"the field {name!r} does not lie on the ranks' rows; use one rank")
    return where


def state_rows(answer: Prediction) -> Rows | None:
    """The state Rows (n, m n_t) of a space, None where the fields do not fill it."""
    parts = {k: p for k, p in answer.parts.items() if p.quantity.place is not Place.INTEGRATION}
    space = answer.space
    if space is None or not parts or sum(map(height_of, parts.values())) != space.n:
        return None
    named = {field.name: field.rows for field in space.fields}
    source = np.zeros(space.n, dtype=np.int64)  # row of the state -> row of its part
    owner = np.zeros(space.n, dtype=np.int16)
    lifts = []
    for k, (name, part) in enumerate(parts.items()):
        rows = part.rows if part.rows is not None else named.get(name)
        if rows is None and len(parts) > 1:
            return None
        rows = np.arange(space.n) if rows is None else rows
        source[rows], owner[rows] = np.arange(len(rows)), k
        flat = flat_part(part)
        lifts.append(part_rows(answer, name, flat, partial(flat.lift, 0, None)).lift)
    dtype = np.result_type(*(lift(np.zeros(0, dtype=np.int64)) for lift in lifts))

    def lift(rows: Any) -> np.ndarray:
        """Rows of the state, each from its part."""
        if len(lifts) == 1:
            return lifts[0](as_slice(source[rows]))
        from_part, index = owner[rows], source[rows]
        state = np.empty((len(index), answer.m * count_times(answer)), dtype)
        for k, lift_part in enumerate(lifts):
            mine = from_part == k
            state[mine] = lift_part(as_slice(index[mine]))
        return state

    return lifted_rows(space, lift, space.n)


def whole_state(answer: Prediction, fields: list[np.ndarray]) -> np.ndarray | None:
    """The state (n, ...) of a space from its fields, None where they do not fill it.

    fields : (k, ...) in the order of the answer's parts
    """
    space = answer.space
    entries = [
        (name, part, values)
        for (name, part), values in zip(answer.parts.items(), fields, strict=True)
        if part.quantity.place is not Place.INTEGRATION
    ]
    if space is None or not entries or sum(len(entry[2]) for entry in entries) != space.n:
        return None
    shape = (space.n, *entries[0][2].shape[1:])
    state = np.zeros(shape, dtype=np.result_type(*(entry[2] for entry in entries)))
    named = {field.name: field.rows for field in space.fields}
    for name, part, values in entries:
        rows = part.rows if part.rows is not None else named.get(name)
        if rows is None:
            return values if len(entries) == 1 else None
        state[rows] = values
    return state


def parameter_points(answer: Prediction, box: Box | None = None) -> np.ndarray:
    """Coordinates (m, 3) of the samples: the first three parameters, in the unit box."""
    mu = answer.question.mu
    if box is not None and box.p == mu.shape[1]:
        mu = box.to_unit(mu)
    points = np.zeros((answer.m, 3))
    p = min(3, mu.shape[1])
    points[:, :p] = mu[:, :p]
    return points


def point_columns(answer: Prediction, box: Box | None = None) -> Columns:
    """'name [unit]' -> (m n_t,) to show at points in parameter space.

    Inputs, outputs, what is known of errors, and the least and largest value of each field.
    """
    columns = input_columns(answer, box) | known_columns(answer)
    for name, part in answer.parts.items():
        for key, values in extremes(answer, part).items():
            columns[Quantity(f"{key} {name}", part.quantity.unit).label] = values
    return columns


def extremes(answer: Prediction, part: Part) -> Columns:
    """'min', 'max', 'largest deviation' of a field -> (m n_t,)."""
    blocks: dict[str, list[np.ndarray]] = {}
    for samples in sample_blocks(answer):
        flat = flat_part(part, samples)
        values = np.real(flat.lift(0))
        blocks.setdefault("min", []).append(-largest(answer, -values))
        blocks.setdefault("max", []).append(largest(answer, values))
        std = flat.spread(0)
        if std is not None:
            blocks.setdefault(f"largest {DEVIATION}", []).append(largest(answer, std))
    return {key: np.concatenate(arrays) for key, arrays in blocks.items()}


def largest(answer: Prediction, values: np.ndarray, axis: int = 0) -> np.ndarray:
    """The largest of this and other ranks' values along an axis."""
    if not is_spread(answer):
        return np.asarray(values.max(axis=axis))
    assert answer.space is not None
    return answer.space.largest(values.max(axis=axis, initial=-np.inf))


def check_one_state(answer: Prediction, suffix: str) -> None:
    """Raises BadInput where an answer holds several states and the format one."""
    count = answer.m * count_times(answer)
    if count != 1:
        raise BadInput(f"{suffix} holds one state, not {count}; write .vtkhdf, .xdmf, .npz or .csv")
