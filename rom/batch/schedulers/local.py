"""This machine: the parts of a job run at once, one after the other."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from rom.batch.job import Job
from rom.batch.profile import Profile
from rom.batch.schedulers import Scheduler, States

log = logging.getLogger("rom.progress")


def _options(job: Job, site: Profile) -> list[str]:
    """None: the script is run as it is."""
    return []


def _submit(path: Path, job: Job) -> tuple[str | None, str]:
    """ "local:NAME:" and the exit codes of the parts, once all have ended."""
    codes = []
    for part in range(job.count):
        suffix = f"-{part}" if job.rows else ""
        environment = {**os.environ, "ROM_PART": str(part)}
        path_of_log = f"{job.log}{suffix}.out"
        with open(path_of_log, "ab") as out:
            end = subprocess.run(
                ["bash", str(path)], env=environment, stdout=out, stderr=out, check=False
            )
        codes.append(str(end.returncode))
        place = f" part {part + 1} of {job.count}" if job.rows else ""
        log.info("%s%s ended (exit %d): %s", job.name, place, end.returncode, path_of_log)
    return f"local:{job.name}:{','.join(codes)}", ""


def _states(jobs: Sequence[str]) -> States:
    return {}


def _cancel(jobs: Sequence[str]) -> None:
    return None


SCHEDULER = Scheduler(
    options=_options,
    submit=_submit,
    states=_states,
    cancel=_cancel,
    comment="#",
    array_index="${ROM_PART:-0}",
)
