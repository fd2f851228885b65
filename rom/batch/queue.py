"""The queue of a site: submit a script, ask how jobs are, cancel them."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from rom.batch.job import Job
from rom.batch.profile import Profile
from rom.batch.schedulers import States, open_scheduler
from rom.errors import NotSubmitted

log = logging.getLogger("rom")
SHOWN = 300  # characters of an answer in a message


def submit_script(path: Path, job: Job, site: Profile, tries: int = 5) -> str:
    """The scheduler's number of the job in script `path`.

    Waits double between the tries. Raises NotSubmitted where it is refused after the last.
    """
    scheduler = open_scheduler(site.scheduler)
    pause = site.wait
    answer = ""
    for attempt in range(tries):
        number, output = scheduler.submit(path, job)
        number = number or scheduler.find_job(job.name)
        if number:
            return number
        answer = output.strip()[:SHOWN]
        log.warning("%s was refused (%s); again in %g s", path, answer, pause)
        if attempt < tries - 1:
            time.sleep(pause)
        pause *= 2
    raise NotSubmitted(
        f"{path} was refused {tries} times: {answer}; run rom resume once the queue accepts jobs"
    )


def find_job(name: str, site: Profile) -> str | None:
    """The number of a job of this name, where the answer of its submission was lost."""
    return open_scheduler(site.scheduler).find_job(name)


def job_states(jobs: Sequence[str], site: Profile) -> States:
    """Number of a job -> part of its array -> state; what was forgotten is absent.

    Part 0 is of a job without array, WHOLE_ARRAY of parts that are not listed one by one.
    Raises NotSubmitted where the scheduler is mute.
    """
    queued = _in_queue(jobs)
    return open_scheduler(site.scheduler).states(queued) if queued else {}


def cancel_jobs(jobs: Sequence[str], site: Profile) -> None:
    """Ends jobs. Raises NotSubmitted where the scheduler does not answer."""
    queued = _in_queue(jobs)
    if queued:
        open_scheduler(site.scheduler).cancel(queued)


def _in_queue(jobs: Sequence[str]) -> list[str]:
    """Without jobs of no number, and those that were run in place."""
    return [job for job in jobs if job and ":" not in job]
