"""Tasks: claimed, solved, checked, committed by every rank, then acknowledged.

A task that gives no solution is recorded as failed with its reason.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rom.campaign.answers import check_answer
from rom.campaign.journal import Manifest, append_record, refresh
from rom.campaign.lease import lease, valid
from rom.campaign.ranks import act_together, talk
from rom.campaign.records import Record, failure_record, sample_record
from rom.campaign.samples import ALL_ROWS, commit
from rom.campaign.store import Store
from rom.campaign.witness import ABORTED, note
from rom.errors import text_of
from rom.space import Space

log = logging.getLogger("rom")
MAX_REASON = 1500  # characters
MAX_NAME = 120  # of the folder of a run that failed
FIRST_PAUSE, MAX_PAUSE, PAUSE_GROWTH = 0.02, 2.0, 1.5  # [s] between looks at what others hold


@dataclass(frozen=True, eq=False)
class Work:
    """How tasks are solved, where their rows belong, and who takes part.

    group : the communicator of a collective solve, or None for a process that solves alone
    token : of this campaign, in the names of its files; journal : this process writes there
    patience [s] : a rank alone in failing aborts the job after it
    ends [s] : no solve may last longer, by the monotonic clock
    rows : "all", or the name of this rank's rows, of `commit_rows`
    journals : names of the journals of this campaign, all ranks and workers
    """

    store: Store
    solve: Callable[[np.ndarray], Any]
    space: Space | None
    group: Any
    token: str
    journal: Path
    patience: float
    ends: float
    rows: str = ALL_ROWS
    journals: set[str] = field(default_factory=set)

    @property
    def leads(self) -> bool:
        """Whether this process claims and acknowledges for its group."""
        return self.group is None or self.group.Get_rank() == 0

    def late(self) -> bool:
        """Whether a solve as long as the longest so far would outlast the time at hand."""
        longest = max(self.store.manifest.longest.values(), default=0.0)
        return time.monotonic() + longest > self.ends

    def act(self, act: Callable[[], Any]) -> list[Any]:
        """What `act()` gave on every rank of the group, errors shared."""
        return [act()] if self.group is None else act_together(self.group, act)

    def share(self, value: Any) -> list[Any]:
        """Everyone's value in the group, plain JSON."""
        return [value] if self.group is None else talk(self.group, value)


@dataclass(frozen=True, eq=False)
class Tasks:
    """What is to be solved: key -> mu (p,), and key -> attempts that may fail.

    expiry [s] : of leases; tick : told how many tasks are over
    """

    mus: dict[str, np.ndarray]
    tries: dict[str, int]
    manifest: Manifest
    expiry: float
    tick: Callable[[int], None]

    def is_over(self, key: str) -> bool:
        """Whether a task is solved, or failed as often as it may."""
        failures = self.manifest.failed.get(key, ())
        return key in self.manifest.done or len(failures) >= self.tries[key]

    def left(self) -> list[str]:
        """The keys of the tasks that are not over."""
        return [key for key in self.mus if not self.is_over(key)]


def farm(work: Work, tasks: Tasks) -> None:
    """Claims and attempts tasks, one after the other, until every one is over."""
    left = deque(tasks.mus)
    while True:
        with ExitStack() as leases:
            claim = work.act(partial(_claim_next, work, tasks, left, leases))[0]
            tasks.tick(len(tasks.mus) - len(left) - (claim is not None))
            if claim is None:
                return
            key = Path(claim).stem
            is_solved = attempt(work, Path(claim), key, tasks.mus[key])
        if work.leads and not is_solved:
            refresh(work.store.manifest)
            left.appendleft(key)


def _claim_next(work: Work, tasks: Tasks, left: deque[str], leases: ExitStack) -> str | None:
    """The path of a claim that this process now holds; only leaders claim.

    None once all tasks are over or the time is; waits for those that others hold.
    left : keys in the order to try; what is claimed or over is taken out, what others hold is
        put last
    The journals are read after the claim, since another may have solved the task before it.
    """
    if not work.leads:
        return None
    pause = FIRST_PAUSE
    folder, manifest = work.store.path / "leases", work.store.manifest
    while left and not work.late():
        for _ in range(len(left)):
            key = left.popleft()
            if tasks.is_over(key):
                continue
            claim = leases.enter_context(lease(folder, key, tasks.expiry))
            if claim is None:
                left.append(key)
                continue
            refresh(manifest)
            if work.late():
                left.appendleft(key)
                return None
            if not tasks.is_over(key):
                return str(claim)
            leases.close()
        if left:
            time.sleep(pause)
            pause = min(PAUSE_GROWTH * pause, MAX_PAUSE)
            refresh(manifest)
    return None


