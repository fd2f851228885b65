"""Submissions of a run: what was handed to the queue, part by part."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rom.batch.plan import parse_rows
from rom.batch.queue import find_job, job_states
from rom.batch.run_folder import ALIASES, Run
from rom.batch.schedulers import WHOLE_ARRAY, States
from rom.campaign.journal import append_record, read_lines
from rom.errors import DamagedFile, ForeignFile

Record = dict[str, Any]
LIVING = {"waiting", "running"}
ANY_ROW = 10**9  # more rows than any table has
JOURNAL = "submissions.jsonl"


def records(run: Run) -> list[Record]:
    """The submissions of a run, in order.

    Each has `job`, its number, `over`, the parts noted as ended, and `ended`, rows -> kind.
    Raises DamagedFile, ForeignFile.
    """
    submissions: dict[str, Record] = {}
    numbers: dict[str, str] = {}
    entries = read_entries(run)
    for entry in entries:
        name = entry["name"]
        if entry["state"] == "begun":
            stage = ALIASES.get(entry["stage"], entry["stage"])
            more = {"stage": stage, "job": "", "over": set(), "ended": []}
            submissions[name] = {**entry, **more}
        elif entry["state"] == "submitted":
            numbers[name] = entry["job"]
    for name, record in submissions.items():
        record["job"] = numbers.get(name, "")
    for entry in entries:
        if entry["state"] == "ended":
            record = submissions[entry["name"]]
            record["over"] |= _ended_parts(entry, record)
            record["ended"] += entry["kinds"].items()
    return list(submissions.values())


def _ended_parts(entry: Record, record: Record) -> set[int]:
    """Parts of an entry; of one of an older version, which names none, all."""
    if "over" in entry:
        return set(parse_rows(entry["over"], ANY_ROW))
    return set(range(len(record["parts"])))


def read_entries(run: Run) -> list[Record]:
    """The lines of the journal of submissions. Raises DamagedFile, ForeignFile."""
    path = run.folder / JOURNAL
    entries: list[Record] = []
    for end, record in read_lines(path) if path.exists() else ():
        if record is None:
            raise DamagedFile(
                f"{path}: the line before byte {end} is damaged; restore the file, "
                "or rom submit into a new folder: the store can be kept"
            )
        if not isinstance(record, dict) or not {"state", "round"} <= set(record):
            raise ForeignFile(
                f"{path}: the line before byte {end} is no record of this package; restore the file"
            )
        entries.append(record)
    return entries


def write_note(run: Run, state: str, name: str, number: int, **more: Any) -> None:
    """Adds a line to the journal of submissions, durably.

    state : "begun", "submitted" with the number of the job, or "ended" with its parts
    """
    entry = {"state": state, "round": number, "name": name, "time": time.time(), **more}
    append_record(run.folder / JOURNAL, entry)


def adopt_lost_jobs(run: Run) -> list[Record]:
    """The submissions, with job numbers that only the queue has."""
    submissions = records(run)
    for record in submissions:
        name = record["name"]
        number = "" if record["job"] else find_job(name, run.site)
        if number:
            write_note(run, "submitted", name, record["round"], job=number)
            record["job"] = number
    return submissions


def part_states(run: Run, submissions: Sequence[Record]) -> States:
    """Number of a job -> part -> its state; what the scheduler forgot is absent."""
    return job_states([record["job"] for record in submissions], run.site)


def living_job(queue: Mapping[str, Mapping[int, str]], job: str) -> bool:
    """Whether anything of a job waits or runs."""
    states = queue.get(job, {})
    return bool(set(states.values()) & LIVING)


def living_part(queue: Mapping[str, Mapping[int, str]], job: str, part: int) -> bool:
    """Whether a part of an array waits or runs."""
    states = queue.get(job, {})
    return states.get(part, states.get(WHOLE_ARRAY)) in LIVING


def rows_in_queue(submissions: Sequence[Record], queue: States) -> set[int]:
    """Rows of parts that wait or run."""
    rows: set[int] = set()
    for record in submissions:
        if record["stage"] != "collect":
            continue
        for part, text in enumerate(record["parts"]):
            if living_part(queue, record["job"], part):
                rows.update(parse_rows(text, ANY_ROW))
    return rows
