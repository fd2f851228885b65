"""Where a result file leads: the other files that its reader would open.

A file may name others of its own folder and of folders below, and these again others; nothing
else is opened. What a format names stands in its text, or in the links, virtual datasets and
external storage of HDF5.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from rom.archive.files import MAGIC, open_archive
from rom.errors import ForeignFile
from rom.io.hdf5_links import hdf5_files, is_hdf5

MAX_FILES = 100_000  # of one result
NAMING = ("file", "source", "href", "uri")  # attributes of XML that name files
PARTS = (
    ".pvd", ".vtm", ".vtmb", ".vtpd", ".vtpc", ".pvtu", ".pvtp", ".pvti", ".pvtr", ".pvts",
)  # fmt: skip
XML = (*PARTS, ".xdmf", ".xmf", ".xdmf2", ".xdmf3", ".xml")
PIECES = (*PARTS, ".vtu", ".vtp", ".vti", ".vtr", ".vts", ".vtk", ".vtkhdf")  # of PARTS
FOAM = (".foam", ".openfoam")
BULK = (".bdf", ".nas", ".fem", ".dat")
CHUNK, OVERLAP = 2**24, 2**12  # bytes that are searched at once, and again
KEYWORD = rb"(?i)(?:^|[\r\n])(?![ \t]*\*\*)[^\r\n]*?"  # of a deck: the line of it, not a comment
PATTERNS = {  # what names other files in a text, by the end of its own name
    ".inp": KEYWORD + rb'\bINPUT[ \t\v\f]*=[ \t\v\f]*("[^"\r\n]*"|[^,\r\n]*)',
    ".case": rb"(?:^|[\r\n])[^:\r\n]*:[ \t]*([^\r\n]*)",
    ".ut": rb"(?:^|[\r\n])\*\*meshfile[ \t]+(\S+)",
} | dict.fromkeys(BULK, rb"(?im)^[ \t]*INCLUDE[ \t]*['\"]?([^'\"$\r\n]+)")
BESIDE = {".ut": (".node", ".integ"), ".node": (".ele",), ".ele": (".node",)}
INCLUDE = rb"#[ \t]*include[ \t]+[\"<]?([^\"\r\n>;]+)"  # of OpenFOAM


def check_references(path: Path) -> int:
    """Bytes of a file and of all files that it leads to.

    Raises ForeignFile where one lies outside the folder of `path`, DamagedFile where a file of
    this package does not match its digest.
    """
    sizes: dict[Path, int] = {}
    left = [(path, FOAM[0] if path.is_dir() else path.suffix.lower())]
    while left:
        file, kind = left.pop()
        if file in sizes:
            continue
        sizes[file] = file.stat().st_size
        if len(sizes) > MAX_FILES:
            raise ForeignFile(f"{path.name} leads to more than {MAX_FILES} files; split it")
        for name in references(file, kind):
            for other in _files_inside(path, file, name):
                suffix = other.suffix.lower()
                if kind in PARTS and suffix not in PIECES:
                    raise ForeignFile(
                        f"{path.name} leads to {name!r}, which is none of {' '.join(PIECES)}; "
                        "write its parts in one of these formats"
                    )
                left.append((other, kind if kind in (".inp", *BULK) else suffix))
    return sum(sizes.values())


def home_of(path: Path) -> Path:
    """The folder in which all of a result lies."""
    return path if path.is_dir() else path.parent


def _files_inside(path: Path, file: Path, name: str) -> list[Path]:
    """The files of that name, or pattern, beside `file`.

    HDF5 and meshio look in the working folder too, which is that of `path` where files are read
    apart. Raises ForeignFile where one lies outside that folder.
    """
    folder = home_of(path).resolve()
    is_strange = any(mark in name for mark in "\0$~")
    places = [] if is_strange else [home_of(file) / name]
    if not is_strange and not Path(name).is_absolute():
        pattern = re.sub(r"\*+|%\d*b", "*", name)  # of EnSight, of virtual datasets
        places += file.parent.glob(pattern) if "*" in pattern else []
        places += [place for place in (folder / name, Path(name)) if place.exists()]
    for place in places:
        is_strange |= not place.resolve().is_relative_to(folder)
    if is_strange:
        raise _outside(path, name)
    return [place for place in places if place.is_file()]


def _outside(path: Path, name: str) -> ForeignFile:
    return ForeignFile(
        f"{path.name} leads out of its folder, to {name!r}; put what it needs beside it, and "
        "name it there"
    )


def beside(path: Path, name: str) -> Path:
    """The place of that name in the folder of a file that names it, or below.

    Raises ForeignFile where it lies outside.
    """
    home = home_of(path)
    place = home / name
    if "\0" in name or not place.resolve().is_relative_to(home.resolve()):
        raise _outside(path, name)
    return place


def references(file: Path, kind: str) -> Iterator[str]:
    """The names of other files in one, read as a file of suffix `kind`.

    They are relative to its folder, as it writes them.
    """
    if file.is_dir():
        yield from _case_files(file)
        return
    with open(file, "rb") as raw:
        is_own = raw.read(len(MAGIC)) == MAGIC
    if is_own:
        open_archive(file).close()
    if is_hdf5(file):
        yield from hdf5_files(file)
    elif kind in XML:
        yield from _xml_files(file)
    elif kind in FOAM:
        yield from _case_files(file)
    elif kind in PATTERNS:
        for match in re.finditer(PATTERNS[kind], file.read_bytes()):
            text = match[1].decode(errors="surrogateescape").strip()
            plain = text.replace('"', " ").split() if kind == ".case" else [text.strip('"')]
            yield from plain
    for suffix in BESIDE.get(kind, ()):
        yield file.with_suffix(suffix).name
    if kind == ".xml":
        yield from _functions_beside(file)


def _xml_files(file: Path) -> Iterator[str]:
    """Attributes that name files, and heavy data of XDMF: FILE:/path in it."""
    try:
        for _, element in ElementTree.iterparse(file):
            for key, value in element.attrib.items():
                if key.rpartition("}")[2].lower() in NAMING:
                    yield value
            kind = element.get("Format", "").upper()
            if kind in ("HDF", "BINARY"):
                text = (element.text or "").strip()
                yield text.split(":")[0] if kind == "HDF" else text
            element.clear()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise ForeignFile(
            f"{file.name} is damaged or truncated ({error}); write it again"
        ) from error


def _functions_beside(file: Path) -> Iterator[str]:
    """STEM_*.xml beside a mesh of DOLFIN, whose reader takes STEM for a pattern."""
    try:
        pattern = re.compile(rf"{file.stem}_([^\.]+)\.xml")
    except re.error as error:
        raise ForeignFile(f"{file.name} is no name for a mesh of DOLFIN: {error}") from error
    yield from (other.name for other in file.parent.iterdir() if pattern.match(other.name))


def _case_files(file: Path) -> Iterator[str]:
    """All that lies in a case of OpenFOAM, and what that includes."""
    home = home_of(file)
    for other in sorted(home.rglob("*")):
        if other == file or (other.is_dir() and not other.is_symlink()):
            continue
        yield str(other.relative_to(home))
        if other.is_file():
            here = other.parent.relative_to(home)
            for name in _includes(other):
                yield str(here / name.strip())


def _includes(file: Path) -> Iterator[str]:
    """What a file of OpenFOAM, plain or packed, includes."""
    with open(file, "rb") as raw:
        is_packed = raw.read(2) == b"\x1f\x8b"
    opener: Any = gzip.open if is_packed else open
    try:
        with opener(file, "rb") as content:
            tail = b""
            while chunk := content.read(CHUNK):
                for match in re.finditer(INCLUDE, tail + chunk):
                    yield match[1].decode(errors="surrogateescape")
                tail = chunk[-OVERLAP:]
    except (EOFError, gzip.BadGzipFile) as error:
        raise ForeignFile(f"{file.name} is damaged or truncated ({error})") from error
