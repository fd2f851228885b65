"""Numbers of one field and of the outputs of an answer, beside the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from rom.errors import BadInput
from rom.prediction import Error, Known, Part, Prediction
from rom.study.discrepancy import LEVEL
from rom.study.norms import FIELD_NORMS, RMS, RowMeans, least_ratio, root_mean_square

Words = dict[str, Any]  # unit, norm, level: what numbers of a field or output are
Truth = Callable[[np.ndarray, np.ndarray], Mapping[str, float]]


@dataclass(frozen=True, eq=False)
class TrueRun:
    """One question, its true answer u (n,) or (n, n_t), and the seconds it took.

    reason : why there is no answer, or ""
    """

    mu: np.ndarray
    u: np.ndarray
    seconds: float
    reason: str = ""


def compare_field(
    part: Part, rows: RowMeans, values: np.ndarray, true: np.ndarray
) -> tuple[dict[str, float], Words]:
    """Numbers of one field, and the words that say what they are."""
    miss = true - values
    numbers = {
        "size": float(root_mean_square(true, rows).max()),
        "error": float(root_mean_square(miss, rows).max()),
    }
    words: Words = {"unit": part.quantity.unit, "norm": RMS, "level": _level(part)}
    std = part.spread(0)
    if std is not None:
        width = NormalDist().inv_cdf(0.5 + 0.5 * _level(part))
        inside = np.abs(miss) <= width * std
        numbers["covered"] = float(rows.mean(inside).mean())
        if inside.shape[1] > 1:
            numbers["covered_whole"] = float(rows.mean(inside.all(axis=1)[:, None])[0])
    for error in part.errors[:1]:
        numbers |= _statement(error, rows, miss, true)
        words |= {"known": error.known.value, "bound_norm": error.norm}
        words |= {"held_level": error.level, "held_whole": error.whole}
    return numbers, words


def _level(part: Part) -> float:
    """Of the bands of deviations: that of a conformal band made of them."""
    for error in part.errors:
        if error.known is Known.CONFORMAL and error.norm not in FIELD_NORMS:
            return error.level
    return LEVEL


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
        numbers["effectivity"] = least_ratio(values, own, float(norm(true, rows).max()))
        if error.known is Known.CONFORMAL:
            inside = own <= values
            numbers["held"] = float(inside.all() if error.whole else inside.mean())
    return numbers


def compare_outputs(
    answer: Prediction, run: TrueRun, truth: Truth | None
) -> dict[str, tuple[dict[str, float], Words]]:
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
        "effectivity": least_ratio(bound, miss, float(size.max())),
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
