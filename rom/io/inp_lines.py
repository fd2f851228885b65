"""Keywords of Abaqus' and CalculiX' .inp in order, of included files too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rom.errors import BadInput, ForeignFile

BLANKS = " \t\r\f\v"  # those that `rom.io.references` knows too
MAX_DEPTH = 16  # of files that include files


@dataclass(eq=False)
class Keyword:
    """A keyword, its options by name and its lines of data, their entries apart."""

    name: str
    options: dict[str, str]
    rows: list[list[str]] = field(default_factory=list)

    def option(self, *names: str) -> str | None:
        """The first of these options that there is; an option without a value is ""."""
        return next((self.options[name] for name in names if name in self.options), None)


def read_keywords(path: Path, depth: int = 0) -> Iterator[Keyword]:
    """Keywords of a file with those that it includes in their place."""
    if depth > MAX_DEPTH:
        raise ForeignFile(f"{path.name} includes itself, or too many others")
    current: Keyword | None = None
    for line in _whole_lines(path):
        if line.startswith("*"):
            if current is not None:
                yield from _with_included(path, current, depth)
            current = _keyword(line)
        elif current is not None:
            current.rows.append([entry.strip(BLANKS) for entry in _split(line)])
    if current is not None:
        yield from _with_included(path, current, depth)


def _with_included(path: Path, keyword: Keyword, depth: int) -> Iterator[Keyword]:
    """The keyword with the data of its INPUT, or what an *INCLUDE leads to."""
    name = keyword.option("INPUT")
    if keyword.name == "INCLUDE":
        if not name:
            raise BadInput(f"{path.name}: *INCLUDE names no INPUT")
        yield from read_keywords(_beside(path, name), depth + 1)
        return
    if name:
        for line in _whole_lines(_beside(path, name)):
            keyword.rows.append([entry.strip(BLANKS) for entry in _split(line)])
    yield keyword


def _beside(path: Path, name: str) -> Path:
    for place in (path.parent / name, Path(name)):
        if place.is_file():
            return place
    raise ForeignFile(f"{path.name} includes {name!r}, and there is no such file beside it")


def _whole_lines(path: Path) -> Iterator[str]:
    """Lines without comments and blanks; lines of a keyword that go on are joined."""
    begun = ""
    for raw in path.read_bytes().decode("latin-1").split("\n"):
        line = raw.strip(BLANKS)
        if not line or line.startswith("**"):
            continue
        if begun:
            line, begun = begun + line, ""
        if line.startswith("*") and line.endswith(","):
            begun = line
            continue
        yield line
    if begun:
        yield begun


def _keyword(line: str) -> Keyword:
    name, *texts = _split(line[1:])
    options: dict[str, str] = {}
    for text in texts:
        key, _, value = text.partition("=")
        options.setdefault(key.strip(BLANKS).upper(), value.strip(BLANKS).strip('"'))
    return Keyword(" ".join(name.split()).upper(), options)


def _split(line: str) -> list[str]:
    """Entries between commas, those in quotes whole; a comma at the end adds none."""
    if '"' not in line:
        entries = line.split(",")
    else:
        entries, inside = [""], False
        for letter in line:
            inside ^= letter == '"'
            if letter == "," and not inside:
                entries.append("")
            else:
                entries[-1] += letter
    return entries[:-1] if len(entries) > 1 and not entries[-1].strip() else entries
