"""Faults at a chosen system call: a child that has imported everything waits, strace takes hold of it, then it acts and the k-th
call of a name is killed or refused. Counts begin with the act, so that a point means the same in every run."""

from __future__ import annotations

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

FILES = ("openat", "write", "pwrite64", "fsync", "rename", "mkdir", "unlink", "ftruncate", "close", "newfstatat", "utimensat",
         "getdents64", "lseek", "read", "readlink", "fstat", "pread64")  # fmt: skip
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
    """Runs `act` with a fault at the k-th `call`: (exit status, what was acknowledged). fault : KILL or the name of an error."""
    how = "signal=KILL" if fault == "KILL" else f"error={fault}"
    status, told, _ = _traced(act, folder, ("-e", f"inject={call}:{how}:when={k}"))
    return status, told


def _traced(
    act: Callable[[Path, Callable[[str], None]], None], folder: Path, options: tuple[str, ...]
) -> tuple[int, list[str], str]:
    ready, go, acks = (os.pipe() for _ in range(3))
    for end in acks[:1]:
        os.set_blocking(end, False)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.write(ready[1], b".")
            os.read(go[0], 1)
            act(folder, lambda text: os.write(acks[1], text.encode() + b"\n"))
            code = 0
        except BaseException as error:
            code = 3 if isinstance(error, OSError) else 4
            with suppress(OSError):
                (folder.parent / f"{folder.name}.error").write_text("".join(traceback.format_exception(error)))
        finally:
            os._exit(code)
    os.read(ready[0], 1)
    with tempfile.NamedTemporaryFile("r", suffix=".strace") as log:
        tracer = subprocess.Popen(
            ["strace", "-f", "-qq", *options, "-o", log.name, "-p", str(child)], stderr=subprocess.PIPE, text=True
        )
        try:
            deadline = time.monotonic() + 20
            while f"TracerPid:\t{tracer.pid}" not in Path(f"/proc/{child}/status").read_text():
                assert tracer.poll() is None and time.monotonic() < deadline, (
                    tracer.stderr.read() if tracer.poll() else "strace hangs"
                )
                time.sleep(0.001)
            os.write(go[1], b".")
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            tracer.wait(20)
        finally:
            for process in (tracer.pid, child):
                with suppress(OSError):
                    os.kill(process, signal.SIGKILL) if tracer.poll() is None else None
            tracer.stderr.close()
        text = Path(log.name).read_text(errors="replace")
    told = b""
    with suppress(BlockingIOError):
        while chunk := os.read(acks[0], 65536):
            told += chunk
            if len(chunk) < 65536:
                break
    for end in (*ready, *go, *acks):
        os.close(end)
    return status, told.decode().split(), text
