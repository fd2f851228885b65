"""What every online model answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import numpy as np

from rom.basis import Basis


class Known(Enum):
    """What is known of a model's error: the property `known` of the model."""

    CERTIFIED = "certified bound"
    STATISTICAL = "standard deviation"
    NOTHING = "nothing"


@dataclass(frozen=True, eq=False)
class Prediction:
    """Coefficients and what is known of their error.

    mu : (p,) or (m, p); coefficients : (r,), (r, m), or (r, n_t) for a trajectory
    bound : certified bound of the error in the space's norm, scalar or one per column, or None
    std : statistical standard deviation of each coefficient, shaped like `coefficients`, or None
    """

    mu: np.ndarray
    coefficients: np.ndarray
    bound: Any = None
    std: np.ndarray | None = None
    t: np.ndarray | None = None


class ReducedModel(Protocol):
    """Anything that answers parameters online."""

    @property
    def basis(self) -> Basis: ...

    def predict(self, mu: np.ndarray) -> Prediction: ...
