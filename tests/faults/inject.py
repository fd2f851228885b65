"""Faults at a chosen system call: a child that has imported everything waits, strace takes hold of
it, then it acts and the k-th call of a name is killed or refused. Counts begin with the act: it
waits in a call that nothing counts, until strace shows one.
"""

from __future__ import annotations

import mmap
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

FILES = (
    "openat",
    "write",
    "pwrite64",
    "fsync",
    "rename",
    "link",
    "mkdir",
    "unlink",
    "ftruncate",
    "close",
    "newfstatat",
    "utimensat",
    "getdents64",
    "lseek",
    "read",
    "readlink",
    "fstat",
    "pread64",
)
WAITING, READY, GO = "getppid", 1, 2
ERRORS = ("ENOSPC", "EIO", "EDQUOT")
OUT_OF_REACH = {"exit_group", "exit", "rt_sigreturn", "execve", "futex", "restart_syscall"}


def available() -> bool:
    """Whether strace is installed and may trace here."""
    return shutil.which("strace") is not None


def points(act: Callable[[Path, Callable[[str], None]], None], folder: Path) -> Counter[str]:
    """How often `act` makes each system call."""
    status, _, log = _traced(act, folder, ())
    assert status == 0, f"the act fails without a fault:\n{log}"
    calls = re.findall(r"(?m)^\d+ +(\w+)\(", log)
    return Counter(call for call in calls if call not in OUT_OF_REACH)


def faulted(
    act: Callable[[Path, Callable[[str], None]], None], folder: Path, call: str, k: int, fault: str
) -> tuple[int, list[str]]:
    """Runs `act` with a fault at the k-th `call`: (exit status, what was acknowledged). fault
    : KILL or the name of an error.
    """
    how = "signal=KILL" if fault == "KILL" else f"error={fault}"
    status, told, _ = _traced(act, folder, ("-e", f"inject={call}:{how}:when={k}"))
    return status, told


def _traced(
    act: Callable[[Path, Callable[[str], None]], None], folder: Path, options: tuple[str, ...]
) -> tuple[int, list[str], str]:
    stage, acks = mmap.mmap(-1, 1), os.pipe()
    os.set_blocking(acks[0], False)
    parent, child = os.getpid(), os.fork()
    if child == 0:
        code = 1
        try:
            stage[0] = READY
            while stage[0] != GO:
                if os.getppid() != parent:
                    os._exit(code)
            act(folder, lambda text: os.write(acks[1], text.encode() + b"\n"))
            code = 0
        except BaseException as error:
            code = 3 if isinstance(error, OSError) else 4
            with suppress(OSError):
                (folder.parent / f"{folder.name}.error").write_text(
                    "".join(traceback.format_exception(error))
                )
        finally:
            os._exit(code)
    while stage[0] != READY:
        time.sleep(0.0005)
    with tempfile.NamedTemporaryFile("r", suffix=".strace", errors="replace") as log:
        tracer = subprocess.Popen(
            ["strace", "-f", "-qq", *options, "-o", log.name, "-p", str(child)],
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            deadline = time.monotonic() + 20
            while not os.path.getsize(log.name):
                assert tracer.poll() is None and time.monotonic() < deadline, (
                    "strace hangs" if tracer.poll() is None else tracer.stderr.read()
                )
                time.sleep(0.0005)
            stage[0] = GO
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            tracer.wait(20)
        finally:
            for process in (tracer.pid, child):
                with suppress(OSError):
                    os.kill(process, signal.SIGKILL) if tracer.poll() is None else None
            tracer.stderr.close()
        text = "".join(line for line in log if f" {WAITING}(" not in line)
    told = b""
    with suppress(BlockingIOError):
        while chunk := os.read(acks[0], 65536):
            told += chunk
            if len(chunk) < 65536:
                break
    for end in acks:
        os.close(end)
    return status, told.decode().split(), text
