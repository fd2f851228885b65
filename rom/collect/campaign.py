"""Campaigns: one solve per parameter, over ranks and jobs, resumable at any moment."""

from __future__ import annotations

import logging
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rom import errors
from rom.collect.journal import append, journal, refresh
from rom.collect.lease import lease, valid
from rom.collect.store import Store, commit, commit_rows, done, found, founded, identity, talk
from rom.collect.witness import ABORTED, noted
from rom.errors import BadInput, RomError
from rom.mesh import Mesh
from rom.parameters import Box
from rom.space import Field, Space

log = logging.getLogger("rom")
LONGEST = 1500


@dataclass(frozen=True, eq=False)
class Campaign:
    """What a call of `collect` did: tasks solved now, skipped because they were done before, and failed as (mu, reason).

    left : tasks that the time did not suffice for
    """

    path: str
    solved: int
    skipped: int
    failed: tuple[tuple[tuple[float, ...], str], ...]
    seconds: float
    left: int = 0


@dataclass(frozen=True, eq=False)
class _Work:
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
        return self.group is None or self.group.Get_rank() == 0


def collect(
    solve: Callable[[np.ndarray], Any],
    mus: np.ndarray,
    path: str | Path,
    comm: Any = None,
    box: Box | None = None,
    space: Space | None = None,
    mesh: Mesh | None = None,
    distributed: bool = False,
    times: np.ndarray | None = None,
    version: str = "1",
    retries: int = 0,
    progress: bool | None = None,
    expiry: float = 120.0,
    patience: float = 8.0,
    seconds: float | None = None,
    only: np.ndarray | None = None,
) -> Campaign:
    """u(mu_i) for every row of mus (m, p), each solved once and committed durably; run again to finish what is left.

    solve : mu (p,) -> u (n,), or (n, n_t) at `times` [s]; rows are those of `space`, or all N in order where the space lies on ranks
    comm, distributed : each rank farms whole samples; if distributed, `solve` is collective and returns this rank's rows of `space`
    version : changes when the solver's answers do; retries : how often a failed task is tried again
    expiry [s] : a claim of another host without a heartbeat is dead; patience [s] : a rank alone in failing aborts the job after it
    seconds [s] : the time at hand; no solve begins that would outlast it if it took as long as the longest that is known
    only : rows of mus to solve here; all of them are planned, so that the order of the store is that of mus whoever begins

    A solve that raises, or gives NaN, a wrong shape or type, is recorded as failed with its reason, and the campaign goes on. Several
    jobs may collect into one folder. Raises BadInput, OutsideBox, NotWritten; BadInput where the folder holds another campaign.
    """
    start = time.perf_counter()
    mus = _checked(solve, mus, box, space, times, distributed, retries)
    comm = comm if comm is not None or space is None else space.comm
    fields = () if space is None else _fields(space)
    settings = identity(None if space is None else space.size, box, fields, mesh, times, version)
    leader = comm is None or comm.Get_rank() == 0
    writer = journal(Path(path))
    tasks: dict[str, np.ndarray] = {}

    def prepared() -> None:
        store = founded(path, settings, fields, mesh)
        tasks.update({store.key(mu): mu for mu in mus})
        if not set(tasks) <= set(store.manifest.planned):
            plan = {"keys": list(tasks), "mus": [mu.tolist() for mu in tasks.values()]}
            append(writer, {"state": "plan", **plan, "time": time.time()})

    _together(comm, lambda: prepared() if leader else None)
    store = found(path)
    tasks = {store.key(mu): mu for mu in (mus if only is None else _among(mus, only))}
    before = {key for key in tasks if key in store.manifest.done}
    tries = {key: len(store.manifest.failed.get(key, ())) + retries + (key not in store.manifest.failed) for key in tasks}
    talk(comm, 0)
    ends = np.inf if seconds is None else time.monotonic() + seconds
    work = _Work(store, solve, space, comm if distributed else None, secrets.token_hex(4), writer, patience, ends)

    def finished(key: str) -> bool:
        return key in store.manifest.done or len(store.manifest.failed.get(key, ())) >= tries[key]

    rows = "all"
    if distributed and space is not None:
        numbers = _owned(space)[1]
        rows = _together(comm, lambda: commit_rows(store, numbers))[0 if comm is None else comm.Get_rank()]
    with ticker(len(tasks), leader, progress) as tick:
        _farm(work, tasks, finished, expiry, tick, rows)
    talk(comm if seconds is not None else None, 0)
    refresh(store.manifest)
    failed = tuple(
        (tuple(mu.tolist()), store.manifest.failed[key][-1]["reason"])
        for key, mu in tasks.items()
        if finished(key) and key not in store.manifest.done
    )
    left = sum(not finished(key) for key in tasks)
    solved = len(tasks) - len(before) - len(failed) - left
    if leader:
        log.info("%s: %d solved, %d done before, %d failed, %d left", path, solved, len(before), len(failed), left)
    return Campaign(str(path), solved, len(before), failed, time.perf_counter() - start, left)


