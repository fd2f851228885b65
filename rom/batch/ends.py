"""How the parts of a run ended: exit codes, words of the scheduler, its states."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from rom.batch.plan import format_rows, parse_rows
from rom.batch.run_folder import Run
from rom.batch.schedulers import States, open_scheduler
from rom.batch.script import STOPPED, exit_code_path
from rom.batch.submissions import ANY_ROW, Record, living_part, write_note

LOG_TAIL = 4000  # bytes of a log that tell how its job ended
QUEUE_ENDS = {"node", "preempted", "timeout", "memory", "cancelled"}
ERROR_NAME = re.compile(r"(?:rank \d+(?: alone)?: )?(\w+)")
TRANSIENT = re.compile(
    r"OSError|Connection\w*Error|TimeoutError|BrokenPipeError|NotWritten|InterruptedError"
)


def close_parts(
    run: Run, submissions: Sequence[Record], queue: States, rest: Collection[int]
) -> None:
    """Notes once how each part that is no longer in the queue ended.

    rest : the rows that are not solved
    """
    for record in submissions:
        if record["stage"] != "collect":
            continue
        over: list[int] = []
        kinds: dict[str, str] = {}
        for part, text in enumerate(record["parts"]):
            if part in record["over"] or living_part(queue, record["job"], part):
                continue
            over.append(part)
            rows = [row for row in parse_rows(text, ANY_ROW) if row in rest]
            if rows:
                kinds[format_rows(rows)] = _end_of_part(run, record, part, queue)
        if over:
            parts = format_rows(over)
            write_note(run, "ended", record["name"], record["round"], over=parts, kinds=kinds)


def _end_of_part(run: Run, record: Record, part: int, queue: States) -> str:
    """How a part ended, by its exit code, else its log, else its state in the queue."""
    if not record["job"]:
        return "refused"
    log = run.folder / "logs" / record["name"].removeprefix(f"rom-{run.tag}-")
    if _exit_code(Path(exit_code_path(str(log), part))) == STOPPED:
        return "stopped"
    scheduler = open_scheduler(run.site.scheduler)
    path = Path(f"{log}-{part + scheduler.first_part}.out")
    tail = log_tail(path, LOG_TAIL) if path.exists() else ""
    for words, kind in scheduler.log_words.items():
        if words in tail:
            return kind
    state = queue.get(record["job"], {}).get(part, "unknown")
    return state if state in QUEUE_ENDS else "unknown"


def exit_codes(run: Run, record: Record) -> list[int | None]:
    """The exit codes of the parts of a submission, or of its job; None of what was killed."""
    log = str(run.folder / "logs" / record["name"].removeprefix(f"rom-{run.tag}-"))
    if record["stage"] != "collect":
        return [_exit_code(Path(exit_code_path(log)))]
    parts = range(len(record["parts"]))
    return [_exit_code(Path(exit_code_path(log, part))) for part in parts]


def _exit_code(path: Path) -> int | None:
    """The exit code in a file, or None where the part was killed before."""
    try:
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if re.fullmatch(r"[0-9]{1,3}", text) else None


def ends_by_row(submissions: Sequence[Record]) -> dict[int, list[str]]:
    """Row -> how the parts that left it unfinished ended."""
    ends: dict[int, list[str]] = {}
    for record in submissions:
        for text, kind in record["ended"]:
            for row in parse_rows(text, ANY_ROW):
                ends.setdefault(row, []).append(kind)
    return ends


def failure_kind(reason: str) -> str:
    """The kind of failure of a solve, by the name of its error: "Name: message"."""
    match = ERROR_NAME.match(reason)
    name = match[1] if match else ""
    if name == "WorkerDied":
        return "unknown"
    if "MemoryError" in reason:
        return "memory"
    return "transient" if TRANSIENT.match(name) else "solver"


def log_tail(path: Path, size: int) -> str:
    """The last `size` bytes of a log as text."""
    with open(path, "rb") as file:
        start = max(path.stat().st_size - size, 0)
        file.seek(start)
        return file.read(size).decode(errors="replace")
