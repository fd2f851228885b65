"""Where a run stands, from its store, its submissions and the queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rom.batch.ends import ends_by_row, exit_codes, failure_kind
from rom.batch.profile import Profile
from rom.batch.run_folder import SEARCH, Run
from rom.batch.schedulers import States
from rom.batch.script import STOPPED
from rom.batch.submissions import Record

FAILED = "failed"
SOLVES_FAILED = 3  # exit code of rom collect: its failed rows are listed one by one
UNCOUNTED = {"cancelled", "stopped", "refused"}  # ends that are no failure


@dataclass(frozen=True, eq=False)
class Status:
    """Rows of a run: done, failed, paused and unfinished of `planned`.

    failed : row -> reason; paused : row -> kind of failure
    jobs : number -> states of its parts; results : files that are there
    stages : name -> "waiting", "running", "done", "unfinished" or "failed (exit 1)"
    """

    planned: int
    done: tuple[int, ...]
    failed: dict[int, str]
    paused: dict[int, str]
    unfinished: tuple[int, ...]
    jobs: dict[str, list[str]]
    results: tuple[str, ...]
    stages: dict[str, str] = field(default_factory=dict)

    @property
    def broken(self) -> tuple[str, ...]:
        """Stages that failed."""
        return tuple(name for name, text in self.stages.items() if text.startswith(FAILED))


def run_status(run: Run, submissions: Sequence[Record], queue: States) -> Status:
    """Where a run stands, from its store and the queue."""
    solved, reasons = _rows_of_store(run)
    failed = {row: attempts[-1] for row, attempts in reasons.items()}
    complete = set(solved) | set(failed)
    planned = len(run.rows)
    rest = tuple(row for row in range(planned) if row not in complete)
    paused = _paused_failures(reasons, run.site)
    for row, kinds in ends_by_row(submissions).items():
        exhausted = _exhausted_kind(kinds, run.site)
        if exhausted and row in rest:
            paused[row] = exhausted
    results = tuple(name for name in run.results.values() if (run.folder / name).exists())
    jobs = {}
    for record in submissions:
        states = queue.get(record["job"], {})
        jobs[record["job"] or record["name"]] = list(states.values())
    stages = {
        name: _stage_state(run, name, submissions, queue, bool(rest))
        for name in dict.fromkeys(record["stage"] for record in submissions)
    }
    return Status(planned, solved, failed, paused, rest, jobs, results, stages)


def _stage_state(
    run: Run, name: str, submissions: Sequence[Record], queue: States, rows_are_left: bool
) -> str:
    """How a stage stands, by what was submitted of it last."""
    every = [record for record in submissions if record["stage"] == name]
    last = [record for record in every if record["round"] == every[-1]["round"]]
    states = {state for record in last for state in queue.get(record["job"], {}).values()}
    for state in ("running", "waiting"):
        if state in states:
            return state
    codes = [code for record in last for code in exit_codes(run, record)]
    if name not in run.results:
        return _campaign_end(codes) if rows_are_left else "done"
    if name == SEARCH:
        return _search_end(run, last[-1], codes[-1], rows_are_left)
    return _stage_end(run, name, codes[-1])


def _search_end(run: Run, record: Record, code: int | None, rows_are_left: bool) -> str:
    """How the job of a search ended."""
    if is_search_over(run, record):
        return "done"
    if code == STOPPED and rows_are_left:
        return "unfinished"
    return _stage_end(run, SEARCH, code)


def _stage_end(run: Run, name: str, code: int | None) -> str:
    """How a stage after the campaign ended, by its exit code and result."""
    if code:
        return f"{FAILED} (exit {code})"
    has_result = name != SEARCH and (run.folder / run.results[name]).exists()
    return "done" if has_result else f"{FAILED} (killed, or never begun)"


def is_search_over(run: Run, record: Record) -> bool:
    """Whether the last job of a search ended below its tolerance."""
    has_model = (run.folder / run.results[SEARCH]).exists()
    return has_model and exit_codes(run, record)[-1] in (0, SOLVES_FAILED)


def _campaign_end(codes: Sequence[int | None]) -> str:
    """How the jobs of a campaign ended that left rows unsolved."""
    harmless = (None, 0, STOPPED, SOLVES_FAILED)
    bad = [code for code in codes if code not in harmless]
    return f"{FAILED} (exit {bad[0]})" if bad else "unfinished"


def _rows_of_store(run: Run) -> tuple[tuple[int, ...], dict[int, list[str]]]:
    """Rows that are solved, and rows that failed -> the reasons of all attempts."""
    store = run.store
    if store is None:
        return (), {}
    solved: list[int] = []
    reasons: dict[int, list[str]] = {}
    for row, mu in enumerate(run.rows):
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
