"""Samples of a store: one sealed file per task and rank."""

from __future__ import annotations

import numpy as np

from rom.archive.nouns import save
from rom.archive.templates import save_alike
from rom.campaign.identity import numbers_digest
from rom.campaign.records import Record, place_of
from rom.campaign.store import Store
from rom.space import Space

ALL_ROWS = "all"  # of a file that holds dofs 0..N-1 in order


def commit(
    store: Store,
    key: str,
    mu: np.ndarray,
    u: np.ndarray,
    *,
    token: str,
    size: int,
    rank: int = 0,
    ranks: int = 1,
    rows: str = ALL_ROWS,
) -> Record:
    """Writes what one rank holds of a sample, u (rows, steps), durably.

    token : of the writing process; size : N dofs of the whole sample
    rows : "all" for dofs 0..N-1 in order, or the name that `commit_rows` gave
    The sample exists once a journal says so. Returns the file's entry for the journal.
    """
    name = f"{key[:32]}-{token}-{rank}.h5"
    path = store.path / "samples" / name
    sample = {
        "key": key,
        "mu": np.asarray(mu, dtype=float),
        "rank": rank,
        "ranks": ranks,
        "rows": rows,
        "size": size,
        "steps": np.ascontiguousarray(u.T),
    }
    digest, length, places = save_alike(path, sample)
    steps = place_of(places["steps"])
    return {"name": name, "sha256": digest, "bytes": length, "rows": rows, "steps": steps}


def commit_rows(store: Store, numbers: np.ndarray) -> str:
    """Writes the increasing dof numbers of a rank's rows; returns their file's name."""
    name = f"rows_{numbers_digest(numbers)}.h5"
    save(store.path / "samples" / name, np.ascontiguousarray(numbers))
    return name


def owned_rows(space: Space) -> tuple[np.ndarray, np.ndarray]:
    """(local rows, their numbers) of the dofs that this rank writes, increasing."""
    mine = np.flatnonzero(space.owned)
    order = mine[np.argsort(space.numbers[mine])]
    return order, space.numbers[order]
