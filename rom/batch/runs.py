"""Campaigns as batch jobs: submit, look after, resume what is unfinished, cancel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rom.batch.ends import close_parts, ends_by_row, failure_kind, log_tail
from rom.batch.jobs import RowGroup, Submitted, submit_jobs
from rom.batch.queue import cancel_jobs
from rom.batch.run_folder import ALIASES, SEARCH, Run, open_run
from rom.batch.schedulers import States, open_scheduler
from rom.batch.status import Status, is_search_over, run_status
from rom.batch.submissions import (
    Record,
    adopt_lost_jobs,
    living_job,
    part_states,
    records,
    rows_in_queue,
)
from rom.campaign.lease import lease
from rom.errors import BadInput

LEASE = 120.0  # seconds for which one rom submit keeps a run to itself
MAX_DOUBLINGS = 3  # of time and memory
STAGES = {
    "collect": ("collect",),
    "train": ("train",),
    "study": ("study",),
    "all": ("collect", "train", "study"),
}


@contextmanager
def _only_submitter(run: Run) -> Iterator[None]:
    """Raises BadInput where another process submits into the run."""
    with lease(run.folder / "leases", "submit", LEASE) as mine:
        if mine is None:
            raise BadInput(f"another rom submit is at work in {run.folder}; wait for it")
        yield


def check_stage(run: Run, stage: str) -> tuple[str, ...]:
    """The stages behind a word of rom submit.

    Raises BadInput for an unknown one, or one that a run without a solver does not have.
    """
    stage = ALIASES.get(stage, stage)
    if stage not in STAGES:
        raise BadInput(f"no stage {stage!r}; known: {', '.join(STAGES)}")
    if not len(run.mus) and stage != "train":
        raise BadInput(f"{run.case} has nothing to collect or study; its one stage is train")
    if run.search and stage == "train":
        raise BadInput("collect --until trains the model itself; submit collect, study or all")
    if run.search:
        return tuple(
            SEARCH if name == "collect" else name for name in STAGES[stage] if name != "train"
        )
    return STAGES[stage]


def submit_stage(run: Run, stage: str, *, dry: bool = False) -> list[Submitted]:
    """Jobs of a stage, handed to the queue: (number, script).

    dry : nothing is submitted, the numbers are names
    Raises BadInput where the stage was submitted before: `resume_run` goes on with it.
    """
    names = check_stage(run, stage)
    with _only_submitter(run):
        submissions = records(run)
        before = {record["stage"] for record in submissions}
        for name in names:
            if name in before:
                raise BadInput(
                    f"{name} was submitted into {run.folder} before; "
                    f"rom status {run.folder} shows it, rom resume goes on with it"
                )
        groups = [RowGroup(tuple(range(len(run.mus))))] if "collect" in names else []
        queue = {} if dry else part_states(run, submissions)
        later = [name for name in names if name != "collect"]
        return submit_jobs(run, groups, later, _living_jobs(submissions, queue), dry=dry)


def resume_run(run: Run, *, force: bool = False) -> list[Submitted]:
    """(number, script) of jobs for what is unfinished and not in the queue.

    What failed is tried again as the site's `retry` allows, with `force` always. A part that
    ran out of memory or time gets twice as much.
    """
    with _only_submitter(run):
        submissions = adopt_lost_jobs(run)
        if not submissions:
            raise BadInput(f"nothing was submitted into {run.folder} yet; rom submit")
        queue = part_states(run, submissions)
        rest = set(run_status(run, submissions, queue).unfinished)
        close_parts(run, submissions, queue, rest)
        submissions = records(run)
        groups = _groups_to_solve(run, submissions, queue, force)
        later = [record for record in submissions if record["stage"] in run.results]
        waiting = _living_jobs(later, queue)
        stages = _stages_to_repeat(run, later, bool(groups), bool(waiting))
        if groups and stages:
            cancel_jobs(waiting, run.site)
        after = [job for job in _living_jobs(submissions, queue) if job not in waiting]
        return submit_jobs(run, groups, stages, after)


def _living_jobs(submissions: Sequence[Record], queue: States) -> list[str]:
    """Numbers of jobs that wait or run."""
    return [record["job"] for record in submissions if living_job(queue, record["job"])]


def _stages_to_repeat(
    run: Run, later: Sequence[Record], rows_are_left: bool, some_wait: bool
) -> list[str]:
    """Stages after the campaign that were submitted and must come again."""
    before = {record["stage"] for record in later}
    stages = [name for name in run.results if name in before]
    if rows_are_left:
        return stages
    if some_wait:
        return []
    searches = [record for record in later if record["stage"] == SEARCH]
    if searches and not is_search_over(run, searches[-1]):
        return stages
    return [name for name in stages if not (run.folder / run.results[name]).exists()]


def _groups_to_solve(
    run: Run, submissions: Sequence[Record], queue: States, force: bool
) -> list[RowGroup]:
    """What is neither done nor in the queue, without what is paused unless `force`.

    A search has no groups: it goes on as a whole.
    """
    if run.search:
        return []
    now = run_status(run, submissions, queue)
    in_queue = rows_in_queue(submissions, queue)
    ends = ends_by_row(submissions)
    groups: dict[tuple[bool, int], list[int]] = {}
    for row in (*now.unfinished, *now.failed):
        if row in in_queue or (row in now.paused and not force):
            continue
        if row in now.failed:
            lacks_memory = failure_kind(now.failed[row]) == "memory"
            retry, growth = True, 2 if lacks_memory else 1
        else:
            limits = [kind for kind in ends.get(row, ()) if kind in ("timeout", "memory")]
            retry, growth = False, 2 ** min(len(limits), MAX_DOUBLINGS)
        groups.setdefault((retry, growth), []).append(row)
    return [RowGroup(tuple(rows), retry, growth) for (retry, growth), rows in groups.items()]


def read_status(folder: str | Path) -> Status:
    """Where the run in a folder stands.

    Raises NotSubmitted where the scheduler is mute.
    """
    run = open_run(folder)
    submissions = records(run)
    return run_status(run, submissions, part_states(run, submissions))


def cancel_run(folder: str | Path) -> list[str]:
    """Ends every job of a run that is still in the queue; what is done stays done."""
    run = open_run(folder)
    submissions = adopt_lost_jobs(run)
    jobs = _living_jobs(submissions, part_states(run, submissions))
    cancel_jobs(jobs, run.site)
    return jobs


def read_logs(folder: str | Path, part: int | None = None, size: int = 4000) -> dict[str, str]:
    """The ends of the logs of a run, or of one part of it, the newest last."""
    run = open_run(folder)
    pattern = "*.out"
    if part is not None:
        pattern = f"*-{part + open_scheduler(run.site.scheduler).first_part}.out"
    paths = sorted((run.folder / "logs").glob(pattern), key=lambda path: path.stat().st_mtime)
    return {path.name: log_tail(path, size) for path in paths}
