"""Stores that were hurt: what is wrong, and journals written anew."""

from __future__ import annotations

import os
from pathlib import Path

from rom.archive.files import open_archive, seal
from rom.archive.layout import extents
from rom.archive.nouns import load
from rom.campaign.journal import Manifest, append_record, journals, new_journal, read_lines
from rom.campaign.records import Record, place_of, sample_record
from rom.campaign.samples import ALL_ROWS
from rom.campaign.store import Store, open_store
from rom.errors import DamagedFile, ForeignFile, RomError


def verify(path: str | Path) -> tuple[str, ...]:
    """What is wrong with a store, one line each with its remedy; empty if nothing."""
    path = Path(path)
    problems = []
    for journal in journals(path):
        if _has_torn_end(journal):
            problems.append(
                f"{journal}: its last line is torn and ignored; "
                "collect again to finish what it meant"
            )
    try:
        store = open_store(path)
    except (DamagedFile, ForeignFile) as error:
        return (*problems, str(error))
    samples = path / "samples"
    for name in _lost_files(store.manifest):
        problems.append(f"{samples / name} is missing or cut short; collect again")
    digests = _digests(store.manifest)
    for name, digest in digests.items():
        try:
            open_archive(samples / name, digest, follow=False).close()
        except RomError as error:
            problems.append(str(error))
    for file in samples.iterdir():
        if file.name not in digests:
            problems.append(
                f"{file} is acknowledged by no journal; harmless, delete it or call rebuild"
            )
    return tuple(problems)


def _lost_files(manifest: Manifest) -> list[str]:
    """The files that the folder lacks, of tasks that nobody solved again."""
    names: list[str] = []
    for key, files in manifest.lost.items():
        if key not in manifest.done:
            names += files
    return names


def _digests(manifest: Manifest) -> dict[str, str | None]:
    """File of a sample -> its sha256; None where no record says it."""
    digests: dict[str, str | None] = {}
    rows: dict[str, None] = {}
    for record in manifest.done.values():
        for entry in record["files"]:
            digests[entry["name"]] = entry["sha256"]
            if entry["rows"] != ALL_ROWS:
                rows[entry["rows"]] = None
    return {**digests, **rows}


def rebuild(path: str | Path) -> Store:
    """The store with its journals written anew, for damaged or lost journals.

    From the sample files, and from the lines that are still whole. The old journals stay,
    renamed `.old`. No process may be collecting meanwhile.
    """
    path = Path(path)
    journal, old = new_journal(path), journals(path)
    for parts in _samples(path).values():
        sample = parts[0][0]
        if len(parts) == sample["ranks"]:
            append_record(journal, _sample_record(sample, [entry for _, entry in parts]))
    for file in old:
        for _, record in read_lines(file):
            if record is not None and record["state"] != "done":
                append_record(journal, record)
    for file in old:
        file.rename(file.with_suffix(".jsonl.old"))
    return open_store(path)


def _samples(path: Path) -> dict[str, list[tuple[Record, Record]]]:
    """Name of a sample -> (content, entry for the journal) of each file of it."""
    samples: dict[str, list[tuple[Record, Record]]] = {}
    for file in sorted((path / "samples").glob("*-*.h5")):
        with open_archive(file, follow=False) as raw:
            digest, steps = seal(raw), extents(raw, file)["steps"]
        part = load(file)
        size, rows = file.stat().st_size, part["rows"]
        entry = {"name": file.name, "sha256": digest, "bytes": size, "rows": rows}
        entry["steps"] = place_of(steps)
        sample = file.stem.rpartition("-")[0]
        samples.setdefault(sample, []).append((part, entry))
    return samples


def _sample_record(sample: Record, files: list[Record]) -> Record:
    columns = len(sample["steps"])
    return sample_record(
        sample["key"], sample["mu"], files, size=sample["size"], columns=columns, seconds=0.0
    )


def _has_torn_end(path: Path) -> bool:
    """Whether the last line was cut short, as a kill or a full disk does."""
    with open(path, "rb") as raw:
        size = raw.seek(0, os.SEEK_END)
        raw.seek(max(size - 1, 0))
        return size > 0 and raw.read(1) != b"\n"
