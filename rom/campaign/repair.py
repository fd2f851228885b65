"""Stores that were hurt: what is wrong, and journals written anew."""

from __future__ import annotations

from pathlib import Path

from rom.archive.files import open_archive, seal
from rom.archive.nouns import load
from rom.campaign.journal import Record, append, journal, journals, read_lines, torn
from rom.campaign.store import Store, done, open_store
from rom.errors import DamagedFile, ForeignFile, RomError


def verify(path: str | Path) -> tuple[str, ...]:
    """What is wrong with a store, one line each with its remedy; empty where nothing is."""
    path = Path(path)
    problems = [
        f"{j}: its last line is torn and ignored; collect again to finish what it meant"
        for j in journals(path)
        if torn(j)
    ]
    try:
        store = open_store(path)
    except (DamagedFile, ForeignFile) as error:
        return (*problems, str(error))
    samples = path / "samples"
    for name in (
        name
        for key, names in store.manifest.lost.items()
        if key not in store.manifest.done
        for name in names
    ):
        problems.append(f"{samples / name} is missing or cut short; collect again")
    entries = [f for record in store.manifest.done.values() for f in record["files"]]
    known = {f["name"]: f["sha256"] for f in entries} | {
        f["rows"]: None for f in entries if f["rows"] != "all"
    }
    for name, digest in known.items():
        try:
            open_archive(samples / name, digest, follow=False).close()
        except RomError as error:
            problems.append(str(error))
    strays = [p.name for p in samples.iterdir() if p.name not in known]
    problems += [
        f"{samples / name} is acknowledged by no journal; harmless, delete it or call rebuild"
        for name in strays
    ]
    return tuple(problems)


def rebuild(path: str | Path) -> Store:
    """The journals written anew from the sample files, and from the lines that are still whole: for damaged or lost journals.

    The old journals stay, renamed `.old`. No process may be collecting meanwhile.
    """
    path = Path(path)
    new, old = journal(path), journals(path)
    samples: dict[str, list[tuple[Record, Record]]] = {}
    for file in sorted((path / "samples").glob("*-*.h5")):
        with open_archive(file, follow=False) as raw:
            digest = seal(raw)
        part = load(file)
        entry = {
            "name": file.name,
            "sha256": digest,
            "bytes": file.stat().st_size,
            "rows": part["rows"],
        }
        samples.setdefault(file.stem.rpartition("-")[0], []).append((part, entry))
    for parts in samples.values():
        part = parts[0][0]
        if len(parts) == part["ranks"]:
            append(
                new,
                done(
                    part["key"],
                    part["mu"],
                    [entry for _, entry in parts],
                    part["size"],
                    len(part["steps"]),
                    0.0,
                ),
            )
    for file in old:
        for _, record in read_lines(file):
            if record is not None and record["state"] != "done":
                append(new, record)
    for file in old:
        file.rename(file.with_suffix(".jsonl.old"))
    return open_store(path)
