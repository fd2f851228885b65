"""Pictures of local bases: samples in the plane, expected gain against K."""

from __future__ import annotations

from typing import Any

import numpy as np

from rom.arrays import POINTS, VECTOR, gate, integers
from rom.errors import BadInput
from rom.plot.figures import add_legend_below, label_axes, new_figure, save_figure

MARKERS = "os^Dv<>pP*"
N_COLOURS = 10  # of matplotlib's cycle; the marker changes after each round


@gate(x=POINTS, labels=integers)
def cluster_plot(
    path: Any, x: np.ndarray, labels: np.ndarray, *, share: float | None = None, title: str = ""
) -> Any:
    """Samples x (m, 2) of a multidimensional scaling, coloured by cluster.

    share : part of the squared distances that the plane keeps
    Raises BadInput for other shapes, NaN and Inf.
    """
    x, labels = np.asarray(x, dtype=float), np.asarray(labels)
    in_plane = x.ndim == 2 and x.shape[1] == 2
    if not in_plane or labels.shape != (len(x),) or not np.isfinite(x).all():
        raise BadInput(
            f"points have shape {x.shape}, labels {labels.shape}; give finite (m, 2) and (m,)"
        )
    figure, axes = new_figure()
    for k in np.unique(labels):
        members = x[labels == k]
        marker = MARKERS[int(k) // N_COLOURS % len(MARKERS)]
        colour = f"C{int(k) % N_COLOURS}"
        name = f"cluster {k}: {len(members)}"
        axes.plot(members[:, 0], members[:, 1], marker, ms=4, color=colour, label=name)
    axes.set_aspect("equal", adjustable="datalim")
    axes.grid(True, alpha=0.3)
    xlabel = "first coordinate [-]"
    if share is not None:
        xlabel += f" ({100 * share:.0f} % of squared dissimilarity in the plane)"
    axes.set(xlabel=xlabel, ylabel="second coordinate [-]", title=title)
    figure.legend(loc="outside right upper")
    return save_figure(path, figure)


@gate(k=VECTOR, gain=VECTOR, std=VECTOR, achieved=VECTOR)
def gain_plot(
    path: Any,
    k: np.ndarray,
    gain: np.ndarray,
    std: np.ndarray,
    *,
    achieved: np.ndarray | None = None,
    title: str = "",
) -> Any:
    """Expected gain G(K) with two standard deviations, the best marked.

    achieved : gains as they were measured afterwards
    Raises BadInput where K, gain and std are not vectors of one length.
    """
    k, gain, std = (np.asarray(values, dtype=float) for values in (k, gain, std))
    if not k.shape == gain.shape == std.shape or k.ndim != 1:
        raise BadInput(
            f"K {k.shape}, gain {gain.shape} and std {std.shape} must be vectors of one length"
        )
    if std.size and std.min() < 0:
        raise BadInput(f"std holds {std.min():g}; give deviations of at least zero")
    figure, axes = new_figure()
    expected = "expected, two standard deviations"
    axes.errorbar(k, gain, yerr=2 * std, fmt="o-", ms=4, capsize=3, label=expected)
    if achieved is not None:
        axes.plot(k, achieved, "s--", ms=4, label="achieved on unseen runs")
    axes.axhline(1.0, color="0.4", lw=1, label="one global basis")
    best = k[int(np.argmax(gain))]
    axes.axvline(best, color="0.8", lw=6, zorder=0, label="recommended K")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.margins(x=0.1)
    ylabel = "gain: global over local error [-]"
    label_axes(axes, "clusters K [-]", ylabel, title, legend=False)
    add_legend_below(figure, axes)
    return save_figure(path, figure)
