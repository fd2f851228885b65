"""The queue of a site: submit a script, ask how jobs are, cancel them; every call ends within its time."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from rom.batch.profile import Profile
from rom.batch.script import Job
from rom.errors import NotSubmitted

log = logging.getLogger("rom")
SUBMIT = {"slurm": ["sbatch", "--parsable"], "pbs": ["qsub"], "lsf": ["bsub"]}
CANCEL = {"slurm": ["scancel", "--quiet"], "pbs": ["qdel"], "lsf": ["bkill"]}
KINDS = {
    "NODE_FAIL": "node", "BOOT_FAIL": "node", "PREEMPTED": "preempted", "REVOKED": "preempted", "TIMEOUT": "timeout",
    "DEADLINE": "timeout", "OUT_OF_MEMORY": "memory", "CANCELLED": "cancelled", "FAILED": "unknown", "COMPLETED": "done",
    "PENDING": "waiting", "CONFIGURING": "waiting", "REQUEUED": "waiting", "REQUEUE_HOLD": "waiting", "SUSPENDED": "running",
    "RUNNING": "running", "COMPLETING": "running", "SPECIAL_EXIT": "unknown", "STOPPED": "running", "RESV_DEL_HOLD": "waiting",
    "REQUEUE_FED": "waiting", "RESIZING": "running", "SIGNALING": "running", "STAGE_OUT": "running",
    "Q": "waiting", "H": "waiting", "W": "waiting", "B": "running", "R": "running", "E": "running", "S": "running", "F": "unknown",
    "X": "unknown", "PEND": "waiting", "RUN": "running", "EXIT": "unknown", "DONE": "done", "PSUSP": "waiting", "USUSP": "running",
}  # fmt: skip


def submit_script(path: Path, job: Job, site: Profile, tries: int = 5) -> str:
    """The scheduler's number of the job in script `path`. Raises NotSubmitted where it is refused after `tries`, with doubling waits."""
    if site.scheduler == "local":
        return here(path, job)
    words = [*SUBMIT[site.scheduler], *([] if site.scheduler == "lsf" else [str(path)])]
    pause = site.wait
    for attempt in range(tries):
        said, code = run_command(words, path.read_text() if site.scheduler == "lsf" else "")
        found = (
            re.search(r"<(\d+)>" if site.scheduler == "lsf" else r"(?m)^(\d+[^\s;]*)", said)
            if code == 0
            else None
        )
        if found:
            return found[1]
        if adopted := find_job(job.name, site):
            return adopted
        log.warning("%s was refused (%s); again in %g s", path, said.strip()[:300], pause)
        if attempt < tries - 1:
            time.sleep(pause)
        pause *= 2
    raise NotSubmitted(
        f"{path} was refused {tries} times: {said.strip()[:300]}; run rom resume once the queue accepts jobs"
    )


def here(path: Path, job: Job) -> str:
    """Runs every part on this machine, one after the other; "local:" and their exit codes."""
    codes = []
    for part in range(job.count):
        with open(f"{job.log}{f'-{part}' if job.rows else ''}.out", "ab") as told:
            environment = {**os.environ, "ROM_PART": str(part)}
            done = subprocess.run(
                ["bash", str(path)], env=environment, stdout=told, stderr=told, check=False
            )
            codes.append(str(done.returncode))
    return f"local:{job.name}:{','.join(codes)}"


def run_command(words: Sequence[str], text: str = "", seconds: float = 60.0) -> tuple[str, int]:
    """(what a command says, its exit code); 127 where it does not exist, 124 where it does not answer."""
    try:
        done = subprocess.run(
            list(words), input=text, capture_output=True, text=True, timeout=seconds
        )
    except FileNotFoundError:
        return f"no command {words[0]} on this machine", 127
    except subprocess.TimeoutExpired:
        return f"{words[0]} did not answer within {seconds:g} s", 124
    return done.stdout + (done.stderr if done.returncode else ""), done.returncode


def find_job(name: str, site: Profile) -> str | None:
    """The number of a job of this name that the scheduler has after all: a submission whose answer was lost."""
    if site.scheduler != "slurm":
        return None
    said, code = run_command(["squeue", "--noheader", "--name", name, "--format", "%F"])
    numbers = said.split()
    return numbers[0] if code == 0 and numbers else None


def job_states(jobs: Sequence[str], site: Profile) -> dict[str, dict[int, str]]:
    """Number of a job -> part of its array (0 without one) -> the kind of its state; -1 : parts that are not listed one by one.

    What the scheduler forgot is absent. Raises NotSubmitted where it is mute.
    """
    if site.scheduler == "local" or not jobs:
        return {}
    words = {
        "slurm": [
            "squeue",
            "--noheader",
            "--states=all",
            "--array",
            "--format",
            "%F %K %T",
            "--jobs",
            ",".join(jobs),
        ],
        "pbs": ["qstat", "-x", "-t", *jobs],
        "lsf": ["bjobs", "-a", "-noheader", "-o", "jobid jobindex stat", *jobs],
    }[site.scheduler]
    said, code = run_command(words)
    if code == 1 and site.scheduler == "slurm" and "Invalid job id" in said and len(jobs) > 1:
        return {key: kinds for job in jobs for key, kinds in job_states([job], site).items()}
    if (
        code
        and "Invalid job id" not in said
        and "Unknown Job" not in said
        and "not found" not in said
    ):
        raise NotSubmitted(
            f"{words[0]} does not answer ({said.strip()[:200]}); the jobs go on, ask again later"
        )
    found: dict[str, dict[int, str]] = {}
    for cells in map(str.split, said.splitlines() if code == 0 else ()):
        number, part, word = (_row_of_pbs if site.scheduler == "pbs" else _row)(cells)
        for job in jobs:
            if job.split(".")[0] == number:
                found.setdefault(job, {})[part - (site.scheduler == "lsf" and part > 0)] = (
                    KINDS.get(word.rstrip("+"), "unknown")
                )
    return found


def _row(cells: list[str]) -> tuple[str, int, str]:
    """(number, part, state) of "17 3 RUNNING"; "N/A" where there is no array."""
    number, part, word = (*cells, "", "", "")[:3]
    return number, int(part) if part.isdigit() else 0, word


def _row_of_pbs(cells: list[str]) -> tuple[str, int, str]:
    """(number, part, state) of "17[3].server name user 00:01 R queue"; "17[]" is the array as a whole."""
    number, _, part = (cells[0].split(".")[0] if cells else "").partition("[")
    word = cells[-2] if len(cells) > 4 else ""
    return (
        (f"{number}[]" if part else number),
        (int(part[:-1]) if part[:-1].isdigit() else -1 if part else 0),
        word,
    )


def cancel_jobs(jobs: Sequence[str], site: Profile) -> None:
    """Ends jobs. Raises NotSubmitted where the scheduler does not answer."""
    jobs = [job for job in jobs if job and not job.startswith("local")]
    if site.scheduler == "local" or not jobs:
        return
    said, code = run_command([*CANCEL[site.scheduler], *jobs])
    if code and "Invalid job id" not in said:
        raise NotSubmitted(
            f"{CANCEL[site.scheduler][0]} did not cancel {', '.join(jobs)}: {said.strip()[:200]}; try again"
        )
