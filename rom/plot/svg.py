"""Curves as SVG, to stand inside a page; no library draws them."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rom.errors import BadInput

WIDTH, HEIGHT = 620, 400  # [px]
LEFT, RIGHT, TOP, BOTTOM = 76, 16, 16, 52  # margins [px]
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#8c564b")
GREY = "#888"
MAX_TICKS = 8
LINE = 18  # height of a line of the legend [px]

Curve = tuple[np.ndarray, np.ndarray]  # x, y


@dataclass(frozen=True)
class Axis:
    """Values low .. high, drawn from pixel `start` to pixel `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def pixel(self, values: np.ndarray) -> np.ndarray:
        """Where values lie."""
        low, high = self.low, self.high
        if self.log:
            low, high, values = np.log10(low), np.log10(high), np.log10(values)
        share = (np.asarray(values, dtype=float) - low) / (high - low)
        return self.start + share * (self.end - self.start)

    @property
    def ticks(self) -> np.ndarray:
        """Round values on the axis, at most MAX_TICKS."""
        if self.log:
            first, last = round(np.log10(self.low)), round(np.log10(self.high))
            return 10.0 ** np.arange(first, last + 1, 1 + (last - first) // MAX_TICKS)
        step = _round_step((self.high - self.low) / (MAX_TICKS - 2))
        numbers = np.arange(np.ceil(self.low / step - 1e-9), np.floor(self.high / step + 1e-9) + 1)
        return np.asarray(numbers * step + 0.0)  # no minus zero


def svg_lines(
    curves: Mapping[str, Curve],
    *,
    xlabel: str,
    ylabel: str,
    log: bool = False,
    marks: Mapping[str, float] | None = None,
) -> str:
    """Named curves y(x), with a vertical line at each of the marks.

    log : in y, which is then positive. Raises BadInput where no value is finite.
    """
    x = _axis([curve[0] for curve in curves.values()], LEFT, WIDTH - RIGHT)
    y = _axis([curve[1] for curve in curves.values()], HEIGHT - BOTTOM, TOP, log=log)
    shapes, legend = [], []
    for k, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[k % len(COLOURS)]
        shapes.append(_polyline(x.pixel(curve[0]), y.pixel(curve[1]), colour))
        legend.append((name, colour))
    for name, value in (marks or {}).items():
        shapes.append(_segment(float(x.pixel(np.array(value))), y, GREY))
        legend.append((name, GREY))
    return _figure(shapes, (x, y), (xlabel, ylabel), legend)


def svg_histogram(
    values: np.ndarray, bins: np.ndarray, *, xlabel: str, ylabel: str, marks: Mapping[str, float]
) -> str:
    """How many values lie between the edges; BadInput where none is finite."""
    counts, edges = np.histogram(values, bins=bins)
    x = _axis([edges, np.array(list(marks.values()))], LEFT, WIDTH - RIGHT)
    y = _axis([np.array([0.0, counts.max()])], HEIGHT - BOTTOM, TOP)
    left, right, top = x.pixel(edges[:-1]), x.pixel(edges[1:]), y.pixel(counts)
    shapes = [
        f'<rect x="{a:.1f}" y="{t:.1f}" width="{b - a:.1f}" height="{y.start - t:.1f}" '
        f'fill="{COLOURS[0]}" stroke="white"/>'
        for a, b, t in zip(left, right, top, strict=True)
    ]
    shapes += [_segment(float(x.pixel(np.array(v))), y, COLOURS[1]) for v in marks.values()]
    legend = [(name, COLOURS[1]) for name in marks]
    return _figure(shapes, (x, y), (xlabel, ylabel), legend)


def _axis(arrays: list[np.ndarray], start: float, end: float, *, log: bool = False) -> Axis:
    """The axis of all finite values, to whole decades where it is logarithmic."""
    values = np.concatenate([np.asarray(array, dtype=float).ravel() for array in arrays])
    values = values[np.isfinite(values) & ((values > 0) if log else True)]
    if not values.size:
        raise BadInput("no finite value to draw; give curves of numbers")
    low, high = float(values.min()), float(values.max())
    if log:
        low, high = 10.0 ** np.floor(np.log10(low)), 10.0 ** np.ceil(np.log10(high))
        return Axis(low, high if high > low else 10 * low, start, end, True)
    if high == low:
        room = 0.5 * abs(low) or 1.0
        low, high = low - room, high + room
    return Axis(low, high, start, end)


def _round_step(width: float) -> float:
    """The least of 1, 2, 5 times a power of ten that is not below a width."""
    power = 10.0 ** np.floor(np.log10(width))
    return float(min(k * power for k in (1, 2, 5, 10) if k * power >= width * (1 - 1e-9)))


def _polyline(x: np.ndarray, y: np.ndarray, colour: str) -> str:
    """A curve with its points; what is not finite is left out."""
    points = [(a, b) for a, b in zip(x, y, strict=True) if np.isfinite(a) and np.isfinite(b)]
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
    dots = "".join(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.5"/>' for a, b in points)
    line = f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
    return f'{line}<g fill="{colour}">{dots}</g>'


def _segment(x: float, y: Axis, colour: str) -> str:
    """A vertical line over the height of the axes."""
    return (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y.start}" y2="{y.end}" '
        f'stroke="{colour}" stroke-width="1.5"/>'
    )


def _figure(
    shapes: list[str],
    axes: tuple[Axis, Axis],
    labels: tuple[str, str],
    legend: list[tuple[str, str]],
) -> str:
    """The <svg> of shapes, axes and a legend below them."""
    x, y = axes
    height = HEIGHT + LINE * len(legend)
    names = ", ".join(name for name, _ in legend)
    head = (
        f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img" '
        f'aria-label="{html.escape(labels[1])}: {html.escape(names)}" font-size="12" fill="#222">'
    )
    frame = (
        f'<rect x="{LEFT}" y="{TOP}" width="{x.end - x.start}" height="{y.start - y.end}" '
        f'fill="none" stroke="{GREY}"/>'
    )
    lines = [head, *_grid(x, y), frame, *shapes]
    lines.append(_text((x.start + x.end) / 2, HEIGHT - 12, labels[0], "middle"))
    middle = (y.start + y.end) / 2
    lines.append(
        f'<text transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">'
        f"{html.escape(labels[1])}</text>"
    )
    for k, (name, colour) in enumerate(legend):
        row = HEIGHT + LINE * k + 4
        lines.append(
            f'<line x1="{LEFT}" x2="{LEFT + 24}" y1="{row}" y2="{row}" stroke="{colour}" '
            'stroke-width="2"/>'
        )
        lines.append(_text(LEFT + 32, row + 4, name, "start"))
    return "".join([*lines, "</svg>"])


def _grid(x: Axis, y: Axis) -> list[str]:
    """Lines and numbers at the ticks."""
    lines = []
    for value, at in zip(x.ticks, x.pixel(x.ticks), strict=True):
        lines.append(f'<path d="M{at:.1f} {y.start}V{y.end}" stroke="#e5e5e5"/>')
        lines.append(_text(at, y.start + 16, f"{value:.4g}", "middle"))
    for value, at in zip(y.ticks, y.pixel(y.ticks), strict=True):
        lines.append(f'<path d="M{x.start} {at:.1f}H{x.end}" stroke="#e5e5e5"/>')
        number = f"{value:.0e}" if y.log else f"{value:.4g}"
        lines.append(_text(x.start - 6, at + 4, number, "end"))
    return lines


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'
