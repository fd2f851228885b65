"""Numbers of one sample: of the state, of its fields and of its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.errors import BadInput
from rom.prediction import BOUNDS, Part, Place, Prediction
from rom.space import Space
from rom.study.norms import SPACE_NORM, Norm, find_norm, least_ratio, row_means
from rom.study.parts import TrueRun, Truth, Words, compare_field, compare_outputs


@dataclass(frozen=True, eq=False)
class Row:
    """What one sample gives: numbers of the state, of fields and of outputs."""

    state: dict[str, float]
    bound_norm: str
    known: str
    fields: dict[str, tuple[dict[str, float], Words]]
    outputs: dict[str, tuple[dict[str, float], Words]]


def compare_answer(
    model: Any, answer: Prediction, run: TrueRun, norms: Mapping[str, Norm], truth: Truth | None
) -> Row:
    """Numbers of the state, of fields and of outputs of one answer. Raises BadInput."""
    if not answer.parts:
        return Row(_empty_state(), "", "", {}, compare_outputs(answer, run, truth))
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
        fields[name] = compare_field(part, own, lifted[name], true)
    whole = np.zeros(u.shape, dtype=np.result_type(u, *lifted.values()))
    for name, values in lifted.items():
        whole[rows[name]] = values
    basis = getattr(model, "basis", None)
    state, bound_norm, kind = _compare_state(model, basis, answer, (u, whole), norms)
    outputs = {} if truth is None else compare_outputs(answer, run, truth)
    return Row(state, bound_norm, kind, fields, outputs)


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


def _empty_state() -> dict[str, float]:
    return dict.fromkeys(("norm", "error", "floor", "bound", "bound_error", "ratio"), np.nan)


def _compare_state(
    model: Any,
    basis: Any,
    answer: Prediction,
    states: tuple[np.ndarray, np.ndarray],
    norms: Mapping[str, Norm],
) -> tuple[dict[str, float], str, str]:
    """Norm, error and floor in X; the bound, its norm, the error in it, its kind."""
    numbers, (u, whole) = _empty_state(), states
    space: Space | None = (
        answer.space if answer.space is not None else getattr(basis, "space", None)
    )
    if space is not None and space.n == len(u):
        numbers["norm"] = float(np.max(space.norm(u)))
        numbers["error"] = float(np.max(space.norm(u - whole)))
        in_modes = any(part.basis is not None for part in answer.parts.values())
        if basis is not None and in_modes and basis.space.n == len(u):
            rest = u - basis.lift(basis.coefficients(u))
            numbers["floor"] = float(np.max(space.norm(rest)))
    bounds = [error for error in answer.errors if error.known in BOUNDS]
    if not bounds:
        return numbers, SPACE_NORM, ""
    bound = bounds[0]
    values = bound.value.reshape(-1)
    numbers["bound"] = float(values.max())
    norm = find_norm(bound.norm, model, space, norms)
    if norm is not None:
        error, size = np.atleast_1d(norm(u - whole)), np.max(norm(u))
        numbers["bound_error"] = float(error.max())
        numbers["ratio"] = least_ratio(values, error, float(size))
    return numbers, bound.norm, bound.known.value
