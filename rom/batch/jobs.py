"""The jobs of a run: arrays of parts of rows, then stages that wait for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rom.archive.files import durably
from rom.batch.job import Job
from rom.batch.plan import arrays, format_rows, parts
from rom.batch.queue import submit_script
from rom.batch.run_folder import RESULTS, SEARCH, Run
from rom.batch.script import ROWS, script
from rom.batch.submissions import read_entries, write_note

Rows = tuple[int, ...]
Submitted = tuple[str, str]  # number of a job, its script


@dataclass(frozen=True, eq=False)
class RowGroup:
    """Rows that are solved alike.

    retry : whether a failed solve is tried again; growth : factor of time and memory
    """

    rows: Rows
    retry: bool = False
    growth: int = 1


@dataclass(frozen=True, eq=False)
class Round:
    """One call of rom submit or resume; dry : nothing is written or submitted."""

    run: Run
    number: int
    dry: bool


def submit_jobs(
    run: Run,
    groups: Sequence[RowGroup],
    stages: Sequence[str],
    after: Sequence[str],
    *,
    dry: bool = False,
) -> list[Submitted]:
    """(number, script) of the jobs of groups, then of stages.

    Stages wait for the groups and the jobs `after`. dry : none is submitted.
    Raises NotSubmitted where the scheduler refuses.
    """
    rounds = [entry["round"] for entry in read_entries(run)]
    round_ = Round(run, 1 + max(rounds, default=0), dry)
    jobs: list[Submitted] = []
    for k, group in enumerate(groups):
        jobs += _submit_group(round_, k, group)
    before = [*after, *(name for name, _ in jobs)]
    for stage in stages:
        job = _job(round_, stage, _stage_command(run, stage), after=tuple(before))
        if stage == SEARCH:
            site = run.site
            job = replace(job, ranks=site.processes, cpus=site.threads, repeats=True)
        jobs.append(_submit(round_, job, stage, ()))
        before = [jobs[-1][0]]
    return jobs


def _submit_group(round_: Round, k: int, group: RowGroup) -> list[Submitted]:
    """The arrays that solve the rows of group k."""
    run, site = round_.run, round_.run.site
    cut = parts(group.rows, site)
    listing = run.place / "jobs" / f"{round_.number}-rows-{k}"
    _write(listing, "".join(format_rows(part) + "\n" for part in cut))
    seconds = site.seconds * group.growth
    command = _collect_command(run, seconds - site.margin, group.retry)
    jobs = []
    for span in arrays(len(cut), site):
        job = _job(
            round_, f"collect-{k}-{span.start}", command,
            rows=str(listing), first=span.start, count=len(span),
        )  # fmt: skip
        job = replace(
            job,
            ranks=site.processes,
            cpus=site.threads,
            seconds=seconds,
            mebibytes=site.mebibytes * group.growth,
        )
        jobs.append(_submit(round_, job, "collect", [cut[part] for part in span]))
    return jobs


def _submit(round_: Round, job: Job, stage: str, cut: Sequence[Rows]) -> Submitted:
    """(number, script) of a job; noted before and after it is handed to the queue."""
    run = round_.run
    text = script(job, run.site)
    if round_.dry:
        return job.name, text
    path = run.folder / "jobs" / f"{job.name.removeprefix(f'rom-{run.tag}-')}.sh"
    _write(path, text)
    rows = [format_rows(part) for part in cut]
    write_note(run, "begun", job.name, round_.number, stage=stage, parts=rows)
    number = submit_script(path, job, run.site)
    write_note(run, "submitted", job.name, round_.number, job=number)
    return number, text


def _write(path: Path, text: str) -> None:
    durably(path, lambda temp: temp.write_text(text))


def _job(round_: Round, label: str, command: tuple[str, ...], **more: Any) -> Job:
    run, site = round_.run, round_.run.site
    return Job(
        f"rom-{run.tag}-{round_.number}-{label}",
        run.cwd,
        str(run.place / "logs" / f"{round_.number}-{label}"),
        (command,),
        cpus=site.cpus,
        seconds=site.seconds,
        mebibytes=site.mebibytes,
        **more,
    )


def _collect_command(run: Run, seconds: float, retry: bool) -> tuple[str, ...]:
    """rom collect of the rows of one part."""
    table, store = str(run.place / "tasks.csv"), str(run.place / "store")
    words = ["collect", run.case, "--csv", table, "--rows", ROWS, "--seconds", f"{seconds:g}"]
    words += ["--out", store]
    if retry:
        words += ["--retries", "1"]
    return (*words, *run.site.crew, *_settings(run))


def _stage_command(run: Run, stage: str) -> tuple[str, ...]:
    """The command of a stage after the campaign."""
    model = str(run.place / RESULTS["train"])
    if stage == SEARCH:
        seconds = run.site.seconds - run.site.margin
        words = ["collect", run.case, *run.search, "--csv", str(run.place / "tasks.csv")]
        words += ["--seconds", f"{seconds:g}", "--out", str(run.place / "store")]
        return (*words, "--model", model, *run.site.crew, *_settings(run))
    if stage == "train":
        words = ["train", run.case, "--kind", run.kind]
        if len(run.mus):
            words += ["--store", str(run.place / "store")]
        return (*words, "--out", model, *run.reduce, *_settings(run))
    report = str(run.place / RESULTS["study"])
    truth = str(run.place / "study.store")
    words = ["study", run.case, model, "--report", report, "--truth", truth, "--json"]
    return (*words, *run.study, *_settings(run))


def _settings(run: Run) -> tuple[str, ...]:
    return tuple(word for text in run.settings for word in ("--set", text))
