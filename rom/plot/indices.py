"""Bars of Sobol indices with their intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from rom.arrays import gate
from rom.decide import Sensitivity
from rom.plot.figures import label_axes, new_figure, save_figure

WIDTH = 0.4  # of a bar, over the distance of parameters


@gate(indices=Sensitivity)
def index_plot(path: Any, indices: Sensitivity) -> Any:
    """First and total indices of each parameter as bars, with their intervals."""
    figure, axes = new_figure()
    x = np.arange(len(indices.names))
    for k, (label, value) in enumerate({"first": indices.first, "total": indices.total}.items()):
        reach = np.array([value - indices.low[k], indices.high[k] - value])
        axes.bar(x + (k - 0.5) * WIDTH, value, WIDTH, yerr=reach, capsize=3, label=label)
    axes.set_xticks(x, indices.names)
    title = f"{indices.quantity}, deviation {indices.std:.3g} {indices.unit}"
    label_axes(axes, "parameter", "share of the variance [-]", title)
    return save_figure(path, figure)
