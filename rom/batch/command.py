"""Commands of a scheduler, each within its time, and the errors where they fail."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import NoReturn

from rom.errors import NotSubmitted

NO_COMMAND = 127
NO_ANSWER = 124
SHOWN = 200  # characters of an answer in an error


def run_command(words: Sequence[str], text: str = "", seconds: float = 60.0) -> tuple[str, int]:
    """(output, exit code) of a command with `text` as its input.

    127 where it does not exist, 124 where it does not answer within `seconds`.
    """
    try:
        end = subprocess.run(
            list(words), input=text, capture_output=True, text=True, timeout=seconds
        )
    except FileNotFoundError:
        return f"no command {words[0]} on this machine", NO_COMMAND
    except subprocess.TimeoutExpired:
        return f"{words[0]} did not answer within {seconds:g} s", NO_ANSWER
    output = end.stdout
    if end.returncode:
        output += end.stderr
    return output, end.returncode


def raise_mute(name: str, output: str) -> NoReturn:
    """Raises NotSubmitted: the scheduler does not say how its jobs are."""
    answer = output.strip()[:SHOWN]
    raise NotSubmitted(f"{name} does not answer ({answer}); the jobs go on, ask again later")


def cancel_by(words: Sequence[str], jobs: Sequence[str], harmless: str | None = None) -> None:
    """Cancels jobs by a command.

    harmless : what it says where there was nothing to cancel
    Raises NotSubmitted where they could not be cancelled.
    """
    output, code = run_command([*words, *jobs])
    if code and (harmless is None or harmless not in output):
        raise NotSubmitted(
            f"{words[0]} did not cancel {', '.join(jobs)}: {output.strip()[:SHOWN]}; try again"
        )
