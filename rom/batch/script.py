"""Batch scripts in the words of each scheduler: plain text that a user may read, change and submit by hand.

The options of Slurm and PBS are written by qtoolkit; LSF, which no kept library writes with arrays, has its own few lines here.
docs/schedulers.md compares the libraries.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rom.batch.profile import Profile
from rom.errors import BadInput

STOPPED = 7


@dataclass(frozen=True, eq=False)
class Job:
    """One job, or an array of `count` parts from `first`: its commands, and the jobs that must have ended before.

    name : unique over all campaigns; commands : each an argument list; ranks : of each command, with `cpus` processors each
    rows : file whose line k+1 holds the rows of part k, put where a command says {rows}
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


def slurm_script(job: Job, site: Profile) -> list[str]:
    """Options of sbatch."""
    from qtoolkit.io.slurm import SlurmIO

    more = [f"--chdir={job.folder}", "--open-mode=append", "--requeue"]
    more += [f"--dependency=afterany:{':'.join(job.after)}"] if job.after else []
    return _header(SlurmIO(), {
        "job_name": job.name, "qout_path": job.log + ("-%a.out" if job.rows else ".out"),
        "array": f"0-{job.count - 1}{_limit(site)}" if job.rows else "", "time": _clock(job.seconds), "nodes": _nodes(job, site),
        "ntasks": job.ranks, "ntasks_per_node": 1 if site.pilot else "", "cpus_per_task": job.cpus,
        "mem": f"{job.mebibytes // _nodes(job, site)}M", "partition": site.partition,
        "account": site.account, "qos": site.qos, "constraint": site.constraint, "qverbatim": "\n".join(f"#SBATCH {line}" for line in more),
    })  # fmt: skip


def pbs_script(job: Job, site: Profile) -> list[str]:
    """Options of qsub (PBS Professional, OpenPBS); a job array there has two parts or more."""
    from qtoolkit.io.pbs import PBSIO

    nodes = _nodes(job, site)
    share = -(-job.ranks // nodes)
    more = ["-j oe", *([f"-W depend=afterany:{':'.join(job.after)}"] if job.after else [])]
    return _header(PBSIO(), {
        "job_name": job.name[:15], "qout_path": f"{job.log}.out", "rerunnable": "y", "walltime": _clock(job.seconds),
        "select": f"select={nodes}:ncpus={share * job.cpus}:mpiprocs={share}:mem={job.mebibytes // nodes}mb",
        "array": f"0-{job.count - 1}{_limit(site)}" if job.count > 1 else "", "queue": site.partition, "account": site.account,
        "qverbatim": "\n".join(f"#PBS {line}" for line in more),
    })  # fmt: skip


def _header(scheduler: Any, options: dict[str, Any]) -> list[str]:
    """The lines of a scheduler's options. Raises BadInput where a value would be taken for a blank of the library's template."""
    blank = next((name for name, value in options.items() if "$$" in str(value)), None)
    if blank:
        raise BadInput(
            f"{blank} = {options[blank]!r} holds $$, which no batch script can; give another folder or name"
        )
    return scheduler.generate_header(
        {name: value for name, value in options.items() if value != ""}
    ).splitlines()


def _nodes(job: Job, site: Profile) -> int:
    """No more nodes than ranks."""
    return min(site.nodes, job.ranks)


def _limit(site: Profile) -> str:
    return f"%{site.concurrent}" if site.concurrent else ""


def lsf_script(job: Job, site: Profile) -> list[str]:
    """Options of bsub; its arrays count from 1."""
    name = f"{job.name}[1-{job.count}]{_limit(site)}" if job.rows else job.name
    minutes = -(-job.seconds // 60)
    lines = [
        f'-J "{name}"',
        f"-cwd {shlex.quote(job.folder)}",
        f"-o {job.log}{'-%I' if job.rows else ''}.out",
        f"-n {job.ranks * (job.cpus if site.pilot else 1)}",
    ]
    lines += [f"-W {minutes // 60}:{minutes % 60:02d}", f"-M {job.mebibytes}MB", "-r"]
    lines += [f"-q {site.partition}"] if site.partition else []
    lines += [f"-P {site.account}"] if site.account else []
    lines += [f'-R "span[ptile={job.cpus}]"'] if site.pilot else []
    lines += [f'-w "{" && ".join(f"ended({one})" for one in job.after)}"'] if job.after else []
    return [f"#BSUB {line}" for line in lines]


def local_script(job: Job, site: Profile) -> list[str]:
    """No options: the script is run as it is."""
    return []


WORDS: dict[str, tuple[Callable[[Job, Profile], list[str]], str, str]] = {
    "slurm": (
        slurm_script,
        "${SLURM_ARRAY_TASK_ID:-0}",
        'scontrol requeue "$SLURM_JOB_ID" && exit 0',
    ),
    "pbs": (pbs_script, "${PBS_ARRAY_INDEX:-0}", ""),
    "lsf": (lsf_script, "$((${LSB_JOBINDEX:-1} - 1))", ""),
    "local": (local_script, "${ROM_PART:-0}", ""),
}


def script(job: Job, site: Profile) -> str:
    """The batch script of a job."""
    options, index, requeue = WORDS[site.scheduler]
    lines = [
        "#!/bin/bash",
        *options(job, site),
        *(f"{_word(site)} {line}" for line in site.directives),
        "set -u",
    ]
    lines += [f"cd {shlex.quote(job.folder)}"]
    lines += [f"module load {' '.join(site.modules)}"] if site.modules else []
    lines += [f"export OMP_NUM_THREADS={site.cpus}"]
    lines += (
        [f"export SRUN_CPUS_PER_TASK={job.cpus}"]
        if site.scheduler == "slurm" and job.cpus > 1
        else []
    )
    lines += [f"export {name}={shlex.quote(value)}" for name, value in site.environment.items()]
    lines += list(site.setup)
    if job.rows:
        lines += [
            f"part=$(({index} + {job.first}))",
            f'rows=$(sed -n "$((part + 1))p" {shlex.quote(job.rows)})',
        ]
    for command in job.commands:
        lines += [_command(command, job.ranks, site), "code=$?"]
        if job.rows and requeue and site.requeues:
            again = f'"${{SLURM_RESTART_COUNT:-0}}" -lt {site.requeues}'
            lines += [f"if [ $code -eq {STOPPED} ] && [ {again} ]; then {requeue}; fi"]
        lines += ["if [ $code -ne 0 ]; then exit $code; fi"]
    return "\n".join([*lines, ""])


def _command(words: Sequence[str], ranks: int, site: Profile) -> str:
    quoted = " ".join('"$rows"' if word == "{rows}" else shlex.quote(word) for word in words)
    inside = (
        f"apptainer exec {''.join(f'--bind {b} ' for b in site.bind)}{site.container} "
        if site.container
        else ""
    )
    start = site.launch.replace("{ranks}", str(ranks)) + " " if ranks > 1 else ""
    beside = Path(sys.executable).with_name("rom")
    name = (
        shlex.quote(str(beside))
        if site.rom == "rom" and not site.container and beside.exists()
        else site.rom
    )
    return f"{start}{inside}{name} {quoted}"


def _word(site: Profile) -> str:
    return {"slurm": "#SBATCH", "pbs": "#PBS", "lsf": "#BSUB", "local": "#"}[site.scheduler]


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
