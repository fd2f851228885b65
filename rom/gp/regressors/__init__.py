"""Regressions of coefficients over parameters, one file each.

Each has a `REGRESSOR`: how it is fitted to runs, and what weights it gives them. A file put here
is a regressor more, named as the file is; nothing else names it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import numpy as np

from rom.errors import BadInput

AUTO = "auto"


def _has_enough(m: int, p: int) -> bool:
    return m >= 3


@dataclass(frozen=True, eq=False)
class Regressor:
    """a(mu) from runs: a process, or an interpolation of them.

    title : in words
    fit : (mu (m, p), a (m, r), box, rng) -> model with `posterior` and `leave_one_out`;
    interpolate : (x (m, p), a (m, r), z (q, p)) in the unit box -> (q, r), for those that
        interpolate; exactly one of the two
    serves : (m distinct runs, p) -> whether it can be used
    many : whether "auto" may take it for thousands of runs
    """

    title: str
    fit: Callable[..., Any] | None = None
    interpolate: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] | None = None
    serves: Callable[[int, int], bool] = _has_enough
    many: bool = True


def regressor_names() -> tuple[str, ...]:
    """The names of all regressors: the files of this folder."""
    return tuple(sorted(module.name for module in iter_modules(__path__)))


def open_regressor(name: str) -> Regressor:
    """The regressor of a name. Raises BadInput for an unknown one."""
    if name not in regressor_names():
        names = ", ".join((AUTO, *regressor_names()))
        raise BadInput(f"no regressor {name!r}; choose one of {names}")
    regressor: Regressor = import_module(f"{__name__}.{name}").REGRESSOR
    return regressor
