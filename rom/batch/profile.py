"""Sites: what a scheduler wants to know, from a TOML file that is only read."""

from __future__ import annotations

import math
import re
import tomllib
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from rom.batch.profile_checks import (
    check_limits,
    check_lines,
    check_numbers,
    check_pilot,
    check_retry,
    check_words,
)
from rom.batch.schedulers import check_scheduler
from rom.errors import BadInput

MAX_BYTES = 65536
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
        power = "MGT".index(match[2])
        return int(match[1]) * 1024**power

    def tries(self, kind: str) -> int:
        """How often a part that ended by this kind of failure is tried again."""
        return {**RETRY, **self.retry}[kind]


def read_profile(path: str | Path) -> Profile:
    """The profile in a TOML file.

    Raises BadInput naming the entry that is wrong and the known ones.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadInput(
            f"{path}: {error.strerror}; give the TOML file of a site, see hpc/"
        ) from error
    if len(content) > MAX_BYTES:
        raise BadInput(f"{path} has more than {MAX_BYTES} bytes, which no profile needs")
    try:
        entries = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path} is no TOML file: {str(error)[:200]}") from error
    return check_profile(entries, path)


def check_profile(entries: dict[str, Any], path: str | Path) -> Profile:
    """A profile from its entries. Raises BadInput."""
    from pydantic import ValidationError

    _check_names(entries, path)
    try:
        site: Profile = _schema().validate_python(entries)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    except ValidationError as error:
        worst = error.errors()[0]
        where = ".".join(str(part) for part in worst["loc"])
        text = worst["msg"].removeprefix("Value error, ")
        raise BadInput(f"{path}: {where}: {text}") from error
    return site


def _check_names(entries: dict[str, Any], path: str | Path) -> None:
    """Raises BadInput for an entry that no profile has."""
    names = [entry.name for entry in fields(Profile)]
    for name in entries:
        if name not in names:
            raise BadInput(f"{path}: no entry {name!r}; known: {', '.join(names)}")
    pilot = entries.get("pilot")
    names = [entry.name for entry in fields(Pilot)]
    for name in pilot if isinstance(pilot, dict) else ():
        if name not in names:
            raise BadInput(f"{path}: no entry pilot.{name}; known: {', '.join(names)}")


@cache
def _schema() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Profile)
