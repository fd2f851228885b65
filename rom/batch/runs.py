"""Campaigns as batch jobs: submitted, looked after, resumed with exactly what is unfinished, cancelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rom.batch.jobs import Group, submit_jobs
from rom.batch.queue import cancel_jobs
from rom.batch.run_folder import RESULTS, Run, create_run, open_run
from rom.batch.submissions import (
    Queue,
    Record,
    adopt_lost_jobs,
    attempts_by_row,
    busy,
    close_parts,
    ending,
    failure_kind,
    living,
    part_states,
    records,
)
from rom.campaign.lease import lease
from rom.errors import BadInput

__all__ = [
    "Run",
    "Status",
    "cancel_run",
    "create_run",
    "open_run",
    "read_logs",
    "read_status",
    "resume_run",
    "submit_stage",
]
STAGES = {
    "collect": ("collect",),
    "reduce": ("reduce",),
    "study": ("study",),
    "all": ("collect", "reduce", "study"),
}


@dataclass(frozen=True, eq=False)
class Status:
    """Where a run stands: rows done, failed (row, reason), paused (row, kind), unfinished; jobs by number with the states of their parts."""

    planned: int
    done: tuple[int, ...]
    failed: dict[int, str]
    paused: dict[int, str]
    unfinished: tuple[int, ...]
    jobs: dict[str, list[str]]
    results: tuple[str, ...]


def submit_stage(run: Run, stage: str, dry: bool = False) -> list[tuple[str, str]]:
    """Jobs of a stage, handed to the queue: (number, script). dry : nothing is submitted, the numbers are names.

    Raises BadInput where the stage was submitted before: `resumed` goes on with it.
    """
    if stage not in STAGES:
        raise BadInput(f"no stage {stage!r}; known: {', '.join(STAGES)}")
    with lease(run.folder / "leases", "submit", 120.0) as mine:
        if mine is None:
            raise BadInput(f"another rom submit is at work in {run.folder}; wait for it")
        known = records(run)
        again = [s for s in STAGES[stage] if any(r["stage"] == s for r in known)]
        if again:
            raise BadInput(
                f"{again[0]} was submitted into {run.folder} before; rom status {run.folder} shows it, rom resume goes on with it"
            )
        groups: list[Group] = (
            [(tuple(range(len(run.mus))), 0, 1)] if "collect" in STAGES[stage] else []
        )
        queue = {} if dry else part_states(run, known)
        before = [r["job"] for r in known if living(queue, r["job"])]
        return submit_jobs(run, groups, [s for s in STAGES[stage] if s != "collect"], before, dry)


def resume_run(run: Run, force: bool = False) -> list[tuple[str, str]]:
    """Jobs for what is unfinished, failed as the site's `retry` allows, and nothing else: (number, script).

    A part that ran out of memory or time gets twice as much. force : also what was tried often enough.
    """
    with lease(run.folder / "leases", "submit", 120.0) as mine:
        if mine is None:
            raise BadInput(f"another rom submit is at work in {run.folder}; wait for it")
        known = adopt_lost_jobs(run)
        if not known:
            raise BadInput(f"nothing was submitted into {run.folder} yet; rom submit")
        queue = part_states(run, known)
        close_parts(run, known, queue, set(run_status(run, known, queue).unfinished))
        known = records(run)
        groups = _due(run, known, queue, force)
        stages = [s for s in ("reduce", "study") if any(r["stage"] == s for r in known)]
        waiting = [r["job"] for r in known if r["stage"] in stages and living(queue, r["job"])]
        stages = [
            s for s in stages if groups or (not waiting and not (run.folder / RESULTS[s]).exists())
        ]
        if groups and stages:
            cancel_jobs(waiting, run.site)
        return submit_jobs(
            run,
            groups,
            stages,
            [r["job"] for r in known if r["job"] not in waiting and living(queue, r["job"])],
            False,
        )


def _due(run: Run, known: Sequence[Record], queue: Queue, force: bool) -> list[Group]:
    """(rows, retries, growth) of what is neither done nor in the queue, without what is paused unless `force`."""
    now, held, told = run_status(run, known, queue), busy(known, queue), attempts_by_row(known)
    groups: dict[tuple[int, int], list[int]] = {}
    for row in (*now.unfinished, *now.failed):
        if row in held or (row in now.paused and not force):
            continue
        if row in now.failed:
            key = (1, 2 if failure_kind(now.failed[row]) == "memory" else 1)
        else:
            key = (0, 2 ** min(sum(kind in ("timeout", "memory") for kind in told.get(row, ())), 3))
        groups.setdefault(key, []).append(row)
    return [(tuple(rows), *key) for key, rows in groups.items()]


def run_status(run: Run, known: Sequence[Record], queue: Queue) -> Status:
    """Where a run stands, from its store and the queue."""
    store = run.store
    keys = {} if store is None else {i: store.key(mu) for i, mu in enumerate(run.mus)}
    ends = {} if store is None else store.manifest.failed
    done = tuple(i for i, key in keys.items() if store is not None and key in store.manifest.done)
    failed = {
        i: ends[key][-1]["reason"] for i, key in keys.items() if key in ends and i not in set(done)
    }
    rest = tuple(i for i in range(len(run.mus)) if i not in set(done) | set(failed))
    paused = {
        i: failure_kind(reason)
        for i, reason in failed.items()
        if len(ends[keys[i]]) > run.site.tries(failure_kind(reason))
    }
    for row, kinds in attempts_by_row(known).items():
        spent = [
            kind
            for kind in set(kinds) - {"cancelled", "stopped", "refused"}
            if kinds.count(kind) > run.site.tries(kind)
        ]
        if spent and row in rest:
            paused[row] = spent[0]
    results = tuple(name for name in RESULTS.values() if (run.folder / name).exists())
    jobs = {r["job"] or r["name"]: list(queue.get(r["job"], {}).values()) for r in known}
    return Status(len(run.mus), done, failed, paused, rest, jobs, results)


def read_status(folder: str | Path) -> Status:
    """Where the run in a folder stands. Raises NotSubmitted where the scheduler does not answer."""
    run = open_run(folder)
    known = records(run)
    return run_status(run, known, part_states(run, known))


def cancel_run(folder: str | Path) -> list[str]:
    """Ends every job of a run that is still in the queue; what is done stays done."""
    run = open_run(folder)
    known = adopt_lost_jobs(run)
    queue = part_states(run, known)
    live = [r["job"] for r in known if living(queue, r["job"])]
    cancel_jobs(live, run.site)
    return live


def read_logs(folder: str | Path, part: int | None = None, size: int = 4000) -> dict[str, str]:
    """The ends of the logs of a run, the newest last; of one part where it is given."""
    run = open_run(folder)
    paths = sorted(
        (run.folder / "logs").glob("*.out" if part is None else f"*-{part}.out"),
        key=lambda p: p.stat().st_mtime,
    )
    return {path.name: ending(path, size) for path in paths}
