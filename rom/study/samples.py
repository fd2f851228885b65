"""A model over shapes against samples, each with its own mesh, fields and outputs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rom.errors import BadInput
from rom.prediction import Prediction
from rom.shapes import Sample, ShapeModel
from rom.shapes.answers import mean_fields
from rom.study.comparison import Study, TrueRun, compare_answer, gather_rows, root_mean_square

MEAN_FIELD = "mean field"


def study_samples(model: ShapeModel, samples: Sequence[Sample]) -> Study:
    """Errors of each field and output over samples that the model has not seen.

    Beside them the trivial row: the mean of the training fields, carried to the mesh of each
    sample. Raises BadInput for no samples, and for a sample without a field of the model.
    """
    if not samples:
        raise BadInput("no samples to study; give designs that the model has not seen")
    rows, online = [], 0.0
    trivial: dict[str, list[float]] = {}
    for sample in samples:
        begin = time.perf_counter()
        answer = model.predict(sample.mu, mesh=sample.mesh, fields=sample.baseline)
        online += time.perf_counter() - begin
        true = _state(answer, sample)
        run = TrueRun(sample.mu, true, np.nan)
        rows.append(compare_answer(model, answer, run, {}, _true_outputs(sample)))
        for name, mean in mean_fields(model, sample).items():
            u = np.ravel(sample.fields[name])
            error = root_mean_square(u - mean) / max(root_mean_square(u), 1e-300)
            trivial.setdefault(f"{MEAN_FIELD}, {name}", []).append(float(error))
    mus = np.array([sample.mu for sample in samples])
    table = gather_rows(mus, rows, (np.nan, online, np.nan))
    return replace(table, trivial={name: np.array(errors) for name, errors in trivial.items()})


def _state(answer: Prediction, sample: Sample) -> np.ndarray:
    """The true fields one after the other, as in the answer. Raises BadInput."""
    columns = []
    for name in answer.parts:
        if name not in sample.fields:
            names = ", ".join(sample.fields) or "none"
            raise BadInput(f"a sample has no field {name!r} to compare with; it has {names}")
        columns.append(np.ravel(sample.fields[name]))
    return np.concatenate(columns)


def _true_outputs(sample: Sample) -> Callable[[Any, Any], dict[str, float]]:
    """(u, mu) -> the outputs of the sample."""
    return lambda u, mu: sample.outputs
