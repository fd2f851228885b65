"""Morphing, reference, shape rank and modes of a family, by cross-validation."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rom.arrays import each, gate, of_noun
from rom.errors import BadInput, Folded, NotConverged
from rom.gp.modal import AVERAGE
from rom.mesh import Mesh
from rom.parameters import Box
from rom.shapes.models import ShapeModel
from rom.shapes.morphing import Sample
from rom.shapes.overlays import Morph
from rom.shapes.reduction import Reduction
from rom.shapes.references import medoid, refine
from rom.shapes.simplex import simplices
from rom.shapes.straight import linear
from rom.shapes.subdivision import subdivide
from rom.shapes.training import (
    Layout,
    fit_shapes,
    fit_unmapped,
    lay_out,
    scalar_range,
    training_set,
)

CURVE_NODES = 1000  # of references of curves, at least: they cost little
FINER = 3  # times the nodes of the medoid, in the trial of a refined reference
MOST_SHOWN = 50  # samples that show where fields bend
GAIN = 0.98  # of the error, below which more modes or nodes are taken
MOST_MODES, RUNS_PER_MODE = 64, 2  # more modes only of more samples
MANY = 150  # samples, of which more than so many are not needed to tell morphings apart
OTHERS = ("matern32", AVERAGE)  # kernels that are tried beside the reduction's
START = Reduction(shape=8, fields=32, baseline=8)  # leave-one-out drops modes of noise anyway
# modes of a reduction that are chosen, in this order, and what they are called
KINDS = {"baseline": "baseline modes", "shape": "shape modes", "fields": "field modes"}
log = logging.getLogger("rom")


@dataclass(frozen=True, eq=False)
class ShapeTrial:
    """One way to lay out and reduce a family.

    error : relative L2 in cross-validation, mean over the fields, NaN where it was refused
    reason : of the refusal
    """

    text: str
    error: float
    reason: str = ""


@dataclass(frozen=True, eq=False)
class _Search:
    """What all trials share, and what was tried."""

    samples: Sequence[Sample]
    box: Box | None
    rng: int
    trials: list[ShapeTrial] = field(default_factory=list)

    def error(self, text: str, layout: Layout, reduction: Reduction) -> float:
        """The error of a trial in cross-validation, without mappings."""
        plain = replace(reduction, mapping=0)
        error = fit_unmapped(training_set(layout, self.box, plain, rng=self.rng)).error
        self.trials.append(ShapeTrial(text, error))
        log.info("%s: relative error %.4g in cross-validation", text, error)
        return error


@gate(samples=each(of_noun(Sample)), reference=Mesh)
def choose_shapes(
    samples: Sequence[Sample],
    morphs: Mapping[str, Morph],
    *,
    reference: Mesh | None = None,
    names: Sequence[str] = (),
    units: Sequence[str] = (),
    reduction: Reduction | None = None,
    keep: Sequence[str] = (),
    rng: int = 0,
) -> tuple[ShapeModel, list[ShapeTrial]]:
    """The model of least cross-validation error over morphings and ranks.

    morphs : to choose from, by name; those that fold or do not fit are passed over
    reference : None is the medoid, refined where that pays; names, units : of the scalars
    reduction : where the search starts, 8 modes of shapes and baselines and 32 of fields; its
        mapping is fitted for the choice alone
    keep : numbers of the reduction that are not searched: "shape", "fields", "baseline"
    Each sample is left out of modes and regression in turn, at the nodes of its own mesh; kernels
    are those of all. Of more than 150 samples every second, third, ... tells morphings, kernels and
    references apart, and all tell how many modes there are. Returns the model and all
    trials in order.
    Raises BadInput where no morphing serves, with the reason of each.
    Reference: Stone (1974).
    """
    box = scalar_range(samples, names, units)
    some = samples[:: -(-len(samples) // MANY)]
    search = _Search(some, box, rng)
    reduction = reduction or START
    layout, error = _choose_morph(search, morphs, reference, reduction)
    reduction, error = _choose_kernel(search, layout, reduction, error)
    if reference is None:
        layout, error = _choose_nodes(search, layout, reduction, error)
    if len(some) < len(samples):
        layout = lay_out(samples, layout.morph, layout.reference)
        error = search.error(f"{len(samples)} samples", layout, reduction)
    for name in KINDS:
        if name not in keep and (name != "baseline" or samples[0].baseline):
            reduction, error = _choose_rank(search, layout, reduction, error, name)
    model = fit_shapes(training_set(layout, box, reduction, rng=rng))
    return model, search.trials


def _choose_morph(
    search: _Search, morphs: Mapping[str, Morph], reference: Mesh | None, reduction: Reduction
) -> tuple[Layout, float]:
    """The layout of least error. Raises BadInput where no morphing serves."""
    best: tuple[Layout, float] | None = None
    for name, morph in morphs.items():
        try:
            base = _reference(search.samples, morph) if reference is None else linear(reference)
            layout = lay_out(search.samples, morph, base)
        except (BadInput, Folded, NotConverged) as error:
            search.trials.append(ShapeTrial(name, np.nan, str(error)))
            log.info("%s: %s", name, error)
            continue
        size = search.error(name, layout, reduction)
        if best is None or size < best[1]:
            best = layout, size
    if best is None:
        reasons = "; ".join(f"{trial.text}: {trial.reason}" for trial in search.trials)
        raise BadInput(f"no morphing serves: {reasons}")
    return best


def _reference(samples: Sequence[Sample], morph: Morph) -> Mesh:
    """The medoid; curves with every line halved until there are nodes enough."""
    mesh = medoid(samples, morph)
    if simplices(mesh).shape[1] > 2:
        return mesh
    while len(mesh.points) < CURVE_NODES:
        mesh = subdivide(mesh)
    return mesh


def _choose_nodes(
    search: _Search, layout: Layout, reduction: Reduction, error: float
) -> tuple[Layout, float]:
    """The layout on a reference refined where fields bend, if that lowers the error."""
    if simplices(layout.reference).shape[1] == 2:
        return layout, error
    nodes = FINER * len(layout.reference.points)
    step = -(-len(search.samples) // MOST_SHOWN)
    finer = refine(layout.reference, search.samples[::step], layout.morph, nodes)
    fine = lay_out(search.samples, layout.morph, finer)
    size = search.error(f"{len(finer.points)} nodes", fine, reduction)
    return (fine, size) if size < GAIN * error else (layout, error)


def _choose_rank(
    search: _Search, layout: Layout, reduction: Reduction, error: float, name: str
) -> tuple[Reduction, float]:
    """More or fewer modes of one kind while the error falls, by factors of two.

    Of equal errors the fewer modes stay.
    """
    if isinstance(getattr(reduction, name), Mapping):
        return reduction, error
    for factor in (2.0, 0.5):
        start = reduction
        while True:
            rank = int(factor * getattr(reduction, name))
            m = len(layout.samples)
            if not 1 <= rank <= min(max(MOST_MODES, m // RUNS_PER_MODE), m - 2):
                break
            change: dict[str, Any] = {name: rank}
            trial = replace(reduction, **change)
            size = search.error(f"{KINDS[name]} {rank}", layout, trial)
            if size >= GAIN * error:
                break
            reduction, error = trial, size
        if reduction is not start:
            break
    return reduction, error


def _choose_kernel(
    search: _Search, layout: Layout, reduction: Reduction, error: float
) -> tuple[Reduction, float]:
    """The kernel of least error."""
    for name in OTHERS:
        trial = replace(reduction, kernel=name)
        size = search.error(f"kernel {name}", layout, trial)
        if size < error:
            reduction, error = trial, size
    return reduction, error
