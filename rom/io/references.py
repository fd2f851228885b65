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

HDF5 = b"\x89HDF\r\n\x1a\n"
STARTS = (0, *(2**k for k in range(9, 16)))  # bytes at which HDF5 may begin
MAX_FILES = 100_000  # of one result
NAMING = ("file", "source", "href", "uri")  # attributes of XML that name files
XML = (
    ".pvd", ".vtm", ".vtmb", ".vtpd", ".vtpc", ".pvtu", ".pvtp", ".pvti", ".pvtr", ".pvts",
    ".xdmf", ".xmf", ".xdmf2", ".xdmf3", ".xml",
)  # fmt: skip
FOAM = (".foam", ".OpenFOAM")
CHUNK, OVERLAP = 2**24, 2**12  # bytes that are searched at once, and again
PATTERNS = {  # what names other files in a text, by the end of its own name
    ".inp": rb'(?im)^(?![ \t]*\*\*)[^\n]*?\bINPUT[ \t\r\f\v]*=[ \t\r\f\v]*("[^"\n]*"|[^,\n]*)',
    ".case": rb"(?m)^[^:\r\n]*:[ \t]*([^\r\n]*)",
    ".ut": rb"(?m)^\*\*meshfile[ \t]+(\S+)",
}
BESIDE = {".ut": (".node", ".integ"), ".node": (".ele",), ".ele": (".node",)}
INCLUDE = rb"#[ \t]*include[ \t]+[\"<]?([^\"\r\n>;]+)"  # of OpenFOAM


def check_references(path: Path) -> int:
    """Bytes of a file and of all files that it leads to.

    Raises ForeignFile where one lies outside the folder of `path`, DamagedFile where a file of
    this package does not match its digest.
    """
    sizes: dict[Path, int] = {}
    left = [(path, path.suffix)]
    while left:
        file, kind = left.pop()
        if file in sizes:
            continue
        sizes[file] = file.stat().st_size
        if len(sizes) > MAX_FILES:
            raise ForeignFile(f"{path.name} leads to more than {MAX_FILES} files; split it")
        for name in references(file, kind):
            for other in _files_inside(path, file, name):
                left.append((other, kind if kind == ".inp" else other.suffix))
    return sum(sizes.values())


def _files_inside(path: Path, file: Path, name: str) -> list[Path]:
    """The files of that name, or pattern, beside `file`.

    HDF5 and meshio look in the working folder too, which is that of `path` where files are read
    apart. Raises ForeignFile where one lies outside that folder.
    """
    folder = path.parent.resolve()
    is_strange = any(mark in name for mark in "\0$~")
    places = [] if is_strange else [file.parent / name]
    if not is_strange and not Path(name).is_absolute():
        pattern = re.sub(r"\*+|%\d*b", "*", name)  # of EnSight, of virtual datasets
        places += file.parent.glob(pattern) if "*" in pattern else []
        places += [place for place in (folder / name, Path(name)) if place.exists()]
    for place in places:
        is_strange |= not place.resolve().is_relative_to(folder)
    if is_strange:
        raise ForeignFile(
            f"{path.name} leads out of its folder, to {name!r}; put what it needs beside it, and "
            "name it there"
        )
    return [place for place in places if place.is_file()]


def references(file: Path, kind: str) -> Iterator[str]:
    """The names of other files in one, read as a file of suffix `kind`.

    They are relative to its folder, as it writes them.
    """
    with open(file, "rb") as raw:
        head = raw.read(STARTS[-1] + len(HDF5))
    if head.startswith(MAGIC):
        open_archive(file).close()
    if any(head[start : start + len(HDF5)] == HDF5 for start in STARTS):
        yield from _hdf5_files(file)
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


def _case_files(file: Path) -> Iterator[str]:
    """All that lies in a case of OpenFOAM, and what that includes."""
    for other in sorted(file.parent.rglob("*")):
        if other == file or (other.is_dir() and not other.is_symlink()):
            continue
        yield str(other.relative_to(file.parent))
        if other.is_file():
            here = other.parent.relative_to(file.parent)
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


def _hdf5_files(file: Path) -> list[str]:
    """Where external links, virtual datasets and external storage lead."""
    import h5py

    try:
        with h5py.File(file, "r") as content:
            return list(_links(content))
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise ForeignFile(
            f"{file.name} is damaged or truncated ({error}); write it again"
        ) from error


def _links(content: Any) -> Iterator[str]:
    """What leads out of an open HDF5 file, each of its groups looked at once."""
    import h5py

    left, addresses = [content], {h5py.h5o.get_info(content.id).addr}
    while left:
        group = left.pop()
        for name in group:
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                yield link.filename
            if not isinstance(link, h5py.HardLink):
                continue
            node = group[name]
            address = h5py.h5o.get_info(node.id).addr
            if address in addresses:
                continue
            addresses.add(address)
            if isinstance(node, h5py.Dataset):
                yield from _storage(node)
            elif isinstance(node, h5py.Group):
                left.append(node)


def _storage(dataset: Any) -> Iterator[str]:
    """The files that hold the numbers of a dataset; "." is its own."""
    plan = dataset.id.get_create_plist()
    for k in range(plan.get_external_count()):
        yield plan.get_external(k)[0].decode(errors="surrogateescape")
    if dataset.is_virtual:
        yield from (source.file_name for source in dataset.virtual_sources())
