"""Fields on meshes that differ: morph, map, reduce, regress."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rom.arrays import each, gate, of_noun
from rom.basis import Basis
from rom.errors import BadInput
from rom.gp.modal import regression
from rom.mesh import Mesh
from rom.parameters import Box
from rom.shapes.answers import DETERMINANT, SCORE
from rom.shapes.embeddings import embedding, modes
from rom.shapes.fields import back_transfers, field_models, space_of
from rom.shapes.location import Locator
from rom.shapes.mappings import fit_mappings
from rom.shapes.models import ShapeModel
from rom.shapes.morphing import Morphing, Sample
from rom.shapes.overlays import Morph, locate, overlay, shift_transfers
from rom.shapes.reduction import Reduction, TrainingSet
from rom.shapes.references import medoid
from rom.shapes.straight import linear

LEAST_SAMPLES = 5
COORDINATE_TOL = 1e-3  # relative error of coordinates at which fewer shape modes do
TINY = 1e-300
log = logging.getLogger("rom")


@gate(samples=each(of_noun(Sample)), reference=Mesh)
def shape_model(
    samples: Sequence[Sample],
    morph: Morph,
    reference: Mesh | None = None,
    *,
    names: Sequence[str] = (),
    units: Sequence[str] = (),
    reduction: Reduction | None = None,
    rng: int = 0,
) -> ShapeModel:
    """MMGP of samples that carry the same fields, scalars and outputs.

    O-MMGP where reduction.mapping > 0. The order of the samples does not matter.
    reference : the medoid by default; names, units : of the scalars
    Raises BadInput for fewer than five samples or unlike ones, Folded naming the cell of a
    morphing that folds.
    """
    box = scalar_range(samples, names, units)
    reference = medoid(samples, morph) if reference is None else linear(reference)
    layout = lay_out(samples, morph, reference)
    return fit_shapes(training_set(layout, box, reduction or Reduction(), rng=rng))


def fit_shapes(training: TrainingSet) -> ShapeModel:
    """The model of a training set: its fields, mapped or not, and its outputs."""
    samples, rng = training.samples, training.rng
    chosen = _choose_mapping(training)
    outputs = tuple(samples[0].outputs)
    units_of_outputs = tuple(samples[0].units.get(name, "1") for name in outputs)
    table = [[s.outputs[name] for name in outputs] for s in samples]
    scalars = regression(training.z, np.array(table), rng=rng, calibrate=True)
    return replace(chosen, outputs=outputs, scalars=scalars, output_units=units_of_outputs)


@dataclass(frozen=True, eq=False)
class Layout:
    """Samples over one reference: what trials of other ranks share."""

    samples: Sequence[Sample]
    morph: Morph
    reference: Mesh
    at: Locator
    morphings: Sequence[Morphing]


def lay_out(samples: Sequence[Sample], morph: Morph, reference: Mesh) -> Layout:
    """Every sample over the reference. Raises Folded naming the cell that turns over."""
    at = locate(reference, morph)
    morphings = [overlay(s.mesh, reference, morph, at) for s in samples]
    return Layout(samples, morph, reference, at, morphings)


def training_set(
    layout: Layout, box: Box | None, reduction: Reduction, *, rng: int = 0
) -> TrainingSet:
    """The inputs of the regressions of samples that are laid out."""
    samples, morphings, reference = layout.samples, layout.morphings, layout.reference
    points = np.array([morphing.points for morphing in morphings])
    shapes = embedding(points, reference, reduction.shape, COORDINATE_TOL, reduction.rigid)
    bases = _baselines(samples, morphings, reference, reduction.baseline)
    blank = ShapeModel(
        layout.morph, shapes, layout.at.points, box, bases, mapping=None, warp=None, fields=()
    )
    z = [blank.inputs(s, morphing) for s, morphing in zip(samples, morphings, strict=True)]
    return TrainingSet(samples, morphings, blank, np.array(z), reduction, rng)


def _choose_mapping(training: TrainingSet) -> ShapeModel:
    """The first mapped model that cross-validation prefers, or the unmapped one."""
    still = chosen = fit_unmapped(training)
    prices = training.reduction.prices if training.reduction.mapping else ()
    for price in prices:
        mapped = _map(training, price)
        if mapped is not None and mapped.error < still.error:
            chosen = mapped
            break
    log.info(
        "cross-validation: relative error %.3e, %.3e without mappings", chosen.error, still.error
    )
    return chosen


def fit_unmapped(training: TrainingSet) -> ShapeModel:
    """The model of the fields without mappings, with as many modes as with them."""
    blank, morphings = training.blank, training.morphings
    back = back_transfers(blank, morphings, None)
    extra = training.reduction.mapping
    return replace(blank, fields=field_models(training, morphings, back, extra=extra))


def _map(training: TrainingSet, price: float) -> ShapeModel | None:
    """The model with optimal mappings of this price; None where they are id."""
    process = fit_mappings(training, price)
    if process is None:
        return None
    basis, warp = process
    blank = training.blank
    mapped = replace(blank, mapping=basis, warp=warp)
    m = len(training.samples)
    w = basis.lift(warp.a.T).T.reshape(m, *blank.chart.shape)
    shifted = []
    for s, morphing, shift in zip(training.samples, training.morphings, w, strict=True):
        shifted.append(shift_transfers(s.mesh, morphing, blank.at, shift))
    back = back_transfers(mapped, training.morphings, w)
    return replace(mapped, fields=field_models(training, shifted, back))


def _check_alike(samples: Sequence[Sample]) -> None:
    """Raises BadInput for too few samples, or where one differs from the first."""
    if len(samples) < LEAST_SAMPLES:
        raise BadInput(f"{len(samples)} samples; a model over shapes needs five or more")
    first = samples[0]
    for name in (SCORE, DETERMINANT):
        if name in first.outputs:
            raise BadInput(f"{name!r} is the name of what every answer says; rename that output")
    for k, s in enumerate(samples):
        if s.units != first.units:
            raise BadInput(
                f"sample {k} has units {s.units}, sample 0 {first.units}; give all of them the same"
            )
    for part in ("fields", "outputs", "baseline"):
        names = set(getattr(first, part))
        for k, s in enumerate(samples):
            own = set(getattr(s, part))
            count = len(s.mu)
            if own != names or count != len(first.mu):
                raise BadInput(
                    f"sample {k} has {part} {sorted(own)} and {count} scalars, unlike sample 0; "
                    "give all of them the same"
                )


def scalar_range(
    samples: Sequence[Sample], names: Sequence[str], units: Sequence[str]
) -> Box | None:
    """The range of the scalars of like samples, a little wider where it is a point.

    Raises BadInput for fewer than five samples or unlike ones.
    """
    _check_alike(samples)
    mu = np.array([s.mu for s in samples])
    p = mu.shape[1]
    if not p:
        return None
    low = mu.min(axis=0)
    high = mu.max(axis=0)
    flat = high <= low
    below = low - 1e-9 - 1e-9 * np.abs(low)
    above = high + 1e-9 + 1e-9 * np.abs(high)
    lower = np.where(flat, below, low)
    upper = np.where(flat, above, high)
    all_names = tuple(names) or tuple(f"mu{j}" for j in range(p))
    return Box(all_names, lower, upper, tuple(units))


def _baselines(
    samples: Sequence[Sample], morphings: Sequence[Morphing], reference: Mesh, rank: int
) -> dict[str, Basis]:
    """A basis of each baseline on the reference, of norm one per sample."""
    bases = {}
    for name, values in samples[0].baseline.items():
        components = 1 if values.ndim == 1 else values.shape[1]
        space = space_of(reference, components)
        pulled = []
        for s, morphing in zip(samples, morphings, strict=True):
            pulled.append(morphing.pull(s.baseline[name]).ravel())
        u = np.array(pulled).T
        size = np.maximum(space.norm(u), TINY)
        bases[name] = modes(space, u / size, rank, None)
    return bases
