"""A witness beside the ranks of a host: names the rank that died or stands still.

A rank cannot tell that it was killed, and the launcher kills the others before they could. So
one process per host waits for the ends of its ranks, in the order of their deaths; every rank
notes what it does in a file of memory. The witness says which rank ended, and at which sample,
and ends the others. A dying process closes its files first, which is what the launcher sees
too, and takes a while to be gone: the order is that in which pipes close. Linux only.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rom.campaign.lease import host, stands_still, start_time

ABORTED, OVER = "aborted", "over"  # notes of a rank that ends in another way than by death
SWEEP = 3.0  # [s] that the launcher has to end the other ranks
READY = 10.0  # [s] that a witness may take to start
TURN = 0.5  # [s] between looks at ranks that stand still
START = "import sys; from rom.campaign.witness import main; main(sys.argv[1:])"
NOTES: list[Path] = []
WITNESSES: list[subprocess.Popen[bytes]] = []


def start_witness(comm: Any) -> None:
    """Starts the witness of this host, once.

    A rank that stands still under SIGSTOP is killed after ROM_PATIENCE seconds (5).
    """
    if NOTES or not hasattr(os, "pidfd_open"):
        return
    from rom.campaign.ranks import talk

    rank = comm.Get_rank()
    everyone = talk(comm, [host(), os.getpid()])
    pids = {}
    for other, (place, pid) in enumerate(everyone):
        if place == everyone[rank][0]:
            pids[other] = pid
    first = min(pids)
    folders = talk(comm, _make_folder() if rank == first else "")
    folder = Path(folders[first])
    NOTES.append(folder / str(rank))
    note("")
    os.mkfifo(_pipe(folder, rank))
    os.open(_pipe(folder, rank), os.O_RDWR)  # open until the rank ends
    atexit.register(note, OVER)
    talk(comm, 0)
    if rank == first:
        _launch(folder, pids)
    talk(comm, 0)


def _make_folder() -> str:
    room = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    return tempfile.mkdtemp(prefix="rom-", dir=room)


def _launch(folder: Path, pids: dict[int, int]) -> None:
    """Starts the witness of ranks (rank -> process id), and waits until it watches."""
    patience = os.environ.get("ROM_PATIENCE", "5")
    ranks = [f"{rank}:{pid}" for rank, pid in pids.items()]
    command = [sys.executable, "-P", "-c", START, str(folder), patience, *ranks]
    places = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}
    news, far_end = os.pipe()
    witness = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=far_end,
        env=environment,
        start_new_session=True,
    )
    WITNESSES.append(witness)
    os.close(far_end)
    select.select([news], [], [], READY)
    os.close(news)


def note(what: Any) -> None:
    """What this rank does from now on, for its witness; nothing without one."""
    with suppress(OSError):
        for path in NOTES:
            path.write_text(str(what))


def watch(folder: Path, patience: float, pids: dict[int, int]) -> str:
    """Waits until the ranks have ended well, or one has not: "" or what to say of it.

    patience [s] : after which a rank that stands still is killed; pids : rank -> process id
    """
    poll = select.epoll()
    ends: dict[int, int] = {}
    for rank, pid in pids.items():
        ends[os.open(_pipe(folder, rank), os.O_RDONLY | os.O_NONBLOCK)] = rank
        try:
            ends[os.pidfd_open(pid)] = rank
        except ProcessLookupError:
            return _death(folder, rank, pid)
    for end in ends:
        poll.register(end, select.EPOLLIN)
    with suppress(OSError):
        os.write(sys.stdout.fileno(), b"ready")
    still = dict.fromkeys(pids, 0.0)
    while ends:
        for end, _ in poll.poll(TURN):
            rank = ends.pop(end)
            poll.unregister(end)
            last = _read_note(folder, rank)
            if last != OVER:
                return "" if last == ABORTED else _death(folder, rank, pids[rank])
        still = _still_seconds(still, {rank: pids[rank] for rank in set(ends.values())})
        for rank, seconds in still.items():
            if seconds >= patience:
                os.kill(pids[rank], signal.SIGKILL)
                return _standstill(folder, rank, pids[rank])
    return ""


def _still_seconds(before: dict[int, float], pids: dict[int, int]) -> dict[int, float]:
    """rank -> seconds for which it stands still, of the ranks that have not ended."""
    halted = {rank for rank, pid in pids.items() if stands_still(pid, "T")}
    # a job that is suspended as a whole is not at fault
    is_suspended = len(halted) == len(pids) > 1
    still = {}
    for rank in pids:
        is_halted = rank in halted and not is_suspended
        still[rank] = before[rank] + TURN if is_halted else 0.0
    return still


def _death(folder: Path, rank: int, pid: int) -> str:
    process = f"process {pid} on {socket.gethostname()}"
    where = _where(folder, rank)
    return f"rank {rank} ({process}) was killed or crashed{where}; the job ends"


def _standstill(folder: Path, rank: int, pid: int) -> str:
    process = f"process {pid} on {socket.gethostname()}"
    return f"rank {rank} ({process}) stands still{_where(folder, rank)}; the job ends"


def _where(folder: Path, rank: int) -> str:
    what = _read_note(folder, rank)
    return f" while solving {what}" if what else " between samples"


def _pipe(folder: Path, rank: int) -> Path:
    return folder / f"{rank}.pipe"


def _read_note(folder: Path, rank: int) -> str:
    try:
        return (folder / str(rank)).read_text()
    except OSError:
        return ""


@dataclass(frozen=True)
class _Process:
    """A process that is not confused with a later one of the same id."""

    pid: int
    start: str | None

    def lives(self) -> bool:
        """Whether it has not ended."""
        return bool(self.start) and start_time(self.pid) == self.start


def main(words: list[str]) -> None:
    """FOLDER PATIENCE RANK:PID ...: says what befell the ranks, and ends those left."""
    folder, patience = Path(words[0]), float(words[1])
    pids = {}
    for word in words[2:]:
        rank, _, pid = word.partition(":")
        pids[int(rank)] = int(pid)
    processes = [_Process(pid, start_time(pid)) for pid in pids.values()]
    text = watch(folder, patience, pids)
    if text:
        sys.stderr.write(f"error: {text}\n")
        sys.stderr.flush()
        _sweep(processes)
    shutil.rmtree(folder, ignore_errors=True)


def _sweep(processes: list[_Process]) -> None:
    """Waits until the launcher has ended the ranks, and kills those that it leaves."""
    end = time.monotonic() + SWEEP
    while time.monotonic() < end and any(process.lives() for process in processes):
        time.sleep(0.05)
    for process in processes:
        if process.lives():
            with suppress(OSError):
                os.kill(process.pid, signal.SIGKILL)
