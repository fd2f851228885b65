"""Where a run stands, from its store, its submissions and the queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rom.batch.ends import ends_by_row, failure_kind
from rom.batch.profile import Profile
from rom.batch.run_folder import RESULTS, Run
from rom.batch.schedulers import States
from rom.batch.submissions import Record

UNCOUNTED = {"cancelled", "stopped", "refused"}  # ends that are no failure


@dataclass(frozen=True, eq=False)
class Status:
    """Rows of a run: done, failed, paused and unfinished of `planned`.

    failed : row -> reason; paused : row -> kind of failure
    jobs : number -> states of its parts; results : files that are there
    """

    planned: int
    done: tuple[int, ...]
    failed: dict[int, str]
    paused: dict[int, str]
    unfinished: tuple[int, ...]
    jobs: dict[str, list[str]]
    results: tuple[str, ...]


def run_status(run: Run, submissions: Sequence[Record], queue: States) -> Status:
    """Where a run stands, from its store and the queue."""
    solved, reasons = _rows_of_store(run)
    failed = {row: attempts[-1] for row, attempts in reasons.items()}
    complete = set(solved) | set(failed)
    rest = tuple(row for row in range(len(run.mus)) if row not in complete)
    paused = _paused_failures(reasons, run.site)
    for row, kinds in ends_by_row(submissions).items():
        exhausted = _exhausted_kind(kinds, run.site)
        if exhausted and row in rest:
            paused[row] = exhausted
    results = tuple(name for name in RESULTS.values() if (run.folder / name).exists())
    jobs = {}
    for record in submissions:
        states = queue.get(record["job"], {})
        jobs[record["job"] or record["name"]] = list(states.values())
    return Status(len(run.mus), solved, failed, paused, rest, jobs, results)


def _rows_of_store(run: Run) -> tuple[tuple[int, ...], dict[int, list[str]]]:
    """Rows that are solved, and rows that failed -> the reasons of all attempts."""
    store = run.store
    if store is None:
        return (), {}
    solved: list[int] = []
    reasons: dict[int, list[str]] = {}
    for row, mu in enumerate(run.mus):
        key = store.key(mu)
        if key in store.manifest.done:
            solved.append(row)
        elif key in store.manifest.failed:
            attempts = store.manifest.failed[key]
            reasons[row] = [attempt["reason"] for attempt in attempts]
    return tuple(solved), reasons


def _paused_failures(reasons: Mapping[int, Sequence[str]], site: Profile) -> dict[int, str]:
    """Row -> kind of the last failure, where the site allows no further try."""
    paused: dict[int, str] = {}
    for row, attempts in reasons.items():
        kind = failure_kind(attempts[-1])
        if len(attempts) > site.tries(kind):
            paused[row] = kind
    return paused


def _exhausted_kind(kinds: Sequence[str], site: Profile) -> str | None:
    """A kind of end that came more often than the site allows, or None."""
    for kind in set(kinds) - UNCOUNTED:
        if kinds.count(kind) > site.tries(kind):
            return kind
    return None
