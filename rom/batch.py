"""Campaigns as batch jobs: a run folder holds what was asked, the scripts, the journal of submissions, the store and the results."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rom.collect.files import durably, folders
from rom.collect.journal import append, lines
from rom.collect.lease import lease
from rom.collect.store import Store, found
from rom.errors import BadInput, DamagedFile, ForeignFile
from rom.submit.plan import arrays, parts, rows_of, written
from rom.submit.profile import Profile, checked
from rom.submit.queue import cancel, named, states, submit
from rom.submit.script import Job, script

log = logging.getLogger("rom")
STAGES = {"collect": ("collect",), "reduce": ("reduce",), "study": ("study",), "all": ("collect", "reduce", "study")}
MAGIC, LARGEST = b"rom run 1\n", 2**30
HINTS = {
    "DUE TO TIME LIMIT": "timeout", "oom-kill": "memory", "out-of-memory": "memory", "memory limit": "memory", "DUE TO NODE": "node",
    "NODE FAILURE": "node", "DUE TO PREEMPTION": "preempted", "TERM_RUNLIMIT": "timeout", "TERM_MEMLIMIT": "memory",
}  # fmt: skip
TRANSIENT = re.compile(
    r"^(rank \d+( alone)?: )?(OSError|Connection\w*Error|TimeoutError|BrokenPipeError|NotWritten|InterruptedError)"
)


@dataclass(frozen=True, eq=False)
class Run:
    """What a run folder was asked: the case and its settings, the parameters (m, p) by name, the site, and options of later stages."""

    folder: Path
    case: str
    cwd: str
    settings: tuple[str, ...]
    names: tuple[str, ...]
    mus: np.ndarray
    site: Profile
    reduce: tuple[str, ...] = ()
    study: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        """What tells this run's jobs from all others."""
        return hashlib.sha256(str(self.folder.resolve()).encode()).hexdigest()[:8]


@dataclass(frozen=True, eq=False)
class Status:
    """Where a run stands: rows done, failed (row, reason), paused (row, kind), unfinished; jobs by number with their states."""

    planned: int
    done: tuple[int, ...]
    failed: dict[int, str]
    paused: dict[int, str]
    unfinished: tuple[int, ...]
    jobs: dict[str, list[str]]
    results: tuple[str, ...]


def founded(run: Run) -> Run:
    """The run folder, written if there is none. Raises BadInput where it holds another run."""
    if (run.folder / "run.json").exists():
        old = opened(run.folder)
        for name in ("case", "settings", "names", "reduce", "study"):
            if getattr(old, name) != getattr(run, name):
                raise BadInput(
                    f"{run.folder} holds another run: {name} is {getattr(old, name)!r} there and {getattr(run, name)!r} here; give another --out"
                )
        if not np.array_equal(old.mus, run.mus):
            raise BadInput(f"{run.folder} holds another run, of {len(old.mus)} other parameters; give another --out")
        return replace(old, site=run.site)
    folders(run.folder, ("jobs", "logs", "leases"))
    rows = [",".join(run.names), *(",".join(repr(float(x)) for x in mu) for mu in run.mus)]
    durably(run.folder / "tasks.csv", lambda temp: temp.write_text("\n".join(rows) + "\n"))
    text = json.dumps(
        {**{k: v for k, v in vars(run).items() if k != "folder"}, "mus": run.mus.tolist(), "site": asdict(run.site)}
    ).encode()
    durably(
        run.folder / "run.json", lambda temp: temp.write_bytes(MAGIC + hashlib.sha256(text).hexdigest().encode() + b"\n" + text)
    )
    return run


