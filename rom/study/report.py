"""One HTML file about a study: tables with units, curves, how to do it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rom.basis import Basis
from rom.parameters import Box
from rom.study.comparison import Study
from rom.study.html_parts import html_image, html_page, html_section, html_table

UNITS = {
    "full_s": "s", "online_ms": "ms", "batch_us": "us per query",
    "max_error": "norm of the space", "max_bound": "norm of the space",
}  # fmt: skip
COLUMNS = ("norm", "error", "relative", "bound", "effectivity")
EMPTY: tuple[Any, ...] = ("", [])  # entries of the provenance that are left out


def write_report(
    path: str | Path,
    study: Study,
    basis: Basis,
    *,
    box: Box | None = None,
    provenance: Mapping[str, Any],
    title: str = "Study",
) -> Path:
    """A self-contained HTML page of a Study: errors in the norm of the basis's space.

    box : of the parameters, with names and units
    provenance : how to do it again: command lines, versions, digests
    """
    p = study.mu.shape[1]
    names = [f"mu{k}" for k in range(p)]
    if box is not None:
        names = [f"{name} [{unit}]" for name, unit in zip(box.names, box.units, strict=True)]
    again = [[key, value] for key, value in provenance.items() if value not in EMPTY]
    parts = [
        html_section("Result", html_table(["quantity", "value", "unit"], _result_rows(study))),
        html_section("Asked and delivered", html_table(["", ""], _basis_rows(basis))),
        "" if box is None else _parameters(box),
        html_section("Curves", "".join(_curves(study, basis))),
        html_section("Every parameter", html_table([*names, *COLUMNS], _study_rows(study))),
        html_section("How to do it again", html_table(["", ""], again)),
    ]
    Path(path).write_text(html_page(title, parts), encoding="utf-8")
    return Path(path)


def _result_rows(study: Study) -> list[list[Any]]:
    numbers = study.summary()
    return [[name, value, UNITS.get(name, "-")] for name, value in numbers.items()]


def _parameters(box: Box) -> str:
    heads = ["name", "unit", "lower", "upper", "scale"]
    rows = zip(box.names, box.units, box.lower, box.upper, box.scales, strict=True)
    return html_section("Parameters", html_table(heads, rows))


def _basis_rows(basis: Basis) -> list[list[Any]]:
    """What was asked of the basis and what it has."""
    return [
        ["unknowns of the solver", basis.space.size],
        ["modes asked", "-" if basis.rank_asked is None else basis.rank_asked],
        ["tolerance asked", "-" if basis.tol_asked is None else basis.tol_asked],
        ["modes delivered", basis.r],
        ["reason", basis.reason or "-"],
        ["relative error of the training set", basis.error],
    ]


def _study_rows(study: Study) -> list[list[float]]:
    """One row per parameter: mu, then COLUMNS; NaN where there is no bound."""
    bound = study.bound
    effectivity = study.effectivity
    if bound is None or effectivity is None:
        bound = effectivity = np.full(len(study.mu), np.nan)
    columns = [study.mu, study.norm, study.error, study.relative, bound, effectivity]
    rows: list[list[float]] = np.column_stack(columns).tolist()
    return rows


def _curves(study: Study, basis: Basis) -> Iterator[str]:
    """The curves as <img> tags with the pictures inside."""
    from rom.plot.curves import decay_plot, effectivity_plot

    yield html_image("errors", lambda file: _draw_errors(file, study))
    s = basis.s
    if s is not None and len(s) and s[0] > 0:
        yield html_image("singular values", lambda file: decay_plot(file, s, r=basis.r))
    ratio = study.effectivity
    if ratio is not None and np.isfinite(ratio).any():
        yield html_image("effectivities", lambda file: effectivity_plot(file, ratio))


def _draw_errors(file: Any, study: Study) -> None:
    from rom.plot.curves import line_plot

    order = np.argsort(study.relative)
    lines = {"error": study.relative[order]}
    if study.bound is not None:
        lines["bound"] = (study.bound / study.norm)[order]
    line_plot(
        file,
        np.arange(1, len(order) + 1),
        lines,
        xlabel="parameters, sorted by error [-]",
        ylabel="relative error [-]",
        log=bool((study.relative > 0).all()),
    )
