"""Batch scripts: plain text that a user may read, change and submit by hand."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rom.batch.job import Job
from rom.batch.profile import Profile
from rom.batch.schedulers import Scheduler, open_scheduler

STOPPED = 7  # exit code of rom collect: the time was over before all was solved
ROWS = "{rows}"  # in a command: the rows of this part


def script(job: Job, site: Profile) -> str:
    """The batch script of a job. Raises BadInput for a folder that it cannot name."""
    scheduler = open_scheduler(site.scheduler)
    lines = ["#!/bin/bash", *scheduler.options(job, site)]
    lines += [f"{scheduler.comment} {line}" for line in site.directives]
    lines += _environment(job, site, scheduler)
    lines += _part(job, scheduler)
    for command in job.commands:
        lines.append(_command_line(command, job.ranks, site))
        lines.append("code=$?")
        lines.append('echo $code > "$exit_code"')
        if (job.rows or job.repeats) and scheduler.requeue and site.requeues:
            again = f'"{scheduler.restarts}" -lt {site.requeues}'
            lines.append(f"if [ $code -eq {STOPPED} ] && [ {again} ]; then {scheduler.requeue}; fi")
        lines.append("if [ $code -ne 0 ]; then exit $code; fi")
    return "\n".join([*lines, ""])


def exit_code_path(log: str, part: int | str | None = None) -> str:
    """The file with the exit code of a part, or of a job, that was not killed."""
    return f"{log}.exit" if part is None else f"{log}-{part}.exit"


def _environment(job: Job, site: Profile, scheduler: Scheduler) -> list[str]:
    """The lines up to the first command."""
    lines = ["set -u", f"cd {shlex.quote(job.folder)}"]
    if site.modules:
        lines.append(f"module load {' '.join(site.modules)}")
    lines.append(f"export OMP_NUM_THREADS={site.cpus}")
    if scheduler.cpus_variable and job.cpus > 1:
        lines.append(f"export {scheduler.cpus_variable}={job.cpus}")
    for name, value in site.environment.items():
        lines.append(f"export {name}={shlex.quote(value)}")
    return [*lines, *site.setup]


def _part(job: Job, scheduler: Scheduler) -> list[str]:
    """The lines that find the rows of a part, and forget how it ended before."""
    index = scheduler.array_index
    if not job.rows:
        return [f"exit_code={exit_code_path(shlex.quote(job.log))}", 'rm -f "$exit_code"']
    listing, log = shlex.quote(job.rows), shlex.quote(job.log)
    return [
        f"part=$(({index} + {job.first}))",
        f'rows=$(sed -n "$((part + 1))p" {listing})',
        f"exit_code={exit_code_path(log, index)}",
        'rm -f "$exit_code"',
    ]


def _command_line(words: Sequence[str], ranks: int, site: Profile) -> str:
    """A command, under the launcher and in the container of the site."""
    quoted = ['"$rows"' if word == ROWS else shlex.quote(word) for word in words]
    start = ""
    if ranks > 1:
        start = site.launch.replace("{ranks}", str(ranks)) + " "
    if site.container:
        bindings = "".join(f"--bind {folder} " for folder in site.bind)
        start += f"apptainer exec {bindings}{site.container} "
    return f"{start}{_program(site)} {' '.join(quoted)}"


def _program(site: Profile) -> str:
    """The `rom` beside this Python, where the site names no other."""
    beside = Path(sys.executable).with_name("rom")
    if site.rom == "rom" and not site.container and beside.exists():
        return shlex.quote(str(beside))
    return site.rom