def opened(folder: str | Path) -> Run:
    """The run in a folder; its digest is verified before it is parsed. Raises BadInput, ForeignFile, DamagedFile."""
    folder = Path(folder)
    path = folder / "run.json"
    if not path.is_file() or path.is_symlink():
        raise BadInput(f"{folder} holds no run (no run.json); rom submit makes one")
    if path.stat().st_size > LARGEST:
        raise ForeignFile(f"{path} is larger than any run; it was not written by rom submit")
    magic, digest, text = [*path.read_bytes().split(b"\n", 2), b"", b""][:3]
    if magic + b"\n" != MAGIC:
        raise ForeignFile(f"{path} was not written by this package; rom submit into a new folder")
    if hashlib.sha256(text).hexdigest().encode() != digest:
        raise DamagedFile(f"{path} does not match its sha256; restore it, or rom submit into a new folder: the store can be kept")
    try:
        held = json.loads(text.decode())
        tuples = {name: tuple(map(str, held[name])) for name in ("settings", "names", "reduce", "study")}
        return Run(
            folder,
            str(held["case"]),
            str(held["cwd"]),
            mus=np.array(held["mus"], dtype=float),
            site=checked(held["site"], path),
            **tuples,
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ForeignFile(f"{path} describes no run ({error!r}); it was not written by rom submit") from error


def submitted(run: Run, stage: str, dry: bool = False) -> list[tuple[str, str]]:
    """Jobs of a stage, handed to the queue: (number, script). dry : nothing is submitted, the numbers are names.

    Raises BadInput where the stage was submitted before: `resumed` goes on with it.
    """
    if stage not in STAGES:
        raise BadInput(f"no stage {stage!r}; known: {', '.join(STAGES)}")
    with lease(run.folder / "leases", "submit", 120.0) as mine:
        if mine is None:
            raise BadInput(f"another rom submit is at work in {run.folder}; wait for it")
        known = records(run)
        again = [s for s in STAGES[stage] if any(r["stage"] == s for r in known)]
        if again:
            raise BadInput(
                f"{again[0]} was submitted into {run.folder} before; rom status {run.folder} shows it, rom resume goes on with it"
            )
        groups = [(tuple(range(len(run.mus))), 0, 1)] if "collect" in STAGES[stage] else []
        return _handed(run, groups, [s for s in STAGES[stage] if s != "collect"], _live(run, known) if not dry else (), dry)


def resumed(run: Run, force: bool = False) -> list[tuple[str, str]]:
    """Jobs for what is unfinished, failed as the site's `retry` allows, and nothing else: (number, script).

    A part that ran out of memory or time gets twice as much. force : also what was tried often enough.
    """
    with lease(run.folder / "leases", "submit", 120.0) as mine:
        if mine is None:
            raise BadInput(f"another rom submit is at work in {run.folder}; wait for it")
        known = _adopted(run)
        if not known:
            raise BadInput(f"nothing was submitted into {run.folder} yet; rom submit")
        queue = _asked(run, known)
        _ended(run, known, queue)
        known = records(run)
        now = stood(run, known, queue)
        busy = _busy(known, queue)
        groups: dict[tuple[int, int], list[int]] = {}
        for row in now.unfinished:
            if row not in busy:
                groups.setdefault((0, _growth(run, known, row)), []).append(row)
        for row, reason in now.failed.items():
            if row not in busy and (force or row not in now.paused):
                groups.setdefault((1, 2 if _kind(reason) == "memory" else 1), []).append(row)
        chosen = [(tuple(r for r in rows if force or r not in now.paused), *key) for key, rows in groups.items()]
        chosen = [group for group in chosen if group[0]]
        stages = [s for s in ("reduce", "study") if any(r["stage"] == s for r in known)]
        waiting = [
            r["job"] for r in known if r["stage"] in stages and set(queue.get(r["job"], ["done"])) & {"waiting", "running"}
        ]
        stages = [s for s in stages if chosen or (not waiting and not (run.folder / RESULTS[s]).exists())]
        if chosen and stages:
            cancel(waiting, run.site)
        return _handed(
            run, chosen, stages, tuple(r["job"] for r in known if r["job"] not in waiting and _alive(queue, r["job"])), False
        )


RESULTS = {"reduce": "model.h5", "study": "report.html"}


def stood(run: Run, known: Sequence[dict[str, Any]], queue: dict[str, list[str]]) -> Status:
    """Where a run stands, from its store and the queue."""
    store = _store(run)
    keys = [] if store is None else [store.key(mu) for mu in run.mus]
    manifest = None if store is None else store.manifest
    done = tuple(i for i, key in enumerate(keys) if key in manifest.done)  # type: ignore[union-attr]
    failed = {
        i: manifest.failed[key][-1]["reason"] for i, key in enumerate(keys)  # type: ignore[union-attr]
        if key in manifest.failed and key not in manifest.done  # type: ignore[union-attr]
    }  # fmt: skip
    rest = tuple(i for i in range(len(run.mus)) if i not in set(done) | set(failed))
    paused = {i: _kind(reason) for i, reason in failed.items() if len(manifest.failed[keys[i]]) > run.site.tries(_kind(reason))}  # type: ignore[union-attr]
    for row, kinds in _history(known).items():
        spent = [kind for kind in set(kinds) - {"cancelled", "stopped", "refused"} if kinds.count(kind) > run.site.tries(kind)]
        if spent and row in rest:
            paused[row] = spent[0]
    results = tuple(name for name in RESULTS.values() if (run.folder / name).exists())
    return Status(
        len(run.mus), done, failed, paused, rest, {r["job"] or r["name"]: queue.get(r["job"], []) for r in known}, results
    )


def status(folder: str | Path) -> Status:
    """Where the run in a folder stands. Raises NotSubmitted where the scheduler does not answer."""
    run = opened(folder)
    known = records(run)
    return stood(run, known, _asked(run, known))


def cancelled(folder: str | Path) -> list[str]:
    """Ends every job of a run that is still in the queue; what is done stays done."""
    run = opened(folder)
    known = _adopted(run)
    queue = _asked(run, known)
    live = [r["job"] for r in known if _alive(queue, r["job"])]
    cancel(live, run.site)
    return live


def logs(folder: str | Path, part: int | None = None, size: int = 4000) -> dict[str, str]:
    """The ends of the logs of a run, the newest last; of one part where it is given."""
    run = opened(folder)
    paths = sorted((run.folder / "logs").glob("*.out" if part is None else f"*-{part}.out"), key=lambda p: p.stat().st_mtime)
    return {path.name: _tail(path, size) for path in paths}


def records(run: Run) -> list[dict[str, Any]]:
    """The submissions of a run, in order. Raises DamagedFile, ForeignFile."""
    every = _journal(run)
    ended = {r["name"]: r["kinds"] for r in every if r["state"] == "ended"}
    numbers = {r["name"]: r["job"] for r in every if r["state"] == "submitted"}
    begun = [r for r in every if r["state"] == "begun"]
    return [{**r, "job": numbers.get(r["name"], ""), "ended": ended.get(r["name"], {})} for r in begun]


def _journal(run: Run) -> list[dict[str, Any]]:
    path = run.folder / "submissions.jsonl"
    found_: list[dict[str, Any]] = []
    for end, record in lines(path) if path.exists() else ():
        if record is None:
            raise DamagedFile(
                f"{path}: the line before byte {end} is damaged; restore the file, or rom submit into a new folder: the store can be kept"
            )
        if not isinstance(record, dict) or not {"state", "round"} <= set(record):
            raise ForeignFile(f"{path}: the line before byte {end} is no record of this package; restore the file")
        found_.append(record)
    return found_


def _handed(
    run: Run, groups: Sequence[tuple[tuple[int, ...], int, int]], stages: Sequence[str], after: Sequence[str], dry: bool
) -> list[tuple[str, str]]:
    """Writes scripts and hands them over: arrays of every group (rows, retries, growth), then the stages that wait for them."""
    number = 1 + max((r["round"] for r in _journal(run)), default=0)
    handed: list[tuple[str, str]] = []
    before = list(after)
    for g, (rows, retries, growth) in enumerate(groups):
        cut = parts(rows, run.site)
        listing = run.folder / "jobs" / f"{number}-rows-{g}"
        text = "".join(written(part) + "\n" for part in cut)
        durably(listing, partial(Path.write_text, data=text))
        seconds, memory = run.site.seconds * growth, run.site.mebibytes * growth
        words = (
            "--csv",
            str(run.folder.resolve() / "tasks.csv"),
            "--rows",
            "{rows}",
            "--seconds",
            f"{seconds - run.site.margin:g}",
        )
        for span in arrays(len(cut), run.site):
            command = (
                "collect",
                run.case,
                *words,
                "--out",
                str(_store_path(run)),
                *(("--retries", "1") if retries else ()),
                *_set(run),
            )
            job = _job(
                run,
                number,
                f"collect-{g}-{span.start}",
                (command,),
                rows=str(listing.resolve()),
                first=span.start,
                count=len(span),
            )
            job = replace(job, ranks=run.site.ranks, seconds=seconds, mebibytes=memory)
            handed.append(_hand(run, job, "collect", number, dry, [list(cut[k]) for k in span]))
    before += [name for name, _ in handed]
    for stage in stages:
        job = replace(_job(run, number, stage, (_command(run, stage),)), after=tuple(before))
        handed.append(_hand(run, job, stage, number, dry, []))
        before = [handed[-1][0]]
    return handed


def _hand(run: Run, job: Job, stage: str, number: int, dry: bool, cut: list[list[int]]) -> tuple[str, str]:
    text = script(job, run.site)
    path = run.folder / "jobs" / f"{job.name.removeprefix(f'rom-{run.tag}-')}.sh"
    if dry:
        return job.name, text
    durably(path, lambda temp: temp.write_text(text))
    mark = {"round": number, "name": job.name, "time": time.time()}
    begun = {"state": "begun", **mark, "stage": stage, "parts": [written(rows) for rows in cut]}
    append(run.folder / "submissions.jsonl", begun)
    key = submit(path, job, run.site)
    append(run.folder / "submissions.jsonl", {"state": "submitted", **mark, "job": key})
    return key, text


def _adopted(run: Run) -> list[dict[str, Any]]:
    """The submissions, with the numbers of jobs whose answer was lost between the queue and the journal."""
    known = records(run)
    for r in known:
        number = "" if r["job"] else named(r["name"], run.site)
        if number:
            append(
                run.folder / "submissions.jsonl",
                {"state": "submitted", "round": r["round"], "name": r["name"], "job": number, "time": time.time()},
            )
            r["job"] = number
    return known


def _asked(run: Run, known: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """Number of a job -> states of its parts."""
    return states([r["job"] for r in known if r["job"] and not r["job"].startswith("local")], run.site)


def _job(run: Run, number: int, what: str, commands: tuple[tuple[str, ...], ...], **more: Any) -> Job:
    name, site = f"rom-{run.tag}-{number}-{what}", run.site
    made = Job(name, run.cwd, str(run.folder.resolve() / "logs" / f"{number}-{what}"), commands, **more)
    return replace(made, seconds=site.seconds, mebibytes=site.mebibytes)


def _command(run: Run, stage: str) -> tuple[str, ...]:
    model, report = (str(run.folder.resolve() / name) for name in RESULTS.values())
    if stage == "reduce":
        return ("reduce", run.case, "--store", str(_store_path(run)), "--out", model, *run.reduce, *_set(run))
    return ("study", run.case, model, "--report", report, "--json", *run.study, *_set(run))


def _set(run: Run) -> tuple[str, ...]:
    return tuple(word for text in run.settings for word in ("--set", text))


def _store_path(run: Run) -> Path:
    return run.folder.resolve() / "store"


def _store(run: Run) -> Store | None:
    return found(_store_path(run)) if (_store_path(run) / "campaign.json").exists() else None


def _kind(reason: str) -> str:
    return "memory" if "MemoryError" in reason else "transient" if TRANSIENT.match(reason) else "solver"


def _alive(queue: dict[str, list[str]], job: str) -> bool:
    return bool(set(queue.get(job, [])) & {"waiting", "running"})


def _live(run: Run, known: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    queue = _asked(run, known)
    return tuple(r["job"] for r in known if _alive(queue, r["job"]))


def _busy(known: Sequence[dict[str, Any]], queue: dict[str, list[str]]) -> set[int]:
    """Rows of jobs that are still waiting or running."""
    return {
        row
        for r in known
        if r["stage"] == "collect" and _alive(queue, r["job"])
        for text in r["parts"]
        for row in rows_of(text, 10**9)
    }


def _ended(run: Run, known: Sequence[dict[str, Any]], queue: dict[str, list[str]]) -> None:
    """Notes once how each part of a job that is no longer in the queue came to its end, for the rows that it left unfinished."""
    noted = {r["name"] for r in _journal(run) if r["state"] == "ended"}
    rest = set(stood(run, known, queue).unfinished)
    for r in known:
        if r["stage"] != "collect" or r["name"] in noted or _alive(queue, r["job"]):
            continue
        kinds = {}
        for k, text in enumerate(r["parts"]):
            rows = [row for row in rows_of(text, 10**9) if row in rest]
            if rows:
                kinds[written(rows)] = _why(run, r, k, queue.get(r["job"], []))
        append(
            run.folder / "submissions.jsonl",
            {"state": "ended", "round": r["round"], "name": r["name"], "kinds": kinds, "time": time.time()},
        )


def _why(run: Run, record: dict[str, Any], part: int, kinds: Sequence[str]) -> str:
    """How a part ended: by the words of its log, else by what the queue still knows of its job."""
    if not record["job"]:
        return "refused"
    name = record["name"].removeprefix(f"rom-{run.tag}-")
    for path in (run.folder / "logs").glob(f"{name}-{part}.out"):
        tail = _tail(path, 4000)
        told = [kind for words, kind in HINTS.items() if words in tail]
        if told:
            return told[0]
        if "unfinished" in tail:
            return "stopped"
        if "CANCELLED" in tail:
            return "cancelled"
    rare = [kind for kind in kinds if kind in ("node", "preempted", "timeout", "memory", "cancelled")]
    return rare[0] if rare else "unknown"


def _history(known: Sequence[dict[str, Any]]) -> dict[int, list[str]]:
    """Row -> how the parts that left it unfinished ended."""
    told: dict[int, list[str]] = {}
    for record in known:
        for text, kind in record.get("ended", {}).items():
            for row in rows_of(text, 10**9):
                told.setdefault(row, []).append(kind)
    return told


def _growth(run: Run, known: Sequence[dict[str, Any]], row: int) -> int:
    kinds = _history(known).get(row, [])
    return 2 ** min(sum(kind in ("timeout", "memory") for kind in kinds), 3)


def _tail(path: Path, size: int) -> str:
    with open(path, "rb") as file:
        file.seek(max(path.stat().st_size - size, 0))
        return file.read(size).decode(errors="replace")
