"""Fields on meshes that all differ: morph, map, reduce, regress; and back on the user's own mesh with standard deviations."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from rom.basis import Basis
from rom.errors import BadInput
from rom.gp.modal import regression
from rom.mesh import Mesh
from rom.parameters import Box
from rom.shapes.embeddings import embedding, modes
from rom.shapes.fields import field_model, space_of, ways
from rom.shapes.mappings import mappings
from rom.shapes.models import FieldModel, ShapeModel, ShapePrediction, Way
from rom.shapes.morphing import Morphing, Sample
from rom.shapes.overlay import Morph, locate, overlay, shift_transfers
from rom.shapes.reduction import Reduction
from rom.shapes.references import medoid
from rom.shapes.simplex import linear

__all__ = [
    "FieldModel", "Morph", "Reduction", "ShapeModel", "ShapePrediction", "embedding", "medoid", "overlay", "shape_model",
]  # fmt: skip
log = logging.getLogger("rom")


def shape_model(
    samples: Sequence[Sample],
    morph: Morph,
    reference: Mesh | None = None,
    names: Sequence[str] = (),
    units: Sequence[str] = (),
    reduction: Reduction | None = None,
    rng: int = 0,
) -> ShapeModel:
    """MMGP, or O-MMGP where reduction.mapping > 0, of samples that carry the same fields, scalars and outputs.

    reference : the medoid by default; names, units : of the scalars. The order of the samples does not matter.
    Raises BadInput for fewer than five samples or unlike ones, Folded naming the cell of a morphing that folds.
    """
    how = reduction or Reduction()
    _alike(samples)
    reference = medoid(samples, morph) if reference is None else linear(reference)
    at = locate(reference, morph)
    laid = [overlay(s.mesh, reference, morph, at) for s in samples]
    shapes = embedding(np.array([x.points for x in laid]), reference, how.shape, 1e-3, how.rigid)
    given = _baselines(samples, laid, reference, how)
    blank = ShapeModel(
        morph, shapes, at.points, _range(samples, names, units), given, None, None, ()
    )
    z = np.array([blank.inputs(s, x) for s, x in zip(samples, laid, strict=True)])
    sizes = {
        name: np.array([blank.size(s, x, name) for s, x in zip(samples, laid, strict=True)])
        for name in samples[0].fields
    }
    ranks = {
        name: (how.fields[name] if isinstance(how.fields, Mapping) else how.fields)
        for name in sizes
    }

    def learnt(
        model: ShapeModel, on: Sequence[Morphing], back: Sequence[Way], more: int = 0
    ) -> tuple[FieldModel, ...]:
        return tuple(
            field_model(n, samples, on, sizes[n], model, z, back, ranks[n] + more, how, rng)
            for n in sizes
        )

    still = replace(blank, fields=learnt(blank, laid, ways(blank, laid, None), how.mapping))
    found = (
        _mapped(samples, laid, blank, z, how, price, learnt, rng)
        for price in how.prices
        if how.mapping
    )
    chosen = next(
        (model for model in found if model is not None and model.error < still.error), still
    )
    log.info(
        "cross-validation: relative error %.3e, %.3e without mappings", chosen.error, still.error
    )
    outputs = tuple(samples[0].outputs)
    table = np.array([[s.outputs[name] for name in outputs] for s in samples])
    return replace(chosen, outputs=outputs, scalars=regression(z, table, rng, calibrate=True))


def _mapped(
    samples: Sequence[Sample],
    laid: Sequence[Morphing],
    blank: ShapeModel,
    z: np.ndarray,
    how: Reduction,
    price: float,
    learnt: Callable[..., tuple[FieldModel, ...]],
    rng: int,
) -> ShapeModel | None:
    """The model with optimal mappings whose roughness has this price; None where they are the identity."""
    found = mappings(samples, laid, blank, z, how, price, rng)
    if found is None:
        return None
    basis, warp = found
    mapped = replace(blank, mapping=basis, warp=warp)
    w = basis.lift(warp.a.T).T.reshape(len(samples), *blank.chart.shape)
    moved = [
        shift_transfers(s.mesh, x, blank.at, shift)
        for s, x, shift in zip(samples, laid, w, strict=True)
    ]
    return replace(mapped, fields=learnt(mapped, moved, ways(mapped, laid, w)))


def _alike(samples: Sequence[Sample]) -> None:
    if len(samples) < 5:
        raise BadInput(f"{len(samples)} samples; a model over shapes needs five or more")
    for part in ("fields", "outputs", "baseline"):
        for k, s in enumerate(samples):
            if set(getattr(s, part)) != set(getattr(samples[0], part)) or len(s.mu) != len(
                samples[0].mu
            ):
                raise BadInput(
                    f"sample {k} has {part} {sorted(getattr(s, part))} and {len(s.mu)} scalars, unlike sample 0; give all of them the same"
                )


def _range(samples: Sequence[Sample], names: Sequence[str], units: Sequence[str]) -> Box | None:
    mu = np.array([s.mu for s in samples])
    if not mu.shape[1]:
        return None
    low, high = mu.min(axis=0), mu.max(axis=0)
    flat = high <= low
    names = tuple(names) or tuple(f"mu{j}" for j in range(mu.shape[1]))
    return Box(
        names,
        np.where(flat, low - 1e-9 - 1e-9 * np.abs(low), low),
        np.where(flat, high + 1e-9 + 1e-9 * np.abs(high), high),
        tuple(units),
    )


def _baselines(
    samples: Sequence[Sample], laid: Sequence[Morphing], reference: Mesh, how: Reduction
) -> dict[str, Basis]:
    found = {}
    for name, values in samples[0].baseline.items():
        space = space_of(reference, 1 if values.ndim == 1 else values.shape[1])
        u = np.array(
            [x.pull(s.baseline[name]).ravel() for s, x in zip(samples, laid, strict=True)]
        ).T
        found[name] = modes(space, u / np.maximum(space.norm(u), 1e-300), how.baseline, None)
    return found
