"""Curves of a reduction: how fast singular values fall, how error and bound follow the number of modes."""

from __future__ import annotations

from typing import Any

import numpy as np

from rom.basis import spectral_tail
from rom.errors import BadInput, MissingExtra


def decay_plot(path: Any, s: np.ndarray, r: int | None = None, title: str = "") -> Any:
    """s_k / s_1 and the tail sqrt(sum_{j>k} s_j^2 / sum s_j^2) over k; `r` marks the modes kept. PNG at `path`, a file name or stream."""
    s = np.asarray(s, dtype=float)
    if s.ndim != 1 or not s.size or not s[0] > 0 or not np.isfinite(s).all():
        raise BadInput("singular values must be a finite vector that starts with a positive number")
    k = np.arange(1, s.size + 1)
    tail = np.sqrt(spectral_tail(s)[1:-1] / np.sum(s**2))
    figure, axes = _figure()
    axes.semilogy(k, np.maximum(s / s[0], 1e-18), "o-", ms=3, label="singular value $s_k/s_1$")
    axes.semilogy(
        k[:-1], np.maximum(tail, 1e-18), "s--", ms=3, label="relative error of the set with k modes"
    )
    if r is not None:
        axes.axvline(r, color="0.4", lw=1, label=f"kept: r = {r}")
    return _done(path, figure, axes, "mode k [-]", "relative size [-]", title)


def error_plot(
    path: Any,
    r: np.ndarray,
    error: np.ndarray,
    bound: np.ndarray | None = None,
    unit: str = "-",
    title: str = "",
) -> Any:
    """Largest error, and its bound if known, over the number of modes r; error, bound (len(r),) in `unit`."""
    r, error = np.asarray(r), np.asarray(error, dtype=float)
    if r.shape != error.shape or (bound is not None and np.shape(bound) != r.shape):
        raise BadInput(
            f"r has shape {r.shape}, error {error.shape}; give one error, and one bound, per number of modes"
        )
    figure, axes = _figure()
    axes.semilogy(r, error, "o-", ms=4, label="largest error")
    if bound is not None:
        axes.semilogy(r, bound, "s--", ms=4, label="largest bound")
    axes.xaxis.get_major_locator().set_params(integer=True)
    return _done(path, figure, axes, "number of modes r [-]", f"error [{unit}]", title)


