"""Daemons of a scheduler that a test started."""

import os
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress


def end(
    cancel: Sequence[str], daemons: Iterable[subprocess.Popen], before: Mapping[str, str | None]
) -> None:
    """Cancels all jobs, ends the daemons, and gives the environment its values of before."""
    with suppress(OSError, subprocess.SubprocessError):
        subprocess.run(list(cancel), timeout=10, capture_output=True)
    for daemon in reversed(list(daemons)):
        daemon.send_signal(signal.SIGTERM)
        try:
            daemon.wait(10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait(5)
    for name, value in before.items():
        os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)
