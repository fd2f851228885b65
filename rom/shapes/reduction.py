"""What a model over shapes is reduced to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, eq=False)
class Reduction:
    """How many modes at most: `shape` for coordinates, `fields` for fields (a number, or per field; leave-one-out drops those that are
    noise), `mapping` for optimal mappings (0: none).

    tol : or fewer where the training set is met to it; baseline : modes of the baseline that the regression sees; rigid : motions are taken out
    mapped : fields that drive the mappings (none named: all); options : of `optimal_mappings`
    prices : of rough mappings, rho of `optimal_mappings`, tried in turn until cross-validation prefers mappings to none
    folds : of the cross-validation inside the training set that calibrates standard deviations
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
