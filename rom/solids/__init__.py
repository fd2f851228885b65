"""Hyper-reduced solids."""

from rom.solids.adaptive import RunStep
from rom.solids.switching import LocalWeighted
from rom.solids.training import RunState, SolidModel, Tolerances
from rom.solids.weighted import WeightedModel

NOUNS = (
    "LocalWeighted",
    "RunState",
    "RunStep",
    "SolidModel",
    "Tolerances",
    "WeightedModel",
)
__all__ = [
    "NOUNS",
    "LocalWeighted",
    "RunState",
    "RunStep",
    "SolidModel",
    "Tolerances",
    "WeightedModel",
]
