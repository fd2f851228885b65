"""One time of a result file."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rom.io.fields import Fields

AT_POINTS, AT_CELLS = "points", "cells"


@dataclass(frozen=True, eq=False)
class Frame:
    """Fields name -> (values, unit) at time t [s], None where the file knows no time.

    points, cells, integration : fields there; x : the points of integration (g, d)
    known : 'points:NAME' or 'cells:NAME' -> mask of where a field is known that is not known
        everywhere; it is NaN elsewhere
    """

    t: float | None
    points: Fields
    cells: Fields
    integration: Fields = field(default_factory=dict)
    x: np.ndarray | None = None
    known: dict[str, np.ndarray] = field(default_factory=dict)
