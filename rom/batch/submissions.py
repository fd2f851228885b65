"""Submissions of a run: what was handed to the queue, part by part, and how each part came to its end."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from rom.batch.plan import format_rows, parse_rows
from rom.batch.queue import find_job, job_states
from rom.batch.run_folder import Run
from rom.campaign.journal import append_record, read_lines
from rom.errors import DamagedFile, ForeignFile

Record = dict[str, Any]
Queue = dict[str, dict[int, str]]
LIVING, MOST = {"waiting", "running"}, 10**9
HINTS = {
    "DUE TO TIME LIMIT": "timeout", "oom-kill": "memory", "out-of-memory": "memory", "memory limit": "memory", "DUE TO NODE": "node",
    "NODE FAILURE": "node", "DUE TO PREEMPTION": "preempted", "TERM_RUNLIMIT": "timeout", "TERM_MEMLIMIT": "memory",
}  # fmt: skip
TRANSIENT = re.compile(
    r"^(rank \d+( alone)?: )?(OSError|Connection\w*Error|TimeoutError|BrokenPipeError|NotWritten|InterruptedError)"
)


def records(run: Run) -> list[Record]:
    """The submissions of a run, in order: each with `job`, its number, `over`, the parts noted as ended, and `ended`, rows -> kind.

    Raises DamagedFile, ForeignFile.
    """
    every = read_entries(run)
    numbers = {r["name"]: r["job"] for r in every if r["state"] == "submitted"}
    begun = {
        r["name"]: {**r, "job": numbers.get(r["name"], ""), "over": set(), "ended": []}
        for r in every
        if r["state"] == "begun"
    }
    for r in every:
        if r["state"] == "ended":
            one = begun[r["name"]]
            one["over"] |= (
                set(parse_rows(r["over"], MOST)) if "over" in r else set(range(len(one["parts"])))
            )
            one["ended"] += r["kinds"].items()
    return list(begun.values())


def read_entries(run: Run) -> list[Record]:
    """The lines of the journal of submissions. Raises DamagedFile, ForeignFile."""
    path = run.folder / "submissions.jsonl"
    found_: list[dict[str, Any]] = []
    for end, record in read_lines(path) if path.exists() else ():
        if record is None:
            raise DamagedFile(
                f"{path}: the line before byte {end} is damaged; restore the file, or rom submit into a new folder: the store can be kept"
            )
        if not isinstance(record, dict) or not {"state", "round"} <= set(record):
            raise ForeignFile(
                f"{path}: the line before byte {end} is no record of this package; restore the file"
            )
        found_.append(record)
    return found_


def write_note(run: Run, state: str, name: str, number: int, **more: Any) -> None:
    """Adds a line to the journal of submissions, durably: a submission begun, its number, or the ends of its parts."""
    append_record(
        run.folder / "submissions.jsonl",
        {"state": state, "round": number, "name": name, "time": time.time(), **more},
    )


def adopt_lost_jobs(run: Run) -> list[Record]:
    """The submissions, with the numbers of jobs whose answer was lost between the queue and the journal."""
    known = records(run)
    for r in known:
        number = "" if r["job"] else find_job(r["name"], run.site)
        if number:
            write_note(run, "submitted", r["name"], r["round"], job=number)
            r["job"] = number
    return known


def part_states(run: Run, known: Sequence[Record]) -> Queue:
    """Number of a job -> part -> its state; what the scheduler forgot is absent."""
    return job_states(
        [r["job"] for r in known if r["job"] and not r["job"].startswith("local")], run.site
    )


def living(queue: Queue, job: str) -> bool:
    """Whether anything of a job waits or runs."""
    return bool(set(queue.get(job, {}).values()) & LIVING)


def lives(queue: Queue, job: str, part: int) -> bool:
    """Whether a part of an array waits or runs; -1 stands for the parts that the scheduler does not list one by one."""
    held = queue.get(job, {})
    return held.get(part, held.get(-1)) in LIVING


def busy(known: Sequence[Record], queue: Queue) -> set[int]:
    """Rows of parts that wait or run."""
    parts = [
        (r["job"], k, text)
        for r in known
        if r["stage"] == "collect"
        for k, text in enumerate(r["parts"])
    ]
    return {row for job, k, text in parts if lives(queue, job, k) for row in parse_rows(text, MOST)}


def close_parts(run: Run, known: Sequence[Record], queue: Queue, rest: Collection[int]) -> None:
    """Notes once how each part that is no longer in the queue came to its end, for the rows of `rest` that it left unfinished."""
    for r in known:
        parts = enumerate(r["parts"] if r["stage"] == "collect" else ())
        over = {
            k: text for k, text in parts if k not in r["over"] and not lives(queue, r["job"], k)
        }
        kinds = {}
        for k, text in over.items():
            rows = [row for row in parse_rows(text, MOST) if row in rest]
            if rows:
                kinds[format_rows(rows)] = _why(
                    run, r, k, queue.get(r["job"], {}).get(k, "unknown")
                )
        if over:
            write_note(
                run, "ended", r["name"], r["round"], over=format_rows(tuple(over)), kinds=kinds
            )


def _why(run: Run, record: Record, part: int, state: str) -> str:
    """How a part ended: by the words of its log, else by what the queue still knows of it."""
    if not record["job"]:
        return "refused"
    path = run.folder / "logs" / f"{record['name'].removeprefix(f'rom-{run.tag}-')}-{part}.out"
    tail = ending(path, 4000) if path.exists() else ""
    told = [kind for words, kind in HINTS.items() if words in tail]
    if told or "unfinished" in tail or "CANCELLED" in tail:
        return told[0] if told else "stopped" if "unfinished" in tail else "cancelled"
    return state if state in ("node", "preempted", "timeout", "memory", "cancelled") else "unknown"


def attempts_by_row(known: Sequence[Record]) -> dict[int, list[str]]:
    """Row -> how the parts that left it unfinished ended."""
    told: dict[int, list[str]] = {}
    for text, kind in (pair for record in known for pair in record["ended"]):
        for row in parse_rows(text, MOST):
            told.setdefault(row, []).append(kind)
    return told


def failure_kind(reason: str) -> str:
    """The kind of failure that a solve's reason tells of."""
    if reason.startswith("WorkerDied"):
        return "unknown"
    return (
        "memory"
        if "MemoryError" in reason
        else "transient"
        if TRANSIENT.match(reason)
        else "solver"
    )


def ending(path: Path, size: int) -> str:
    """The last bytes of a log as text."""
    with open(path, "rb") as file:
        file.seek(max(path.stat().st_size - size, 0))
        return file.read(size).decode(errors="replace")
