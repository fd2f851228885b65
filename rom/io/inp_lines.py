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


def read_keywords(path: Path) -> Iterator[Keyword]:
    """Keywords of a file, with the lines of those that it includes in their place."""
    current: Keyword | None = None
    for file, line in _lines_with_included(path):
        if line.startswith("*"):
            if current is not None:
                yield current
            current = _keyword(line)
            name = current.option("INPUT")
            rows = _whole_lines(_beside(file, name)) if name else ()
            current.rows += [_row(row) for row in rows]
        elif current is not None:
            current.rows.append(_row(line))
    if current is not None:
        yield current


def _lines_with_included(path: Path, depth: int = 0) -> Iterator[tuple[Path, str]]:
    """Lines and the file of each; an included one may hold data alone."""
    if depth > MAX_DEPTH:
        raise ForeignFile(f"{path.name} includes itself, or too many others")
    for line in _whole_lines(path):
        keyword = _keyword(line) if line.startswith("*") else None
        if keyword is None or keyword.name != "INCLUDE":
            yield path, line
            continue
        name = keyword.option("INPUT")
        if not name:
            raise BadInput(f"{path.name}: *INCLUDE names no INPUT")
        yield from _lines_with_included(_beside(path, name), depth + 1)


def _row(line: str) -> list[str]:
    return [entry.strip(BLANKS) for entry in _split(line)]


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
