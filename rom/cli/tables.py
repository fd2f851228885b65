"""Numbers on the screen: a table of name, value and unit, or one JSON object."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Any

from rom.cli.ranks import rank
from rom.errors import printable


def plain_value(value: Any) -> Any:
    """Numpy scalars and arrays as what JSON holds; NaN and Inf become null."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, Mapping):
        return {str(key): plain_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_value(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    is_plain = isinstance(value, (bool, int, float, str, type(None)))
    return value if is_plain else str(value)


def format_number(value: Any) -> str:
    """A number as it reads best: integers whole, others with five digits."""
    value = plain_value(value)
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def flat_numbers(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers of numbers by "name key"; of a list of them, how many it holds."""
    flat: dict[str, Any] = {}
    for name, value in numbers.items():
        if isinstance(value, Mapping):
            flat |= {f"{name} {key}": item for key, item in flat_numbers(value).items()}
        elif isinstance(value, (list, tuple)) and any(isinstance(v, Mapping) for v in value):
            flat[name] = f"{len(value)}, shown by --json"
        else:
            flat[name] = value
    return flat


def show_numbers(
    numbers: Mapping[str, Any], units: Mapping[str, str], as_json: bool, title: str = ""
) -> None:
    """A table of name, value, unit, or one JSON object; on rank 0 only."""
    if rank():
        return
    if as_json:
        text = json.dumps(plain_value(numbers), allow_nan=False)
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=printable(title) or None, box=None, header_style="bold")
    table.add_column("name", justify="left", overflow="fold")
    table.add_column("value", justify="right", overflow="fold")
    table.add_column("unit", justify="left", overflow="fold")
    for name, value in flat_numbers(numbers).items():
        row = (name, format_number(value), units.get(name, ""))
        table.add_row(*map(printable, row))
    Console(markup=False).print(table)
