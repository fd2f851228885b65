"""Pictures of local bases: samples as points of the plane, and expected gain against the number of clusters."""

from __future__ import annotations

from typing import Any

import numpy as np

from rom.errors import BadInput
from rom.plot.curves import _done, _figure


def scatter(
    path: Any, x: np.ndarray, labels: np.ndarray, share: float | None = None, title: str = ""
) -> Any:
    """Samples x (m, 2) of a multidimensional scaling, coloured by cluster; `share` of the squared distances that the plane keeps."""
    x, labels = np.asarray(x, dtype=float), np.asarray(labels)
    if x.ndim != 2 or x.shape[1] != 2 or labels.shape != (len(x),) or not np.isfinite(x).all():
        raise BadInput(
            f"points have shape {x.shape}, labels {labels.shape}; give finite (m, 2) and (m,)"
        )
    figure, axes = _figure()
    for k in np.unique(labels):
        mine = labels == k
        axes.plot(
            *x[mine].T,
            "os^Dv<>pP*"[int(k) // 10 % 10],
            ms=4,
            color=f"C{int(k) % 10}",
            label=f"cluster {k}: {int(mine.sum())}",
        )
    axes.set_aspect("equal", adjustable="datalim")
    axes.grid(True, alpha=0.3)
    kept = "" if share is None else f" ({100 * share:.0f} % of squared dissimilarity in the plane)"
    axes.set(xlabel=f"first coordinate [-]{kept}", ylabel="second coordinate [-]", title=title)
    figure.legend(loc="outside right upper")
    figure.savefig(path, dpi=120, format="png", metadata={"Software": None})
    return path


def gains(
    path: Any,
    k: np.ndarray,
    gain: np.ndarray,
    std: np.ndarray,
    achieved: np.ndarray | None = None,
    title: str = "",
) -> Any:
    """Expected gain G(K) with two standard deviations, the best marked; `achieved` gains where they were measured afterwards."""
    k, gain, std = (np.asarray(a, dtype=float) for a in (k, gain, std))
    if not k.shape == gain.shape == std.shape or k.ndim != 1:
        raise BadInput(
            f"K {k.shape}, gain {gain.shape} and std {std.shape} must be vectors of one length"
        )
    figure, axes = _figure()
    axes.errorbar(
        k, gain, yerr=2 * std, fmt="o-", ms=4, capsize=3, label="expected, two standard deviations"
    )
    if achieved is not None:
        axes.plot(k, achieved, "s--", ms=4, label="achieved on unseen runs")
    axes.axhline(1.0, color="0.4", lw=1, label="one global basis")
    axes.axvline(k[int(np.argmax(gain))], color="0.8", lw=6, zorder=0, label="recommended K")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.margins(x=0.1)
    return _done(
        path,
        figure,
        axes,
        "clusters K [-]",
        "gain: global over local error [-]",
        title,
        outside=True,
    )
