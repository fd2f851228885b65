"""One HTML file about a study: tables with units, curves, what was asked and delivered, how to do it again."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rom.basis import Basis
from rom.parameters import Box
from rom.plot import curves

STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}h1,h2{font-weight:600}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .8em;border-bottom:1px solid #ddd;text-align:left}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}img{max-width:100%}code{background:#f4f4f4;padding:.1em .3em}"
)
UNITS = {"full_s": "s", "online_ms": "ms", "batch_us": "us per query"}


def write_report(
    path: str | Path,
    study: Any,
    basis: Basis,
    box: Box | None,
    made: Mapping[str, Any],
    title: str = "Study",
) -> Path:
    """A self-contained HTML page of a Study: errors in the norm of the basis's space, at parameters of the box.

    made : how to do it again: command lines, versions, digests. Loads nothing from elsewhere when opened.
    """
    names = (
        [f"mu{k}" for k in range(study.mu.shape[1])]
        if box is None
        else [f"{n} [{u}]" for n, u in zip(box.names, box.units, strict=True)]
    )
    parts = [
        section("Result", table(["quantity", "value", "unit"], [[k, v, UNITS.get(k, "norm of the space" if k in NORMED else "-")] for k, v in study.summary().items()])),
        section("Asked and delivered", table(["", ""], basis_rows(basis))),
        *([] if box is None else [section("Parameters", table(["name", "unit", "lower", "upper", "scale"], list(zip(box.names, box.units, box.lower, box.upper, box.scales, strict=True))))]),
        section("Curves", "".join(pictures(study, basis))),
        section("Every parameter", table([*names, "norm", "error", "relative", "bound", "effectivity"], study_rows(study))),
        section("How to do it again", table(["", ""], [[k, v] for k, v in made.items() if v not in ("", [])])),
    ]  # fmt: skip
    text = f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title><style>{STYLE}</style><h1>{html.escape(title)}</h1>"
    Path(path).write_text(text + "".join(parts) + "</html>\n", encoding="utf-8")
    return Path(path)


NORMED = ("max_error", "max_bound")


def basis_rows(basis: Basis) -> list[list[Any]]:
    """What was asked of the basis and what it has."""
    return [
        ["unknowns of the solver", basis.space.size],
        ["modes asked", "-" if basis.rank_asked is None else basis.rank_asked],
        ["tolerance asked", "-" if basis.tol_asked is None else basis.tol_asked],
        ["modes delivered", basis.r],
        ["reason", basis.reason or "-"],
        ["relative error of the training set", basis.error],
    ]


def study_rows(study: Any) -> list[list[Any]]:
    """One row per parameter."""
    nothing = np.full(len(study.mu), np.nan)
    bound = nothing if study.bound is None else study.bound
    effectivity = nothing if study.bound is None else study.effectivity
    return np.column_stack(
        [study.mu, study.norm, study.error, study.relative, bound, effectivity]
    ).tolist()


def pictures(study: Any, basis: Basis) -> list[str]:
    """The curves as <img> tags with the pictures inside."""
    order = np.argsort(study.relative)
    lines = {"error": study.relative[order]}
    if study.bound is not None:
        lines["bound"] = (study.bound / study.norm)[order]
    rank = np.arange(1, len(order) + 1)
    labels = ("parameters, sorted by error [-]", "relative error [-]")
    made = [
        image(
            "errors",
            lambda file: curves.line_plot(
                file, rank, lines, *labels, log=bool((study.relative > 0).all())
            ),
        )
    ]
    if basis.s is not None and len(basis.s) and basis.s[0] > 0:
        s = basis.s
        made.append(image("singular values", lambda file: curves.decay_plot(file, s, basis.r)))
    if study.bound is not None and np.isfinite(study.effectivity).any():
        made.append(
            image("effectivities", lambda file: curves.effectivity_plot(file, study.effectivity))
        )
    return made


def image(name: str, draw: Callable[[Any], Any]) -> str:
    """An <img> tag that holds its PNG."""
    file = io.BytesIO()
    draw(file)
    return f'<img alt="{name}" src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}">'


def section(title: str, body: str) -> str:
    """A heading and what follows it."""
    return f"<h2>{html.escape(title)}</h2>{body}"


def table(heads: list[str], lines: list[Any]) -> str:
    """Rows of numbers and text as HTML."""
    head = "".join(f"<th>{html.escape(h)}</th>" for h in heads)
    body = "".join("<tr>" + "".join(map(cell, line)) + "</tr>" for line in lines)
    return f"<table><tr>{head}</tr>{body}</table>"


def cell(value: Any) -> str:
    """A number with five digits, to the right; anything else as escaped text."""
    if isinstance(value, (int, float, np.number)) and not isinstance(value, bool):
        return f"<td class=n>{'-' if value != value else f'{value:.5g}' if isinstance(value, (float, np.floating)) else value}</td>"
    return f"<td>{html.escape(str(value))}</td>"
