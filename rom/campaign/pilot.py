"""Thousands of short solves inside one allocation: worker processes of this node under a supervisor that outlives their deaths.

Every worker has a pipe of its own, so that none dies holding what another waits for. It gets one task at a time, is ended when that
takes too long, and replaced when it died. Claims, identities, files and journals are those of every campaign; a worker claims and
commits by itself, the supervisor writes no data.
"""

from __future__ import annotations

import logging
import resource
import secrets
import signal
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import numpy as np

from rom import errors
from rom.campaign.attempt import Work, attempt
from rom.campaign.journal import append, journal, refresh
from rom.campaign.lease import lease
from rom.campaign.store import open_store
from rom.errors import BadInput, RomError, SolveFailed
from rom.space import Space

log = logging.getLogger("rom")
Solve = Callable[[np.ndarray], Any]
DEATHS, GRACE, TURN, SPARE = 2, 5.0, 2.0, 64
SIGNALS = {number.value: number.name for number in signal.Signals}


@dataclass(eq=False)
class Worker:
    """A process and this end of its pipe; ready once its solver stands; the task it was given, and when [s]."""

    process: SpawnProcess
    pipe: Connection
    ready: bool = False
    key: str = ""
    since: float = 0.0


def pilot(
    begin: Callable[[], tuple[Solve, Space | None]],
    workers: int,
    limit: float | None,
    first: float,
    work: Work,
    tasks: dict[str, np.ndarray],
    finished: Callable[[str], bool],
    expiry: float,
    tick: Callable[[int], None],
) -> None:
    """Solves tasks on the processors of this node until every one is finished by somebody or the time is.

    begin : a module's function, or a partial of one, that gives (solve, space) to each worker; limit [s] : of one solve
    first : where in the list this node begins, as a share of it, so that the supervisors of several nodes seldom meet
    A solve that ends its process is tried once more, since whoever killed it may have meant the worker; then it is recorded as failed.
    Raises BadInput; SolveFailed if workers keep dying before their solver stands; and what a worker raises outside of its solve.
    """
    if not 0 < workers <= 4096 or not (limit is None or limit > 0):
        raise BadInput(
            f"workers = {workers}, limit = {limit}: give 1 to 4096 workers, and seconds above 0 or no limit"
        )
    needed, files = 2 * workers + SPARE, resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files != resource.RLIM_INFINITY and needed > files:
        raise BadInput(
            f"{workers} workers need {needed} open files, {files} are allowed; raise ulimit -n or give fewer"
        )
    left, deaths, crew = deque(tasks), Counter[str](), list[Worker]()
    left.rotate(-int(first * len(left)))
    stillborn = waits = 0
    try:
        while True:
            refresh(work.store.manifest)
            if not work.late():
                wanted = min(workers, len(left) + sum(bool(worker.key) for worker in crew))
                crew += [_hired(begin, work, expiry) for _ in range(wanted - len(crew))]
                for worker in [w for w in crew if w.ready and not w.key]:
                    while left and finished(left[0]):
                        left.popleft()
                    if left:
                        _give(worker, left.popleft(), work, tasks)
            busy = sum(bool(worker.key) for worker in crew)
            tick(len(tasks) - len(left) - busy)
            if (not busy and (not left or work.late())) or time.monotonic() > work.ends:
                break
            ended: dict[str, bool] = {}
            for worker in _told(crew, limit):
                solved = _heard(worker)
                if solved is None:
                    crew.remove(worker)
                    deaths[worker.key] += 1
                    stillborn += not worker.ready
                    _end(worker, limit, work, tasks, deaths[worker.key])
                    if stillborn > 2 * workers:
                        raise SolveFailed(
                            f"{stillborn} workers in a row ended before their solver stood; why is said above"
                        )
                else:
                    worker.ready, stillborn = True, 0
                ended |= {worker.key: solved is not False} if worker.key else {}
                worker.key = ""
            refresh(work.store.manifest)
            left.extend(key for key in ended if not finished(key))
            waits = waits + 1 if ended and not any(ended.values()) else 0
            time.sleep(min(0.02 * 1.5**waits, 2.0) if waits else 0.0)
    finally:
        for worker in crew:
            worker.process.kill()
        for worker in crew:
            worker.process.join()
            worker.pipe.close()
    refresh(work.store.manifest)
    tick(sum(map(finished, tasks)))


