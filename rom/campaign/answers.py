"""What a solver returned: rows to commit, or why this is no solution."""

from __future__ import annotations

from typing import Any

import numpy as np

from rom.campaign.samples import owned_rows
from rom.campaign.store import Store
from rom.space import Space

MAX_ITEM = 16  # bytes of a complex number; long double is refused


def check_answer(
    u: np.ndarray, store: Store, space: Space | None, *, collective: bool
) -> tuple[np.ndarray, str]:
    """(rows to commit (n, n_t) in the order of their numbers, ""), or (u, why not).

    u : (n,), or (n, n_t) at the store's times
    space : its rows are returned; without one the first sample sets the size
    collective : every rank returned its own rows; else all rows are returned by one process
    """
    is_alone = space is None or space.comm is None or space.comm.Get_size() == 1
    is_local = space is not None and (is_alone or collective)
    fault = _type_fault(u) or _shape_fault(u, store, _row_count(store, space, is_local))
    if fault:
        return u, fault
    if u.shape[0] == 0 and not collective:
        return u, "the solution is empty"
    order: Any = slice(None)
    numbers = np.arange(len(u))
    if space is not None and is_local:
        order, numbers = owned_rows(space)
    columns = u[:, None] if u.ndim == 1 else u
    columns = columns[order]
    return columns, _finite_fault(columns, numbers, store)


def _row_count(store: Store, space: Space | None, is_local: bool) -> int | None:
    """How many rows a solve must return; None where the first sample will say."""
    if space is not None:
        return space.n if is_local else space.size
    for record in store.manifest.done.values():
        size: int = record["size"]
        return size
    return None


def _type_fault(u: np.ndarray) -> str:
    is_number = u.dtype.kind in "fc" and u.dtype.itemsize <= MAX_ITEM and u.dtype.char != "g"
    if is_number:
        return ""
    return f"the solution has dtype {u.dtype}; return float or complex numbers"


def _shape_fault(u: np.ndarray, store: Store, n: int | None) -> str:
    times = store.times
    rows: Any = "n" if n is None else n
    expected = f"({rows},)" if times is None else f"({rows}, {len(times)})"
    is_right = u.ndim == (1 if times is None else 2)
    if is_right and n is not None:
        is_right = u.shape[0] == n
    if is_right and times is not None:
        is_right = u.shape[1] == len(times)
    if is_right:
        return ""
    return f"the solution has shape {u.shape}; this campaign needs {expected}"


def _finite_fault(columns: np.ndarray, numbers: np.ndarray, store: Store) -> str:
    is_finite = np.isfinite(columns)
    if is_finite.all():
        return ""
    dof = numbers[np.argwhere(~is_finite)[0, 0]]
    where = f"the solution is NaN or Inf at dof {dof}"
    for field in store.fields:
        if dof in field.rows:
            return f"{where} (field {field.name})"
    return where
