"""Files of VTK that name others: series in a .pvd, parts in a .pvtu."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from rom.errors import BadInput, ForeignFile
from rom.io.content import Content, append_blocks
from rom.io.partitions import join_partitions
from rom.io.vtk_files import leaf_content, open_reader, output_content, raise_complaints

PARTS = (".pvtu", ".pvtp")
MAX_DEPTH = 8  # of collections that name collections


def file_content(path: Path, depth: int = 0) -> Content:
    """All that a file of VTK holds at one time.

    Raises ForeignFile where a file that it names is missing or damaged.
    """
    if not path.is_file():
        raise ForeignFile(f"no file {path.name}, which another names")
    if depth > MAX_DEPTH:
        raise ForeignFile(f"{path.name} is named by itself, or by too many others")
    if path.suffix in PARTS:
        names = [str(piece.get("Source")) for piece in _elements(path, "Piece")]
        if not names:
            raise ForeignFile(f"{path.name} names no pieces; write it again")
        return join_partitions([_piece(path.parent / name) for name in names])
    if path.suffix == ".pvd":
        steps = read_collection(path)
        if len(steps) > 1:
            raise BadInput(f"{path.name} holds {len(steps)} times inside another series")
        return collection_content(path, steps[0][1], depth + 1)
    with raise_complaints(path):
        return output_content(path, open_reader(path).read())


def _piece(path: Path) -> Content:
    """One part, with its ghosts."""
    if not path.is_file():
        raise ForeignFile(f"no file {path.name}, which another names")
    with raise_complaints(path):
        return leaf_content(open_reader(path).read())


def read_collection(path: Path) -> list[tuple[float | None, dict[str, str]]]:
    """Times of a .pvd in their order, and at each the files by name of block."""
    steps: dict[float | None, dict[str, str]] = {}
    for entry in _elements(path, "DataSet"):
        text = entry.get("timestep")
        t = None if text is None or text == "" else float(text)
        blocks = steps.setdefault(t, {})
        name = "/".join(filter(None, (entry.get("group"), entry.get("name"))))
        name = name or f"part {entry.get('part') or 0}"
        if name in blocks:
            name = f"{name} {entry.get('part') or len(blocks)}"
        blocks[name] = str(entry.get("file"))
    if not steps:
        raise ForeignFile(f"{path.name} names no files; write it again")
    if None in steps and len(steps) > 1:
        raise BadInput(f"{path.name} names files with and without a time; give all a time")
    return sorted(steps.items(), key=lambda step: step[0] or 0.0)


def collection_content(path: Path, blocks: dict[str, str], depth: int = 0) -> Content:
    """The blocks of one time of a .pvd below each other."""
    parts = {name: file_content(path.parent / file, depth) for name, file in blocks.items()}
    return append_blocks(parts)


def _elements(path: Path, tag: str) -> Iterator[Any]:
    try:
        yield from ElementTree.parse(path).iter(tag)
    except ElementTree.ParseError as error:
        raise ForeignFile(
            f"{path.name} is damaged or truncated ({error}); write it again"
        ) from error
