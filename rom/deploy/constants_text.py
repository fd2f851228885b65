"""Constants as text of C: numbers, arrays, strings that are nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from rom.errors import BadInput

ASCII = 128
PLAIN = " _.,:;()[]<>=+-*/"  # marks that mean nothing in a string of C


def header_text(numbers: Mapping[str, Any]) -> str:
    """Scalars as #define, arrays as static const. Raises BadInput for NaN and Inf."""
    lines = []
    for key, value in numbers.items():
        if isinstance(value, int | float):
            lines.append(f"#define {key} {c_numbers(key, [value])[0]}")
            continue
        kind = "int" if isinstance(value, list) and all(type(v) is int for v in value) else "double"
        lines.append(c_array(kind, key, c_numbers(key, value)))
    return "\n".join(lines) + "\n"


def c_numbers(key: str, values: Any) -> list[str]:
    """Numbers as literals, one at least. Raises BadInput for NaN and Inf."""
    flat = np.ravel(np.asarray(values)).tolist()
    if not np.isfinite(flat).all():
        raise BadInput(f"a unit needs finite numbers; {key} of the model holds NaN or Inf")
    return [repr(number) for number in flat] or ["0"]


def c_array(kind: str, name: str, entries: Iterable[str]) -> str:
    """static const of literals."""
    return f"static const {kind} {name}[] = {{{', '.join(entries)}}};"


def c_string(text: str) -> str:
    """A string of C: all but letters, digits and a few marks of ASCII as octal bytes."""
    parts = []
    for byte in text.encode():
        char = chr(byte)
        is_plain = byte < ASCII and (char.isalnum() or char in PLAIN)
        parts.append(char if is_plain else f"\\{byte:03o}")
    return f'"{"".join(parts)}"'
