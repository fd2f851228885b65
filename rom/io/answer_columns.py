"""Answers as columns: one per sample and time, sample after sample.

A field is (k, m n_t), an input, an output or an error (m n_t,); every key says name and unit, and
of an error also its kind and norm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from rom.errors import BadInput
from rom.parameters import Box
from rom.prediction import Error, Part, Place, Prediction, Quantity

TIME = "t [s]"
SAMPLE = "sample"
DEVIATION = "deviation"
BLOCK = 20_000_000  # numbers of a field that are lifted at once

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
    """Slices of samples whose fields fit in memory together."""
    rows = sum(count_rows(part) for part in answer.parts.values())
    step = max(1, BLOCK // max(1, rows * count_times(answer)))
    for start in range(0, answer.m, step):
        yield slice(start, min(start + step, answer.m))


def count_rows(part: Part) -> int:
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


def field_columns(answer: Prediction) -> Columns:
    """'name [unit]' -> (k, m n_t) of each field, its deviation after it."""
    columns: Columns = {}
    for name, part in answer.parts.items():
        flat, unit = flat_part(part), part.quantity.unit
        columns[Quantity(name, unit).label] = flat.lift(0)
        std = flat.spread(0)
        if std is not None:
            columns[Quantity(f"{name} {DEVIATION}", unit).label] = std
    return columns


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
        blocks.setdefault("min", []).append(values.min(axis=0))
        blocks.setdefault("max", []).append(values.max(axis=0))
        std = flat.spread(0)
        if std is not None:
            blocks.setdefault(f"largest {DEVIATION}", []).append(std.max(axis=0))
    return {key: np.concatenate(arrays) for key, arrays in blocks.items()}


def check_one_state(answer: Prediction, suffix: str) -> None:
    """Raises BadInput where an answer holds several states and the format one."""
    count = answer.m * count_times(answer)
    if count != 1:
        raise BadInput(f"{suffix} holds one state, not {count}; write .vtkhdf, .xdmf, .npz or .csv")