def _farm(
    work: _Work, tasks: dict[str, np.ndarray], finished: Callable[[str], bool], expiry: float, tick: Any, rows: str
) -> None:
    """Claims and attempts tasks until every one is finished by somebody."""
    claimed: list[str | None] = [""]
    while claimed[0] is not None:
        with ExitStack() as held:
            claimed = _together(work.group, partial(_next, work, tasks, finished, held, expiry, tick))
            if claimed[0] is not None:
                claim = Path(claimed[0])
                _attempt(work, claim, claim.stem, tasks[claim.stem], rows)


def _next(work: _Work, tasks: dict[str, np.ndarray], finished: Any, held: ExitStack, expiry: float, tick: Any) -> str | None:
    """A claim that this process now holds, or None once all are finished or the time is; waits for others'. Only leaders claim."""
    pause = 0.02
    if not work.leads:
        return None
    while True:
        refresh(work.store.manifest)
        left = [key for key in tasks if not finished(key)]
        tick(len(tasks) - len(left))
        if not left or time.monotonic() + _longest(work.store) > work.ends:
            return None
        for key in left:
            claim = held.enter_context(lease(work.store.path / "leases", key, expiry))
            if claim:
                refresh(work.store.manifest)
                if not finished(key):
                    return str(claim)
                held.close()
        time.sleep(pause)
        pause = min(1.5 * pause, 2.0)


def _longest(store: Store) -> float:
    """Seconds that the longest solve took so far."""
    return max((record["seconds"] for record in store.manifest.done.values()), default=0.0)


def _attempt(work: _Work, claim: Path, key: str, mu: np.ndarray, rows: str) -> None:
    """Solves one task; commits every rank's part, then the record that makes it exist, or records why not."""
    start = time.perf_counter()
    reason, u = "", np.zeros((0, 0))
    noted(f"mu = {mu}")
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
    failure = {"state": "failed", "key": key, "mu": mu.tolist(), "reason": reason, "time": time.time()}
    _wait(work, failure)
    if not talk(work.group, not work.leads or valid(claim))[0]:
        log.warning("mu = %s: the claim expired while this process stood still; another has the task", mu)
        return
    reasons = talk(work.group, reason)
    if any(reasons):
        where = next(rank for rank, text in enumerate(reasons) if text)
        failure["reason"] = reasons[where] if len(reasons) == 1 else f"rank {where}: {reasons[where]}"
        log.warning("mu = %s failed: %s", mu, failure["reason"])
        _together(work.group, lambda: append(work.journal, failure) if work.leads else None)
        noted("")
        return
    rank, ranks = (0, 1) if work.group is None else (work.group.Get_rank(), work.group.Get_size())
    size = u.shape[0] if rows == "all" or work.space is None else work.space.size
    token = talk(work.group, work.token)[0]
    files = _together(work.group, lambda: commit(work.store, key, mu, u, token, size, rank, ranks, rows))
    record = done(key, mu, files, size, u.shape[1], time.perf_counter() - start)
    _together(work.group, lambda: append(work.journal, record) if work.leads else None)
    noted("")


def _usable(work: _Work, u: np.ndarray) -> tuple[str, np.ndarray]:
    """("", rows to commit in the order of their numbers), or why this is no solution."""
    times = work.store.times
    space, whole = work.space, work.group is None
    alone = space is None or space.comm is None or space.comm.Get_size() == 1
    first = next(iter(work.store.manifest.done.values()), None)
    n = (space.n if alone or not whole else space.size) if space is not None else first["size"] if first else None
    if u.dtype.kind not in "fc" or u.dtype.itemsize > 16 or u.dtype.char == "g":
        return f"the solution has dtype {u.dtype}; return float or complex numbers", u
    if (
        u.ndim != (1 if times is None else 2)
        or (n is not None and u.shape[0] != n)
        or (times is not None and u.shape[1] != len(times))
    ):
        wanted = f"({'n' if n is None else n},)" if times is None else f"({'n' if n is None else n}, {len(times)})"
        return f"the solution has shape {u.shape}; this campaign needs {wanted}", u
    if u.shape[0] == 0 and whole:
        return "the solution is empty", u
    order, numbers = _owned(space) if space is not None and (alone or not whole) else (slice(None), np.arange(len(u)))
    u = (u[:, None] if u.ndim == 1 else u)[order]
    if not np.isfinite(u).all():
        row = int(np.argwhere(~np.isfinite(u))[0, 0])
        named = [f.name for f in work.store.fields if numbers[row] in f.rows]
        return f"the solution is NaN or Inf at dof {numbers[row]}{f' (field {named[0]})' if named else ''}", u
    return "", u


