"""Cards of Nastran's bulk data: fields of all widths, continuations, includes.

Reference: MSC Nastran 2021, Quick Reference Guide, the bulk data entry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rom.errors import BadInput, ForeignFile
from rom.io.references import beside

MAX_DEPTH = 16  # of files that include files
NAME, SMALL, LARGE = 8, 8, 16  # columns of a name, of a small and a large field
PER_LINE = {SMALL: 8, LARGE: 4}  # fields of a line
BEGIN = re.compile(r"\s*BEGIN\s+(.+)", re.IGNORECASE)
INCLUDE = re.compile(r"\s*INCLUDE\b\s*(.*)", re.IGNORECASE | re.DOTALL)
EXPONENT = re.compile(r"(?<=[0-9.])([+-]\d+)$")  # of 1.5-3, which has no E
Line = tuple[str, list[str], str]  # first field, fields, mark of the line that goes on


@dataclass(eq=False)
class Card:
    """A card: its name and its fields behind that, of all its lines."""

    name: str
    fields: list[str] = field(default_factory=list)
    mark: str = ""  # of the line that goes on

    def text(self, k: int) -> str:
        """Field k, "" where it is blank."""
        return self.fields[k] if k < len(self.fields) else ""

    def whole(self, k: int, default: int | None = None) -> int:
        """Field k as a whole number. Raises ForeignFile."""
        text = self.text(k)
        if not text and default is not None:
            return default
        try:
            return int(text)
        except ValueError as error:
            raise ForeignFile(
                f"card {self.name} {self.text(0)}: field {k + 2} is {text!r}, no whole number"
            ) from error

    def real(self, k: int) -> float:
        """Field k as a real number, 0 where it is blank. Raises ForeignFile."""
        text = self.text(k)
        plain = text.upper().replace("D", "E")
        try:
            return float(plain if "E" in plain else EXPONENT.sub(r"E\1", plain)) if text else 0.0
        except ValueError as error:
            raise ForeignFile(
                f"card {self.name} {self.text(0)}: field {k + 2} is {text!r}, no number"
            ) from error


def read_cards(path: Path) -> list[Card]:
    """All cards of the bulk data of a file and of those that it includes.

    Raises BadInput for what is not read here: replication, superelements, other models.
    """
    cards: list[Card] = []
    loose: dict[str, Line] = {}
    lines = [_cut(line) for line in _bulk_lines(path)]
    marks = {mark for _, _, mark in lines}
    for first, fields, mark in lines:
        if first[:1] in ("", "+", "*"):
            if not cards:
                raise ForeignFile(f"{path.name} goes on with a card that has not begun: {first!r}")
            own = first[1:].strip()
            if _is_elsewhere(own, cards[-1].mark, marks):
                loose[own] = (first, fields, mark)
            else:
                _append(cards[-1], first, fields, mark)
        elif first[:1] == "=" or any(text[:1] == "=" for text in fields):
            raise BadInput(f"{path.name} repeats fields by '='; write its cards out")
        else:
            cards.append(Card(first.rstrip("*").strip().upper()))
            _append(cards[-1], first, fields, mark)
    for card in cards:
        while loose and card.mark in loose:
            _append(card, *loose.pop(card.mark))
    if loose:
        raise ForeignFile(f"{path.name}: no card goes on at {next(iter(loose))!r}")
    return cards


def _is_elsewhere(own: str, last: str, marks: set[str]) -> bool:
    """Whether a line of mark `own` goes on with another card than the last."""
    return bool(own) and own != last and (own in marks or bool(last))


def _append(card: Card, first: str, fields: list[str], mark: str) -> None:
    """The fields of a line behind those of a card, where they belong."""
    size = PER_LINE[LARGE if "*" in first else SMALL]
    card.fields += [""] * (-len(card.fields) % size)
    card.fields += fields + [""] * (size - len(fields))
    card.mark = mark


def _cut(line: str) -> Line:
    """The first field of a line, its fields, and the mark with which it goes on."""
    if "," in line:
        return _cut_free(line)
    text = line.expandtabs(NAME)
    first = text[:NAME].strip()
    width = LARGE if "*" in first else SMALL
    count = PER_LINE[width]
    starts = range(NAME, NAME + count * width, width)
    fields = [text[k : k + width].strip() for k in starts]
    return first, fields, _mark(text[NAME + count * width :])


def _cut_free(line: str) -> Line:
    first, *entries = [entry.strip() for entry in line.split(",")]
    count = PER_LINE[LARGE if "*" in first else SMALL]
    if len(entries) > count + 1:
        raise BadInput(f"a line has more than {count} fields behind its name: {line.strip()!r}")
    fields, rest = entries[:count], entries[count:]
    if len(entries) <= count and fields and fields[-1][:1] in ("+", "*") and _is_mark(fields[-1]):
        rest = [fields.pop()]
    return first, fields, _mark("".join(rest))


def _is_mark(text: str) -> bool:
    """Whether a last field is a mark and no number."""
    return not re.fullmatch(r"[+]?[0-9.][-0-9.+EDed]*", text)


def _mark(text: str) -> str:
    return text.strip().lstrip("+*").strip()


def _bulk_lines(path: Path) -> Iterator[str]:
    """Lines of the bulk data without comments; all lines where no BEGIN BULK is."""
    lines = list(_lines(path, 0))
    starts = [k for k, line in enumerate(lines) if BEGIN.match(line)]
    others = [k for k in starts if lines[k].upper().split() != ["BEGIN", "BULK"]]
    if others or len(starts) > 1:
        raise BadInput(
            f"{path.name} has {lines[(others or starts)[-1]].strip()!r}; write one model"
        )
    for line in lines[starts[0] + 1 if starts else 0 :]:
        if re.match(r"\s*ENDDATA\b", line, re.IGNORECASE):
            return
        yield line


def _lines(path: Path, depth: int) -> Iterator[str]:
    """Lines that say something, those of included files in their place."""
    if depth > MAX_DEPTH:
        raise ForeignFile(f"{path.name} includes itself, or too many others")
    texts = iter(path.read_bytes().decode("latin-1").splitlines())
    for raw in texts:
        line = raw.partition("$")[0].rstrip()
        match = INCLUDE.match(line)
        if match is not None:
            yield from _lines(_included(path, match[1], texts), depth + 1)
        elif line.strip():
            yield line


def _included(path: Path, text: str, texts: Iterator[str]) -> Path:
    """The file that an INCLUDE names, whose name may go on in lines below."""
    quote = text[:1] if text[:1] in ("'", '"') else ""
    while quote and text.count(quote) < 2:
        text += next(texts, quote).strip()
    name = text.split(quote)[1] if quote else text.strip()
    place = beside(path, name.strip())
    if not place.is_file():
        raise ForeignFile(f"{path.name} includes {name!r}, and there is no such file beside it")
    return place
