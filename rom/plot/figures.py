"""Figures of matplotlib, opened and written in one way."""

from __future__ import annotations

import io
from typing import Any

from rom.archive.files import write_file
from rom.errors import require

SIZE = (6.0, 4.0)  # inches
DPI = 120
FEW = 4  # entries that a legend below the axes holds in two columns


def new_figure() -> tuple[Any, Any]:
    """A figure and its axes; MissingExtra without matplotlib."""
    require("matplotlib", "view", "curves in files")
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, layout="constrained")
    return figure, figure.subplots()


def label_axes(
    axes: Any, xlabel: str, ylabel: str, title: str = "", *, legend: bool = True
) -> None:
    """Labels, a grid, and a legend inside where curves have names."""
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    axes.grid(True, which="both", alpha=0.3)
    handles, _ = axes.get_legend_handles_labels()
    if legend and handles:
        axes.legend()


def add_legend_below(figure: Any, axes: Any) -> None:
    """A legend below the axes, where it hides no curve."""
    _, names = axes.get_legend_handles_labels()
    columns = 3 if len(names) > FEW else 2
    figure.legend(loc="outside lower center", ncols=columns, fontsize=8)


def save_figure(path: Any, figure: Any) -> Any:
    """The figure as a PNG at `path`, a file name or stream, which is returned."""
    picture = io.BytesIO()
    figure.savefig(picture, dpi=DPI, format="png", metadata={"Software": None})
    if hasattr(path, "write"):
        path.write(picture.getvalue())
    else:
        write_file(path, picture.getvalue())
    return path