def effectivity_plot(path: Any, effectivity: np.ndarray, title: str = "") -> Any:
    """Histogram of bound over error; a certified bound has none below 1."""
    values = np.asarray(effectivity, dtype=float)
    values = values[np.isfinite(values)]
    if not values.size:
        raise BadInput("no finite effectivity to draw; the model gives no bound")
    figure, axes = _figure()
    axes.hist(values, bins=min(20, max(5, values.size // 3)), color="tab:blue", edgecolor="white")
    axes.axvline(1.0, color="tab:red", lw=1.5, label="1: the bound is the error")
    return _done(
        path, figure, axes, "effectivity = bound / error [-]", "number of parameters [-]", title
    )


def line_plot(
    path: Any,
    x: np.ndarray,
    y: dict[str, np.ndarray],
    xlabel: str,
    ylabel: str,
    title: str = "",
    log: bool = False,
    equal: bool = False,
) -> Any:
    """Named curves y(x) in one picture; labels carry their units. log : in y; equal : both axes have one scale."""
    figure, axes = _figure()
    for name, values in y.items():
        axes.plot(x, values, "o-", ms=3, label=name)
    if log:
        axes.set_yscale("log")
    if equal:
        axes.set_aspect("equal", adjustable="datalim")
    return _done(path, figure, axes, xlabel, ylabel, title)


def band_plot(
    path: Any,
    x: np.ndarray,
    band: tuple[np.ndarray, np.ndarray],
    y: dict[str, np.ndarray],
    xlabel: str,
    ylabel: str,
    title: str = "",
    marks: dict[str, tuple[np.ndarray, np.ndarray]] | None = None,
) -> Any:
    """Named curves y(x), a shaded 95 % band (low, high) and named marks (x, y) in one picture; labels carry their units."""
    figure, axes = _figure()
    axes.fill_between(x, *band, alpha=0.3, color="tab:blue", lw=0, label="95 % band")
    for name, values in y.items():
        axes.plot(x, values, "-", lw=1.2, label=name)
    for name, (at, values) in (marks or {}).items():
        axes.plot(at, values, "k.", ms=5, label=name)
    low, high = axes.get_ylim()
    axes.set_ylim(
        low, high + 0.08 * (1 + len(axes.get_legend_handles_labels()[1])) * (high - low)
    )  # room for the legend
    return _done(path, figure, axes, xlabel, ylabel, title)


def indicator_plot(
    path: Any,
    t: np.ndarray,
    error: np.ndarray,
    upper: np.ndarray,
    middle: np.ndarray,
    full: np.ndarray,
    ylabel: str,
    title: str = "",
) -> Any:
    """An indicator over time t [s]: true error, its estimate and upper quantile at reduced steps, full steps (bool) marked.

    Errors below 1e-3 of the largest, zero among them, are hollow marks at that height.
    """
    figure, axes = _figure()
    axes.semilogy(
        t,
        np.where(full, np.nan, upper),
        "-",
        color="tab:orange",
        label="upper quantile of the indicator",
    )
    axes.semilogy(t, np.where(full, np.nan, middle), ":", color="tab:orange", label="its middle")
    floor = 1e-3 * np.max(error)
    small = error <= floor
    axes.semilogy(
        t, np.where(small, np.nan, error), "o-", ms=3, color="tab:blue", label="true error"
    )
    if small.any() and floor > 0:
        axes.semilogy(
            t[small],
            np.full(small.sum(), floor),
            "o",
            ms=4,
            mfc="white",
            color="tab:blue",
            label=f"below {floor:.0e}",
        )
    for k, when in enumerate(np.asarray(t)[full]):
        axes.axvline(when, color="tab:red", lw=1, label="high-fidelity step" if k == 0 else None)
    return _done(path, figure, axes, "time [s]", f"{ylabel} [-]", title, outside=True)


def directivity(
    path: Any, angle: np.ndarray, levels: dict[str, np.ndarray], label: str, title: str = ""
) -> Any:
    """Named levels over the angle [rad] as polar curves from the downstream axis; `label` carries their unit. PNG at `path`."""
    figure, flat = _figure()
    flat.remove()
    axes = figure.add_subplot(projection="polar")
    for name, level in levels.items():
        axes.plot(np.asarray(angle), level, "-", lw=1.5, label=name)
    axes.set_thetamin(float(np.degrees(np.min(angle))))
    axes.set_thetamax(float(np.degrees(np.max(angle))))
    low, high = (float(f(list(levels.values()))) for f in (np.min, np.max))
    step = max(1.0, np.ceil((high - low) / 4))
    axes.set_yticks(np.arange(np.floor(low / step) * step, high + step, step))
    axes.set_rlabel_position(0)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_title(title)
    figure.text(0.5, 0.12, label, ha="center")
    figure.legend(loc="outside lower center", ncols=len(levels))
    figure.savefig(path, dpi=120, format="png", metadata={"Software": None})
    return path


def _figure() -> tuple[Any, Any]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra(
            f"curves need matplotlib ({error}); run: pip install 'rom-platform[view]'"
        ) from error
    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    return figure, figure.subplots()


def _done(
    path: Any, figure: Any, axes: Any, xlabel: str, ylabel: str, title: str, outside: bool = False
) -> Any:
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    axes.grid(True, which="both", alpha=0.3)
    if outside:
        figure.legend(
            loc="outside lower center",
            ncols=3 if len(axes.get_legend_handles_labels()[1]) > 4 else 2,
            fontsize=8,
        )
    elif axes.get_legend_handles_labels()[0]:
        axes.legend()
    figure.savefig(path, dpi=120, format="png", metadata={"Software": None})
    return path
