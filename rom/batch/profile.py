"""Sites: what a scheduler wants to know, from a TOML file that is checked and never run."""

from __future__ import annotations

import math
import re
import tomllib
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal

from rom.errors import BadInput

LARGEST = 65536
WORD = re.compile(r"[A-Za-z0-9_.,:+@/=\-]*")
PLAIN = re.compile(r"[^\x00-\x1f\x7f]*")
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
    """Many short solves in one allocation: `workers` processes on each node, and the `limit` of one solve [s], 0 for none."""

    workers: int
    limit: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.workers <= 4096:
            raise BadInput(f"pilot.workers = {self.workers}: give 1 to 4096 processes of each node")
        if not (math.isfinite(self.limit) and self.limit >= 0):
            raise BadInput(f"pilot.limit = {self.limit} must not be negative; 0 is no limit")


@dataclass(frozen=True, eq=False)
class Profile:
    """One site: its scheduler, what a part of a campaign may use, and how often each kind of failure is tried again.

    time : "D-HH:MM:SS" or "HH:MM:SS" of one part; memory : of one part ("4G"); margin [s] : kept back to end cleanly
    nodes, ranks, cpus : of one part, all ranks together, threads per rank; launch : how ranks start, "srun" or "mpiexec -n {ranks}"
    chunk : solves per part; array, queued : the site's largest job array and most jobs in the queue; concurrent : parts at once, 0 for all
    modules, setup, environment : loaded, run and set before; container : an Apptainer image, with folders to bind
    directives : lines of the scheduler as they are; requeues : how often a part that ran out of time goes on by itself
    pilot : workers instead of ranks, none of which ends the others when it dies
    retry : kind of failure -> tries; wait [s] : before a refused submission is tried again, doubling
    Raises BadInput naming the entry.
    """

    scheduler: Literal["slurm", "pbs", "lsf", "local"]
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
        for name in ("nodes", "ranks", "cpus", "chunk", "array", "queued"):
            if not 0 < getattr(self, name) <= 10**7:
                raise BadInput(f"{name} = {getattr(self, name)} must be a positive number")
        for name in ("concurrent", "requeues", "margin", "wait"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise BadInput(f"{name} = {getattr(self, name)} must not be negative")
        words = [
            (name, getattr(self, name))
            for name in ("partition", "account", "qos", "constraint", "container")
        ]
        words += [(name, word) for name in ("modules", "bind") for word in getattr(self, name)]
        words += [("environment", name) for name in self.environment]
        for name, word in words:
            if not WORD.fullmatch(word):
                raise BadInput(
                    f"{name} = {word!r} is no plain word; letters, digits and . , : + @ / = - only"
                )
        lines = [
            ("launch", self.launch),
            ("rom", self.rom),
            *(("environment", text) for text in self.environment.values()),
        ]
        for name, line in [
            *lines,
            *((n, text) for n in ("setup", "directives") for text in getattr(self, n)),
        ]:
            if not PLAIN.fullmatch(line):
                raise BadInput(f"{name} = {line!r} must be one line")
        if self.pilot is not None and self.ranks != 1:
            raise BadInput(
                f"ranks = {self.ranks} beside [pilot]: its workers solve alone; leave ranks out, or leave [pilot] out"
            )
        if self.pilot is not None and self.chunk < self.nodes * self.pilot.workers:
            raise BadInput(
                f"chunk = {self.chunk} leaves workers of [pilot] idle; give {self.nodes * self.pilot.workers} solves per part, or thousands"
            )
        unknown = set(self.retry) - set(RETRY)
        if unknown or any(not 0 <= tries <= 1000 for tries in self.retry.values()):
            raise BadInput(f"retry = {self.retry}: give 0..1000 tries for {', '.join(RETRY)}")
        if self.seconds <= self.margin:
            raise BadInput(
                f"time = {self.time!r} must be longer than the margin of {self.margin:g} s"
            )
        if self.mebibytes < 1:
            raise BadInput(f"memory = {self.memory!r} must be positive")

    @property
    def processes(self) -> int:
        """What the launcher starts for one part: its ranks, or the supervisor of a pilot on each node."""
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
        limit = ("--limit", f"{self.pilot.limit:g}") if self.pilot.limit else ()
        return ("--workers", str(self.pilot.workers), *limit)

    @property
    def seconds(self) -> int:
        """Time limit of one part [s]."""
        found = re.fullmatch(r"(?:(\d{1,4})-)?(\d{1,5}):(\d\d):(\d\d)", self.time)
        if found is None:
            raise BadInput(f"time = {self.time!r} is not of the form HH:MM:SS or D-HH:MM:SS")
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds

    @property
    def mebibytes(self) -> int:
        """Memory limit of one part [MiB]."""
        found = re.fullmatch(r"(\d{1,9})\s*([MGT])(?:i?B)?", self.memory)
        if found is None:
            raise BadInput(f"memory = {self.memory!r} is not a size such as '500M', '4G'")
        return int(found[1]) * 1024 ** "MGT".index(found[2])

    def tries(self, kind: str) -> int:
        """How often a part that ended by this kind of failure is tried again."""
        return {**RETRY, **self.retry}[kind]


def read_profile(path: str | Path) -> Profile:
    """The profile in a TOML file. Raises BadInput naming the entry that is wrong and the known ones."""
    path = Path(path)
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise BadInput(
            f"{path}: {error.strerror}; give the TOML file of a site, see hpc/"
        ) from error
    if len(content) > LARGEST:
        raise BadInput(f"{path} has more than {LARGEST} bytes, which no profile needs")
    try:
        entries = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path} is no TOML file: {str(error)[:200]}") from error
    return check_profile(entries, path)


def check_profile(entries: dict[str, Any], path: str | Path) -> Profile:
    """A profile from its entries. Raises BadInput."""
    from pydantic import ValidationError

    known = [f.name for f in fields(Profile)]
    unknown = [name for name in entries if name not in known]
    if unknown:
        raise BadInput(f"{path}: no entry {unknown[0]!r}; known: {', '.join(known)}")
    strange = (
        [name for name in entries["pilot"] if name not in ("workers", "limit")]
        if isinstance(entries.get("pilot"), dict)
        else []
    )
    if strange:
        raise BadInput(f"{path}: no entry pilot.{strange[0]}; known: workers, limit")
    try:
        return _schema().validate_python(entries)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    except ValidationError as error:
        worst = error.errors()[0]
        where = ".".join(str(part) for part in worst["loc"])
        raise BadInput(f"{path}: {where}: {worst['msg'].removeprefix('Value error, ')}") from error


@cache
def _schema() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Profile)
