"""The jobs of a run: arrays of parts for every group of rows, then the stages that wait for them; written, and handed to the queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rom.archive.files import durably
from rom.batch.plan import arrays, format_rows, parts
from rom.batch.queue import submit_script
from rom.batch.run_folder import RESULTS, Run
from rom.batch.script import Job, script
from rom.batch.submissions import read_entries, write_note

Group = tuple[tuple[int, ...], int, int]


def submit_jobs(
    run: Run, groups: Sequence[Group], stages: Sequence[str], after: Sequence[str], dry: bool
) -> list[tuple[str, str]]:
    """(number, script) of the jobs of groups (rows, retries, growth of time and memory) and stages. dry : none is submitted."""
    number = 1 + max((r["round"] for r in read_entries(run)), default=0)
    told: list[tuple[str, str]] = []
    for g, group in enumerate(groups):
        told += _group(run, number, g, group, dry)
    before = [*after, *(name for name, _ in told)]
    for stage in stages:
        job = replace(_job(run, number, stage, (_command(run, stage),)), after=tuple(before))
        told.append(_hand(run, job, stage, number, dry, []))
        before = [told[-1][0]]
    return told


def _group(run: Run, number: int, g: int, group: Group, dry: bool) -> list[tuple[str, str]]:
    """The arrays that solve the rows of a group."""
    rows, retries, growth = group
    cut, site = parts(rows, run.site), run.site
    listing = run.place / "jobs" / f"{number}-rows-{g}"
    durably(
        listing, partial(Path.write_text, data="".join(format_rows(part) + "\n" for part in cut))
    )
    seconds, memory = site.seconds * growth, site.mebibytes * growth
    words = (
        "--csv",
        str(run.place / "tasks.csv"),
        "--rows",
        "{rows}",
        "--seconds",
        f"{seconds - site.margin:g}",
    )
    told = []
    for span in arrays(len(cut), site):
        command = ("collect", run.case, *words, "--out", str(run.place / "store"), *(("--retries", "1") if retries else ()),
                   *site.crew, *_set(run))  # fmt: skip
        where = {"rows": str(listing), "first": span.start, "count": len(span)}
        job = _job(run, number, f"collect-{g}-{span.start}", (command,), **where)
        job = replace(
            job, ranks=site.processes, cpus=site.threads, seconds=seconds, mebibytes=memory
        )
        told.append(_hand(run, job, "collect", number, dry, [list(cut[k]) for k in span]))
    return told


def _hand(
    run: Run, job: Job, stage: str, number: int, dry: bool, cut: list[list[int]]
) -> tuple[str, str]:
    text = script(job, run.site)
    if dry:
        return job.name, text
    path = run.folder / "jobs" / f"{job.name.removeprefix(f'rom-{run.tag}-')}.sh"
    durably(path, lambda temp: temp.write_text(text))
    write_note(
        run, "begun", job.name, number, stage=stage, parts=[format_rows(rows) for rows in cut]
    )
    key = submit_script(path, job, run.site)
    write_note(run, "submitted", job.name, number, job=key)
    return key, text


def _job(
    run: Run, number: int, what: str, commands: tuple[tuple[str, ...], ...], **more: Any
) -> Job:
    name, site = f"rom-{run.tag}-{number}-{what}", run.site
    log = str(run.place / "logs" / f"{number}-{what}")
    return Job(
        name,
        run.cwd,
        log,
        commands,
        cpus=site.cpus,
        seconds=site.seconds,
        mebibytes=site.mebibytes,
        **more,
    )


def _command(run: Run, stage: str) -> tuple[str, ...]:
    model, report = (str(run.place / name) for name in RESULTS.values())
    if stage == "reduce":
        return (
            "reduce",
            run.case,
            "--store",
            str(run.place / "store"),
            "--out",
            model,
            *run.reduce,
            *_set(run),
        )
    return ("study", run.case, model, "--report", report, "--json", *run.study, *_set(run))


def _set(run: Run) -> tuple[str, ...]:
    return tuple(word for text in run.settings for word in ("--set", text))
