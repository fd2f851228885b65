"""Answers of models as rows of numbers, one per sample."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rom.cli.options import units_of
from rom.cli.tables import format_number, plain_value, show_numbers
from rom.errors import printable
from rom.parameters import Box
from rom.prediction import Known, Prediction
from rom.rows import rows_of

BOUND = "bound of the error in the norm"
DEVIATION = "largest standard deviation"
Outputs = Callable[[np.ndarray, np.ndarray], dict[str, float]]
Lines = list[dict[str, Any]]


def answer_rows(
    answer: Prediction,
    box: Box | None,
    outputs: Outputs | None = None,
    *,
    by_rows: bool = False,
) -> Lines:
    """Each sample as name -> number, the worst over its times.

    Parameters, extremes of each field, the norm of the state, outputs, and what is known of
    errors, of each its kind and norm.
    outputs : (u, mu) -> {"name [unit]": number}, of the case; `by_rows` of this rank's rows, else
        asked on the first rank
    """
    from rom.io.answer_columns import flat_part, sample_blocks, whole_state

    mu = answer.question.mu
    names = box.names if box is not None else tuple(f"mu{k}" for k in range(mu.shape[1]))
    rows: Lines = []
    for samples in sample_blocks(answer):
        parts = {name: flat_part(part, samples) for name, part in answer.parts.items()}
        fields = {name: part.lift(0) for name, part in parts.items()}
        stds = {name: part.spread(0) for name, part in parts.items()}
        state = whole_state(answer, list(fields.values()))
        n = samples.stop - samples.start
        columns = _field_numbers(answer, fields, n) | _state_numbers(answer, state, n)
        columns |= _deviations(answer, stds, n)
        shown = None if outputs is None else _asked_state(answer, state, by_rows)
        for i in range(n):
            row: dict[str, Any] = {"mu": dict(zip(names, mu[samples][i].tolist(), strict=True))}
            row |= {key: values[i] for key, values in columns.items()}
            if outputs is not None and shown is not None:
                columns_of_sample = shown.reshape(len(shown), n, -1)[:, i]
                u = columns_of_sample[:, 0] if answer.t is None else columns_of_sample
                row |= outputs(u, mu[samples][i])
            rows.append(row)
    facts = _known_numbers(answer)
    for i, row in enumerate(rows):
        row |= {key: values[i] for key, values in facts.items()}
    plain: Lines = plain_value(rows)
    return plain


def _asked_state(answer: Prediction, state: np.ndarray | None, by_rows: bool) -> np.ndarray | None:
    """The state of which a case tells outputs: own rows, or all on the first rank."""
    if state is None or by_rows:
        return state
    whole = rows_of(answer.space, state).whole()
    return whole if answer.space is None or answer.space.root else None


def _by_sample(values: np.ndarray, n: int) -> np.ndarray:
    """Columns (..., n n_t) as (n, anything)."""
    k, columns = values.shape
    return values.reshape(k, n, columns // n).swapaxes(0, 1).reshape(n, k * (columns // n))


def _field_numbers(answer: Prediction, fields: dict[str, np.ndarray], n: int) -> dict[str, Any]:
    """Extremes of each field, (n,)."""
    from rom.io.answer_columns import largest
    from rom.io.fields import label

    columns: dict[str, Any] = {}
    for name, values in fields.items():
        heading = label(name, answer.parts[name].quantity.unit)
        real_values = _by_sample(np.real(values), n)
        columns[f"min {heading}"] = -largest(answer, -real_values, axis=1)
        columns[f"max {heading}"] = largest(answer, real_values, axis=1)
    return columns


def _state_numbers(answer: Prediction, state: np.ndarray | None, n: int) -> dict[str, Any]:
    if state is None or answer.space is None:
        return {}
    return {"norm": _by_sample(np.atleast_2d(answer.space.norm(state)), n).max(axis=1)}


def _deviations(
    answer: Prediction, stds: Mapping[str, np.ndarray | None], n: int
) -> dict[str, Any]:
    """The largest deviation of all fields, and of each where there are several."""
    from rom.io.answer_columns import largest

    columns: dict[str, Any] = {}
    for name, std in stds.items():
        if std is not None:
            columns[f"{DEVIATION} of {name}"] = largest(answer, _by_sample(std, n), axis=1)
    if len(columns) == 1:
        return {DEVIATION: next(iter(columns.values()))}
    return columns


def _known_numbers(answer: Prediction) -> dict[str, np.ndarray]:
    """Outputs and errors, (m,); the largest over times, and the last of an output."""
    from rom.io.answer_columns import known_columns

    columns = {}
    for key, values in known_columns(answer).items():
        by_sample = values.reshape(answer.m, -1)
        is_output = key.split(" [")[0] in answer.outputs
        if is_output:
            columns[key] = by_sample[:, -1]
        else:
            columns[key] = by_sample.min(axis=1) if key == "inside" else by_sample.max(axis=1)
    bounds = [error for error in answer.errors if error.known is Known.CERTIFIED]
    if bounds:
        columns[BOUND] = bounds[0].value.reshape(answer.m, -1).max(axis=1)
    return columns


def answer_units(answer: Prediction, box: Box | None) -> dict[str, str]:
    """Units of the numbers of `answer_rows` whose names do not say them."""
    units = dict(units_of(box))
    if len(answer.parts) == 1:
        units[DEVIATION] = next(iter(answer.parts.values())).quantity.unit
    return units


def show_answers(rows: Sequence[Mapping[str, Any]], units: Mapping[str, str]) -> None:
    """One sample as a table of name, value and unit; several as one table, a row each."""
    flat = []
    for row in rows:
        numbers = dict(row)
        flat.append({**numbers.pop("mu"), **numbers})
    if len(flat) == 1:
        show_numbers(flat[0], units, False)
        return
    show_table(flat, units)


def show_table(rows: Sequence[Mapping[str, Any]], units: Mapping[str, str]) -> None:
    """Rows of the same names as aligned columns, with units in the header."""
    heads = list(dict.fromkeys(name for row in rows for name in row))
    titles = [f"{name} [{units[name]}]" if units.get(name) else name for name in heads]
    lines = [[format_number(row.get(name)) for name in heads] for row in rows]
    widths = [max(map(len, column)) for column in zip(titles, *lines, strict=True)]
    for line in (titles, *lines):
        cells = (cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        sys.stdout.write(printable("  ".join(cells).rstrip()) + "\n")
    sys.stdout.flush()