def attempt(work: Work, claim: Path, key: str, mu: np.ndarray) -> bool:
    """Whether one task was solved here: all parts committed, then acknowledged.

    claim : the lease of the task. If it was succeeded meanwhile nothing is written; a solve
    that gives no solution is recorded with its reason.
    """
    start = time.perf_counter()
    note(_Doing(mu))
    u, reason = _solve(work, mu)
    _meet(work, key, mu, reason)
    votes = work.share([not work.leads or valid(claim), reason, work.token])
    is_valid, _, token = votes[0]
    if not is_valid:
        log.warning(
            "mu = %s: the claim expired while this process stood still; another has the task", mu
        )
        return False
    reason = _first_reason([vote[1] for vote in votes])
    if reason:
        log.warning("mu = %s failed: %s", mu, reason)
        _acknowledge(work, failure_record(key, mu, reason))
        return False
    files, size = _commit(work, key, mu, u, token)
    seconds = time.perf_counter() - start
    columns = u.shape[1]
    _acknowledge(work, sample_record(key, mu, files, size=size, columns=columns, seconds=seconds))
    return True


@dataclass(frozen=True, eq=False)
class _Doing:
    """What a rank does, put into words where somebody asks."""

    mu: np.ndarray

    def __str__(self) -> str:
        return f"mu = {self.mu}"


def _solve(work: Work, mu: np.ndarray) -> tuple[np.ndarray, str]:
    """(rows to commit, "") of the solver's answer, or (anything, why there are none)."""
    try:
        u, reason = _to_array(work.solve(mu.copy()))
    except (Exception, SystemExit) as error:
        return np.zeros((0, 0)), text_of(error)[:MAX_REASON] + _keep_folder(work, mu, error)
    if reason:
        return u, reason
    return check_answer(u, work.store, work.space, collective=work.group is not None)


def _keep_folder(work: Work, mu: np.ndarray, error: BaseException) -> str:
    """Where the folder of a run that failed is kept, in words; "" where it has none.

    The last one of each parameter stays.
    """
    folder = getattr(error, "folder", None)
    if folder is None:
        return ""
    name = ",".join(f"{x:.9g}" for x in mu)[:MAX_NAME]
    target = work.store.path / "failed" / name
    target.parent.mkdir(exist_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    shutil.move(folder, target)
    return f"; its folder is kept: {target}"


def _to_array(answer: Any) -> tuple[np.ndarray, str]:
    """(the answer as an array, ""), or (nothing, why it is none)."""
    if np.ma.is_masked(answer):
        return np.zeros((0, 0)), "the solution is masked in places; return all of its values"
    try:
        return np.asarray(answer), ""
    except ValueError as error:
        reason = f"the solution is no array ({text_of(error)}); return float or complex numbers"
        return np.zeros((0, 0)), reason


def _meet(work: Work, key: str, mu: np.ndarray, reason: str) -> None:
    """Meets the other ranks; gives up for all where they do not come.

    A rank that failed while the others hang in the solver's own collectives aborts the job
    after its patience.
    """
    if work.group is None or work.group.Get_size() == 1:
        return
    request = work.group.Ibarrier()
    deadline = time.monotonic() + work.patience
    rank = work.group.Get_rank()
    while not request.Test():
        if reason and time.monotonic() > deadline:
            append_record(work.journal, failure_record(key, mu, f"rank {rank} alone: {reason}"))
            note(ABORTED)
            log.error("rank %d failed alone and the others do not answer: %s", rank, reason)
            work.group.Abort(1)
        time.sleep(1e-3)


def _first_reason(reasons: list[str]) -> str:
    """Why the first rank failed, with its number where there are more."""
    for rank, reason in enumerate(reasons):
        if reason:
            return reason if len(reasons) == 1 else f"rank {rank}: {reason}"
    return ""


def _commit(
    work: Work, key: str, mu: np.ndarray, u: np.ndarray, token: str
) -> tuple[list[Record], int]:
    """(entries of all ranks' files, number of dofs), once all parts are on disk."""
    rank, ranks = 0, 1
    if work.group is not None:
        rank, ranks = work.group.Get_rank(), work.group.Get_size()
    size = u.shape[0]
    if work.rows != ALL_ROWS and work.space is not None:
        size = work.space.size

    write = partial(commit, work.store, key, mu, u, token=token, size=size, rows=work.rows)
    return work.act(partial(write, rank=rank, ranks=ranks)), size


def _acknowledge(work: Work, record: Record) -> None:
    """Writes a record to the leader's journal; what it says is then so for everybody."""
    work.act(lambda: append_record(work.journal, record) if work.leads else None)
    note("")
