"""PBS Professional and OpenPBS; a job array there has two parts or more."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from rom.batch import command
from rom.batch.job import Job, array_limit, clock, library_header, node_count
from rom.batch.profile import Profile
from rom.batch.schedulers import WHOLE_ARRAY, Scheduler, States
from rom.errors import NotSubmitted

COMMENT = "#PBS"
UNKNOWN_JOB = "Unknown Job"
MIN_CELLS = 5  # of a line of qstat that ends with the state and the queue
MAX_NAME = 15
STATES = {
    "Q": "waiting", "H": "waiting", "W": "waiting", "B": "running", "R": "running",
    "E": "running", "S": "running", "F": "unknown", "X": "unknown",
}  # fmt: skip


def _options(job: Job, site: Profile) -> list[str]:
    """The options of qsub."""
    from qtoolkit.io.pbs import PBSIO

    nodes = node_count(job, site)
    share = -(-job.ranks // nodes)
    memory = job.mebibytes // nodes
    more = ["-j oe"]
    if job.after:
        more.append(f"-W depend=afterany:{':'.join(job.after)}")
    options = {
        "job_name": job.name[:MAX_NAME],
        "qout_path": f"{job.log}.out",
        "rerunnable": "y",
        "walltime": clock(job.seconds),
        "select": f"select={nodes}:ncpus={share * job.cpus}:mpiprocs={share}:mem={memory}mb",
        "array": f"0-{job.count - 1}{array_limit(site)}" if job.count > 1 else "",
        "queue": site.partition,
        "account": site.account,
        "qverbatim": "\n".join(f"{COMMENT} {line}" for line in more),
    }
    return library_header(PBSIO(), options)


def _submit(path: Path, job: Job) -> tuple[str | None, str]:
    output, code = command.run_command(["qsub", str(path)])
    number = re.search(r"(?m)^(\d+[^\s;]*)", output) if code == 0 else None
    return (number[1] if number else None), output


def _states(jobs: Sequence[str]) -> States:
    output, code = command.run_command(["qstat", "-x", "-t", *jobs])
    if code and UNKNOWN_JOB not in output:
        command.raise_mute("qstat", output)
    states: States = {}
    for line in output.splitlines() if code == 0 else ():
        number, part, word = _parse_line(line.split())
        for job in jobs:
            if job.split(".")[0] == number:
                states.setdefault(job, {})[part] = STATES.get(word, "unknown")
    return states


def _parse_line(cells: list[str]) -> tuple[str, int, str]:
    """(number, part, state) of "17[3].server name user 00:01 R queue".

    "17[]" is the array as a whole.
    """
    name = cells[0].split(".")[0] if cells else ""
    number, _, part = name.partition("[")
    word = cells[-2] if len(cells) >= MIN_CELLS else ""
    if not part:
        return number, 0, word
    index = part[:-1]
    return f"{number}[]", int(index) if index.isdigit() else WHOLE_ARRAY, word


def _cancel(jobs: Sequence[str]) -> None:
    output, code = command.run_command(["qdel", *jobs])
    if code:
        raise NotSubmitted(command.cancel_refusal("qdel", jobs, output))


SCHEDULER = Scheduler(
    options=_options,
    submit=_submit,
    states=_states,
    cancel=_cancel,
    comment=COMMENT,
    array_index="${PBS_ARRAY_INDEX:-0}",
    lacks=("qos", "constraint", "parallel"),
)
