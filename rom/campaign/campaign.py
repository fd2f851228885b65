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

from rom.campaign.attempt import Work, attempt, owned_rows, together
from rom.campaign.journal import append, journal, refresh
from rom.campaign.lease import lease
from rom.campaign.store import commit_rows, create_store, identity, open_store, talk
from rom.errors import BadInput
from rom.mesh import Mesh
from rom.parameters import Box
from rom.space import Field, Space

log = logging.getLogger("rom")
Finished = Callable[[str], bool]
Tick = Callable[[int], None]
Crew = Callable[[Work, dict[str, np.ndarray], Finished, float, Tick], None]


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
    crew: Crew | None = None,
) -> Campaign:
    """u(mu_i) for every row of mus (m, p), each solved once and committed durably; run again to finish what is left.

    solve : mu (p,) -> u (n,), or (n, n_t) at `times` [s]; rows are those of `space`, or all N in order where the space lies on ranks
    comm, distributed : each rank farms whole samples; if distributed, `solve` is collective and returns this rank's rows of `space`
    version : changes when the solver's answers do; retries : how often a failed task is tried again
    expiry [s] : a claim of another host without a heartbeat is dead; patience [s] : a rank alone in failing aborts the job after it
    seconds [s] : the time at hand; no solve begins that would outlast it if it took as long as the longest that is known
    only : rows of mus to solve here; all of them are planned, so that the order of the store is that of mus whoever begins
    crew : who solves, as `partial(pilot, ...)`; by default the ranks of comm

    A solve that raises, or gives NaN, a wrong shape or type, is recorded as failed with its reason, and the campaign goes on. Several
    jobs may collect into one folder. Raises BadInput, OutsideBox, NotWritten; BadInput where the folder holds another campaign.
    """
    start = time.perf_counter()
    mus = _checked(solve, mus, box, space, times, distributed, retries, crew)
    comm = comm if comm is not None or space is None else space.comm
    fields = () if space is None else _fields(space)
    settings = identity(None if space is None else space.size, box, fields, mesh, times, version)
    leader = comm is None or comm.Get_rank() == 0
    writer = journal(Path(path))
    tasks: dict[str, np.ndarray] = {}

    def prepared() -> None:
        store = create_store(path, settings, fields, mesh)
        tasks.update({store.key(mu): mu for mu in mus})
        if not set(tasks) <= set(store.manifest.planned):
            plan = {"keys": list(tasks), "mus": [mu.tolist() for mu in tasks.values()]}
            append(writer, {"state": "plan", **plan, "time": time.time()})

    together(comm, lambda: prepared() if leader else None)
    store = open_store(path)
    tasks = {store.key(mu): mu for mu in (mus if only is None else _among(mus, only))}
    before = {key for key in tasks if key in store.manifest.done}
    tries = {
        key: len(store.manifest.failed.get(key, ())) + retries + (key not in store.manifest.failed)
        for key in tasks
    }
    talk(comm, 0)
    ends = np.inf if seconds is None else time.monotonic() + seconds
    work = Work(
        store,
        solve,
        space,
        comm if distributed else None,
        secrets.token_hex(4),
        writer,
        patience,
        ends,
    )

    def finished(key: str) -> bool:
        return key in store.manifest.done or len(store.manifest.failed.get(key, ())) >= tries[key]

    rows = "all"
    if distributed and space is not None:
        numbers = owned_rows(space)[1]
        rows = together(comm, lambda: commit_rows(store, numbers))[
            0 if comm is None else comm.Get_rank()
        ]
    with ticker(len(tasks), leader, progress) as tick:
        (crew or partial(_farm, rows))(work, tasks, finished, expiry, tick)
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
        log.info(
            "%s: %d solved, %d done before, %d failed, %d left",
            path,
            solved,
            len(before),
            len(failed),
            left,
        )
    return Campaign(str(path), solved, len(before), failed, time.perf_counter() - start, left)


def _farm(
    rows: str,
    work: Work,
    tasks: dict[str, np.ndarray],
    finished: Finished,
    expiry: float,
    tick: Tick,
) -> None:
    """Claims and attempts tasks, one after the other, until every one is finished by somebody."""
    left = dict(tasks)
    claimed: list[str | None] = [""]
    while claimed[0] is not None:
        with ExitStack() as held:
            claimed = together(work.group, partial(_next, work, left, finished, held, expiry))
            tick(len(tasks) - len(left))
            if claimed[0] is not None:
                claim = Path(claimed[0])
                attempt(work, claim, claim.stem, tasks[claim.stem], rows)


