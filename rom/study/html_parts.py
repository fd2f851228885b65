"""Pieces of a self-contained HTML page: sections, tables."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}"
    "h1,h2{font-weight:600}table{border-collapse:collapse;margin:1em 0}"
    "td,th{padding:.2em .8em;border-bottom:1px solid #ddd;text-align:left}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}svg{max-width:100%;height:auto}"
    "code{background:#f4f4f4;padding:.1em .3em}"
)


def html_page(title: str, parts: Iterable[str]) -> str:
    """A whole page that loads nothing from elsewhere."""
    name = html.escape(title)
    head = f"<!doctype html><html lang=en><meta charset=utf-8><title>{name}</title>"
    body = f"<style>{STYLE}</style><h1>{name}</h1>"
    return head + body + "".join(parts) + "</html>\n"


def html_section(title: str, body: str) -> str:
    """A heading and what follows it."""
    return f"<h2>{html.escape(title)}</h2>{body}"


def html_table(heads: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """Rows of numbers and text."""
    head = "".join(f"<th>{html.escape(text)}</th>" for text in heads)
    lines = []
    for row in rows:
        cells = "".join(map(_cell, row))
        lines.append(f"<tr>{cells}</tr>")
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"


def _cell(value: Any) -> str:
    """A number with five digits, to the right; anything else as escaped text."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        return f"<td>{html.escape(str(value))}</td>"
    return f"<td class=n>{_digits(value)}</td>"


def _digits(value: Any) -> str:
    if np.isnan(value):
        return "-"
    return f"{value:.5g}" if isinstance(value, float | np.floating) else str(value)
