"""What a campaign has acknowledged: the union of the journals of a store."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path

from rom.campaign.journal import Record, journals, read_lines
from rom.errors import DamagedFile, ForeignFile

NOT_A_RECORD = (AttributeError, KeyError, TypeError, ValueError, OverflowError, OSError)


@dataclass(frozen=True, eq=False)
class Manifest:
    """The records of a store; `refresh` reads what was appended since the last time.

    done : key -> record of the sample
    failed : key -> records of the attempts that failed
    plans : journal:byte -> {"time", "keys", "mus"}
    lost : key -> files that a record names and the folder lacks
    seen : journal -> bytes that are read
    longest : journal -> seconds of its longest solve
    """

    path: Path
    done: dict[str, Record] = field(default_factory=dict)
    failed: dict[str, list[Record]] = field(default_factory=dict)
    plans: dict[str, Record] = field(default_factory=dict)
    lost: dict[str, list[str]] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    longest: dict[str, float] = field(default_factory=dict)

    @property
    def plan(self) -> dict[str, list[float]]:
        """key -> parameters of all tasks, the earliest plan first."""
        tasks: dict[str, list[float]] = {}
        for plan in sorted(self.plans.values(), key=lambda plan: (plan["time"], plan["keys"])):
            tasks.update(zip(plan["keys"], plan["mus"], strict=True))
        return tasks

    @property
    def order(self) -> list[str]:
        """Keys of what is done, as planned; then what nobody planned, by parameters."""
        plan = self.plan
        rest = [key for key in self.done if key not in plan]
        rest.sort(key=lambda key: self.done[key]["mu"])
        return [key for key in plan if key in self.done] + rest


def refresh(manifest: Manifest) -> Manifest:
    """Reads what was appended since the last time, into the manifest itself.

    Raises DamagedFile for a line whose CRC does not agree, ForeignFile for no record.
    """
    for path in journals(manifest.path):
        start = manifest.seen.get(path.name, 0)
        if path.stat().st_size == start:
            continue
        for end, record in read_lines(path, start):
            if record is None:
                raise DamagedFile(
                    f"{path}: the line before byte {end} is damaged; "
                    f"call rom.campaign.rebuild({str(manifest.path)!r})"
                )
            try:
                _enter(manifest, record, path.name, end)
            except NOT_A_RECORD as error:
                raise ForeignFile(
                    f"{path}: the line before byte {end} is no record of this package "
                    f"({error!r}); remove the file"
                ) from error
            manifest.seen[path.name] = end
    return manifest


def _enter(manifest: Manifest, record: Record, journal: str, end: int) -> None:
    """Enters one record. Raises one of NOT_A_RECORD for what no campaign writes."""
    state = record["state"]
    if state == "plan":
        manifest.plans[f"{journal}:{end}"] = _check_plan(record)
    elif state == "failed":
        attempts = manifest.failed.setdefault(record["key"], [])
        attempts.append({"reason": str(record["reason"]), **record})
    else:
        _enter_sample(manifest, record, journal)


def _check_plan(record: Record) -> Record:
    mus = [[float(x) for x in mu] for mu in record["mus"]]
    keys = [key for key in record["keys"] if isinstance(key, str)]
    if not len(keys) == len(record["keys"]) == len(mus):
        raise ValueError(f"{len(record['keys'])} keys, {len(mus)} parameters")
    return {"time": float(record["time"]), "keys": keys, "mus": mus}


def _enter_sample(manifest: Manifest, record: Record, journal: str) -> None:
    """Enters a sample as done, or as lost where the folder lacks a file of it."""
    _check_sample(record)
    key, samples = record["key"], manifest.path / "samples"
    absent = []
    for entry in record["files"]:
        if not _is_whole(samples / entry["name"], entry["bytes"]):
            absent.append(entry["name"])
    if absent:
        manifest.lost.setdefault(key, []).extend(absent)
        return
    seconds = float(record.get("seconds", 0.0))
    manifest.longest[journal] = max(manifest.longest.get(journal, 0.0), seconds)
    earlier = manifest.done.get(key)
    if earlier is None or _first_name(record) < _first_name(earlier):
        manifest.done[key] = record


def _check_sample(record: Record) -> None:
    """Raises ValueError, KeyError or TypeError where a record describes no sample."""
    names = []
    for entry in record["files"]:
        names += [entry["name"], entry["rows"], entry["sha256"]]
    size, columns = record["size"], record["columns"]
    mu = [float(x) for x in record["mu"]]
    float(record.get("seconds", 0.0))
    are_counts = isinstance(size, int) and isinstance(columns, int)
    if not names or not mu or not are_counts or size <= 0 or columns <= 0:
        raise ValueError(f"files {names}")
    for name in names:
        if name != Path(name).name:
            raise ValueError(f"files {names}")


def _first_name(record: Record) -> str:
    name: str = record["files"][0]["name"]
    return name


def _is_whole(path: Path, size: int) -> bool:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path} is a link or no file")
    return status.st_size == size
