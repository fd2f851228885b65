"""One field over shapes: its modes, their process, and bands for samples left out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rom.gp.averages import ProcessAverage
from rom.gp.coefficients import CoefficientGP
from rom.gp.modal import AVERAGE, average_regression, condition_on, regression, useful_modes
from rom.mesh import Mesh
from rom.shapes.embeddings import modes
from rom.shapes.lifting import (
    LEVEL,
    NORMAL_90,
    BackTransfer,
    FieldModel,
    predict_coefficients,
)
from rom.shapes.models import ShapeModel
from rom.shapes.morphing import Morphing
from rom.shapes.reduction import TrainingSet
from rom.shapes.simplex import lumped_mass, simplices
from rom.space import Space

LEAST_FACTOR = 1e-3
LEAST_STD = 1e-150
LEAST_NORM = 1e-2  # of a typical one, to which errors of fields that nearly vanish are compared
TINY = 1e-300
log = logging.getLogger("rom")


@dataclass(frozen=True, eq=False)
class FieldData:
    """One field of all samples, less its baseline and scaled.

    u : per sample (n_i, c); pulled : on the reference (N c, m)
    lost : (N c, m) the square of what the way there and back loses
    back : to each sample's mesh
    sizes (m,) : what the differences were divided by; norms (m,) : |u_i|_2 at the nodes
    """

    name: str
    components: int
    space: Space
    u: list[np.ndarray]
    pulled: np.ndarray
    lost: np.ndarray
    back: Sequence[BackTransfer]
    sizes: np.ndarray
    norms: np.ndarray


def space_of(reference: Mesh, components: int) -> Space:
    """L2 of fields on the reference by its lumped mass, of weight one per component."""
    area = lumped_mass(reference.points, simplices(reference))
    share = area / area.sum()
    unknowns = np.arange(components * len(area))
    return Space(np.repeat(share, components), unknowns)


def back_transfers(
    model: ShapeModel, morphings: Sequence[Morphing], w: np.ndarray | None
) -> list[BackTransfer]:
    """Back to each training mesh through the mapping that the others predict.

    w : (m, N, d) their own mappings, None without
    """
    if w is None or model.warp is None or model.mapping is None:
        still, spread = model.warp_modes(np.zeros((1, 0)))
        return [model.back_transfer(morphing, still, spread) for morphing in morphings]
    residuals, stds = model.warp.leave_one_out()
    mapping_modes = model.mapping_spread(np.ones(model.mapping.r))
    transfers = []
    for morphing, own, residual, std in zip(morphings, w, residuals, stds, strict=True):
        predicted = own - mapping_modes @ residual
        spread = model.mapping_spread(std)
        transfers.append(model.back_transfer(morphing, predicted, spread))
    return transfers


def field_models(
    training: TrainingSet,
    morphings: Sequence[Morphing],
    back: Sequence[BackTransfer],
    *,
    extra: int = 0,
) -> tuple[FieldModel, ...]:
    """The models of all fields, with at most `extra` modes beyond the reduction's."""
    parts = []
    for name in training.samples[0].fields:
        data = _field_data(training, name, morphings, back)
        rank = training.reduction.rank(name) + extra
        parts.append(field_model(training, data, rank))
    return tuple(parts)


def field_model(training: TrainingSet, data: FieldData, rank: int) -> FieldModel:
    """POD and regression of one field, calibrated by cross-validation.

    Its variance includes what truncation and transfer leave out.
    """
    every = np.arange(len(training.samples))
    whole = _fit(training, data, every, rank)
    useful = useful_modes(whole.gp)
    if useful < whole.basis.r:
        log.info("%s: leave-one-out keeps %d of %d modes", data.name, useful, whole.basis.r)
        whole = _fit(training, data, every, useful)
    factor, error, mean_error = _calibrate(training, data, whole)
    return replace(whole, factor=factor, error=error, mean_error=mean_error)


def _field_data(
    training: TrainingSet,
    name: str,
    morphings: Sequence[Morphing],
    back: Sequence[BackTransfer],
) -> FieldData:
    """A field of all samples in the form that modes are made of."""
    has_baseline = name in training.blank.given
    u, pulled, lost = [], [], []
    sizes, norms = [], []
    for s, own, morphing in zip(training.samples, training.morphings, morphings, strict=True):
        difference = s.fields[name] - s.baseline.get(name, 0.0)
        size = training.blank.size(s, own, name) if has_baseline else 1.0
        values = (difference / size).reshape(len(own.place), -1)
        on_reference = morphing.to @ values
        round_trip = morphing.back @ on_reference
        u.append(values)
        sizes.append(size)
        norms.append(np.linalg.norm(s.fields[name]))
        pulled.append(on_reference.ravel())
        lost.append((morphing.to @ (round_trip - values) ** 2).ravel())
    components = u[0].shape[1]
    space = space_of(training.blank.embedding.reference, components)
    columns = np.array(pulled).T
    return FieldData(
        name, components, space, u, columns, np.array(lost).T, back,
        sizes=np.array(sizes), norms=np.array(norms),
    )  # fmt: skip