def _wait(work: _Work, failure: dict[str, Any]) -> None:
    """Meets the other ranks; one that failed while they hang in the solver's own collectives gives up for all after its patience."""
    if work.group is None or work.group.Get_size() == 1:
        return
    request, deadline = work.group.Ibarrier(), time.monotonic() + work.patience
    while not request.Test():
        if failure["reason"] and time.monotonic() > deadline:
            rank = work.group.Get_rank()
            append(work.journal, {**failure, "reason": f"rank {rank} alone: {failure['reason']}"})
            noted(ABORTED)
            log.error("rank %d failed alone and the others do not answer: %s", rank, failure["reason"])
            work.group.Abort(1)
        time.sleep(1e-3)


def _together(group: Any, act: Callable[[], Any]) -> list[Any]:
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


def _checked(solve: Any, mus: Any, box: Any, space: Any, times: Any, distributed: bool, retries: Any) -> np.ndarray:
    if not callable(solve):
        raise BadInput(f"solve is a {type(solve).__name__}; give a function mu -> u")
    try:
        mus = np.asarray(mus, dtype=float)
    except (TypeError, ValueError) as error:
        raise BadInput(f"mus is not an array of numbers ({error}); give one row per task: (m, p)") from error
    if mus.ndim != 2 or mus.size == 0:
        raise BadInput(f"mus has shape {mus.shape}; give one row per task: (m, p) with m and p at least 1")
    if not np.isfinite(mus).all():
        raise BadInput(f"mus holds NaN or Inf at {tuple(int(k) for k in np.argwhere(~np.isfinite(mus))[0])}; remove this task")
    if box is not None:
        box.check(mus)
    if times is not None and (
        np.ndim(times) != 1 or len(times) == 0 or not np.isfinite(times).all() or (np.diff(times) <= 0).any()
    ):
        raise BadInput("times must be increasing, finite and not empty: (n_t,) [s]")
    if distributed and space is None:
        raise BadInput("a distributed solve needs the space whose `numbers` say which rows each rank returns; give space=")
    if isinstance(retries, bool) or not isinstance(retries, (int, np.integer)) or retries < 0:
        raise BadInput(f"retries = {retries!r}; give 0 or a positive integer")
    return mus + 0.0


def _among(mus: np.ndarray, only: Any) -> np.ndarray:
    only = np.asarray(only)
    if only.dtype.kind not in "iu" or only.ndim != 1 or only.size == 0 or only.min() < 0 or only.max() >= len(mus):
        raise BadInput(f"only = {only} must name rows of mus, 0..{len(mus) - 1}")
    return mus[only]


def _owned(space: Space) -> tuple[np.ndarray, np.ndarray]:
    """(local rows, their numbers) of the dofs that this rank writes, numbers increasing."""
    mine = np.flatnonzero(space.owned)
    order = mine[np.argsort(space.numbers[mine])]
    return order, space.numbers[order]


def _fields(space: Space) -> tuple[Field, ...]:
    """The fields in global numbers."""
    if space.comm is None or space.comm.Get_size() == 1:
        return tuple(replace(f, rows=space.numbers[f.rows]) for f in space.fields)
    marks = [space.gather(np.isin(np.arange(space.n), f.rows).astype(float)) for f in space.fields]
    return tuple(replace(f, rows=np.flatnonzero(mark)) for f, mark in zip(space.fields, marks, strict=True))


@contextmanager
def ticker(total: int, leader: bool, wanted: bool | None) -> Iterator[Callable[[int], None]]:
    """A bar on rank 0 of a terminal; nothing elsewhere."""
    if not leader or not (sys.stderr.isatty() if wanted is None else wanted):
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    with Progress(
        *Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True)
    ) as bar:
        task = bar.add_task("solve", total=total)
        yield lambda count: bar.update(task, completed=count)
