"""The answer of a model over shapes: fields on the mesh, and their bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rom.errors import BadInput
from rom.mesh import Mesh
from rom.model import Question
from rom.prediction import Error, Known, Output, Part, Place, Prediction, Quantity, Warned
from rom.shapes.lifting import LEVEL, NORMAL_90, FieldModel, predict_coefficients
from rom.shapes.manifolds import onto
from rom.shapes.morphing import Morphing, Sample

if TYPE_CHECKING:
    from rom.shapes.models import ShapeModel

SCORE = "shape score"  # output: above 1 the shape lies beyond the training cloud
DETERMINANT = "morphing determinant"  # output: the smallest, of the morphing of the mesh
NODAL = "nodal root mean square"
BAND = "half width of nodal bands, root mean square"
SHAPE, RANGE, FOLD = "shape", "range", "fold"  # kinds of warnings


@dataclass(frozen=True, eq=False)
class _SampleAnswer:
    """One sample: name -> values (n c,), deviations (n c,); outputs (q,) and theirs.

    folds : whether the predicted mapping was shrunk until it does not fold
    """

    fields: dict[str, tuple[np.ndarray, np.ndarray]]
    outputs: np.ndarray
    outputs_std: np.ndarray
    folds: bool


def answer_shape(model: ShapeModel, question: Question) -> Prediction:
    """Fields on the nodes of the mesh, outputs, and what is known of them.

    Raises BadInput where a baseline does not fit the mesh, Folded where the morphing folds.
    """
    if question.mesh is None:
        raise BadInput("the model asks for a mesh; none was given")
    morphing = model.lay(question.mesh)
    samples = [_sample(question, question.mesh, k) for k in range(question.m)]
    answers = [_answer_sample(model, sample, morphing) for sample in samples]
    score = model.embedding.score(morphing.points)
    outside = [model.names_outside(sample.mu) for sample in samples]
    folds = [answer.folds for answer in answers]
    inside = np.array([score <= 1.0 and not names for names in outside])
    outputs = _outputs(model, answers)
    outputs[SCORE] = Output(np.full(question.m, score))
    outputs[DETERMINANT] = Output(np.full(question.m, morphing.jacobian))
    parts = {}
    for part in model.fields:
        parts[part.name] = _part(part, [answer.fields[part.name] for answer in answers])
    warnings = [
        *_shape_warnings(score, question.m),
        *_range_warnings(model, question),
        *_fold_warnings(folds),
    ]
    return Prediction(
        question,
        parts,
        outputs,
        mesh=question.mesh,
        inside=inside,
        warnings=tuple(warnings),
    )


def mean_fields(model: ShapeModel, sample: Sample) -> dict[str, np.ndarray]:
    """The mean of the training fields on the mesh of a sample (n c,), by name.

    What the model would answer if it had learnt nothing else; the baseline is added.
    """
    morphing = model.lay(sample.mesh)
    means = {}
    for part in model.fields:
        offset = np.broadcast_to(part.basis.offset, part.basis.space.n)
        mean = morphing.back @ offset.reshape(-1, part.components)
        shift = sample.baseline.get(part.name, np.zeros(mean.shape))
        size = model.size(sample, morphing, part.name)
        means[part.name] = (size * mean + shift.reshape(mean.shape)).ravel()
    return means


def field_quantity(part: FieldModel) -> Quantity:
    """The field of a model as what it tells."""
    return Quantity(part.name, part.unit, part.components, Place.NODES)


def _sample(question: Question, mesh: Mesh, k: int) -> Sample:
    """The mesh, scalars and baselines of one sample of a question."""
    baseline = {}
    for name, values in question.fields.items():
        own = values[..., k]
        baseline[name] = own[:, 0] if own.shape[1] == 1 else own
    return Sample(mesh, question.mu[k], baseline=baseline)


def _answer_sample(model: ShapeModel, sample: Sample, morphing: Morphing) -> _SampleAnswer:
    z = model.inputs(sample, morphing)[None]
    w, spread = model.warp_modes(z)
    back = model.back_transfer(morphing, w, spread)
    folds = model.mapping is not None and not np.array_equal(
        back.moved.points, onto(model.at, model.chart + w)
    )
    fields = {}
    for part in model.fields:
        a, s = predict_coefficients(part.gp, z)
        mean, std = back.lift(part, a[0], s[0])
        size = model.size(sample, morphing, part.name)
        shift = sample.baseline.get(part.name, np.zeros(mean.shape))
        values = size * mean + shift.reshape(mean.shape)
        fields[part.name] = (values.ravel(), (size * std).ravel())
    outputs, outputs_std = predict_coefficients(model.scalars, z)
    return _SampleAnswer(fields, outputs[0], outputs_std[0], folds)


def _part(part: FieldModel, answers: Sequence[tuple[np.ndarray, np.ndarray]]) -> Part:
    """Values (n c, m, 1) of a field, their deviations, what is known of the error."""
    values = np.stack([mean for mean, _ in answers], axis=1)[:, :, None]
    std = np.stack([deviation for _, deviation in answers], axis=1)[:, :, None]
    rms = np.sqrt(np.mean(std[:, :, 0] ** 2, axis=0))
    if part.calibrated:
        error = Error(NORMAL_90 * rms, Known.CONFORMAL, BAND, part.unit, LEVEL)
    else:
        error = Error(rms, Known.STATISTICAL, NODAL, part.unit)
    return Part(field_quantity(part), values, std=std, errors=(error,))


def _outputs(model: ShapeModel, answers: Sequence[_SampleAnswer]) -> dict[str, Output]:
    outputs = {}
    for k, quantity in enumerate(model.output_quantities):
        value = np.array([answer.outputs[k] for answer in answers])
        std = np.array([answer.outputs_std[k] for answer in answers])
        error = Error(std, Known.STATISTICAL, "absolute value", quantity.unit)
        outputs[quantity.name] = Output(value, quantity.unit, error)
    return outputs


def _shape_warnings(score: float, m: int) -> list[Warned]:
    if score <= 1.0:
        return []
    text = (
        f"the shape lies beyond the training shapes: score {score:.3g}, 1 at the edge of their "
        "cloud; train on shapes like it"
    )
    return [Warned(SHAPE, text, tuple(range(m)))]


def _range_warnings(model: ShapeModel, question: Question) -> list[Warned]:
    """A warning for each scalar that leaves the range of the training samples."""
    box = model.box
    if box is None:
        return []
    warnings = []
    for j, name in enumerate(box.names):
        column, low, high = question.mu[:, j], box.lower[j], box.upper[j]
        rows = np.flatnonzero((column < low) | (column > high))
        if len(rows):
            text = (
                f"{name} = {column[rows[0]]:g} {box.units[j]} is outside the training samples' "
                f"[{low:g}, {high:g}]"
            )
            warnings.append(Warned(RANGE, text, tuple(rows.tolist())))
    return warnings


def _fold_warnings(folds: Sequence[bool]) -> list[Warned]:
    rows = tuple(k for k, folded in enumerate(folds) if folded)
    text = "the predicted mapping folds; it was shrunk until it does not"
    return [Warned(FOLD, text, rows)] if rows else []
