"""Thousands of short solves inside one allocation: workers under a supervisor.

Every worker process has a pipe of its own, so that none dies holding what another waits for.
It gets one task at a time, is ended when that takes too long, and replaced when it died.
Claims, identities, files and journals are those of every campaign; a worker claims and commits
by itself, the supervisor writes no data.
"""

from __future__ import annotations

import logging
import resource
import secrets
import signal
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from rom.arrays import gate
from rom.campaign.attempt import FIRST_PAUSE, MAX_PAUSE, PAUSE_GROWTH, Tasks, Work
from rom.campaign.journal import append_record, new_journal, refresh
from rom.campaign.ranks import error_of
from rom.campaign.records import failure_record
from rom.campaign.worker import Begin, run_worker
from rom.errors import BadInput, SolveFailed

log = logging.getLogger("rom")
MAX_WORKERS = 4096
MAX_DEATHS = 2  # of workers at one task, which then has failed
GRACE = 5.0  # [s] for a worker that says nothing any more to end by itself
TURN = 2.0  # [s] that the supervisor waits for news at most
SPARE_FILES = 64  # open files besides two for each worker
SIGNALS = {number.value: number.name for number in signal.Signals}


@dataclass(eq=False)
class Worker:
    """A process and this end of its pipe.

    ready : its solver stands; key : the task it was given, or ""; since [s] : when
    """

    process: SpawnProcess
    pipe: Connection
    ready: bool = False
    key: str = ""
    since: float = 0.0


@dataclass(eq=False)
class _Crew:
    """The state of a pilot.

    left : keys that no worker has; deaths : key -> workers that died at it
    stillborn : workers in a row that died before their solver stood
    idle_turns : turns in a row in which others held every task that came back
    """

    begin: Begin
    size: int
    limit: float | None
    work: Work
    tasks: Tasks
    left: deque[str]
    workers: list[Worker] = field(default_factory=list)
    deaths: Counter[str] = field(default_factory=Counter)
    stillborn: int = 0
    idle_turns: int = 0

    @property
    def busy(self) -> int:
        """How many workers have a task."""
        return sum(bool(worker.key) for worker in self.workers)


@gate()
def pilot(
    begin: Begin,
    workers: int,
    work: Work,
    tasks: Tasks,
    *,
    limit: float | None = None,
    first: float = 0.0,
) -> None:
    """Solves tasks on the processors of this node until all are over or the time is.

    begin : a module's function, or a partial of one, that gives (solve, space) to each worker
    limit [s] : of one solve; first : where in the list this node begins, as a share of it, so
        that the supervisors of several nodes seldom meet
    A solve that ends its process is tried once more, since whoever killed it may have meant
    the worker; then it is recorded as failed. Raises BadInput; SolveFailed if workers keep
    dying before their solver stands; and what a worker raises outside of its solve.
    """
    _check_workers(workers, limit)
    crew = _Crew(begin, workers, limit, work, tasks, deque(tasks.mus))
    crew.left.rotate(-int(first * len(crew.left)))
    try:
        while True:
            refresh(tasks.manifest)
            if not work.late():
                _hire(crew)
                _hand_out(crew)
            tasks.tick(len(tasks.mus) - len(crew.left) - crew.busy)
            has_more = bool(crew.left) and not work.late()
            if not (crew.busy or has_more) or time.monotonic() > work.ends:
                break
            _listen(crew)
    finally:
        _dismiss(crew)
    refresh(tasks.manifest)
    tasks.tick(sum(map(tasks.is_over, tasks.mus)))


def _check_workers(workers: int, limit: float | None) -> None:
    if not 0 < workers <= MAX_WORKERS or not (limit is None or limit > 0):
        raise BadInput(
            f"workers = {workers}, limit = {limit}: give 1 to {MAX_WORKERS} workers, "
            "and seconds above 0 or no limit"
        )
    needed = 2 * workers + SPARE_FILES
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if allowed != resource.RLIM_INFINITY and needed > allowed:
        raise BadInput(
            f"{workers} workers need {needed} open files, {allowed} are allowed; "
            "raise ulimit -n or give fewer"
        )


def _hire(crew: _Crew) -> None:
    """Starts workers, no more than there are tasks."""
    size = min(crew.size, len(crew.left) + crew.busy)
    context = get_context("spawn")
    while len(crew.workers) < size:
        pipe, far_end = context.Pipe()
        place = (crew.work.store.path, secrets.token_hex(4))
        settings = (place, crew.work.ends, crew.tasks.expiry)
        process = context.Process(target=run_worker, args=(far_end, crew.begin, *settings))
        process.start()
        crew.work.journals.add(new_journal(*place, process.pid or 0).name)
        far_end.close()
        crew.workers.append(Worker(process, pipe))


