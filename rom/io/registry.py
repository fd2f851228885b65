"""Readers and writers by the end of a file's name, registered where they live.

Each module of the packages rom.io.readers and rom.io.writers has a table SUFFIXES, suffix ->
function; the longest suffix that ends the file's name decides, and "" takes what is left.
To add a format is to add a file.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any


def suffix_table(package: ModuleType) -> dict[str, Any]:
    """suffix -> function of all modules of a package."""
    table: dict[str, Any] = {}
    for entry in iter_modules(package.__path__):
        module = import_module(f"{package.__name__}.{entry.name}")
        table |= module.SUFFIXES
    return table


def choose_by_suffix(package: ModuleType, path: Path) -> Any:
    """The function that a package registers for the longest suffix of the file's name."""
    table = suffix_table(package)
    suffixes = [suffix for suffix in table if path.name.endswith(suffix)]
    return table[max(suffixes, key=len)]
