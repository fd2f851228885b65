"""A witness beside the ranks of a host: says which rank was killed or stands still, and at which sample, and ends the others.

A rank cannot tell that it was killed, and the launcher kills the others before they could. So one process per host waits for the
ends of its ranks, in the order of their deaths; every rank notes what it does in a file of memory. A dying process closes its files
first, which is what the launcher sees too, and takes a while to be gone: the order is that in which pipes close. Linux only.
"""

from __future__ import annotations

import atexit
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from rom.campaign.lease import host, is_stopped, start_time

ABORTED, OVER, SWEEP, READY = "aborted", "over", 3.0, 10.0
NOTES: list[Path] = []
HELD: list[subprocess.Popen[bytes]] = []


def start_witness(comm: Any) -> None:
    """Starts the witness of this host, once; a rank that stands still under SIGSTOP is killed after ROM_PATIENCE seconds (5)."""
    if NOTES or not hasattr(os, "pidfd_open"):
        return
    from rom.campaign.store import talk

    rank = comm.Get_rank()
    everyone = talk(comm, [host(), os.getpid()])
    mine = {r: pid for r, (where, pid) in enumerate(everyone) if where == everyone[rank][0]}
    room = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(
        talk(comm, tempfile.mkdtemp(prefix="rom-", dir=room) if rank == min(mine) else "")[
            min(mine)
        ]
    )
    NOTES.append(folder / str(rank))
    note("")
    os.mkfifo(_pipe(folder, rank))
    os.open(_pipe(folder, rank), os.O_RDWR)  # held until the rank ends
    atexit.register(note, OVER)
    talk(comm, 0)
    if rank == min(mine):
        patience = os.environ.get("ROM_PATIENCE", "5")
        words = [
            sys.executable,
            "-P",
            "-m",
            __name__,
            str(folder),
            patience,
            *(f"{r}:{pid}" for r, pid in mine.items()),
        ]
        path = os.pathsep.join(
            filter(None, (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")))
        )
        own = {**os.environ, "PYTHONPATH": path}
        told, tells = os.pipe()
        HELD.append(
            subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=tells, env=own, start_new_session=True
            )
        )
        os.close(tells)
        select.select([told], [], [], READY)
        os.close(told)
    talk(comm, 0)


def note(what: str) -> None:
    """What this rank does from now on, for its witness; nothing without one."""
    with suppress(OSError):
        for path in NOTES:
            path.write_text(what)


def watch(folder: Path, patience: float, ranks: dict[int, int]) -> str:
    """Waits until the ranks (rank -> process id) have ended well, or one has not: "" or what is to be said of it."""
    poll, ends, still = select.epoll(), {}, dict.fromkeys(ranks, 0.0)
    for r, pid in ranks.items():
        ends[os.open(_pipe(folder, r), os.O_RDONLY | os.O_NONBLOCK)] = r
        try:
            ends[os.pidfd_open(pid)] = r
        except ProcessLookupError:
            return _died(folder, r, pid)
    for end in ends:
        poll.register(end, select.EPOLLIN)
    with suppress(OSError):
        os.write(sys.stdout.fileno(), b"ready")
    while ends:
        for end, _ in poll.poll(0.5):
            r = ends.pop(end)
            poll.unregister(end)
            last = _note(folder, r)
            if last != OVER:
                return "" if last == ABORTED else _died(folder, r, ranks[r])
        left = set(ends.values())
        halted = {r for r in left if is_stopped(ranks[r], "T")}
        suspended = (
            len(halted) == len(left) > 1
        )  # a job that is suspended as a whole is not at fault
        still = {r: still[r] + 0.5 if r in halted and not suspended else 0.0 for r in left}
        for r in still:
            if still[r] >= patience:
                os.kill(ranks[r], signal.SIGKILL)
                return f"rank {r} (process {ranks[r]} on {socket.gethostname()}) stands still{_at(folder, r)}; the job ends"
    return ""


def _died(folder: Path, r: int, pid: int) -> str:
    return f"rank {r} (process {pid} on {socket.gethostname()}) was killed or crashed{_at(folder, r)}; the job ends"


def _at(folder: Path, r: int) -> str:
    what = _note(folder, r)
    return f" while solving {what}" if what else " between samples"


def _pipe(folder: Path, r: int) -> Path:
    return folder / f"{r}.pipe"


def _note(folder: Path, r: int) -> str:
    try:
        return (folder / str(r)).read_text()
    except OSError:
        return ""


def main(words: list[str]) -> None:
    """FOLDER PATIENCE RANK:PID ...: says what befell the ranks, and kills those that the launcher leaves."""
    folder, ranks = (
        Path(words[0]),
        {int(r): int(pid) for r, pid in (word.split(":") for word in words[2:])},
    )
    begun = {pid: start_time(pid) for pid in ranks.values()}
    said = watch(folder, float(words[1]), ranks)
    if said:
        sys.stderr.write(f"error: {said}\n")
        sys.stderr.flush()
        end = time.monotonic() + SWEEP
        while time.monotonic() < end and any(
            start and start_time(pid) == start for pid, start in begun.items()
        ):
            time.sleep(0.05)
        for pid, start in begun.items():
            if start and start_time(pid) == start:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
