"""Schedulers, one file each.

Each has a `SCHEDULER`, what a batch script and the queue need to know of it. A file put here is
a scheduler more, named as the file is; nothing else names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from rom.errors import BadInput

if TYPE_CHECKING:
    from rom.batch.job import Job
    from rom.batch.profile import Profile

# job -> part of its array, 0 without one -> state, of `waiting`, `running`, or how it ended
States = dict[str, dict[int, str]]
KILLED_FOR_MEMORY = dict.fromkeys(("oom-kill", "out-of-memory", "memory limit"), "memory")
WHOLE_ARRAY = -1  # the part that stands for all parts that are not listed one by one


def no_job(name: str) -> str | None:
    """None: of a scheduler that finds no job by its name."""
    return None


def no_objection(site: Profile) -> None:
    """None: of a scheduler that serves every valid profile."""
    return None


@dataclass(frozen=True, eq=False)
class Scheduler:
    """The words and the commands of one scheduler.

    options : (job, site) -> lines at the head of its script
    submit : (script, job) -> (number of the job or None where refused, what was answered)
    states : jobs -> job -> part -> state; forgotten jobs are absent; raises NotSubmitted
    cancel : jobs -> None; raises NotSubmitted
    comment : the start of a line of options; array_index : shell word, the part from 0
    first_part : number of the first part of an array in the names of its logs
    find_job : name -> number of a job whose answer was lost, or None
    requeue : shell commands that put this job back into the queue, "" for none
    restarts : shell word, how often that was done; both may use the file "$exit_code"
    cpus_variable : environment variable of the processors per rank, "" for none
    rank_variable, size_variable : environment variables of processes beside each other
    log_words : words of the scheduler in a job's log -> how the job ended
    lacks : entries of a profile that mean nothing to it, and are refused
    check : profile -> None; raises BadInput for what it cannot do
    A number that holds a colon is of a job that was run in place, and is over.
    """

    options: Callable[[Job, Profile], list[str]]
    submit: Callable[[Path, Job], tuple[str | None, str]]
    states: Callable[[Sequence[str]], States]
    cancel: Callable[[Sequence[str]], None]
    comment: str
    array_index: str
    first_part: int = 0
    find_job: Callable[[str], str | None] = no_job
    requeue: str = ""
    restarts: str = "0"
    cpus_variable: str = ""
    rank_variable: str = ""
    size_variable: str = ""
    log_words: Mapping[str, str] = field(default_factory=lambda: KILLED_FOR_MEMORY)
    lacks: tuple[str, ...] = ()
    check: Callable[[Profile], None] = no_objection


def scheduler_names() -> tuple[str, ...]:
    """The names of all schedulers: the files of this folder."""
    return tuple(sorted(module.name for module in iter_modules(__path__)))


def check_scheduler(name: str) -> str:
    """`name`, if a file of this folder has it. Raises BadInput."""
    names = scheduler_names()
    if name not in names:
        quoted = [f"'{one}'" for one in names]
        listing = f"{', '.join(quoted[:-1])} or {quoted[-1]}"
        raise BadInput(f"scheduler: Input should be {listing}")
    return name


def open_scheduler(name: str) -> Scheduler:
    """The scheduler of a name. Raises BadInput for an unknown one."""
    module = import_module(f"{__name__}.{check_scheduler(name)}")
    scheduler: Scheduler = module.SCHEDULER
    return scheduler
