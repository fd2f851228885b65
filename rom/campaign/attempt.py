"""One task: solved, checked, committed by every rank, then acknowledged; or recorded as failed with its reason."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rom import errors
from rom.campaign.journal import append
from rom.campaign.lease import valid
from rom.campaign.store import Store, commit, done, talk
from rom.campaign.witness import ABORTED, note
from rom.errors import RomError
from rom.space import Space

log = logging.getLogger("rom")
LONGEST = 1500


@dataclass(frozen=True, eq=False)
class Work:
    """What every attempt needs: how to solve, where rows belong, who takes part."""

    store: Store
    solve: Callable[[np.ndarray], Any]
    space: Space | None
    group: Any
    token: str
    journal: Path
    patience: float
    ends: float

    @property
    def leads(self) -> bool:
        """Whether this process claims and acknowledges for its group."""
        return self.group is None or self.group.Get_rank() == 0

    def late(self) -> bool:
        """Whether a solve as long as the longest so far would outlast the time at hand."""
        return time.monotonic() + max(self.store.manifest.longest.values(), default=0.0) > self.ends


def attempt(work: Work, claim: Path, key: str, mu: np.ndarray, rows: str) -> None:
    """Solves one task; commits every rank's part, then the record that makes it exist, or records why not."""
    start = time.perf_counter()
    reason, u = "", np.zeros((0, 0))
    note(f"mu = {mu}")
    try:
        answer = work.solve(mu.copy())
        try:
            u = np.asarray(answer)
        except ValueError as error:
            reason = f"the solution is no array ({error}); return float or complex numbers"
    except (Exception, SystemExit) as error:
        reason = f"{type(error).__name__}: {error}"[:LONGEST]
    if not reason:
        reason, u = _usable(work, u)
    failure = {
        "state": "failed",
        "key": key,
        "mu": mu.tolist(),
        "reason": reason,
        "time": time.time(),
    }
    _wait(work, failure)
    if not talk(work.group, not work.leads or valid(claim))[0]:
        log.warning(
            "mu = %s: the claim expired while this process stood still; another has the task", mu
        )
        return
    reasons = talk(work.group, reason)
    if any(reasons):
        where = next(rank for rank, text in enumerate(reasons) if text)
        failure["reason"] = (
            reasons[where] if len(reasons) == 1 else f"rank {where}: {reasons[where]}"
        )
        log.warning("mu = %s failed: %s", mu, failure["reason"])
        together(work.group, lambda: append(work.journal, failure) if work.leads else None)
        note("")
        return
    rank, ranks = (0, 1) if work.group is None else (work.group.Get_rank(), work.group.Get_size())
    size = u.shape[0] if rows == "all" or work.space is None else work.space.size
    token = talk(work.group, work.token)[0]
    files = together(
        work.group, lambda: commit(work.store, key, mu, u, token, size, rank, ranks, rows)
    )
    record = done(key, mu, files, size, u.shape[1], time.perf_counter() - start)
    together(work.group, lambda: append(work.journal, record) if work.leads else None)
    note("")


def _usable(work: Work, u: np.ndarray) -> tuple[str, np.ndarray]:
    """("", rows to commit in the order of their numbers), or why this is no solution."""
    times = work.store.times
    space, whole = work.space, work.group is None
    alone = space is None or space.comm is None or space.comm.Get_size() == 1
    first = next(iter(work.store.manifest.done.values()), None)
    n = (
        (space.n if alone or not whole else space.size)
        if space is not None
        else first["size"]
        if first
        else None
    )
    if u.dtype.kind not in "fc" or u.dtype.itemsize > 16 or u.dtype.char == "g":
        return f"the solution has dtype {u.dtype}; return float or complex numbers", u
    if (
        u.ndim != (1 if times is None else 2)
        or (n is not None and u.shape[0] != n)
        or (times is not None and u.shape[1] != len(times))
    ):
        wanted = (
            f"({'n' if n is None else n},)"
            if times is None
            else f"({'n' if n is None else n}, {len(times)})"
        )
        return f"the solution has shape {u.shape}; this campaign needs {wanted}", u
    if u.shape[0] == 0 and whole:
        return "the solution is empty", u
    order, numbers = (
        owned_rows(space)
        if space is not None and (alone or not whole)
        else (slice(None), np.arange(len(u)))
    )
    u = (u[:, None] if u.ndim == 1 else u)[order]
    if not np.isfinite(u).all():
        row = int(np.argwhere(~np.isfinite(u))[0, 0])
        named = [f.name for f in work.store.fields if numbers[row] in f.rows]
        return (
            f"the solution is NaN or Inf at dof {numbers[row]}{f' (field {named[0]})' if named else ''}",
            u,
        )
    return "", u


def _wait(work: Work, failure: dict[str, Any]) -> None:
    """Meets the other ranks; one that failed while they hang in the solver's own collectives gives up for all after its patience."""
    if work.group is None or work.group.Get_size() == 1:
        return
    request, deadline = work.group.Ibarrier(), time.monotonic() + work.patience
    while not request.Test():
        if failure["reason"] and time.monotonic() > deadline:
            rank = work.group.Get_rank()
            append(work.journal, {**failure, "reason": f"rank {rank} alone: {failure['reason']}"})
            note(ABORTED)
            log.error(
                "rank %d failed alone and the others do not answer: %s", rank, failure["reason"]
            )
            work.group.Abort(1)
        time.sleep(1e-3)


def together(group: Any, act: Callable[[], Any]) -> list[Any]:
    """What `act` gave on every rank; if it raised on any, all raise the same."""
    problem, value = None, None
    try:
        value = act()
    except RomError as error:
        problem = [type(error).__name__, str(error)]
    answers = talk(group, [problem, value])
    for failed, _ in answers:
        if failed:
            raise getattr(errors, failed[0])(failed[1])
    return [value for _, value in answers]


def owned_rows(space: Space) -> tuple[np.ndarray, np.ndarray]:
    """(local rows, their numbers) of the dofs that this rank writes, numbers increasing."""
    mine = np.flatnonzero(space.owned)
    order = mine[np.argsort(space.numbers[mine])]
    return order, space.numbers[order]
