"""One field over shapes: its modes, their process, and bands that hold for samples left out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from rom.gp.modal import condition_on, regression, useful_modes
from rom.mesh import Mesh
from rom.shapes.embeddings import modes
from rom.shapes.models import FieldModel, ShapeModel, Way, lift_to_mesh, predict_coefficients
from rom.shapes.morphing import Morphing, Sample
from rom.shapes.reduction import Reduction
from rom.shapes.simplex import lumped_mass, simplices
from rom.space import Space

log = logging.getLogger("rom")
NORMAL_90 = 1.6448536


def space_of(reference: Mesh, components: int) -> Space:
    """L2 of fields on the reference by its lumped mass, of total weight one per component."""
    area = lumped_mass(reference.points, simplices(reference))
    return Space(np.repeat(area / area.sum(), components), np.arange(components * len(area)))


def ways(model: ShapeModel, laid: Sequence[Morphing], w: np.ndarray | None) -> list[Way]:
    """The way back to each training mesh through the mapping that the other samples predict; w (m, N, d) their own mappings."""
    if w is None or model.warp is None or model.mapping is None:
        return [model.way(x, *model.warp_modes(np.zeros((1, 0)))) for x in laid]
    drift, t = model.warp.leave_one_out()
    modes = model.mapping_sway(np.ones(model.mapping.r))
    return [
        model.way(x, shift - modes @ off, model.mapping_sway(std))
        for x, shift, off, std in zip(laid, w, drift, t, strict=True)
    ]


def field_model(
    name: str,
    samples: Sequence[Sample],
    laid: Sequence[Morphing],
    sizes: np.ndarray,
    model: ShapeModel,
    z: np.ndarray,
    back: Sequence[Way],
    rank: int,
    how: Reduction,
    rng: int,
) -> FieldModel:
    """POD and regression of one field, with what truncation and transfer leave out, calibrated by cross-validation."""
    u = [
        ((s.fields[name] - s.baseline.get(name, 0.0)) / size).reshape(len(x.place), -1)
        for s, x, size in zip(samples, laid, sizes, strict=True)
    ]
    pulled = [x.pull(values) for x, values in zip(laid, u, strict=True)]
    missed = [
        x.pull((x.push(pull) - values) ** 2)
        for x, pull, values in zip(laid, pulled, u, strict=True)
    ]
    v, lost = (np.array(part).reshape(len(u), -1).T for part in (pulled, missed))
    c = u[0].shape[1]
    space = space_of(model.embedding.reference, c)

    def fitted(rows: np.ndarray, r: int, like: FieldModel | None = None) -> FieldModel:
        basis = modes(space, v[:, rows], min(r, len(rows) - 1), None if like else how.tol)
        a = basis.coefficients(v[:, rows])
        rest = (
            np.mean((v[:, rows] - basis.lift(a)) ** 2, axis=1)
            * len(rows)
            / max(len(rows) - 1 - basis.r, 1)
        )
        gp = condition_on(like.gp, z[rows], a.T) if like else regression(z[rows], a.T, rng)
        return FieldModel(
            name, c, basis, gp, rest + np.mean(lost[:, rows], axis=1), np.ones(c), 0.0
        )

    every = np.arange(len(samples))
    whole = fitted(every, rank)
    if (r := useful_modes(whole.gp)) < whole.basis.r:
        log.info("%s: leave-one-out keeps %d of %d modes", name, r, whole.basis.r)
        whole = fitted(every, r)
    factor, error = _calibrated(fitted, whole, z, u, back, how.folds)
    return replace(whole, factor=factor, error=error)


def _calibrated(
    fitted: Callable[..., FieldModel],
    whole: FieldModel,
    z: np.ndarray,
    u: Sequence[np.ndarray],
    back: Sequence[Way],
    folds: int,
) -> tuple[np.ndarray, float]:
    """The factors (c,) with which 90 % bands hold 90 % of the errors of samples left out of modes and fit, at the nodes of their own meshes,
    every sample counting the same; and these errors over the fields, root mean square.

    Kernels are those of all samples: their few logarithms hardly know the ones left out. Folds follow the rank of the first input, so that the order of the samples does not matter.
    """
    ratio: list[np.ndarray] = [np.zeros(0)] * len(u)
    error = size = 0.0
    fold = np.argsort(np.argsort(z[:, 0], kind="stable"), kind="stable") % min(folds, len(z) // 2)
    for k in range(fold.max() + 1):
        part, out = (
            fitted(np.flatnonzero(fold != k), whole.basis.r, whole),
            np.flatnonzero(fold == k),
        )
        for i, a, s in zip(out.tolist(), *predict_coefficients(part.gp, z[out]), strict=True):
            mean, std = lift_to_mesh(part, a, s, back[i])
            ratio[i] = np.abs(u[i] - mean) / np.maximum(std, 1e-150)
            error, size = error + np.sum((u[i] - mean) ** 2), size + np.sum(u[i] ** 2)
    weight = np.concatenate([np.full(len(r), 1 / len(r)) for r in ratio])
    factor = [
        max(_quantile(column, weight, 0.9) / NORMAL_90, 1e-3) for column in np.concatenate(ratio).T
    ]
    return np.array(factor), float(np.sqrt(error / max(size, 1e-300)))


def _quantile(values: np.ndarray, weight: np.ndarray, share: float) -> float:
    order = np.argsort(values)
    return float(values[order][np.searchsorted(np.cumsum(weight[order]) / weight.sum(), share)])
