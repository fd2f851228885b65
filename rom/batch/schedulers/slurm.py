"""Slurm."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from rom.batch import command
from rom.batch.job import Job, array_limit, clock, library_header, node_count
from rom.batch.profile import Profile
from rom.batch.schedulers import KILLED_FOR_MEMORY, Scheduler, States
from rom.errors import NotSubmitted

COMMENT = "#SBATCH"
UNKNOWN_JOB = "Invalid job id"
STATES = {
    "PENDING": "waiting", "CONFIGURING": "waiting", "REQUEUED": "waiting",
    "REQUEUE_HOLD": "waiting", "REQUEUE_FED": "waiting", "RESV_DEL_HOLD": "waiting",
    "RUNNING": "running", "COMPLETING": "running", "SUSPENDED": "running",
    "STOPPED": "running", "RESIZING": "running", "SIGNALING": "running",
    "STAGE_OUT": "running", "COMPLETED": "done", "FAILED": "unknown",
    "SPECIAL_EXIT": "unknown", "CANCELLED": "cancelled", "TIMEOUT": "timeout",
    "DEADLINE": "timeout", "OUT_OF_MEMORY": "memory", "NODE_FAIL": "node",
    "BOOT_FAIL": "node", "PREEMPTED": "preempted", "REVOKED": "preempted",
}  # fmt: skip
LOG_WORDS = {
    "DUE TO TIME LIMIT": "timeout", **KILLED_FOR_MEMORY, "DUE TO NODE": "node",
    "NODE FAILURE": "node", "DUE TO PREEMPTION": "preempted", "CANCELLED": "cancelled",
}  # fmt: skip


def _options(job: Job, site: Profile) -> list[str]:
    """The options of sbatch."""
    from qtoolkit.io.slurm import SlurmIO

    nodes = node_count(job, site)
    more = [f"--chdir={job.folder}", "--open-mode=append", "--requeue"]
    if job.after:
        more.append(f"--dependency=afterany:{':'.join(job.after)}")
    options = {
        "job_name": job.name,
        "qout_path": job.log + ("-%a.out" if job.rows else ".out"),
        "array": f"0-{job.count - 1}{array_limit(site)}" if job.rows else "",
        "time": clock(job.seconds),
        "nodes": nodes,
        "ntasks": job.ranks,
        "ntasks_per_node": 1 if site.pilot else "",
        "cpus_per_task": job.cpus,
        "mem": f"{job.mebibytes // nodes}M",
        "partition": site.partition,
        "account": site.account,
        "qos": site.qos,
        "constraint": site.constraint,
        "qverbatim": "\n".join(f"{COMMENT} {line}" for line in more),
    }
    return library_header(SlurmIO(), options)


def _submit(path: Path, job: Job) -> tuple[str | None, str]:
    output, code = command.run_command(["sbatch", "--parsable", str(path)])
    number = re.search(r"(?m)^(\d+[^\s;]*)", output) if code == 0 else None
    return (number[1] if number else None), output


def _find_job(name: str) -> str | None:
    words = ["squeue", "--noheader", "--name", name, "--format", "%F"]
    output, code = command.run_command(words)
    numbers = output.split()
    return numbers[0] if code == 0 and numbers else None


def _states(jobs: Sequence[str]) -> States:
    listing = ("--noheader", "--states=all", "--array", "--format", "%F %K %T")
    output, code = command.run_command(["squeue", *listing, "--jobs", ",".join(jobs)])
    is_unknown = UNKNOWN_JOB in output
    if code == 1 and is_unknown and len(jobs) > 1:
        return _states_one_by_one(jobs)
    if code and not is_unknown:
        command.raise_mute("squeue", output)
    states: States = {}
    for line in output.splitlines() if code == 0 else ():
        number, part, word = (*line.split(), "", "", "")[:3]
        index = int(part) if part.isdigit() else 0
        for job in jobs:
            if job.split(".")[0] == number:
                state = STATES.get(word.rstrip("+"), "unknown")
                states.setdefault(job, {})[index] = state
    return states


def _states_one_by_one(jobs: Sequence[str]) -> States:
    states: States = {}
    for job in jobs:
        states |= _states([job])
    return states


def _cancel(jobs: Sequence[str]) -> None:
    output, code = command.run_command(["scancel", "--quiet", *jobs])
    if code and UNKNOWN_JOB not in output:
        raise NotSubmitted(command.cancel_refusal("scancel", jobs, output))


SCHEDULER = Scheduler(
    options=_options,
    submit=_submit,
    states=_states,
    cancel=_cancel,
    comment=COMMENT,
    array_index="${SLURM_ARRAY_TASK_ID:-0}",
    find_job=_find_job,
    requeue='scontrol requeue "$SLURM_JOB_ID" && exit 0',
    restarts="${SLURM_RESTART_COUNT:-0}",
    cpus_variable="SRUN_CPUS_PER_TASK",
    rank_variable="SLURM_PROCID",
    size_variable="SLURM_NTASKS",
    log_words=LOG_WORDS,
    lacks=("parallel",),
)