def _hand_out(crew: _Crew) -> None:
    """Gives each idle worker a task that is not over."""
    for worker in crew.workers:
        if not worker.ready or worker.key:
            continue
        while crew.left and crew.tasks.is_over(crew.left[0]):
            crew.left.popleft()
        if not crew.left:
            return
        key = crew.left.popleft()
        worker.key, worker.since = key, time.monotonic()
        failures = len(crew.tasks.manifest.failed.get(key, ()))
        try:
            worker.pipe.send((key, crew.tasks.mus[key], failures))
        except OSError:
            pid = worker.process.pid
            log.debug("worker process %s is over; its task is given to another", pid)


def _listen(crew: _Crew) -> None:
    """Waits for news of the workers, and takes back the tasks that are not over."""
    is_attempted: dict[str, bool] = {}
    for worker in _wait_for_news(crew):
        answer = _hear(worker)
        if answer is None:
            _bury(crew, worker)
        else:
            worker.ready, crew.stillborn = True, 0
        if worker.key:
            is_attempted[worker.key] = answer is not False
        worker.key = ""
    refresh(crew.tasks.manifest)
    crew.left.extend(key for key in is_attempted if not crew.tasks.is_over(key))
    if is_attempted and not any(is_attempted.values()):
        crew.idle_turns += 1
        time.sleep(min(FIRST_PAUSE * PAUSE_GROWTH**crew.idle_turns, MAX_PAUSE))
    else:
        crew.idle_turns = 0


def _wait_for_news(crew: _Crew) -> list[Worker]:
    """The workers that say something, are over or too late, as soon as there are any."""
    now, turn = time.monotonic(), TURN
    ends: list[Connection | int] = []
    for worker in crew.workers:
        ends += [worker.pipe, worker.process.sentinel]
        if worker.key and crew.limit is not None:
            turn = min(turn, max(worker.since + crew.limit - now, 0.0))
    signs = set(wait(ends, timeout=turn))
    news = []
    for worker in crew.workers:
        if signs & {worker.pipe, worker.process.sentinel} or _is_late(worker, crew.limit):
            news.append(worker)
    return news


def _is_late(worker: Worker, limit: float | None) -> bool:
    if limit is None or not worker.key:
        return False
    return time.monotonic() - worker.since > limit


def _hear(worker: Worker) -> bool | None:
    """Whether the worker attempted its task, or stands ready.

    False where another holds the task; None if it says nothing any more. Raises what the
    worker raised outside of its solve.
    """
    if not _has_message(worker):
        return None
    try:
        is_attempted, problem = worker.pipe.recv()
    except (EOFError, OSError):
        return None
    if problem:
        raise error_of(*problem)
    return bool(is_attempted)


def _has_message(worker: Worker) -> bool:
    try:
        return worker.pipe.poll()
    except (EOFError, OSError):
        return False


def _bury(crew: _Crew, worker: Worker) -> None:
    """Ends a worker that says nothing any more, and records a failure of its task.

    Raises SolveFailed if workers keep dying before their solver stands.
    """
    crew.workers.remove(worker)
    crew.deaths[worker.key] += 1
    is_late = _is_late(worker, crew.limit)
    if not is_late:
        worker.process.join(GRACE)
    worker.process.kill()
    worker.process.join()
    worker.pipe.close()
    end = _describe_end(worker)
    reason = ""
    if is_late:
        reason = (
            f"TooLong: the solve took longer than its limit of {crew.limit:g} s; "
            "its worker was ended"
        )
    else:
        task = f"mu = {crew.tasks.mus[worker.key]}: " if worker.key else ""
        log.warning("%sworker process %s ended %s", task, worker.process.pid, end)
        if crew.deaths[worker.key] >= MAX_DEATHS:
            reason = f"WorkerDied: the solve ended its process {end}, {MAX_DEATHS} times"
    if reason and worker.key:
        _record_failure(crew, worker.key, reason)
    if not worker.ready:
        crew.stillborn += 1
    if crew.stillborn > 2 * crew.size:
        raise SolveFailed(
            f"{crew.stillborn} workers in a row ended before their solver stood; why is said above"
        )


def _describe_end(worker: Worker) -> str:
    code = worker.process.exitcode or 0
    return f"by {SIGNALS.get(-code, 'a signal')}" if code < 0 else f"with exit code {code}"


def _record_failure(crew: _Crew, key: str, reason: str) -> None:
    """Records a task as failed, unless it was committed before its worker ended."""
    refresh(crew.tasks.manifest)
    if key in crew.tasks.manifest.done:
        return
    mu = crew.tasks.mus[key]
    log.warning("mu = %s failed: %s", mu, reason)
    append_record(crew.work.journal, failure_record(key, mu, reason))


def _dismiss(crew: _Crew) -> None:
    """Ends all workers."""
    for worker in crew.workers:
        worker.process.kill()
    for worker in crew.workers:
        worker.process.join()
        worker.pipe.close()