def _hired(begin: Callable[[], tuple[Solve, Space | None]], work: Work, expiry: float) -> Worker:
    context = get_context("spawn")
    pipe, its = context.Pipe()
    process = context.Process(
        target=_work, args=(its, begin, str(work.store.path), work.ends, expiry)
    )
    process.start()
    its.close()
    return Worker(process, pipe)


def _give(worker: Worker, key: str, work: Work, tasks: dict[str, np.ndarray]) -> None:
    worker.key, worker.since = key, time.monotonic()
    try:
        worker.pipe.send((key, tasks[key], len(work.store.manifest.failed.get(key, ()))))
    except OSError:
        log.debug("worker process %s is over; its task is given to another", worker.process.pid)


def _told(crew: list[Worker], limit: float | None) -> list[Worker]:
    """The workers that have something to say, are over, or solve for longer than the limit, as soon as there are any."""
    now = time.monotonic()
    turn = min(
        [
            TURN,
            *(
                max(worker.since + limit - now, 0.0)
                for worker in crew
                if worker.key and limit is not None
            ),
        ]
    )
    told = set(
        wait(
            [end for worker in crew for end in (worker.pipe, worker.process.sentinel)], timeout=turn
        )
    )
    return [w for w in crew if w.pipe in told or w.process.sentinel in told or _late(w, limit)]


def _late(worker: Worker, limit: float | None) -> bool:
    return limit is not None and bool(worker.key) and time.monotonic() - worker.since > limit


def _heard(worker: Worker) -> bool | None:
    """Whether the worker attempted its task, or stands ready; False where another holds the task; None if it says nothing any more."""
    try:
        solved, problem = worker.pipe.recv() if worker.pipe.poll() else (None, None)
    except (EOFError, OSError):
        return None
    if problem:
        raise getattr(errors, problem[0])(problem[1])
    return solved


def _end(
    worker: Worker, limit: float | None, work: Work, tasks: dict[str, np.ndarray], deaths: int
) -> None:
    """Ends a worker that says nothing any more; its task has failed if it took too long, or ended its process as often as DEATHS."""
    late = _late(worker, limit)
    if not late:
        worker.process.join(GRACE)
    worker.process.kill()
    worker.process.join()
    worker.pipe.close()
    code = worker.process.exitcode or 0
    how = f"by {SIGNALS.get(-code, 'a signal')}" if code < 0 else f"with exit code {code}"
    reason = ""
    if late:
        reason = (
            f"TooLong: the solve took longer than its limit of {limit:g} s; its worker was ended"
        )
    elif deaths >= DEATHS:
        reason = f"WorkerDied: the solve ended its process {how}, {DEATHS} times"
    if not late:
        log.warning(
            "%sworker process %s ended %s",
            f"mu = {tasks[worker.key]}: " if worker.key else "",
            worker.process.pid,
            how,
        )
    refresh(work.store.manifest)
    if reason and worker.key and worker.key not in work.store.manifest.done:
        mu = tasks[worker.key]
        log.warning("mu = %s failed: %s", mu, reason)
        append(
            work.journal,
            {
                "state": "failed",
                "key": worker.key,
                "mu": mu.tolist(),
                "reason": reason,
                "time": time.time(),
            },
        )


def _work(
    pipe: Connection,
    begin: Callable[[], tuple[Solve, Space | None]],
    path: str,
    ends: float,
    expiry: float,
) -> None:
    """A worker: its own solver, its own journal, task after task until its supervisor is gone."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        solve, space = begin()
        work = Work(
            open_store(path),
            solve,
            space,
            None,
            secrets.token_hex(4),
            journal(Path(path)),
            0.0,
            ends,
        )
        solved = True
        while True:
            pipe.send((solved, None))
            solved = _solved(work, expiry, *pipe.recv())
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except RomError as error:
        pipe.send((False, (type(error).__name__, str(error))))
    except Exception as error:
        traceback.print_exc()
        pipe.send((False, ("SolveFailed", f"a worker raised {type(error).__name__}: {error}")))


def _solved(work: Work, expiry: float, key: str, mu: np.ndarray, tried: int) -> bool:
    """Whether this worker attempted the task, or another did since it had failed `tried` times; False where another holds it."""
    with lease(work.store.path / "leases", key, expiry) as claim:
        if claim is None:
            return False
        manifest = refresh(work.store.manifest)
        if (
            key not in manifest.done
            and len(manifest.failed.get(key, ())) <= tried
            and not work.late()
        ):
            attempt(work, claim, key, mu, "all")
    return True
