"""Readers and writers by the end of a file's name, registered where they live.

Each module of the packages rom.io.readers and rom.io.writers has a table SUFFIXES, suffix ->
function; the longest suffix that ends the file's name decides, and "" takes what is left.
A result that is a folder goes by the file that marks it: a table FOLDERS, its place in the
folder -> function. To add a format is to add a file.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from rom.errors import ForeignFile


def suffix_table(package: ModuleType) -> dict[str, Any]:
    """suffix -> function of all modules of a package."""
    table: dict[str, Any] = {}
    for module in _modules(package):
        table |= module.SUFFIXES
    return table


def _modules(package: ModuleType) -> list[Any]:
    names = [entry.name for entry in iter_modules(package.__path__)]
    return [import_module(f"{package.__name__}.{name}") for name in names]


def choose_by_suffix(package: ModuleType, path: Path) -> Any:
    """The function that a package registers for the longest suffix of the file's name.

    Raises ForeignFile for a folder that no file marks as a result.
    """
    if path.is_dir():
        return _choose_by_mark(package, path)
    table = suffix_table(package)
    suffixes = [suffix for suffix in table if path.name.endswith(suffix)]
    return table[max(suffixes, key=len)]


def is_result_folder(package: ModuleType, path: Path) -> bool:
    """Whether a folder as a whole is a result that a reader takes."""
    marks = [mark for module in _modules(package) for mark in getattr(module, "FOLDERS", {})]
    return path.is_dir() and any((path / mark).is_file() for mark in marks)


def _choose_by_mark(package: ModuleType, path: Path) -> Any:
    marks: dict[str, Any] = {}
    for module in _modules(package):
        marks |= getattr(module, "FOLDERS", {})
    for mark, function in marks.items():
        if (path / mark).is_file():
            return function
    raise ForeignFile(
        f"the folder {path.name} is no result: it has none of {', '.join(marks)}; name a file in it"
    )


def is_companion(package: ModuleType, path: Path) -> bool:
    """Whether a file lies beside results of its suffix, and is none itself."""
    return any(path.name in getattr(module, "COMPANIONS", ()) for module in _modules(package))
