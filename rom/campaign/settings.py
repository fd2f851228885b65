"""What `collect` is asked, checked before anything is written."""

from __future__ import annotations

from typing import Any

import numpy as np

from rom.arrays import first_bad, integers, real
from rom.errors import BadInput
from rom.parameters import Box
from rom.space import Space


def check_tasks(solve: Any, mus: Any, box: Box | None) -> np.ndarray:
    """mus as floats (m, p), without minus zeros. Raises BadInput, OutsideBox."""
    if not callable(solve):
        raise BadInput(f"solve is a {type(solve).__name__}; give a function mu -> u")
    mus = real(mus, "mus")
    if mus.ndim != 2 or mus.size == 0:
        raise BadInput(
            f"mus has shape {mus.shape}; give one row per task: (m, p) with m and p at least 1"
        )
    if not np.isfinite(mus).all():
        raise BadInput(f"mus holds NaN or Inf at {first_bad(mus)}; remove this task")
    if box is not None:
        box.check(mus)
    tasks: np.ndarray = mus + 0.0
    return tasks


def check_times(times: Any) -> None:
    """Raises BadInput unless times are None or (n_t,), increasing and finite."""
    if times is None:
        return
    times = real(times, "times")
    is_list = times.ndim == 1 and times.size > 0
    if not is_list or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise BadInput("times must be increasing, finite and not empty: (n_t,) [s]")


def check_crew(crew: Any, space: Space | None, distributed: bool) -> None:
    """Raises BadInput for collective solves by a pilot, or without a space."""
    lies_on_ranks = space is not None and space.comm is not None
    if crew is not None and (distributed or lies_on_ranks):
        raise BadInput(
            "this case's solves are collective, the workers of a pilot solve alone; use ranks"
        )
    if distributed and space is None:
        raise BadInput(
            "a distributed solve needs the space whose `numbers` say which rows each rank "
            "returns; give space="
        )


def check_retries(retries: Any) -> None:
    """Raises BadInput unless retries are 0 or a positive integer."""
    is_integer = isinstance(retries, (int, np.integer)) and not isinstance(retries, bool)
    if not is_integer or retries < 0:
        raise BadInput(f"retries = {retries!r}; give 0 or a positive integer")


def check_only(only: Any, count: int) -> np.ndarray:
    """Rows (k,) of `count` rows. Raises BadInput."""
    rows = integers(only, "only")
    if not rows.size or rows.min() < 0 or rows.max() >= count:
        raise BadInput(f"only = {rows} must name rows of mus, 0..{count - 1}")
    return rows
