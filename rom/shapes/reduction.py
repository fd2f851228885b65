"""What a model over shapes is trained on, and reduced to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rom.gp.kernel_names import MATERN
from rom.shapes.models import ShapeModel
from rom.shapes.morphing import Morphing, Sample


@dataclass(frozen=True, eq=False)
class Reduction:
    """How many modes at most, and how they are chosen.

    shape : of coordinates
    fields : of fields, a number or one per field by name; leave-one-out drops those of noise
    mapping : of optimal mappings (0: none); baseline : of the baseline that the regression sees
    tol : relative error of the training set at which fewer field modes do
    rigid : rotations and translations are taken out
    mapped : fields that drive the mappings (none named: all)
    options : of `optimal_mappings`
    prices : of rough mappings, rho of `optimal_mappings`, tried in turn until cross-validation
        prefers mappings to none
    folds : of the cross-validation in the training set that calibrates standard deviations
    kernel : of the processes of field modes: matern52, matern32 where fields have kinks, or
        "average" of several
    """

    shape: int = 8
    fields: Any = 16
    mapping: int = 0
    baseline: int = 6
    tol: float = 1e-4
    rigid: bool = True
    mapped: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    prices: tuple[float, ...] = (0.01, 1.0, 10.0)
    folds: int = 10
    kernel: str = MATERN

    def rank(self, name: str) -> int:
        """Modes of a field, at most."""
        ranks = self.fields
        return int(ranks[name]) if isinstance(ranks, Mapping) else int(ranks)


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Samples laid over the reference of `blank`, a model that has no fields yet.

    z (m, q) : inputs of the regressions; rng : seed of the random numbers
    """

    samples: Sequence[Sample]
    morphings: Sequence[Morphing]
    blank: ShapeModel
    z: np.ndarray
    reduction: Reduction
    rng: int
