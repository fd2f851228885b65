"""A worker process of a pilot: its own solver, its own journal, task after task.

It sends (whether it attempted its task, None), or (False, [name of an error, text]), and
receives (key, mu, failures so far). It ends when its supervisor is gone.
"""

from __future__ import annotations

import secrets
import signal
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from rom.campaign.attempt import Work, attempt
from rom.campaign.journal import refresh
from rom.campaign.lease import lease
from rom.campaign.store import open_store
from rom.errors import RomError, text_of
from rom.space import Space

Solve = Callable[[np.ndarray], Any]
Begin = Callable[[], tuple[Solve, Space | None]]


def run_worker(pipe: Connection, begin: Begin, journal: Path, ends: float, expiry: float) -> None:
    """Solves what its supervisor sends, until that is gone.

    begin : gives the solver; journal : its own, in the store; ends, expiry [s] : as in `Work`,
        `Tasks`
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        solve, space = begin()
        store, token = open_store(journal.parents[1]), secrets.token_hex(4)
        work = Work(store, solve, space, None, token, journal, 0.0, ends)
        is_attempted = True
        while True:
            pipe.send((is_attempted, None))
            key, mu, failures = pipe.recv()
            is_attempted = _try_task(work, key, mu, failures=failures, expiry=expiry)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except RomError as error:
        pipe.send((False, (type(error).__name__, str(error))))
    except Exception as error:
        traceback.print_exc()
        pipe.send((False, ("SolveFailed", f"a worker raised {text_of(error)}")))


def _try_task(work: Work, key: str, mu: np.ndarray, *, failures: int, expiry: float) -> bool:
    """Whether this worker attempted the task, or another did meanwhile.

    False where another holds it. failures : of the task when the supervisor gave it away
    """
    with lease(work.store.path / "leases", key, expiry) as claim:
        if claim is None:
            return False
        manifest = refresh(work.store.manifest)
        is_open = key not in manifest.done and len(manifest.failed.get(key, ())) <= failures
        if is_open and not work.late():
            attempt(work, claim, key, mu)
    return True
