"""Thousands of tasks, one in a hundred of which fails: python -m tests.faults.soak [TASKS]
[MINUTES]. Nothing is lost, and what a process holds does not grow: files, threads and memory
after each campaign of a thousand tasks against those after the second.
"""

from __future__ import annotations

import gc
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np

from rom.campaign import collect, open_store, pilot, read, verify

N, ROUND, GROWTH = 50, 1000, 0.05


def exact(mu):
    """The solution at mu (1,)."""
    return np.sin(mu[0] * np.arange(1.0, N + 1))


def faulty(mu):
    """One in a hundred raises, is NaN, has a wrong shape, or, in a worker, ends its process."""
    fate = int(mu[0]) % 400
    if fate == 7:
        raise ArithmeticError("diverged")
    if fate == 107:
        return exact(mu) * np.nan
    if fate == 207:
        return exact(mu)[:-1]
    if fate == 307:
        if threading.current_thread() is threading.main_thread() and os.environ.get("SOAK") == str(
            os.getppid()
        ):
            os.kill(os.getpid(), signal.SIGKILL)
        raise MemoryError("no room")
    return exact(mu)


def begin():
    """The solver of a worker."""
    return faulty, None


def held():
    """(open files, threads, resident memory [MB]) of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return (
        len(os.listdir("/proc/self/fd")),
        threading.active_count(),
        pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
    )


def campaign(folder, first, count, crew):
    """Number of failures of a campaign of which one in a hundred fails; then it is finished,
    and every number compared.
    """
    mus = np.arange(first, first + count, dtype=float)[:, None]
    seen = collect(faulty, mus, folder, crew=crew, progress=False)
    expected = int(np.sum(np.isin(mus[:, 0] % 400, (7, 107, 207, 307))))
    assert (seen.solved, len(seen.failed), seen.left) == (count - expected, expected, 0), seen
    assert len(open_store(folder).manifest.done) == count - expected
    again = collect(exact, mus, folder, retries=1, progress=False)
    assert (again.solved, again.skipped, again.failed) == (expected, count - expected, ())
    kept = read(folder)
    np.testing.assert_array_equal(kept.u, np.column_stack([exact(mu) for mu in mus]))
    assert all("harmless" in line or "torn" in line for line in verify(folder))
    return expected


def soak(tasks=10_000, minutes=10.0, say=print):
    """(tasks, failures, growth of open files, threads and memory as shares), plain campaigns
    and pilots in turn, `minutes` at most.
    """
    os.environ["SOAK"] = str(os.getpid())
    logging.getLogger("rom").setLevel(logging.ERROR)  # every injected failure would be told
    end, seen, failures, done = time.monotonic() + 60 * minutes, [], 0, 0
    while done < tasks and time.monotonic() < end:
        count = min(ROUND, tasks - done)
        crew = partial(pilot, begin, 2, limit=60.0) if len(seen) % 2 else None
        folder = Path(tempfile.mkdtemp(prefix="soak-"))
        failures += campaign(folder / "s", done, count, crew)
        shutil.rmtree(folder)
        done += count
        seen.append(held())
        say(
            f"{done:6d} tasks, {failures} injected failures, open files {seen[-1][0]}, "
            f"threads {seen[-1][1]}, {seen[-1][2]:.1f} MB"
        )
    base = seen[min(1, len(seen) - 1)]
    return done, failures, tuple(now / then - 1 for now, then in zip(seen[-1], base, strict=True))


if __name__ == "__main__":
    numbers = [float(word) for word in sys.argv[1:]]
    count, wrong, growth = soak(
        int(numbers[0]) if numbers else 10_000, numbers[1] if len(numbers) > 1 else 10.0
    )
    print(
        f"{count} tasks, {wrong} failures, none lost; growth of files {growth[0]:+.1%}, "
        f"threads {growth[1]:+.1%}, memory {growth[2]:+.1%}"
    )
    sys.exit(max(growth) > GROWTH)
