"""What a process that reads a file can open: its folder, and libraries.

The references of a file are looked at before (`rom.io.references`); what a library opens besides
is refused by the kernel. Of a folder on Python's path, packages and modules are libraries, and
what lies beside them is not. Where the kernel has no Landlock (Linux before 5.13), the look before
is all.
Reference: Salaün (2021), Landlock: unprivileged access control.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable, Iterator
from importlib.machinery import all_suffixes
from pathlib import Path

from rom.io.references import home_of

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # numbers of the system calls
READ_FILE, READ_DIR = 1 << 2, 1 << 3
EVERY_ACCESS = (1 << 13) - 1  # of the first version: run, read, write, make, remove
PATH_BENEATH = 1  # kind of a rule
NO_NEW_PRIVILEGES = 38  # of prctl
SYSTEM = (
    *("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/etc/ld.so.cache"),
    *("/dev/null", "/dev/urandom", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system"),
)


def confine(path: Path) -> None:
    """Lets this process open the folder of a file and libraries, no more."""
    library = ctypes.CDLL(None, use_errno=True)
    attributes = struct.pack("=Q", EVERY_ACCESS)
    ruleset = library.syscall(CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return
    try:
        for place, access in _open_to_readers(path):
            _allow_reading(library, ruleset, place, access)
        is_restricted = (
            library.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0
            and library.syscall(RESTRICT_SELF, ruleset, 0) == 0
        )
    finally:
        os.close(ruleset)
    if not is_restricted:
        raise OSError(ctypes.get_errno(), "the process that reads could not be confined")


def _open_to_readers(path: Path) -> Iterator[tuple[Path, int]]:
    """The folder of a file and the libraries, and what may be done below each."""
    linker = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    everywhere: tuple[str | Path, ...] = (
        home_of(path),
        path,
        sys.prefix,
        sys.base_prefix,
        *linker,
        *SYSTEM,
    )
    wholes = {Path(place).resolve() for place in everywhere if os.fspath(place)}
    yield from ((place, READ_FILE | READ_DIR) for place in wholes)
    for place in {Path(entry).resolve() for entry in sys.path if entry}:
        if not wholes.isdisjoint((place, *place.parents)) or not os.access(place, os.R_OK):
            continue
        if place.is_dir():
            yield place, READ_DIR  # Python looks for modules by the names there
        yield from ((module, READ_FILE | READ_DIR) for module in _modules(place))


def _modules(place: Path) -> Iterable[Path]:
    """What can be imported of an entry of Python's path."""
    if not place.is_dir() or any(place.glob("*.dist-info")):  # an archive, or installed there
        return (place,)
    return (
        entry
        for entry in place.iterdir()
        if (entry / "__init__.py").is_file() or entry.name.endswith(tuple(all_suffixes()))
    )


def _allow_reading(library: ctypes.CDLL, ruleset: int, place: Path, access: int) -> None:
    """Adds a rule of a folder and all below it, or of a file that is there."""
    if not os.access(place, os.R_OK):
        return
    handle = os.open(place, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", access if place.is_dir() else access & READ_FILE, handle)
        if library.syscall(ADD_RULE, ruleset, PATH_BENEATH, rule, 0):
            raise OSError(ctypes.get_errno(), f"no rule for {place}")
    finally:
        os.close(handle)
