"""Sites: what a scheduler wants to know."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from rom.batch.profile_checks import (
    check_entries,
    check_limits,
    check_lines,
    check_numbers,
    check_pilot,
    check_retry,
    check_words,
)
from rom.batch.schedulers import check_scheduler
from rom.errors import BadInput

MAX_WORKERS = 4096
RETRY = {
    "node": 5,
    "preempted": 20,
    "timeout": 2,
    "memory": 2,
    "transient": 5,
    "solver": 0,
    "unknown": 2,
}


@dataclass(frozen=True, eq=False)
class Pilot:
    """Many short solves in one allocation.

    workers : processes on each node; limit [s] : of one solve, 0 for none
    """

    workers: int
    limit: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.workers <= MAX_WORKERS:
            raise BadInput(
                f"pilot.workers = {self.workers}: give 1 to {MAX_WORKERS} processes of each node"
            )
        is_positive = math.isfinite(self.limit) and self.limit >= 0
        if not is_positive:
            raise BadInput(f"pilot.limit = {self.limit} must not be negative; 0 is no limit")


@dataclass(frozen=True, eq=False)
class Profile:
    """One site: its scheduler, what a part may use, how often failures are retried.

    scheduler : a file of rom/batch/schedulers
    time : "D-HH:MM:SS" or "HH:MM:SS" of one part; memory : of one part ("4G")
    margin [s] : of the time, to end cleanly
    nodes, ranks, cpus : of one part, all ranks together, threads per rank
    launch : how ranks start, "srun" or "mpiexec -n {ranks}"
    chunk : solves per part; concurrent : parts at once, 0 for all
    array, queued : the site's largest job array and most jobs in the queue
    partition, account, qos, constraint : as the site names them, where its scheduler has them
    parallel : the environment of jobs of several slots, where its scheduler has them
    modules, setup, environment : loaded, run and set before
    container : an Apptainer image, with folders to bind
    directives : lines of the scheduler as they are
    requeues : how often a part that ran out of time goes on by itself
    pilot : workers instead of ranks, none of which ends the others when it dies
    retry : kind of failure -> tries
    wait [s] : before a refused submission is tried again, doubling
    Raises BadInput naming the entry.
    """

    scheduler: str
    time: str = "01:00:00"
    memory: str = "4G"
    margin: float = 60.0
    nodes: int = 1
    ranks: int = 1
    cpus: int = 1
    launch: str = "mpiexec -n {ranks}"
    rom: str = "rom"
    chunk: int = 1
    array: int = 1000
    queued: int = 1000
    concurrent: int = 0
    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""
    parallel: str = ""
    modules: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    container: str = ""
    bind: tuple[str, ...] = ()
    directives: tuple[str, ...] = ()
    requeues: int = 20
    pilot: Pilot | None = None
    retry: dict[str, int] = field(default_factory=dict)
    wait: float = 20.0

    def __post_init__(self) -> None:
        check_scheduler(self.scheduler)
        check_numbers(self)
        check_words(self)
        check_lines(self)
        check_pilot(self)
        check_retry(self.retry, RETRY)
        check_limits(self)
        check_entries(self)

    @property
    def processes(self) -> int:
        """What the launcher starts for one part: its ranks, or a pilot on each node."""
        return self.ranks if self.pilot is None else self.nodes

    @property
    def threads(self) -> int:
        """Processors that each of these needs."""
        return self.cpus if self.pilot is None else self.cpus * self.pilot.workers

    @property
    def crew(self) -> tuple[str, ...]:
        """The options of rom collect for a pilot."""
        if self.pilot is None:
            return ()
        options = ["--workers", str(self.pilot.workers)]
        if self.pilot.limit:
            options += ["--limit", f"{self.pilot.limit:g}"]
        return tuple(options)

    @property
    def seconds(self) -> int:
        """Time limit of one part [s]."""
        match = re.fullmatch(r"(?:(\d{1,4})-)?(\d{1,5}):(\d\d):(\d\d)", self.time)
        if match is None:
            raise BadInput(f"time = {self.time!r} is not of the form HH:MM:SS or D-HH:MM:SS")
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        hours += days * 24
        return (hours * 60 + minutes) * 60 + seconds

    @property
    def mebibytes(self) -> int:
        """Memory limit of one part [MiB]."""
        match = re.fullmatch(r"(\d{1,9})\s*([MGT])(?:i?B)?", self.memory)
        if match is None:
            raise BadInput(f"memory = {self.memory!r} is not a size such as '500M', '4G'")
        factors = {"M": 1, "G": 1024, "T": 1024**2}
        return int(match[1]) * factors[match[2]]

    def tries(self, kind: str) -> int:
        """How often a part that ended by this kind of failure is tried again."""
        return {**RETRY, **self.retry}[kind]
