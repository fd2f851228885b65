"""Input files of programs in which names of parameters stand: {{E}}, {{E:.6e}}.

Without a format a number has as many digits as fit in 20 characters, which is what CalculiX
and others read; a format says otherwise.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from rom.campaign.identity import short_digest
from rom.errors import BadInput

PLACE = re.compile(r"\{\{\s*([^{}:]*?)\s*(?::([^{}]*))?\}\}")
WIDTH = 20  # characters of a number


@dataclass(frozen=True, eq=False)
class Templates:
    """Files that are written into the folder of each run.

    root : a file, or a folder of files; templates : those with names in them, path below the
        folder -> text; names (p,) : of the parameters, in the order of mu
    """

    root: Path
    templates: dict[str, str]
    names: tuple[str, ...]

    @property
    def used(self) -> set[str]:
        """The parameters that stand in its files."""
        return {match[1] for text in self.templates.values() for match in PLACE.finditer(text)}

    def digests(self) -> dict[str, str]:
        """File -> digest, as of a solver's own files."""
        root = self.root
        return {below(root, f): short_digest(f.read_bytes()) for f in deck_files(root)}

    def write(self, folder: Path, mu: np.ndarray) -> None:
        """All files in `folder`, with the numbers of mu (p,) in place of the names."""
        if self.root.is_dir():
            shutil.copytree(self.root, folder, dirs_exist_ok=True)
        else:
            shutil.copy(self.root, folder)
        values = dict(zip(self.names, map(float, mu), strict=True))
        for name, text in self.templates.items():
            (folder / name).write_text(PLACE.sub(partial(_number_at, values), text))


def read_templates(path: str | Path, names: Sequence[str]) -> Templates:
    """The deck at `path`, a file or a folder.

    Raises BadInput where there is none, for a name that no parameter has, and for a format that
    numbers do not have.
    """
    root = Path(path)
    if not root.exists():
        raise BadInput(f"no deck {root}; give the file or folder that the program reads")
    templates = {}
    for file in deck_files(root):
        content = file.read_bytes()
        if b"{{" in content:
            key = below(root, file)
            templates[key] = _checked_text(content, key, names)
    return Templates(root, templates, tuple(names))


def deck_files(root: Path) -> list[Path]:
    """A file, or all files of a folder."""
    return [root] if root.is_file() else sorted(p for p in root.rglob("*") if p.is_file())


def below(root: Path, file: Path) -> str:
    """The name of a file of a deck."""
    return file.name if root.is_file() else file.relative_to(root).as_posix()


def _checked_text(content: bytes, file: str, names: Sequence[str]) -> str:
    """The text of a template. Raises BadInput that names the line."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"{file} holds {{{{ and is no text in UTF-8; convert it") from error
    for k, line in enumerate(text.splitlines(), start=1):
        for match in PLACE.finditer(line):
            if match[1] not in names:
                raise BadInput(
                    f"{file}, line {k}: {match[0]} is no parameter; known: {', '.join(names)}"
                )
            _check_format(match, f"{file}, line {k}")
    return text


def _check_format(match: re.Match[str], where: str) -> None:
    try:
        float(format(1.0, match[2] or ""))
    except ValueError as error:
        raise BadInput(
            f"{where}: {match[0]} has a format that makes no number; give one as .6e"
        ) from error


def _number_at(values: dict[str, float], match: re.Match[str]) -> str:
    value = values[match[1]]
    return format(value, match[2]) if match[2] else write_number(value)


def write_number(value: float) -> str:
    """The number with all its digits, or as many as 20 characters hold."""
    text = repr(value)
    digits = 17
    while len(text) > WIDTH:
        digits -= 1
        text = format(value, f".{digits}g")
    return text
