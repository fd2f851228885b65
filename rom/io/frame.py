"""One time of a result file."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rom.io.grid import Fields


@dataclass(frozen=True, eq=False)
class Frame:
    """Fields name -> (values, unit) on points, cells and points of integration, whose positions are x (g, d), at time t [s] or unknown."""

    t: float | None
    points: Fields
    cells: Fields
    integration: Fields = field(default_factory=dict)
    x: np.ndarray | None = None
