"""States of a file out of fields that each know their time and step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Entry:
    """A field of one time and step; what : its content, for whoever reads it."""

    name: str
    t: float
    step: tuple[int, ...]
    what: Any


def group_steps(entries: Sequence[Entry], static: tuple[int, ...]) -> list[tuple[Any, list[Any]]]:
    """(time or None, contents) of every state, in the order of time.

    static : the step of a field that knows no time; it belongs to all states. A field with
    several steps at one time, as modes, has a state for each.
    """
    fixed = [entry.what for entry in entries if entry.step == static]
    moving = [entry for entry in entries if entry.step != static]
    if not moving:
        return [(None, fixed)]
    steps: dict[tuple[str, float], set[tuple[int, ...]]] = {}
    for entry in moving:
        steps.setdefault((entry.name, entry.t), set()).add(entry.step)
    several = any(len(numbers) > 1 for numbers in steps.values())
    states: dict[tuple[float, tuple[int, ...]], list[Any]] = {}
    for entry in moving:
        key = (entry.t, entry.step if several else ())
        states.setdefault(key, []).append(entry.what)
    return [(key[0], fixed + states[key]) for key in sorted(states)]