def _fit(
    training: TrainingSet,
    data: FieldData,
    rows: np.ndarray,
    rank: int,
    like: FieldModel | None = None,
) -> FieldModel:
    """The model of some samples; like : the one of all, whose kernels it takes."""
    v = data.pulled[:, rows]
    count = len(rows)
    tol = training.reduction.tol if like is None else None
    basis = modes(data.space, v, min(rank, count - 1), tol)
    a = basis.coefficients(v)
    square = np.mean((v - basis.lift(a)) ** 2, axis=1)
    truncation = square * count / max(count - 1 - len(a), 1)
    z = training.z[rows]
    gp = condition_on(like.gp, z, a.T) if like is not None else _regress(training, z, a.T)
    floor = truncation + np.mean(data.lost[:, rows], axis=1)
    factor = np.ones(data.components)
    unit = training.samples[0].units.get(data.name, "1")
    return FieldModel(data.name, data.components, basis, gp, floor, factor, error=0.0, unit=unit)


def _regress(
    training: TrainingSet, z: np.ndarray, a: np.ndarray
) -> CoefficientGP | ProcessAverage | None:
    """The process of coefficients a (m, r) with the reduction's kernel."""
    if training.reduction.kernel == AVERAGE:
        return average_regression(z, a, rng=training.rng)
    return regression(z, a, rng=training.rng, kernel=training.reduction.kernel)


def _calibrate(
    training: TrainingSet, data: FieldData, whole: FieldModel
) -> tuple[np.ndarray, float, float]:
    """Factors (c,) with which 90 % bands hold 90 % of the errors of samples left out.

    Left out of modes and fit, at the nodes of their own meshes, every sample counting the same;
    mean_i |u_i - v_i|_2 / |u_i|_2 of the model, fields that nearly vanish counting as small ones;
    and the same of the mean field of the samples that are not left out. Kernels are those of all
    samples: their few logarithms hardly know the ones left out. Folds follow the rank of the first
    input, so that the order of the samples does not matter.
    """
    ratios: list[np.ndarray] = [np.zeros(0)] * len(data.u)
    errors = np.zeros(2)  # of the model, of the mean field
    typical = float(np.sqrt(np.mean(data.norms**2)))
    norms = np.maximum(data.norms, max(LEAST_NORM * typical, TINY))
    fold, rank = _folds(training), whole.basis.r
    for k in range(fold.max() + 1):
        rows = np.flatnonzero(fold != k)
        out = np.flatnonzero(fold == k)
        part = _fit(training, data, rows, rank, whole)
        a, s = predict_coefficients(part.gp, training.z[out])
        offset = np.broadcast_to(part.basis.offset, data.space.n).reshape(-1, data.components)
        for sample, mean_a, std_a in zip(out.tolist(), a, s, strict=True):
            mean, std = data.back[sample].lift(part, mean_a, std_a)
            u = data.u[sample]
            difference = u - mean
            ratios[sample] = np.abs(difference) / np.maximum(std, LEAST_STD)
            mean_field = data.back[sample].matrix @ offset
            sizes = np.linalg.norm(difference), np.linalg.norm(u - mean_field)
            errors += data.sizes[sample] * np.array(sizes) / norms[sample]
    weights = [np.full(len(ratio), 1 / len(ratio)) for ratio in ratios]
    weight = np.concatenate(weights)
    factors = []
    for column in np.concatenate(ratios).T:
        width = _quantile(column, weight, LEVEL) / NORMAL_90
        factors.append(max(width, LEAST_FACTOR))
    error, mean_error = errors / len(data.u)
    return np.array(factors), float(error), float(mean_error)


def _folds(training: TrainingSet) -> np.ndarray:
    """The fold of each sample (m,), by the rank of its first input."""
    first_input = training.z[:, 0]
    order = np.argsort(first_input, kind="stable")
    rank = np.argsort(order, kind="stable")
    return rank % min(training.reduction.folds, len(rank) // 2)


def _quantile(values: np.ndarray, weight: np.ndarray, share: float) -> float:
    """The value below which a share of the weight lies."""
    order = np.argsort(values)
    total = np.cumsum(weight[order]) / weight.sum()
    return float(values[order][np.searchsorted(total, share)])
