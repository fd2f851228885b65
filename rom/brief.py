"""Nouns in a line of a terminal and in a small table of a notebook.

Arrays are shown by their type and shape, nouns by their names, never by their numbers.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

MAX_TEXT = 60  # characters of one member
MAX_PARTS = 4  # of a tuple or a mapping that are shown


def brief(noun: Any) -> str:
    """'Name(member=what, ...)' of a dataclass, without its numbers."""
    return f"{type(noun).__name__}({', '.join(f'{k}={v}' for k, v in members(noun).items())})"


def brief_html(noun: Any) -> str:
    """A table of the members of a dataclass, for notebooks."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
        f"<td style='text-align:left'>{html.escape(text)}</td></tr>"
        for name, text in members(noun).items()
    )
    return f"<b>{type(noun).__name__}</b><table>{rows}</table>"


def members(noun: Any) -> dict[str, str]:
    """name -> a few words, of the members that are not None."""
    values = {each.name: getattr(noun, each.name) for each in fields(noun)}
    return {name: _words(value) for name, value in values.items() if value is not None}


def _words(value: Any) -> str:
    """What a member is, in one line."""
    shape = getattr(value, "shape", None)
    if shape == () or isinstance(value, str | bool | int | float | complex):
        return _cut(str(value) if isinstance(value, np.generic) else repr(value))
    if shape is not None and hasattr(value, "dtype"):
        size = " x ".join(map(str, shape))
        return f"{'sparse ' if hasattr(value, 'nnz') else ''}{value.dtype} {size}"
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key}: {_words(each)}" for key, each in [*value.items()][:MAX_PARTS])
        return _counted(f"{{{inner}}}", len(value))
    if isinstance(value, tuple | list):
        inner = ", ".join(map(_words, value[:MAX_PARTS]))
        return _counted(f"({inner})", len(value))
    if is_dataclass(value):
        name = getattr(value, "name", None)
        return type(value).__name__ + (f" {name!r}" if isinstance(name, str) else "")
    return _cut(getattr(value, "__qualname__", type(value).__name__))


def _counted(text: str, count: int) -> str:
    """A group in words, or how many it has where these are long."""
    if count > MAX_PARTS or len(text) > MAX_TEXT:
        return f"{count} entries"
    return text


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."
