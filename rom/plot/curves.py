"""Curves of a reduction: singular values, error and bound over modes and time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rom.arrays import LARGEST, VECTOR, check_lengths, check_size, each, gate, named, real
from rom.basis import spectral_tail
from rom.errors import BadInput
from rom.plot.figures import add_legend_below, label_axes, new_figure, save_figure

SMALLEST = 1e-18  # relative size below which zeros are drawn on a log axis
SMALL_ERROR = 1e-3  # of the largest: smaller errors are hollow marks at that height
MAX_BINS = 20
MIN_BINS = 5


@gate(s=VECTOR)
def decay_plot(path: Any, s: np.ndarray, *, r: int | None = None, title: str = "") -> Any:
    """s_k / s_1 and the tail sqrt(sum_{j>k} s_j^2 / sum s_j^2) over k.

    path : of the PNG, a file name or stream; r : marks the modes kept
    Raises BadInput for values that are not finite or start with zero.
    """
    figure, axes = new_figure()
    for (name, curve), style in zip(decay_curves(s).items(), ("o-", "s--"), strict=True):
        axes.semilogy(*curve, style, ms=3, label=name)
    if r is not None:
        axes.axvline(r, color="0.4", lw=1, label=f"kept: r = {r}")
    label_axes(axes, "mode k [-]", "relative size [-]", title)
    return save_figure(path, figure)


def decay_curves(s: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """name -> (k, values) of s_k / s_1 and of the tail; zeros are SMALLEST.

    Raises BadInput for values that are not finite or start with zero.
    """
    s = np.asarray(s, dtype=float)
    if s.ndim != 1 or not s.size or not s[0] > 0 or not np.isfinite(s).all():
        raise BadInput("singular values must be a finite vector that starts with a positive number")
    s = s / s[0]
    check_size(s, "s_k / s_1")
    k = np.arange(1, s.size + 1)
    tail = np.sqrt(spectral_tail(s)[1:-1] / np.sum(s**2))
    return {
        "singular value s_k / s_1": (k, np.maximum(s, SMALLEST)),
        "relative error of the set with k modes": (k[:-1], np.maximum(tail, SMALLEST)),
    }


@gate(r=VECTOR, error=VECTOR, bound=VECTOR)
def error_plot(
    path: Any,
    r: np.ndarray,
    error: np.ndarray,
    bound: np.ndarray | None = None,
    *,
    unit: str = "-",
    title: str = "",
) -> Any:
    """Largest error, and its bound where there is one, over the number of modes r.

    error, bound : (len(r),) in `unit`. Raises BadInput for other shapes.
    """
    r, error = np.asarray(r), np.asarray(error, dtype=float)
    if r.shape != error.shape or (bound is not None and np.shape(bound) != r.shape):
        raise BadInput(
            f"r has shape {r.shape}, error {error.shape}; "
            "give one error, and one bound, per number of modes"
        )
    figure, axes = new_figure()
    axes.semilogy(r, error, "o-", ms=4, label="largest error")
    if bound is not None:
        axes.semilogy(r, bound, "s--", ms=4, label="largest bound")
    axes.xaxis.get_major_locator().set_params(integer=True)
    label_axes(axes, "number of modes r [-]", f"error [{unit}]", title)
    return save_figure(path, figure)


def effectivity_plot(path: Any, effectivity: np.ndarray, *, title: str = "") -> Any:
    """Histogram of bound over error; a certified bound has none below 1.

    Raises BadInput where no value is finite.
    """
    values, bins = effectivity_bins(effectivity)
    figure, axes = new_figure()
    axes.hist(values, bins=bins, color="tab:blue", edgecolor="white")
    axes.axvline(1.0, color="tab:red", lw=1.5, label="1: the bound is the error")
    label_axes(axes, "effectivity = bound / error [-]", "number of parameters [-]", title)
    return save_figure(path, figure)


def effectivity_bins(effectivity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The effectivities up to LARGEST, and the edges of the bins that show them.

    Raises BadInput where there are none.
    """
    values = real(effectivity, "effectivity")
    values = values[np.isfinite(values)]
    values = values[np.abs(values) <= LARGEST]
    if not values.size:
        raise BadInput("no finite effectivity to draw; the model gives no bound")
    low, high = float(values.min()), float(values.max())
    if high - low <= SMALL_ERROR * abs(high):  # all alike
        low, high = low - 0.5 * max(abs(high), 1.0), high + 0.5 * max(abs(high), 1.0)
    count = min(MAX_BINS, max(MIN_BINS, values.size // 3))
    return values, np.linspace(low, high, count + 1)


@gate(x=VECTOR, y=named(real))
def line_plot(
    path: Any,
    x: np.ndarray,
    y: Mapping[str, np.ndarray],
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
    log: bool = False,
    equal: bool = False,
) -> Any:
    """Named curves y(x) in one picture; labels carry their units.

    log : in y; equal : both axes have one scale
    """
    _check_curves(x, y)
    figure, axes = new_figure()
    for name, values in y.items():
        axes.plot(x, values, "o-", ms=3, label=name)
    if log:
        axes.set_yscale("log")
    if equal:
        axes.set_aspect("equal", adjustable="datalim")
    label_axes(axes, xlabel, ylabel, title)
    return save_figure(path, figure)


@gate(x=VECTOR, band=each(VECTOR), y=named(real))
def band_plot(
    path: Any,
    x: np.ndarray,
    band: tuple[np.ndarray, np.ndarray],
    y: Mapping[str, np.ndarray],
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
    marks: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
) -> Any:
    """Named curves y(x), a shaded 95 % band (low, high) and named marks (x, y)."""
    if len(band) != 2:
        raise BadInput(f"the band has {len(band)} curves; give the lower and the upper one")
    _check_curves(x, {**y, "lower": band[0], "upper": band[1]})
    figure, axes = new_figure()
    axes.fill_between(x, *band, alpha=0.3, color="tab:blue", lw=0, label="95 % band")
    for name, values in y.items():
        axes.plot(x, values, "-", lw=1.2, label=name)
    for name, (at, values) in (marks or {}).items():
        axes.plot(at, values, "k.", ms=5, label=name)
    _make_room_for_legend(axes)
    label_axes(axes, xlabel, ylabel, title)
    return save_figure(path, figure)


def _check_curves(x: np.ndarray, curves: Mapping[str, np.ndarray]) -> None:
    """BadInput naming a curve that has not one value at each x."""
    for name, values in curves.items():
        if values.shape[:1] != x.shape or values.size == 0:
            raise BadInput(f"curve {name!r} has shape {values.shape}; give {x.shape[0]} values")
        if (np.abs(values[np.isfinite(values)]) > LARGEST).any():
            raise BadInput(f"curve {name!r} exceeds {LARGEST:g}; give it in another unit")


def _make_room_for_legend(axes: Any) -> None:
    low, high = axes.get_ylim()
    _, names = axes.get_legend_handles_labels()
    room = 0.08 * (1 + len(names)) * (high - low)
    axes.set_ylim(low, high + room)


@gate(t=VECTOR, error=VECTOR, upper=VECTOR, middle=VECTOR, full=VECTOR)
def indicator_plot(
    path: Any,
    t: np.ndarray,
    error: np.ndarray,
    *,
    upper: np.ndarray,
    middle: np.ndarray,
    full: np.ndarray,
    ylabel: str,
    title: str = "",
) -> Any:
    """True error over time t [s] beside an indicator's upper quantile and middle.

    full : (m,) which steps are high-fidelity ones; they are marked, the others have the indicator
    Errors below 1e-3 of the largest, zero among them, are hollow marks at that height.
    """
    figure, axes = new_figure()
    check_lengths("time", t=t, error=error, upper=upper, middle=middle, full=full)
    full = full != 0
    above, centre = np.where(full, np.nan, upper), np.where(full, np.nan, middle)
    axes.semilogy(t, above, "-", color="tab:orange", label="upper quantile of the indicator")
    axes.semilogy(t, centre, ":", color="tab:orange", label="its middle")
    _draw_true_error(axes, t, error)
    for k, step in enumerate(np.asarray(t)[full]):
        name = "high-fidelity step" if k == 0 else None
        axes.axvline(step, color="tab:red", lw=1, label=name)
    label_axes(axes, "time [s]", f"{ylabel} [-]", title, legend=False)
    add_legend_below(figure, axes)
    return save_figure(path, figure)


def _draw_true_error(axes: Any, t: np.ndarray, error: np.ndarray) -> None:
    floor = SMALL_ERROR * np.max(error)
    small = error <= floor
    large = np.where(small, np.nan, error)
    axes.semilogy(t, large, "o-", ms=3, color="tab:blue", label="true error")
    if small.any() and floor > 0:
        heights = np.full(small.sum(), floor)
        name = f"below {floor:.0e}"
        axes.semilogy(t[small], heights, "o", ms=4, mfc="white", color="tab:blue", label=name)


@gate(angle=VECTOR, levels=named(VECTOR))
def directivity(
    path: Any,
    angle: np.ndarray,
    levels: Mapping[str, np.ndarray],
    *,
    label: str,
    title: str = "",
) -> Any:
    """Named levels over the angle [rad] as polar curves from the downstream axis.

    label : what the levels are, with their unit
    """
    if not np.ptp(angle) > SMALLEST:
        raise BadInput("all angles are equal; give a range of them")
    _check_curves(angle, levels)
    figure, flat = new_figure()
    flat.remove()
    axes = figure.add_subplot(projection="polar")
    for name, level in levels.items():
        axes.plot(np.asarray(angle), level, "-", lw=1.5, label=name)
    axes.set_thetamin(float(np.degrees(np.min(angle))))
    axes.set_thetamax(float(np.degrees(np.max(angle))))
    axes.set_yticks(_ticks(list(levels.values())))
    axes.set_rlabel_position(0)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_title(title)
    figure.text(0.5, 0.12, label, ha="center")
    figure.legend(loc="outside lower center", ncols=len(levels))
    return save_figure(path, figure)


def _ticks(levels: list[np.ndarray]) -> np.ndarray:
    """Some four whole numbers that span the levels."""
    low, high = float(np.min(levels)), float(np.max(levels))
    step = max(1.0, np.ceil((high - low) / 4))
    first = np.floor(low / step) * step
    return np.arange(first, high + step, step)
