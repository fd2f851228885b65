"""Campaigns: one solve per parameter, over ranks and jobs, resumable at any time."""

from __future__ import annotations

import logging
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rom.arrays import gate
from rom.campaign.attempt import Tasks, Work, farm
from rom.campaign.identity import campaign_identity
from rom.campaign.journal import append_record, new_journal, refresh
from rom.campaign.ranks import act_together, talk
from rom.campaign.records import plan_record
from rom.campaign.samples import ALL_ROWS, commit_rows, owned_rows
from rom.campaign.settings import check_crew, check_only, check_retries, check_tasks, check_times
from rom.campaign.store import Store, create_store, open_store
from rom.errors import BadInput
from rom.mesh import Mesh
from rom.parameters import Box
from rom.space import Field, Space

log = logging.getLogger("rom")
Crew = Callable[[Work, Tasks], None]


@dataclass(frozen=True, eq=False)
class Campaign:
    """What a call of `collect` did.

    solved, skipped : numbers of tasks solved by this call, and by others, before or meanwhile
    failed : (mu, reason) of each; left : tasks that the time did not suffice for
    """

    path: str
    solved: int
    skipped: int
    failed: tuple[tuple[tuple[float, ...], str], ...]
    seconds: float
    left: int = 0


@gate()
def collect(
    solve: Callable[[np.ndarray], Any],
    mus: np.ndarray,
    path: str | Path,
    *,
    comm: Any = None,
    box: Box | None = None,
    space: Space | None = None,
    mesh: Mesh | None = None,
    distributed: bool = False,
    times: np.ndarray | None = None,
    version: str = "1",
    source: Mapping[str, str] | None = None,
    keep: bool = False,
    retries: int = 0,
    progress: bool | None = None,
    expiry: float = 120.0,
    patience: float = 8.0,
    seconds: float | None = None,
    only: np.ndarray | None = None,
    crew: Crew | None = None,
) -> Campaign:
    """u(mu_i) for every row of mus (m, p), each solved once and committed durably.

    Run again to finish what is left; several jobs may collect into one folder. A solve that
    raises, or gives NaN, a wrong shape or type, is recorded as failed with its reason, and the
    campaign goes on.

    solve : mu (p,) -> u (n,), or (n, n_t) at `times` [s]; rows are those of `space`, or all N
        in order where the space lies on ranks
    comm, distributed : each rank farms whole samples; if distributed, `solve` is collective
        and returns this rank's rows of `space`
    version : changes when the solver's answers do; source : file -> digest of the solver's files,
        which must not change either; keep : samples of the files as they were, and go on
    retries : how often a failed task is tried again
    expiry [s] : a claim of another host without a heartbeat is dead
    patience [s] : a rank alone in failing aborts the job after it
    seconds [s] : the time at hand; no solve begins that would outlast it if it took as long as
        the longest that is known
    only : rows of mus to solve here; all of them are planned, so that the order of the store is
        that of mus whoever begins
    crew : who solves, as `partial(pilot, ...)`; by default the ranks of comm
    Raises BadInput, OutsideBox, NotWritten; BadInput where the folder holds another campaign.
    """
    start = time.perf_counter()
    mus = check_tasks(solve, mus, box)
    check_times(times)
    check_crew(crew, space, distributed)
    check_retries(retries)
    size: int | None = None
    fields: tuple[Field, ...] = ()
    if space is not None:
        comm = space.comm if comm is None else comm
        size, fields = space.size, _global_fields(space)
    identity = campaign_identity(
        version, size=size, box=box, fields=fields, mesh=mesh, times=times, source=source
    )
    leads = comm is None or comm.Get_rank() == 0
    journal = new_journal(Path(path))
    plan = partial(_plan, path, identity, mus, journal, fields=fields, mesh=mesh, keep=keep)
    act_together(comm, lambda: plan() if leads else None)
    store = open_store(path)
    rows = mus if only is None else mus[check_only(only, len(mus))]
    keys = store.keys(rows)
    tries = {key: _allowed_failures(store, key, retries) for key in keys}
    names = talk(comm, journal.name)
    work = Work(
        store,
        solve,
        space,
        comm if distributed else None,
        secrets.token_hex(4),
        journal,
        patience,
        np.inf if seconds is None else time.monotonic() + seconds,
        _commit_rows(store, space, comm) if distributed and space is not None else ALL_ROWS,
        set(names),
    )
    parameters = dict(zip(keys, rows, strict=True))
    with ticker(len(parameters), leads, progress) as tick:
        tasks = Tasks(parameters, tries, store.manifest, expiry, tick)
        (crew or farm)(work, tasks)
    if seconds is not None:
        talk(comm, 0)
    refresh(store.manifest)
    campaign = _sum_up(tasks, str(path), work.journals, time.perf_counter() - start)
    _report(campaign, leads)
    return campaign


