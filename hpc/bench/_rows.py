"""Timing and printing shared by the benchmarks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table


def seconds(work: Callable[[], Any], repeats: int = 3) -> tuple[float, Any]:
    """(least CPU seconds, last result) of `repeats` runs: what a loaded machine disturbs least."""
    times, result = [], None
    for _ in range(repeats):
        begin = time.process_time()
        result = work()
        times.append(time.process_time() - begin)
    return min(times), result


def show(title: str, header: tuple[str, ...], rows: list[tuple]) -> None:
    """One table on standard output."""
    table = Table(*header, title=title)
    for row in rows:
        table.add_row(*(f"{x:.3g}" if isinstance(x, float) else str(x) for x in row))
    Console(width=140, markup=False).print(table)
