"""Failures told once: one message, where the traceback is, and what is kept."""

from __future__ import annotations

import sys
import sysconfig
import tempfile
import traceback
from pathlib import Path

import rom
from rom.cli.ranks import rank, rank_label
from rom.errors import RomError, printable

INTERRUPTED = 130  # exit code after Ctrl-C, as shells have it
RESUME = "run the same command again to go on"
KEPT = {
    "collect_command": f"what is solved stays in the store; {RESUME}",
    "reduce_command": f"no model was written, the runs stay in the store; {RESUME}",
    "study_command": f"no report was written, true solves stay in their store; {RESUME}",
    "report_command": f"no report was written, true solves stay in their store; {RESUME}",
    "predict_command": f"no answer was written, the model is as it was; {RESUME}",
    "submit_command": "jobs that were submitted stay in the queue; rom status RUN lists them",
}


def report_failure(error: Exception, verbose: bool) -> None:
    """One message on stderr, with the traceback if verbose, or the file that has it."""
    if verbose:
        traceback.print_exception(error)
    text = str(error) if isinstance(error, RomError) else _unexpected(error, verbose)
    sys.stderr.write(f"error: {rank_label()}{printable(text)}\n")


def report_interrupt(command: str) -> None:
    """What an interrupted command leaves behind, and how to go on; on rank 0."""
    if rank() == 0:
        sys.stderr.write(f"\ninterrupted: {KEPT.get(command, RESUME)}\n")


def _unexpected(error: Exception, verbose: bool) -> str:
    """Whose error it is, and where its traceback is."""
    text = f"{type(error).__name__}: {error}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_own(frame)]
    if isinstance(error, SyntaxError):
        whose = "in a file of yours"
    elif frames:
        whose = f"in {frames[-1].filename}, line {frames[-1].lineno}"
    else:
        whose = f"a defect of rom-platform {rom.__version__}, please report it"
    where = "above" if verbose else f"in {_save(error)}; -v shows it"
    return f"{text} ({whose}); the traceback is {where}"


def _is_own(frame: traceback.FrameSummary) -> bool:
    """Whether a frame lies neither here, nor in Python, nor in a library."""
    if frame.filename.startswith("<"):
        return False
    places = [str(Path(rom.__file__).parent), *sysconfig.get_paths().values()]
    path = Path(frame.filename).resolve()
    return not any(path.is_relative_to(Path(place).resolve()) for place in places)


def _save(error: Exception) -> str:
    """A file of its own with the traceback."""
    lines = traceback.format_exception(error)
    with tempfile.NamedTemporaryFile(
        "w", prefix="rom-traceback-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.writelines(lines)
    return file.name