def _plan(
    path: str | Path,
    identity: dict[str, Any],
    mus: np.ndarray,
    journal: Path,
    *,
    fields: tuple[Field, ...],
    mesh: Mesh | None,
    keep: bool,
) -> None:
    """Founds the store where there is none, and plans the tasks that nobody planned."""
    store = create_store(path, identity, fields=fields, mesh=mesh, keep=keep)
    tasks = dict(zip(store.keys(mus), mus.tolist(), strict=True))
    if set(tasks) <= set(store.manifest.plan):
        return
    append_record(journal, plan_record(list(tasks), list(tasks.values())))


def _allowed_failures(store: Store, key: str, retries: int) -> int:
    """Failures a task may have in all: one, or those before, and the retries."""
    failures = len(store.manifest.failed.get(key, ()))
    return max(failures, 1) + retries


def _commit_rows(store: Store, space: Space, comm: Any) -> str:
    """The name of this rank's rows, once every rank has written its own."""
    numbers = owned_rows(space)[1]
    names: list[str] = act_together(comm, partial(commit_rows, store, numbers))
    return names[0 if comm is None else comm.Get_rank()]


def _sum_up(tasks: Tasks, path: str, journals: set[str], seconds: float) -> Campaign:
    """The campaign; its own solves are those that its journals acknowledge."""
    left, failed = set(tasks.left()), []
    for key, mu in tasks.mus.items():
        if key not in left and key not in tasks.manifest.done:
            reason = tasks.manifest.failed[key][-1]["reason"]
            failed.append((tuple(mu.tolist()), reason))
    authors = tasks.manifest.authors
    solved = sum(authors.get(key) in journals for key in tasks.mus)
    skipped = len(tasks.mus) - solved - len(failed) - len(left)
    return Campaign(path, solved, skipped, tuple(failed), seconds, len(left))


def _report(campaign: Campaign, leads: bool) -> None:
    level = logging.INFO if leads else logging.DEBUG
    log.log(
        level,
        "%s: %d solved, %d done by others, %d failed, %d left",
        campaign.path,
        campaign.solved,
        campaign.skipped,
        len(campaign.failed),
        campaign.left,
    )


def _global_fields(space: Space) -> tuple[Field, ...]:
    """The fields in global numbers."""
    if space.comm is None or space.comm.Get_size() == 1:
        return tuple(replace(f, rows=space.numbers[f.rows]) for f in space.fields)
    fields = []
    for field in space.fields:
        if field.nodes is not None:
            raise BadInput(
                f"field {field.name!r} names the nodes of its unknowns; collect it on one rank"
            )
        is_inside = np.isin(np.arange(space.n), field.rows)
        marks = space.gather(is_inside.astype(float))
        fields.append(replace(field, rows=np.flatnonzero(marks)))
    return tuple(fields)


@contextmanager
def ticker(total: int, leads: bool, wish: bool | None) -> Iterator[Callable[[int], None]]:
    """A bar on the leader's terminal; nothing elsewhere, or where the wish is False."""
    is_shown = sys.stderr.isatty() if wish is None else wish
    if not leads or not is_shown:
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = [*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("solve", total=total)
        yield lambda count: bar.update(task, completed=count)
