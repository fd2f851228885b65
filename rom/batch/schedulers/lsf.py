"""LSF; its arrays count from 1.

No library that we use writes its options with arrays.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from rom.batch import command
from rom.batch.job import Job, array_limit
from rom.batch.profile import Profile
from rom.batch.schedulers import KILLED_FOR_MEMORY, Scheduler, States
from rom.errors import NotSubmitted

COMMENT = "#BSUB"
UNKNOWN_JOB = "not found"
STATES = {
    "PEND": "waiting", "PSUSP": "waiting", "RUN": "running", "USUSP": "running",
    "EXIT": "unknown", "DONE": "done",
}  # fmt: skip
LOG_WORDS = {**KILLED_FOR_MEMORY, "TERM_RUNLIMIT": "timeout", "TERM_MEMLIMIT": "memory"}


def _options(job: Job, site: Profile) -> list[str]:
    """The options of bsub."""
    name = f"{job.name}[1-{job.count}]{array_limit(site)}" if job.rows else job.name
    minutes = -(-job.seconds // 60)
    slots = job.ranks * job.cpus if site.pilot else job.ranks
    lines = [
        f'-J "{name}"',
        f"-cwd {shlex.quote(job.folder)}",
        f"-o {job.log}{'-%I' if job.rows else ''}.out",
        f"-n {slots}",
        f"-W {minutes // 60}:{minutes % 60:02d}",
        f"-M {job.mebibytes}MB",
        "-r",
    ]
    if site.partition:
        lines.append(f"-q {site.partition}")
    if site.account:
        lines.append(f"-P {site.account}")
    if site.pilot:
        lines.append(f'-R "span[ptile={job.cpus}]"')
    if job.after:
        ends = " && ".join(f"ended({one})" for one in job.after)
        lines.append(f'-w "{ends}"')
    return [f"{COMMENT} {line}" for line in lines]


def _submit(path: Path, job: Job) -> tuple[str | None, str]:
    output, code = command.run_command(["bsub"], path.read_text())
    number = re.search(r"<(\d+)>", output) if code == 0 else None
    return (number[1] if number else None), output


def _states(jobs: Sequence[str]) -> States:
    listing = ("-a", "-noheader", "-o", "jobid jobindex stat")
    output, code = command.run_command(["bjobs", *listing, *jobs])
    if code and UNKNOWN_JOB not in output:
        command.raise_mute("bjobs", output)
    states: States = {}
    for line in output.splitlines() if code == 0 else ():
        number, index, word = (*line.split(), "", "", "")[:3]
        part = max(int(index) - 1, 0) if index.isdigit() else 0
        for job in jobs:
            if job.split(".")[0] == number:
                states.setdefault(job, {})[part] = STATES.get(word, "unknown")
    return states


def _cancel(jobs: Sequence[str]) -> None:
    output, code = command.run_command(["bkill", *jobs])
    if code:
        raise NotSubmitted(command.cancel_refusal("bkill", jobs, output))


SCHEDULER = Scheduler(
    options=_options,
    submit=_submit,
    states=_states,
    cancel=_cancel,
    comment=COMMENT,
    array_index="$((${LSB_JOBINDEX:-1} - 1))",
    first_part=1,
    log_words=LOG_WORDS,
    lacks=("qos", "constraint", "parallel"),
)
