"""Thousands of short solves inside one allocation: worker processes of this node under a supervisor that outlives their deaths.

The pool is Pebble's: it starts workers, hands them one task each, ends a solve that takes too long, and replaces a worker that died.
Claims, identities, files and journals are those of every campaign; a worker claims and commits by itself, the supervisor writes no data.
"""

from __future__ import annotations

import logging
import secrets
import signal
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from rom.collect.attempt import Work, attempt
from rom.collect.journal import append, journal, refresh
from rom.collect.lease import lease
from rom.collect.store import found
from rom.errors import BadInput, MissingExtra
from rom.space import Space

log = logging.getLogger("rom")
Solve = Callable[[np.ndarray], Any]
AHEAD, DEATHS = 1, 2
SIGNALS = {number.value: number.name for number in signal.Signals}
MINE: list[tuple[Work, float]] = []


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
    Raises BadInput, MissingExtra.
    """
    try:
        from pebble import ProcessPool
    except ImportError as error:
        raise MissingExtra(f"a pilot needs pebble ({error}); run: pip install 'rom-platform[pilot]'") from error
    if not 0 < workers <= 4096 or not (limit is None or limit > 0):
        raise BadInput(f"workers = {workers}, limit = {limit}: give 1 to 4096 workers, and seconds above 0 or no limit")
    left, deaths, running = deque(tasks), dict.fromkeys(tasks, 0), dict[Future, str]()
    left.rotate(-int(first * len(left)))
    settings = (begin, str(work.store.path), work.ends, expiry)
    pool = ProcessPool(workers, initializer=_begun, initargs=settings, context=get_context("spawn"))
    waits = 0
    try:
        while left or running:
            refresh(work.store.manifest)
            tick(len(tasks) - len(left) - len(running))
            while left and not work.late() and len(running) < (1 + AHEAD) * workers:
                key = left.popleft()
                if not finished(key):
                    tried = len(work.store.manifest.failed.get(key, ()))
                    running[pool.schedule(_solved, (key, tasks[key], tried), timeout=limit)] = key
            if not running or time.monotonic() > work.ends:
                break
            over, _ = wait(running, timeout=2.0, return_when=FIRST_COMPLETED)
            ended = {key: _over(future, key, work, tasks[key], deaths, limit) for future in over for key in [running.pop(future)]}
            refresh(work.store.manifest)
            left.extend(key for key in ended if not finished(key))
            waits = waits + 1 if ended and not any(ended.values()) else 0
            time.sleep(min(0.02 * 1.5**waits, 2.0) if waits else 0.0)
    finally:
        pool.stop()
        pool.join()
    refresh(work.store.manifest)
    tick(sum(map(finished, tasks)))


def _over(future: Future, key: str, work: Work, mu: np.ndarray, deaths: dict[str, int], limit: float | None) -> bool:
    """Notes the end of a task that its worker could not note; False where another holds it."""
    from pebble import ProcessExpired

    reason = ""
    try:
        return bool(future.result())
    except TimeoutError:
        reason = f"TooLong: the solve took longer than its limit of {limit:g} s; its worker was ended"
    except ProcessExpired as error:
        deaths[key] += 1
        how = f"by {SIGNALS.get(-error.exitcode, 'a signal')}" if error.exitcode < 0 else f"with exit code {error.exitcode}"
        log.warning("mu = %s: worker process %s ended %s", mu, error.pid, how)
        if deaths[key] >= DEATHS:
            reason = f"WorkerDied: the solve ended its process {how}, {DEATHS} times"
    refresh(work.store.manifest)
    if reason and key not in work.store.manifest.done:
        log.warning("mu = %s failed: %s", mu, reason)
        append(work.journal, {"state": "failed", "key": key, "mu": mu.tolist(), "reason": reason, "time": time.time()})
    return True


def _begun(begin: Callable[[], tuple[Solve, Space | None]], path: str, ends: float, expiry: float) -> None:
    """A worker: its own solver, its own journal."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    solve, space = begin()
    MINE[:] = [(Work(found(path), solve, space, None, secrets.token_hex(4), journal(Path(path)), 0.0, ends), expiry)]


def _solved(key: str, mu: np.ndarray, tried: int) -> bool:
    """Whether this worker attempted the task, or another did since it had failed `tried` times; False where another holds it."""
    work, expiry = MINE[0]
    with lease(work.store.path / "leases", key, expiry) as claim:
        if claim is None:
            return False
        manifest = refresh(work.store.manifest)
        if key not in manifest.done and len(manifest.failed.get(key, ())) <= tried and not work.late():
            attempt(work, claim, key, mu, "all")
    return True
