"""Jobs, and what the options of several schedulers have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rom.batch.profile import Profile
from rom.errors import BadInput

BLANK = "$$"  # begins a blank of the library's template


@dataclass(frozen=True, eq=False)
class Job:
    """One job, or an array of `count` parts from `first`.

    name : unique over all campaigns
    commands : each an argument list, on `ranks` ranks with `cpus` processors each
    after : jobs that must have ended before
    rows : file whose line k+1 holds the rows of part k, put where a command says {rows}
    seconds [s], mebibytes [MiB] : limits of one part
    repeats : whether a job without rows is put back where its time was over
    """

    name: str
    folder: str
    log: str
    commands: tuple[tuple[str, ...], ...]
    ranks: int = 1
    first: int = 0
    count: int = 1
    after: tuple[str, ...] = ()
    rows: str = ""
    seconds: int = 0
    mebibytes: int = 0
    cpus: int = 1
    repeats: bool = False


def node_count(job: Job, site: Profile) -> int:
    """Nodes of a job, no more than its ranks."""
    return min(site.nodes, job.ranks)


def array_limit(site: Profile) -> str:
    """ "%k", at most k parts at once, or ""."""
    return f"%{site.concurrent}" if site.concurrent else ""


def clock(seconds: int) -> str:
    """HH:MM:SS."""
    minutes = seconds // 60
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds % 60:02d}"


def library_header(library: Any, options: Mapping[str, Any]) -> list[str]:
    """The lines of options as qtoolkit writes them, without the empty ones.

    Raises BadInput where a value would be taken for a blank of its template.
    """
    for name, value in options.items():
        if BLANK in str(value):
            raise BadInput(
                f"{name} = {value!r} holds $$, which no batch script can; "
                "give another folder or name"
            )
    nonempty = {name: value for name, value in options.items() if value != ""}
    header: str = library.generate_header(nonempty)
    return header.splitlines()
