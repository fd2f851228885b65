"""Grid Engine; its arrays count from 1, its memory limit is of one slot.

Slots beyond one need a parallel environment, which every site names itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from rom.batch import command
from rom.batch.job import Job, clock
from rom.batch.profile import Profile
from rom.batch.schedulers import Scheduler, States
from rom.errors import BadInput, NotSubmitted

COMMENT = "#$"
UNKNOWN_JOB = "does not exist"
OVER_LIMIT = "37"  # of qacct: killed at its limit of time or memory
NO_TASK = "undefined"


def _check(site: Profile) -> None:
    """Raises BadInput where several slots have no parallel environment."""
    slots = max(site.processes * site.threads, site.cpus)
    if slots > 1 and not site.parallel:
        raise BadInput(
            f"{slots} slots without a parallel environment; give parallel, "
            "one of those that qconf -spl lists"
        )


def _options(job: Job, site: Profile) -> list[str]:
    """The options of qsub. Raises BadInput for a folder that they cannot name."""
    for path in (job.folder, job.log):
        if re.search(r"[:,\"]", path):
            raise BadInput(f"{path} holds a colon, a comma or a quote; give another folder")
    slots = job.ranks * job.cpus
    log = f"{job.log}{'-$TASK_ID' if job.rows else ''}.out"
    lines = [
        f"-N {job.name}",
        "-S /bin/bash",
        f'-wd "{job.folder}"',
        f'-o "{log}"',
        "-j y",
        "-r y",
        f"-l h_rt={clock(job.seconds)}",
        f"-l h_vmem={job.mebibytes // slots}M",
    ]
    if job.rows:
        lines.append(f"-t 1-{job.count}")
    if job.rows and site.concurrent:
        lines.append(f"-tc {site.concurrent}")
    if slots > 1:
        lines.append(f"-pe {site.parallel} {slots}")
    if site.partition:
        lines.append(f"-q {site.partition}")
    if site.account:
        lines.append(f"-P {site.account}")
    if job.after:
        lines.append(f"-hold_jid {','.join(job.after)}")
    return [f"{COMMENT} {line}" for line in lines]


def _submit(path: Path, job: Job) -> tuple[str | None, str]:
    output, code = command.run_command(["qsub", "-terse", str(path)])
    number = re.search(r"(?m)^(\d+)", output) if code == 0 else None
    return (number[1] if number else None), output


def _find_job(name: str) -> str | None:
    output, code = command.run_command(["qstat", "-j", name])
    number = re.search(r"(?m)^job_number:\s*(\d+)", output) if code == 0 else None
    return number[1] if number else None


def _states(jobs: Sequence[str]) -> States:
    """Of the queue, and of the accounts for the parts that have left it."""
    output, code = command.run_command(["qstat", "-xml", "-u", "*"])
    if code:
        command.raise_mute("qstat", output)
    states: States = {}
    for job in jobs:
        ends = _ends(job)
        if ends:
            states[job] = ends
    for entry in ElementTree.fromstring(output).iter("job_list"):
        job = entry.findtext("JB_job_number", "")
        if job in jobs:
            state = _state(entry.findtext("state", ""))
            for part in _parts(entry.findtext("tasks", "")):
                states.setdefault(job, {})[part] = state
    return states


def _state(letters: str) -> str:
    """The state of letters: q and w wait, r, t, s and d run, E stands still for ever."""
    if "E" in letters:
        return "node"
    return "waiting" if "q" in letters or "w" in letters else "running"


def _parts(tasks: str) -> list[int]:
    """Tasks "2-4:1,7" -> parts [1, 2, 3, 6]; [0] of a job without array."""
    parts: list[int] = []
    for match in re.finditer(r"(\d+)(?:-(\d+))?(?::(\d+))?", tasks):
        first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        parts.extend(range(first - 1, last, step))
    return parts or [0]


def _ends(job: str) -> dict[int, str]:
    """Part -> how it ended last, of what the accounts of a job say."""
    output, code = command.run_command(["qacct", "-j", job])
    ends: dict[int, str] = {}
    for text in output.split("=" * 40) if code == 0 else ():
        entry = {
            line.split()[0]: line.split(maxsplit=1)[1]
            for line in text.splitlines()
            if len(line.split()) > 1
        }
        if "taskid" in entry:
            task = entry["taskid"].strip()
            ends[0 if task == NO_TASK else int(task) - 1] = _end(entry)
    return ends


def _end(entry: dict[str, str]) -> str:
    """How a part ended: "done", "timeout", "memory" or "unknown"."""
    failed = entry.get("failed", "").split()[0]
    if failed != OVER_LIMIT:
        return "done" if entry.get("exit_status", "").split()[:1] == ["0"] else "unknown"
    limit = re.search(r"h_rt=(\d+)", entry.get("category", ""))
    elapsed = re.match(r"\d+", entry.get("ru_wallclock", ""))
    is_late = limit is not None and elapsed is not None and int(elapsed[0]) >= int(limit[1])
    return "timeout" if is_late else "memory"


def _cancel(jobs: Sequence[str]) -> None:
    output, code = command.run_command(["qdel", *jobs])
    if code and UNKNOWN_JOB not in output:
        raise NotSubmitted(command.cancel_refusal("qdel", jobs, output))


SCHEDULER = Scheduler(
    options=_options,
    submit=_submit,
    states=_states,
    cancel=_cancel,
    comment=COMMENT,
    array_index="$((${SGE_TASK_ID:-1} - 1))",
    first_part=1,
    find_job=_find_job,
    requeue='echo again >> "$exit_code.again"; exit 99',
    restarts='$(cat "$exit_code.again" 2>/dev/null | wc -l)',
    lacks=("nodes", "qos", "constraint"),
    check=_check,
)