def _next(
    work: Work, left: dict[str, np.ndarray], finished: Finished, held: ExitStack, expiry: float
) -> str | None:
    """A claim that this process now holds, or None once all are finished or the time is; waits for others'. Only leaders claim.

    left : in the order to try; the finished are taken out and what others hold is put last, so that none is looked at in vain twice
    """
    pause = 0.02
    if not work.leads:
        return None
    while True:
        refresh(work.store.manifest)
        late = work.late()
        for key in list(left):
            if finished(key):
                del left[key]
            elif not late:
                claim = held.enter_context(lease(work.store.path / "leases", key, expiry))
                if claim:
                    refresh(work.store.manifest)
                    if not finished(key):
                        return str(claim)
                    held.close()
                left[key] = left.pop(key)
        if late or not left:
            return None
        time.sleep(pause)
        pause = min(1.5 * pause, 2.0)


def _checked(
    solve: Any,
    mus: Any,
    box: Any,
    space: Any,
    times: Any,
    distributed: bool,
    retries: Any,
    crew: Any,
) -> np.ndarray:
    if not callable(solve):
        raise BadInput(f"solve is a {type(solve).__name__}; give a function mu -> u")
    try:
        mus = np.asarray(mus, dtype=float)
    except (TypeError, ValueError) as error:
        raise BadInput(
            f"mus is not an array of numbers ({error}); give one row per task: (m, p)"
        ) from error
    if mus.ndim != 2 or mus.size == 0:
        raise BadInput(
            f"mus has shape {mus.shape}; give one row per task: (m, p) with m and p at least 1"
        )
    if not np.isfinite(mus).all():
        raise BadInput(
            f"mus holds NaN or Inf at {tuple(int(k) for k in np.argwhere(~np.isfinite(mus))[0])}; remove this task"
        )
    if box is not None:
        box.check(mus)
    if times is not None and (
        np.ndim(times) != 1
        or len(times) == 0
        or not np.isfinite(times).all()
        or (np.diff(times) <= 0).any()
    ):
        raise BadInput("times must be increasing, finite and not empty: (n_t,) [s]")
    if crew is not None and (distributed or (space is not None and space.comm is not None)):
        raise BadInput(
            "this case's solves are collective, the workers of a pilot solve alone; use ranks"
        )
    if distributed and space is None:
        raise BadInput(
            "a distributed solve needs the space whose `numbers` say which rows each rank returns; give space="
        )
    if isinstance(retries, bool) or not isinstance(retries, (int, np.integer)) or retries < 0:
        raise BadInput(f"retries = {retries!r}; give 0 or a positive integer")
    return mus + 0.0


def _among(mus: np.ndarray, only: Any) -> np.ndarray:
    only = np.asarray(only)
    if (
        only.dtype.kind not in "iu"
        or only.ndim != 1
        or only.size == 0
        or only.min() < 0
        or only.max() >= len(mus)
    ):
        raise BadInput(f"only = {only} must name rows of mus, 0..{len(mus) - 1}")
    return mus[only]


def _fields(space: Space) -> tuple[Field, ...]:
    """The fields in global numbers."""
    if space.comm is None or space.comm.Get_size() == 1:
        return tuple(replace(f, rows=space.numbers[f.rows]) for f in space.fields)
    marks = [space.gather(np.isin(np.arange(space.n), f.rows).astype(float)) for f in space.fields]
    return tuple(
        replace(f, rows=np.flatnonzero(mark)) for f, mark in zip(space.fields, marks, strict=True)
    )


@contextmanager
def ticker(total: int, leader: bool, wanted: bool | None) -> Iterator[Callable[[int], None]]:
    """A bar on rank 0 of a terminal; nothing elsewhere."""
    if not leader or not (sys.stderr.isatty() if wanted is None else wanted):
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    with Progress(
        *Progress.get_default_columns()[:2],
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as bar:
        task = bar.add_task("solve", total=total)
        yield lambda count: bar.update(task, completed=count)
