"""How ranks talk: plain JSON in rank order, and acts whose errors all ranks raise."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from rom import errors
from rom.errors import RomError
from rom.space import _allgatherv


def talk(comm: Any, value: Any) -> list[Any]:
    """Everyone's value, plain JSON, in rank order."""
    text = np.frombuffer(json.dumps(value).encode(), np.uint8)
    return [json.loads(part.tobytes()) for part in _allgatherv(comm, text)]


def act_together(comm: Any, act: Callable[[], Any]) -> list[Any]:
    """What `act()` gave on every rank, plain JSON.

    If it raised a RomError on any, all raise the same.
    """
    problem, value = None, None
    try:
        value = act()
    except RomError as error:
        problem = [type(error).__name__, str(error)]
    answers = talk(comm, [problem, value])
    for problem, _ in answers:
        if problem:
            raise error_of(*problem)
    return [value for _, value in answers]


def error_of(kind: str, text: str) -> RomError:
    """The error of `rom.errors` of that name, as another process raised it."""
    error: RomError = getattr(errors, kind)(text)
    return error
